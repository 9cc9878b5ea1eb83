// Derivatives at points, chunk by chunk.
#include "tangent.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <vector>

#include "axis.h"
#include "field.h"
#include "tangent_kernels.h"
#include "threads.h"

namespace gndc {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TangentKernel kernel() {
#ifdef GNDC_X86
    if (std::strcmp(gndc_isa(), "avx512") == 0) {
        return kTangentAvx512;
    }
    if (std::strcmp(gndc_isa(), "avx2") == 0) {
        return kTangentAvx2;
    }
#endif
    return kTangentGeneric;
}

int count_axes(int axes) {
    return (axes & 1) + (axes >> 1 & 1) + (axes >> 2 & 1);
}

// Buffers of one worker.
class Buffers {
  public:
    Buffers(const FieldView &view, int streams) {
        const int64_t rows = static_cast<int64_t>(streams) * kTangentTile;
        const int64_t sizes[4] = {rows * view.layout.n_inputs_padded, rows * view.width, rows * view.width,
                                  rows * view.layout.n_outputs_padded};
        size_t total = 0;
        for (const int64_t size : sizes) {
            total += static_cast<size_t>(size);
        }
        m_memory.reset(static_cast<float *>(std::aligned_alloc(64, (total * 4 + 63) / 64 * 64)));
        if (!m_memory) {
            throw std::bad_alloc();
        }
        std::memset(m_memory.get(), 0, total * 4);
        scratch.features = m_memory.get();
        scratch.hidden[0] = scratch.features + sizes[0];
        scratch.hidden[1] = scratch.hidden[0] + sizes[1];
        scratch.raw = scratch.hidden[1] + sizes[2];
    }

    TangentScratch scratch;

  private:
    struct Free {
        void operator()(float *p) const { std::free(p); }
    };
    std::unique_ptr<float, Free> m_memory;
};

struct Time {
    float t;
    double rate, weight, weight_rate;
};

class Writer {
  public:
    Writer(const gndc_tangents &target, const gndc_chunk &chunk, const Time &time, const uint8_t *mask, int coordinates)
        : m_target(target),
          m_chunk(chunk),
          m_layout(chunk.field->view.layout),
          m_time(time),
          m_mask(mask),
          m_plane(target.n_points * target.n_bands) {
        int stream = 0;
        for (int c = 0; c < 3; ++c) {
            m_stream[c] = coordinates >> c & 1 ? ++stream : 0;
        }
    }

    void operator()(const TangentPoint &point, int p, const float *raw) const {
        const int64_t stride = m_layout.n_outputs_padded;
        const int64_t pixel = point.row * (m_chunk.stored[5] - m_chunk.stored[4]) + point.col;
        const bool masked = m_mask && (m_mask[pixel >> 3] >> (7 - (pixel & 7)) & 1);
        const int64_t first = (point.sub_row * m_layout.block_cols + point.sub_col) * m_layout.n_bands;
        auto network = [&](int coordinate, int64_t output) {
            const int stream = m_stream[coordinate];
            return stream ? static_cast<double>(raw[(stream * kTangentTile + p) * stride + output]) : 0.0;
        };
        const double weight = point.weight * m_time.weight;
        const double weight_by[3] = {point.weight_by[0] * m_time.weight, point.weight_by[1] * m_time.weight,
                                     point.weight * m_time.weight_rate};
        for (int64_t i = 0; i < m_target.n_bands; ++i) {
            const int64_t band = m_target.bands[i], output = first + band;
            const float low = m_chunk.range[2 * band], span = m_chunk.range[2 * band + 1] - low;
            const float linear = raw[p * stride + output] * span + low;
            const double value = masked ? kNan : m_chunk.use_log ? std::expm1(linear) : linear;
            const double slope = static_cast<double>(span) * (m_chunk.use_log ? std::exp(linear) : 1.0f);
            const double by_x = network(0, output), by_y = network(1, output);
            const double by[3] = {slope * (by_x * point.x_by[0] + by_y * point.y_by[0]),
                                  slope * (by_x * point.x_by[1] + by_y * point.y_by[1]),
                                  slope * network(2, output) * m_time.rate};
            if (!m_target.sums) {
                float *out = m_target.out + point.index * m_target.n_bands + i;
                *out = static_cast<float>(value);
                for (int axis = 0; axis < 3; ++axis) {
                    if (m_target.axes >> axis & 1) {
                        out += m_plane;
                        *out = static_cast<float>(masked ? static_cast<double>(kNan) : by[axis]);
                    }
                }
                continue;
            }
            double *sum = m_target.sums + point.index * (m_target.n_bands + 1) + i;
            *sum += weight * value;
            for (int axis = 0; axis < 3; ++axis) {
                if (m_target.axes >> axis & 1) {
                    sum += m_target.n_points * (m_target.n_bands + 1);
                    *sum += weight_by[axis] * value + weight * by[axis];  // a masked value is NaN already
                }
            }
        }
        if (m_target.sums) {
            double *sum = m_target.sums + point.index * (m_target.n_bands + 1) + m_target.n_bands;
            *sum += weight;
            for (int axis = 0; axis < 3; ++axis) {
                if (m_target.axes >> axis & 1) {
                    sum += m_target.n_points * (m_target.n_bands + 1);
                    *sum += weight_by[axis];
                }
            }
        }
    }

