// A smaller raster as means over its pixels, from a finer grid of the same field.
#pragma once

#include <functional>
#include <vector>

#include "cube.h"

namespace gndc_driver
{

/** The part of the cube that samples cover: [offset, offset + size) in pixels, `count` of them, up to `limit`. */
struct Span
{
    double m_offset{};
    double m_size{};
    int m_count{};
    double m_limit{};

    /** Positions of the centres of some of the samples, each split into `parts`; `margin` parts beside them too. */
    std::vector<double> Centres(int first, int count, int parts, int margin) const;
    /** What a sample is split into: by the core's rule, for a tent rounded up to an even number. */
    int Parts(Resampling resampling) const;
};

/** Reads rows x cols x planes into a target. */
using GridReader =
    std::function<void(const std::vector<double> &rows, const std::vector<double> &cols, const Target &target)>;

/** Fills `target` with samples rows.first..+count by cols: at their centres, or means as `resampling` says: those of
 *  gndc_average(), the SDK's, or weighted by a tent that reaches half a sample further. `fill` is what gndc_average() takes
 *  for no chunk. */
void Resample(const Span &rows, const Span &cols, int firstRow, int rowCount, int planes, Resampling resampling,
              float fill, int threads, const GridReader &read, const Target &target);

}  // namespace gndc_driver
