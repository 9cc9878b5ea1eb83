// Which times of a cube a name selects, and which keys go together.
#pragma once

#include <vector>

#include "connection.h"
#include "cube.h"

namespace gndc_driver
{

/** Refuses keys that are not known, empty, or contradict each other. Throws Failure. */
void CheckKeys(const Connection &connection);

/** The times that a name without t= selects: the observations from start to end, or regular times. Throws Failure. */
std::vector<Moment> MomentsOf(const Connection &connection, const Cube &cube);

}  // namespace gndc_driver
