// Where a point lies in a chunk's model, and how that changes as the point moves.
#ifndef GNDC_TANGENT_POINT_H
#define GNDC_TANGENT_POINT_H

#include <cstdint>

#include "gndc_tangent.h"
#include "layout.h"

namespace gndc {

struct TangentPoint {
    int64_t index;                          // in the caller's list
    float x, y;                             // model coordinates
    double x_by[2], y_by[2];                // their derivatives by column and row
    int64_t row, col;                       // pixel of the stored extent
    int64_t sub_row, sub_col;               // place inside its block
    double weight, weight_by[2];            // feather weight and its derivatives by column and row
};

// False if the chunk does not store the place.
bool make_tangent_point(const gndc_chunk &chunk, const Layout &layout, double row, double col, TangentPoint &out);

}  // namespace gndc
#endif
