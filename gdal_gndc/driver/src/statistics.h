// What the encoder measured of a cube (metrics.json), as GDAL's statistics.
#pragma once

#include <optional>

#include "gdal_priv.h"
#include "view.h"

namespace gndc_driver
{

/** Of a band's values over all times. */
struct Statistics
{
    double m_minimum{};
    double m_maximum{};
    double m_mean{};
    double m_deviation{};
};

/** One a band of the cube, where the container tells all four; none where it does not or is not understood. */
std::vector<std::optional<Statistics>> StatisticsOf(const Cube &cube);

/** Sets STATISTICS_* of the bands that show values of the cube, as approximate: those of one time differ. */
void SetStatistics(GDALDataset &dataset, const View &view);

}  // namespace gndc_driver
