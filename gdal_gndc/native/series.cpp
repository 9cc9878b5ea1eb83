// Reading points over many times from one chunk.
#include <algorithm>
#include <new>
#include <vector>

#include "axis.h"
#include "kernels.h"
#include "scratch.h"
#include "threads.h"
#include "values.h"

namespace gndc {
namespace {

struct Point {
    int64_t index;  // in the caller's list
    int64_t row, col, sub_row, sub_col;
    double weight;
};

struct Call {
    const gndc_series &series;
    const Values &values;
    const std::vector<Point> &points;
    const std::vector<int64_t> &times;  // the caller's times this chunk answers
    const double *time_weights;
    const uint8_t *const *masks;
    const gndc_residual *const *residuals;
    int64_t stride;
};

struct Context {
    const Call *call;
    int64_t first;  // point the kernel calls 0
    std::vector<float> scratch;
};

void sink(void *opaque, int64_t point, int64_t time, int n, const float *raw) {
    Context &context = *static_cast<Context *>(opaque);
    const Call &call = *context.call;
    const Point &p = call.points[static_cast<size_t>(context.first + point)];
    const gndc_series &series = call.series;
    for (int i = 0; i < n; ++i) {
        const int64_t j = call.times[static_cast<size_t>(time + i)];
        const gndc_residual *residual = call.residuals ? call.residuals[j] : nullptr;
        int64_t entry = residual ? residual->at(p.row, p.col) : 0;
        const int64_t at = p.index * series.n_times + j;
        float *out = series.out + at * series.n_bands;
        float *target = series.weights ? context.scratch.data() : out;
        call.values(raw + i * call.stride, p.sub_row, p.sub_col, p.row, p.col, call.masks ? call.masks[j] : nullptr,
                    residual, entry, target, 1);
        if (series.weights) {
            const float w = static_cast<float>(p.weight * call.time_weights[j]);
            for (int64_t b = 0; b < series.n_bands; ++b) {
                out[b] += w * target[b];
            }
            series.weights[at] += w;
        }
    }
}

void add(const gndc_series &series, const gndc_chunk &chunk, const float *t, const double *time_weights,
         const uint8_t *const *masks, const gndc_residual *const *residuals, int n_threads) {
    const FieldView &field = chunk.field->view;
    std::vector<int64_t> times;
    std::vector<float> normalised;
    for (int64_t j = 0; j < series.n_times; ++j) {
        if (time_weights[j] > 0.0) {
            times.push_back(j);
            normalised.push_back(t[j]);
        }
    }
    std::vector<Point> points;
    std::vector<double> x, y;
    for (int64_t i = 0; i < series.n_points; ++i) {
        const Axis row = make_axis(chunk, field.layout, 1, series.rows + i, 1);
        const Axis col = make_axis(chunk, field.layout, 2, series.cols + i, 1);
        if (row.begin == row.end || col.begin == col.end) {
            continue;
        }
        points.push_back({i, row.pixel[0], col.pixel[0], row.sub[0], col.sub[0], row.weight[0] * col.weight[0]});
        double px = col.normalised[0], py = row.normalised[0];
        if (!separable(chunk)) {
            float fx, fy;
            model_point(chunk, static_cast<float>(px), static_cast<float>(py), fx, fy);
            px = fx;
            py = fy;
        }
        x.push_back(px);
        y.push_back(py);
    }
    const int64_t n = static_cast<int64_t>(points.size());
    if (n == 0 || times.empty()) {
        return;
    }
    const Values values(chunk, series.bands, series.n_bands);
    const Call call{series,  values,    points,    times, time_weights, masks, residuals,
                    field.layout.n_outputs_padded};
    const int64_t point_cost =
        static_cast<int64_t>(times.size()) * (field.layout.decoder_count + 16 * field.layout.n_inputs);
    const int64_t grain = std::max<int64_t>(1, std::min<int64_t>(kTile, (1 << 21) / point_cost + 1));
    const int threads = n * point_cost < (1 << 21) ? 1 : threads_for(n_threads, (n + grain - 1) / grain);
    Workers workers(field, nullptr, threads, series.precision);
    parallel_for(n, grain, threads, [&](int worker, int64_t begin, int64_t end) {
        Context context{&call, begin, std::vector<float>(static_cast<size_t>(series.n_bands))};
        kernels().series(field, end - begin, x.data() + begin, y.data() + begin, static_cast<int64_t>(times.size()),
                         normalised.data(), workers.scratch(worker), sink, &context);
    });
}

}  // namespace
}  // namespace gndc

extern "C" void gndc_series_begin(const gndc_series *series, float fill) {
    const int64_t samples = series->n_points * series->n_times;
    std::fill(series->out, series->out + samples * series->n_bands, series->weights ? 0.0f : fill);
    if (series->weights) {
        std::fill(series->weights, series->weights + samples, 0.0f);
    }
}

extern "C" int gndc_series_add(const gndc_series *series, const gndc_chunk *chunk, const float *t,
                               const double *time_weights, const uint8_t *const *masks,
                               const gndc_residual *const *residuals, int n_threads, char *message) {
    const int status = gndc::check_chunk(*chunk, message);
    if (status != GNDC_OK) {
        return status;
    }
    try {
        gndc::add(*series, *chunk, t, time_weights, masks, residuals, n_threads);
    } catch (const std::bad_alloc &) {
        gndc::say(message, "not enough memory for %lld points at %lld times", static_cast<long long>(series->n_points),
                  static_cast<long long>(series->n_times));
        return GNDC_ERR_MEMORY;
    }
    return GNDC_OK;
}

extern "C" void gndc_series_end(const gndc_series *series, float fill) {
    if (!series->weights) {
        return;
    }
    for (int64_t i = 0; i < series->n_points * series->n_times; ++i) {
        for (int64_t b = 0; b < series->n_bands; ++b) {
            float &v = series->out[i * series->n_bands + b];
            v = series->weights[i] > 0.0f ? v / series->weights[i] : fill;
        }
    }
}