  private:
    const gndc_tangents &m_target;
    const gndc_chunk &m_chunk;
    const Layout &m_layout;
    const Time m_time;
    const uint8_t *m_mask;
    const int64_t m_plane;
    int m_stream[3];
};

void add(const gndc_tangents &target, const gndc_chunk &chunk, const Time &time, const uint8_t *mask, int n_threads) {
    const FieldView &field = chunk.field->view;
    std::vector<TangentPoint> points;
    points.reserve(static_cast<size_t>(target.n_points));
    for (int64_t i = 0; i < target.n_points; ++i) {
        TangentPoint point;
        if (make_tangent_point(chunk, field.layout, target.rows[i], target.cols[i], point)) {
            point.index = i;
            points.push_back(point);
        }
    }
    const int64_t n = static_cast<int64_t>(points.size());
    if (n == 0) {
        return;
    }
    // on the sphere either coordinate follows from both axes
    const int space = GNDC_BY_COLUMN | GNDC_BY_ROW;
    const int coordinates = !separable(chunk) && (target.axes & space) ? target.axes | space : target.axes;
    const Writer write(target, chunk, time, mask, coordinates);
    const TangentKernel evaluate = kernel();
    const int64_t grain = 8 * kTangentTile;
    const int threads = n <= grain ? 1 : threads_for(n_threads, (n + grain - 1) / grain);
    std::vector<std::unique_ptr<Buffers>> buffers;
    for (int i = 0; i < threads; ++i) {
        buffers.push_back(std::make_unique<Buffers>(field, 1 + count_axes(coordinates)));
    }
    parallel_for(n, grain, threads, [&](int worker, int64_t begin, int64_t end) {
        TangentScratch &scratch = buffers[static_cast<size_t>(worker)]->scratch;
        float x[kTangentTile], y[kTangentTile], t[kTangentTile];
        std::fill(t, t + kTangentTile, time.t);
        for (int64_t i = begin; i < end; i += kTangentTile) {
            const int m = static_cast<int>(std::min<int64_t>(kTangentTile, end - i));
            for (int p = 0; p < m; ++p) {
                x[p] = points[static_cast<size_t>(i + p)].x;
                y[p] = points[static_cast<size_t>(i + p)].y;
            }
            evaluate(field, m, coordinates, x, y, t, scratch);
            for (int p = 0; p < m; ++p) {
                write(points[static_cast<size_t>(i + p)], p, scratch.raw);
            }
        }
    });
}

}  // namespace
}  // namespace gndc

extern "C" int gndc_decodes_blocks(const gndc_chunk *chunk) {
    const gndc::Layout &layout = chunk->field->view.layout;
    return layout.block_rows > 1 || layout.block_cols > 1;
}

extern "C" void gndc_tangents_begin(const gndc_tangents *tangents, float fill) {
    const int64_t plane = tangents->n_points * tangents->n_bands;
    const int axes = gndc::count_axes(tangents->axes);
    std::fill(tangents->out, tangents->out + plane, fill);
    std::fill(tangents->out + plane, tangents->out + (1 + axes) * plane, gndc::kNan);
    if (tangents->sums) {
        std::fill(tangents->sums, tangents->sums + (1 + axes) * (plane + tangents->n_points), 0.0);
    }
}

extern "C" int gndc_tangents_add(const gndc_tangents *tangents, const gndc_chunk *chunk, float t, double t_rate,
                                 double time_weight, double time_weight_rate, const uint8_t *mask, int n_threads,
                                 char *message) {
    const int status = gndc::check_chunk(*chunk, message);
    if (status != GNDC_OK) {
        return status;
    }
    if (gndc_decodes_blocks(chunk) && (tangents->axes & (GNDC_BY_COLUMN | GNDC_BY_ROW))) {
        gndc::say(message, "the model decodes blocks of several pixels, within which it has no spatial derivative");
        return GNDC_ERR_CONFIG;
    }
    try {
        gndc::add(*tangents, *chunk, {t, t_rate, time_weight, time_weight_rate}, mask, n_threads);
    } catch (const std::bad_alloc &) {
        gndc::say(message, "not enough memory for the derivatives of %lld points",
                  static_cast<long long>(tangents->n_points));
        return GNDC_ERR_MEMORY;
    }
    return GNDC_OK;
}

// value = sum(w v) / sum(w), and its derivative by the quotient rule
extern "C" void gndc_tangents_end(const gndc_tangents *tangents) {
    if (!tangents->sums) {
        return;
    }
    const int64_t n = tangents->n_points, bands = tangents->n_bands, stride = bands + 1;
    const int axes = gndc::count_axes(tangents->axes);
    for (int64_t i = 0; i < n; ++i) {
        const double *sums = tangents->sums + i * stride;
        const double weight = sums[bands];
        if (!(weight > 0.0)) {
            continue;
        }
        for (int64_t b = 0; b < bands; ++b) {
            float *out = tangents->out + i * bands + b;
            const double value = sums[b] / weight;
            *out = static_cast<float>(value);
            for (int axis = 1; axis <= axes; ++axis) {
                const double *by = sums + axis * n * stride;
                out[axis * n * bands] = static_cast<float>((by[b] - value * by[bands]) / weight);
            }
        }
    }
}
