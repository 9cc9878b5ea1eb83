#include "axis.h"

#include <algorithm>
#include <cmath>

#include "field.h"
#include "route.h"

namespace gndc {
namespace {

float clamp01(float v) {
    return std::min(1.0f, std::max(0.0f, v));
}

double clamp01(double v) {
    return std::min(1.0, std::max(0.0, v));
}

// Difference of neighbours if it is the same everywhere but for the rounding of positions, else 0.
double even_spacing(const double *positions, int64_t n) {
    const double spacing = n > 1 ? (positions[n - 1] - positions[0]) / static_cast<double>(n - 1) : 0.0;
    for (int64_t i = 1; i < n; ++i) {
        const double expected = positions[0] + static_cast<double>(i) * spacing;
        if (!(std::fabs(positions[i] - expected) <= 1e-8 * spacing)) {
            return 0.0;
        }
    }
    return spacing;
}

constexpr float kRadians = 0.017453292519943295f;

}  // namespace

bool separable(const gndc_chunk &chunk) {
    return chunk.norm_mode >= 2;
}

// DECODING.md 5, evaluated in float32. col and row are the positions of (block) centres in pixels of the stored extent.
void model_point(const gndc_chunk &chunk, float col, float row, float &x, float &y) {
    const float lon = static_cast<float>(chunk.transform[2]) + col * static_cast<float>(chunk.transform[0]);
    const float lat = static_cast<float>(chunk.transform[5]) + row * static_cast<float>(chunk.transform[4]);
    const float cos_lat = std::cos(lat * kRadians);
    x = cos_lat * std::cos(lon * kRadians);
    y = cos_lat * std::sin(lon * kRadians);
    if (chunk.norm_mode == 1 && chunk.has_xyz_params) {
        x = clamp01((x - static_cast<float>(chunk.params[0])) / static_cast<float>(chunk.params[1]));
        y = clamp01((y - static_cast<float>(chunk.params[2])) / static_cast<float>(chunk.params[3]));
    } else {
        x = (x + 1.0f) / 2.0f;
        y = (y + 1.0f) / 2.0f;
    }
}

Axis make_axis(const gndc_chunk &chunk, const Layout &layout, int axis, const double *positions, int64_t n) {
    Axis out;
    const int64_t s0 = chunk.stored[2 * axis], s1 = chunk.stored[2 * axis + 1];
    const double c0 = static_cast<double>(chunk.bounds[2 * axis]), c1 = static_cast<double>(chunk.bounds[2 * axis + 1]);
    const double lo = static_cast<double>(s0), hi = static_cast<double>(s1);
    out.begin = std::lower_bound(positions, positions + n, lo) - positions;
    out.end = std::lower_bound(positions + out.begin, positions + n, hi) - positions;
    const int64_t count = out.end - out.begin;
    const int64_t block = axis == 1 ? layout.block_rows : layout.block_cols;
    const int64_t size = (s1 - s0 + block - 1) / block;
    out.normalised.reserve(static_cast<size_t>(block == 1 ? count : count / block + 2));
    out.pixel.resize(static_cast<size_t>(count));
    out.sub.assign(static_cast<size_t>(count), 0);
    out.weight.resize(static_cast<size_t>(count));
    bool unit = chunk.norm_mode == 3 && block == 1 && count > 0;
    int64_t last_block = -1;
    for (int64_t i = 0; i < count; ++i) {
        const size_t k = static_cast<size_t>(i);
        const double position = positions[out.begin + i];
        const double local = position - lo;
        const int64_t pixel = std::min(s1 - s0 - 1, static_cast<int64_t>(std::floor(local)));
        out.pixel[k] = pixel;
        unit = unit && local == static_cast<double>(out.pixel[0] + i) + 0.5;
        out.weight[k] = feather(position, c0, c1, lo, hi);
        double centre;
        if (block == 1) {
            centre = local;
        } else {
            const int64_t b = pixel / block;
            out.sub[k] = pixel - b * block;
            if (b == last_block) {
                continue;
            }
            last_block = b;
            centre = static_cast<double>(b) + 0.5;
        }
        double value = centre;  // norm_mode 0 and 1: left in pixels for model_point()
        if (chunk.norm_mode == 3) {
            value = clamp01(centre / static_cast<double>(size));
        } else if (chunk.norm_mode == 2) {
            const int p = axis == 1 ? 2 : 0;
            const float c = static_cast<float>(centre);
            const float place = axis == 1 ? static_cast<float>(chunk.transform[5]) +
                                                c * static_cast<float>(chunk.transform[4])
                                          : static_cast<float>(chunk.transform[2]) +
                                                c * static_cast<float>(chunk.transform[0]);
            value = clamp01((place - static_cast<float>(chunk.params[p])) / static_cast<float>(chunk.params[p + 1]));
        }
        out.normalised.push_back(value);
        out.evaluation_begin.push_back(i);
    }
    out.evaluation_begin.push_back(count);
    out.unit_from = unit ? out.pixel[0] : -1;
    out.spacing = unit ? 1.0 : chunk.norm_mode == 3 && block == 1 ? even_spacing(positions + out.begin, count) : 0.0;
    return out;
}

double unit_coordinate(int64_t pixel, int64_t size) {
    return clamp01((static_cast<double>(pixel) + 0.5) / static_cast<double>(size));
}

int check_chunk(const gndc_chunk &chunk, char *message) {
    const Layout &layout = chunk.field->view.layout;
    if (chunk.norm_mode < 0 || chunk.norm_mode > 3) {
        say(message, "norm_mode is %d, expected 0 to 3", chunk.norm_mode);
        return GNDC_ERR_CONFIG;
    }
    auto positive = [&](int i, const char *name) {
        const float span = static_cast<float>(chunk.params[i]);
        if (std::isfinite(span) && span != 0.0f) {
            return true;
        }
        say(message, "%s is %g, expected a finite number other than 0", name, chunk.params[i]);
        return false;
    };
    if (chunk.norm_mode == 2 && (!positive(1, "local_planar_params.lon_span") ||
                                 !positive(3, "local_planar_params.lat_span"))) {
        return GNDC_ERR_VALUE;
    }
    if (chunk.norm_mode == 1 && chunk.has_xyz_params &&
        (!positive(1, "local_xyz_params.x_span") || !positive(3, "local_xyz_params.y_span"))) {
        return GNDC_ERR_VALUE;
    }
    // of the other modes the coordinates are computed from the transform, in float32
    for (int axis = 1; axis <= 2 && chunk.norm_mode != 3; ++axis) {
        const int at = axis == 1 ? 5 : 2, per = axis == 1 ? 4 : 0;
        const float size = static_cast<float>(chunk.stored[2 * axis + 1] - chunk.stored[2 * axis]);
        const float end = static_cast<float>(chunk.transform[at]) + size * static_cast<float>(chunk.transform[per]);
        if (!std::isfinite(static_cast<float>(chunk.transform[at])) || !std::isfinite(end)) {
            say(message, "the transform puts the chunk at %g in steps of %g, expected finite numbers for norm_mode %d",
                chunk.transform[at], chunk.transform[per], chunk.norm_mode);
            return GNDC_ERR_VALUE;
        }
    }
    for (int64_t b = 0; b < 2 * layout.n_bands; ++b) {
        if (!std::isfinite(chunk.range[b])) {
            say(message, "train_data_range of band %lld is not finite", static_cast<long long>(b / 2));
            return GNDC_ERR_VALUE;
        }
    }
    return GNDC_OK;
}

}  // namespace gndc
