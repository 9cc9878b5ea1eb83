// Which chunks answer, and with what weight. DECODING.md sections 8 and 11.
#include <algorithm>
#include <cmath>

#include "gndc_core.h"
#include "route.h"

namespace gndc {

double feather(double x, double c0, double c1, double s0, double s1) {
    double w = 1.0;
    if (x < c0) {
        w = (x - s0) / (c0 - s0);
    } else if (x >= c1) {
        w = (s1 - x) / (s1 - c1);
    }
    return std::min(1.0, std::max(1e-6, w));
}

}  // namespace gndc

extern "C" void gndc_stored_extent(const gndc_cube *cube, int64_t chunk, int64_t *stored) {
    const int64_t *b = cube->bounds + chunk * 6;
    const int64_t sizes[3] = {cube->n_frames, cube->height, cube->width};
    const int64_t halos[3] = {cube->t_overlap, cube->overlap, cube->overlap};
    for (int axis = 0; axis < 3; ++axis) {
        stored[2 * axis] = std::max<int64_t>(0, b[2 * axis] - halos[axis]);
        stored[2 * axis + 1] = std::min(sizes[axis], b[2 * axis + 1] + halos[axis]);
    }
}

extern "C" int64_t gndc_route(const gndc_cube *cube, double frame, double row0, double row1, double col0, double col1,
                              int64_t *chunks) {
    return gndc_route_times(cube, &frame, 1, row0, row1, col0, col1, chunks);
}

extern "C" int64_t gndc_route_times(const gndc_cube *cube, const double *frames, int64_t n, double row0, double row1,
                                    double col0, double col1, int64_t *chunks) {
    int64_t found = 0;
    for (int64_t i = 0; i < cube->n_chunks; ++i) {
        int64_t s[6];
        gndc_stored_extent(cube, i, s);
        if (row0 < static_cast<double>(s[3]) && row1 > static_cast<double>(s[2]) && col0 < static_cast<double>(s[5]) &&
            col1 > static_cast<double>(s[4]) &&
            std::any_of(frames, frames + n, [&](double frame) { return gndc_time_weight(cube, i, frame) > 0.0; })) {
            chunks[found++] = i;
        }
    }
    return found;
}

extern "C" int gndc_blends(const gndc_cube *cube) {
    return cube->overlap > 0 || cube->t_overlap > 0;
}

extern "C" double gndc_time_weight(const gndc_cube *cube, int64_t chunk, double frame) {
    int64_t s[6];
    gndc_stored_extent(cube, chunk, s);
    // the last frame's far edge still belongs to the last frame
    const double f = std::min(std::max(frame, 0.0), static_cast<double>(cube->n_frames) - 1e-9);
    const double s0 = static_cast<double>(s[0]), s1 = static_cast<double>(s[1]);
    if (f < s0 || f >= s1) {
        return 0.0;
    }
    const int64_t *b = cube->bounds + chunk * 6;
    return gndc::feather(f, static_cast<double>(b[0]), static_cast<double>(b[1]), s0, s1);
}

extern "C" double gndc_frame_of(const double *times, int64_t n, double time) {
    if (n <= 1 || time <= times[0]) {
        return 0.5;
    }
    if (time >= times[n - 1]) {
        return static_cast<double>(n) - 0.5;
    }
    const int64_t next = std::upper_bound(times, times + n, time) - times;
    const double a = times[next - 1], b = times[next];
    return static_cast<double>(next) - 0.5 + (b > a ? (time - a) / (b - a) : 0.0);
}

extern "C" int64_t gndc_nearest_frame(const double *times, int64_t n, double time) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; ++i) {
        if (std::fabs(times[i] - time) < std::fabs(times[best] - time)) {
            best = i;
        }
    }
    return best;
}

extern "C" float gndc_normalise_time(double time, double start, double end) {
    if (start == end) {
        return 0.0f;
    }
    return static_cast<float>(std::min(1.0, std::max(0.0, (time - start) / (end - start))));
}

extern "C" void gndc_time_weights(const gndc_cube *cube, int64_t chunk, const double *frames, int64_t n,
                                  double *weights) {
    std::transform(frames, frames + n, weights, [&](double frame) { return gndc_time_weight(cube, chunk, frame); });
}

extern "C" void gndc_normalise_times(const double *times, int64_t n, double start, double end, float *normalised) {
    std::transform(times, times + n, normalised, [&](double time) { return gndc_normalise_time(time, start, end); });
}
