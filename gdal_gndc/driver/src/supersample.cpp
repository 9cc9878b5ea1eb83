#include "supersample.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace gndc_driver
{

namespace
{

// floats of the finer grid evaluated at once: bounds memory
constexpr int64_t MOST_FLOATS = 8 << 20;

// A tent over the parts of a sample and its margins, from the first part on.
std::vector<double> Weights(int parts, int margin)
{
    std::vector<double> weights;
    for (int i = -margin; i < parts + margin; ++i)
        weights.push_back(1.0 - std::fabs((i + 0.5) / parts - 0.5));
    return weights;
}

float Weighted(const float *values, int64_t rowStride, int64_t colStride, const std::vector<double> &weightsY,
               const std::vector<double> &weightsX)
{
    double sum = 0.0;
    double weight = 0.0;
    for (size_t i = 0; i < weightsY.size(); ++i)
        for (size_t j = 0; j < weightsX.size(); ++j)
        {
            const float value = values[static_cast<int64_t>(i) * rowStride + static_cast<int64_t>(j) * colStride];
            if (std::isnan(value))
                continue;
            sum += weightsY[i] * weightsX[j] * static_cast<double>(value);
            weight += weightsY[i] * weightsX[j];
        }
    return weight > 0.0 ? static_cast<float>(sum / weight) : std::numeric_limits<float>::quiet_NaN();
}

}  // namespace

std::vector<double> Span::Centres(int first, int count, int parts, int margin) const
{
    std::vector<double> all(static_cast<size_t>(m_count) * static_cast<size_t>(parts));
    gndc_positions(m_offset, m_size, static_cast<int64_t>(all.size()), all.data());
    const double step = m_size / static_cast<double>(all.size());
    const double last = std::nextafter(m_limit, 0.0);
    std::vector<double> centres;
    for (int64_t i = int64_t{first} * parts - margin; i < (int64_t{first} + count) * parts + margin; ++i)
    {
        const int64_t end = static_cast<int64_t>(all.size());
        double centre = i < 0 ? all.front() + static_cast<double>(i) * step
                              : i >= end ? all.back() + static_cast<double>(i - end + 1) * step : all[static_cast<size_t>(i)];
        // fractional windows may reach a rounding error outside, margins further
        centres.push_back(std::clamp(centre, 0.0, last));
    }
    return centres;
}

int Span::Parts(Resampling resampling) const
{
    if (resampling == Resampling::NEAREST)
        return 1;
    const int parts = static_cast<int>(gndc_supersamples(m_size, m_count));
    // a tent needs as many parts on either side of the centre
    return resampling == Resampling::BILINEAR ? parts + parts % 2 : parts;
}

void Resample(const Span &rows, const Span &cols, int firstRow, int rowCount, int planes, Resampling resampling,
              float fill, int threads, const GridReader &read, const Target &target)
{
    const int high = rows.Parts(resampling);
    const int wide = cols.Parts(resampling);
    if (resampling == Resampling::NEAREST || (high == 1 && wide == 1))
    {
        read(rows.Centres(firstRow, rowCount, 1, 0), cols.Centres(0, cols.m_count, 1, 0), target);
        return;
    }
    const bool tent = resampling == Resampling::BILINEAR;
    const int marginY = tent ? high / 2 : 0;
    const int marginX = tent ? wide / 2 : 0;
    const std::vector<double> weightsY = Weights(high, marginY);
    const std::vector<double> weightsX = Weights(wide, marginX);
    const std::vector<double> xs = cols.Centres(0, cols.m_count, wide, marginX);
    const int64_t line = static_cast<int64_t>(xs.size()) * planes;
    const int most = static_cast<int>(std::clamp<int64_t>(MOST_FLOATS / (line * high), 1, rowCount));
    std::vector<float> values;
    for (int row = 0; row < rowCount; row += most)
    {
        const int count = std::min(most, rowCount - row);
        const std::vector<double> ys = rows.Centres(firstRow + row, count, high, marginY);
        values.resize(ys.size() * static_cast<size_t>(line));
        read(ys, xs, {values.data(), line, planes, 1});
        const Target part{target.m_out + row * target.m_rowStride, target.m_rowStride, target.m_colStride,
                          target.m_bandStride};
        if (tent)
        {
            for (int y = 0; y < count; ++y)
                for (int x = 0; x < cols.m_count; ++x)
                    for (int plane = 0; plane < planes; ++plane)
                        part.m_out[y * part.m_rowStride + x * part.m_colStride + plane * part.m_bandStride] =
                            Weighted(values.data() + int64_t{y} * high * line + (int64_t{x} * wide) * planes + plane, line,
                                     planes, weightsY, weightsX);
            continue;
        }
        gndc_grid grid = {};
        grid.n_rows = count;
        grid.n_cols = cols.m_count;
        grid.n_bands = planes;
        grid.out = part.m_out;
        grid.row_stride = part.m_rowStride;
        grid.col_stride = part.m_colStride;
        grid.band_stride = part.m_bandStride;
        gndc_average(&grid, values.data(), high, wide, fill, threads);
    }
}

}  // namespace gndc_driver
