// Derivatives of a cube at points: the core's gndc_tangent.h over the chunks that answer.
#include <algorithm>
#include <cmath>
#include <limits>

#include "cube.h"
#include "failure.h"
#include "times.h"

namespace gndc_driver
{

namespace
{

int Count(int axes)
{
    return ((axes & GNDC_BY_COLUMN) != 0) + ((axes & GNDC_BY_ROW) != 0) + ((axes & GNDC_BY_TIME) != 0);
}

}  // namespace

std::vector<int64_t> Cube::Route(const Moment &moment, const std::vector<double> &rows,
                                 const std::vector<double> &cols) const
{
    const gndc_cube core = Core();
    const auto [top, bottom] = std::minmax_element(rows.begin(), rows.end());
    const auto [left, right] = std::minmax_element(cols.begin(), cols.end());
    std::vector<int64_t> routed(static_cast<size_t>(core.n_chunks));
    routed.resize(static_cast<size_t>(gndc_route(&core, moment.m_frame, std::floor(*top), std::floor(*bottom) + 1,
                                                 std::floor(*left), std::floor(*right) + 1, routed.data())));
    return routed;
}

bool Cube::DecodesBlocks(const Moment &moment, const std::vector<double> &rows, const std::vector<double> &cols)
{
    const std::vector<int64_t> routed = Route(moment, rows, cols);
    return std::any_of(routed.begin(), routed.end(),
                       [this](int64_t index) { return gndc_decodes_blocks(&GetChunk(index)->Core()) != 0; });
}

std::vector<float> Cube::ReadTangents(const Moment &moment, const std::vector<double> &rows,
                                      const std::vector<double> &cols, const std::vector<int32_t> &bands, int axes,
                                      const Reading &reading)
{
    const gndc_cube core = Core();
    const size_t planes = static_cast<size_t>(1 + Count(axes)) * rows.size();
    std::vector<float> values(planes * bands.size());
    std::vector<double> sums(gndc_blends(&core) ? planes * (bands.size() + 1) : 0);
    gndc_tangents tangents = {};
    tangents.n_points = static_cast<int64_t>(rows.size());
    tangents.n_bands = static_cast<int64_t>(bands.size());
    tangents.rows = rows.data();
    tangents.cols = cols.data();
    tangents.bands = bands.data();
    tangents.axes = axes;
    tangents.out = values.data();
    tangents.sums = sums.empty() ? nullptr : sums.data();

    const double seconds = ToSeconds(moment.m_micros);
    const bool dated = !m_seconds.empty();
    const double frameRate = dated && m_ascending ? gndc_frame_rate(m_seconds.data(),
                                                                    static_cast<int64_t>(m_seconds.size()), seconds)
                                                  : 0.0;
    gndc_tangents_begin(&tangents, Fill());
    char message[GNDC_MESSAGE] = {};
    for (const int64_t index : Route(moment, rows, cols))
    {
        const Share share = GetShare(index, moment, reading);
        const Chunk &chunk = *share.m_chunk;
        // beyond the times that the network was trained on it stands still
        const bool moves = dated && chunk.Start() <= seconds && seconds <= chunk.End() && chunk.Start() != chunk.End();
        const double rate = moves ? 1.0 / (chunk.End() - chunk.Start()) : 0.0;
        const double weightRate = gndc_time_weight_rate(&core, index, moment.m_frame) * frameRate;
        if (gndc_tangents_add(&tangents, &chunk.Core(), share.m_t, rate, share.m_weight, weightRate,
                              share.m_mask ? share.m_mask->data() : nullptr, reading.m_threads, message) != GNDC_OK)
            Fail("%s: %s: %s", Path().c_str(), Shown(m_manifest.m_files[static_cast<size_t>(index)]).c_str(), message);
    }
    gndc_tangents_end(&tangents);
    for (size_t b = 0; b < bands.size(); ++b)
        if (!Observes(moment, bands[b]))
            for (size_t i = b; i < values.size(); i += bands.size())
                values[i] = std::numeric_limits<float>::quiet_NaN();
    return values;
}

}  // namespace gndc_driver
