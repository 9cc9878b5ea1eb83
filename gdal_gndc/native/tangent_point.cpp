// DECODING.md 5 and 11, with derivatives. Coordinates are rounded as in axis.cpp: a point has the value a read gives.
#include <algorithm>
#include <cmath>

#include "axis.h"
#include "route.h"
#include "tangent.h"

namespace gndc {
namespace {

struct OnAxis {
    float centre;  // of the pixel or block, in (block) pixels of the stored extent
    int64_t pixel, sub, size;
    double weight, weight_slope;
};

double feather_slope(double x, double c0, double c1, double s0, double s1) {
    const double w = feather(x, c0, c1, s0, s1);
    if (w >= 1.0 || w <= 1e-6) {
        return 0.0;
    }
    return x < c0 ? 1.0 / (c0 - s0) : -1.0 / (s1 - c1);
}

bool on_axis(const gndc_chunk &chunk, int axis, int64_t block, double position, OnAxis &out) {
    const int64_t s0 = chunk.stored[2 * axis], s1 = chunk.stored[2 * axis + 1];
    const double lo = static_cast<double>(s0), hi = static_cast<double>(s1);
    if (!(position >= lo && position < hi)) {
        return false;
    }
    const double c0 = static_cast<double>(chunk.bounds[2 * axis]), c1 = static_cast<double>(chunk.bounds[2 * axis + 1]);
    const double local = position - lo;
    out.pixel = std::min(s1 - s0 - 1, static_cast<int64_t>(std::floor(local)));
    out.size = (s1 - s0 + block - 1) / block;
    out.sub = out.pixel % block;
    out.centre = block == 1 ? static_cast<float>(local) : static_cast<float>(out.pixel / block) + 0.5f;
    out.weight = feather(position, c0, c1, lo, hi);
    out.weight_slope = feather_slope(position, c0, c1, lo, hi);
    return true;
}

float clamp(float v, double &slope) {
    if (!(v >= 0.0f && v <= 1.0f)) {
        slope = 0.0;
    }
    return std::min(1.0f, std::max(0.0f, v));
}

// norm_mode 3 and 2: each coordinate follows from one axis
float along(const gndc_chunk &chunk, int axis, const OnAxis &place, double &slope) {
    if (chunk.norm_mode == 3) {
        slope = 1.0 / static_cast<double>(place.size);
        return clamp(place.centre / static_cast<float>(place.size), slope);
    }
    const int p = axis == 1 ? 2 : 0;
    const double origin = chunk.transform[axis == 1 ? 5 : 2], step = chunk.transform[axis == 1 ? 4 : 0];
    slope = step / chunk.params[p + 1];
    const float at = static_cast<float>(origin) + place.centre * static_cast<float>(step);
    return clamp((at - static_cast<float>(chunk.params[p])) / static_cast<float>(chunk.params[p + 1]), slope);
}

// norm_mode 1 and 0: x = cos(lat) cos(lon), y = cos(lat) sin(lon), scaled
void on_sphere(const gndc_chunk &chunk, const OnAxis &col, const OnAxis &row, TangentPoint &out) {
    constexpr double kRadians = 0.017453292519943295;
    model_point(chunk, col.centre, row.centre, out.x, out.y);
    const double lon = (chunk.transform[2] + static_cast<double>(col.centre) * chunk.transform[0]) * kRadians;
    const double lat = (chunk.transform[5] + static_cast<double>(row.centre) * chunk.transform[4]) * kRadians;
    const bool local = chunk.norm_mode == 1 && chunk.has_xyz_params;
    const double x_scale = local ? 1.0 / chunk.params[1] : 0.5, y_scale = local ? 1.0 / chunk.params[3] : 0.5;
    const double by_col = chunk.transform[0] * kRadians, by_row = chunk.transform[4] * kRadians;
    out.x_by[0] = -std::cos(lat) * std::sin(lon) * by_col * x_scale;
    out.x_by[1] = -std::sin(lat) * std::cos(lon) * by_row * x_scale;
    out.y_by[0] = std::cos(lat) * std::cos(lon) * by_col * y_scale;
    out.y_by[1] = -std::sin(lat) * std::sin(lon) * by_row * y_scale;
    // model_point() has clamped already: an end means it may have
    if (local && (out.x <= 0.0f || out.x >= 1.0f)) {
        out.x_by[0] = out.x_by[1] = 0.0;
    }
    if (local && (out.y <= 0.0f || out.y >= 1.0f)) {
        out.y_by[0] = out.y_by[1] = 0.0;
    }
}

}  // namespace

bool make_tangent_point(const gndc_chunk &chunk, const Layout &layout, double row, double col, TangentPoint &out) {
    OnAxis y, x;
    if (!on_axis(chunk, 1, layout.block_rows, row, y) || !on_axis(chunk, 2, layout.block_cols, col, x)) {
        return false;
    }
    out.row = y.pixel;
    out.col = x.pixel;
    out.sub_row = y.sub;
    out.sub_col = x.sub;
    out.weight = y.weight * x.weight;
    out.weight_by[0] = y.weight * x.weight_slope;
    out.weight_by[1] = y.weight_slope * x.weight;
    if (!separable(chunk)) {
        on_sphere(chunk, x, y, out);
        return true;
    }
    out.x_by[1] = out.y_by[0] = 0.0;
    out.x = along(chunk, 2, x, out.x_by[0]);
    out.y = along(chunk, 1, y, out.y_by[1]);
    return true;
}

}  // namespace gndc

extern "C" double gndc_time_weight_rate(const gndc_cube *cube, int64_t chunk, double frame) {
    int64_t s[6];
    gndc_stored_extent(cube, chunk, s);
    const int64_t *b = cube->bounds + chunk * 6;
    if (!(frame >= static_cast<double>(s[0]) && frame < static_cast<double>(s[1]))) {
        return 0.0;
    }
    return gndc::feather_slope(frame, static_cast<double>(b[0]), static_cast<double>(b[1]), static_cast<double>(s[0]),
                               static_cast<double>(s[1]));
}

extern "C" double gndc_frame_rate(const double *times, int64_t n, double time) {
    if (n < 2 || time < times[0] || time > times[n - 1]) {
        return 0.0;
    }
    const int64_t next = std::min<int64_t>(n - 1, std::upper_bound(times, times + n, time) - times);
    const double gap = times[next] - times[next - 1];
    return gap > 0.0 ? 1.0 / gap : 0.0;
}
