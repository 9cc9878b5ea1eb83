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

// Weights of the parts of a sample and its margins, from the first part on.
std::vector<double> Weights(int parts, int margin, Resampling resampling)
{
    std::vector<double> weights;
    for (int i = -margin; i < parts + margin; ++i)
    {
        const double away = std::fabs((i + 0.5) / parts - 0.5);  // from the centre, in samples
        weights.push_back(resampling == Resampling::BILINEAR ? 1.0 - away : 1.0);
    }
    return weights;
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
    // a tent needs as many parts on either side of the centre
    const int parts = std::max(1, static_cast<int>(std::ceil(m_size / m_count - 1e-9)));
    return resampling == Resampling::BILINEAR ? parts + parts % 2 : parts;
}

void Resample(const Span &rows, const Span &cols, int firstRow, int rowCount, int planes, Resampling resampling,
              const GridReader &read, const Target &target)
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
    const std::vector<double> weightsY = Weights(high, marginY, resampling);
    const std::vector<double> weightsX = Weights(wide, marginX, resampling);
    const std::vector<double> xs = cols.Centres(0, cols.m_count, wide, marginX);
    const int64_t fine = static_cast<int64_t>(xs.size());
    const int most = static_cast<int>(std::clamp<int64_t>(MOST_FLOATS / (fine * planes * high), 1, rowCount));
    std::vector<float> values;
    for (int row = 0; row < rowCount; row += most)
    {
        const int count = std::min(most, rowCount - row);
        const std::vector<double> ys = rows.Centres(firstRow + row, count, high, marginY);
        const int64_t area = static_cast<int64_t>(ys.size()) * fine;
        values.resize(static_cast<size_t>(area * planes));
        read(ys, xs, {values.data(), fine, 1, area});
        for (int plane = 0; plane < planes; ++plane)
            for (int y = 0; y < count; ++y)
                for (int x = 0; x < cols.m_count; ++x)
                {
                    double sum = 0.0;
                    double weight = 0.0;
                    for (size_t i = 0; i < weightsY.size(); ++i)
                    {
                        const float *const at = values.data() + plane * area +
                                                (int64_t{y} * high + static_cast<int64_t>(i)) * fine + int64_t{x} * wide;
                        for (size_t j = 0; j < weightsX.size(); ++j)
                            if (!std::isnan(at[j]))
                            {
                                sum += weightsY[i] * weightsX[j] * static_cast<double>(at[j]);
                                weight += weightsY[i] * weightsX[j];
                            }
                    }
                    target.m_out[(row + y) * target.m_rowStride + x * target.m_colStride + plane * target.m_bandStride] =
                        weight > 0.0 ? static_cast<float>(sum / weight) : std::numeric_limits<float>::quiet_NaN();
                }
    }
}

}  // namespace gndc_driver
