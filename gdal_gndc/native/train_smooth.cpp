// The Whittaker smoother on irregular dates: minimise sum (y - z)^2 over the observations plus strength times the
// integral of the squared second derivative, by divided differences (Eilers 2003). The matrix has five diagonals.
#include <algorithm>
#include <new>
#include <vector>

#include "gndc_train.h"
#include "layout.h"

namespace {

// Pulls a series of too few observations towards 0; nothing to the others.
constexpr double kRidge = 1e-6;

struct Bands {
    std::vector<double> main, first, second;  // of the roughness matrix, (i, i), (i, i + 1), (i, i + 2)
};

Bands roughness(int64_t n, const double *times, double strength) {
    Bands bands;
    const size_t size = static_cast<size_t>(n);
    bands.main.assign(size, 0.0);
    bands.first.assign(size, 0.0);
    bands.second.assign(size, 0.0);
    std::vector<double> gaps;
    for (int64_t i = 0; i + 1 < n; ++i) {
        gaps.push_back(times[i + 1] - times[i]);
    }
    std::vector<double> sorted = gaps;
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2), sorted.end());
    const double unit = sorted[sorted.size() / 2];
    for (size_t i = 0; i + 2 < size; ++i) {
        const double a = gaps[i] / unit, b = gaps[i + 1] / unit, c = 2.0 / (a + b);
        const double d[3] = {c / a, -c * (1.0 / a + 1.0 / b), c / b};
        const double weight = strength * 0.5 * (a + b);
        for (size_t p = 0; p < 3; ++p) {
            bands.main[i + p] += weight * d[p] * d[p];
        }
        bands.first[i] += weight * d[0] * d[1];
        bands.first[i + 1] += weight * d[1] * d[2];
        bands.second[i] += weight * d[0] * d[2];
    }
    return bands;
}

}  // namespace

extern "C" int gndc_smooth(int64_t n_times, int64_t n_series, const double *times, const float *values,
                           double strength, float *out, char *message) {
    if (n_times < 3 || !(strength > 0.0)) {
        gndc::say(message, "smoothing needs three times or more and a positive strength");
        return GNDC_ERR_VALUE;
    }
    for (int64_t i = 0; i + 1 < n_times; ++i) {
        if (!(times[i] < times[i + 1])) {
            gndc::say(message, "times to smooth over must ascend");
            return GNDC_ERR_VALUE;
        }
    }
    try {
        const Bands q = roughness(n_times, times, strength);
        const size_t n = static_cast<size_t>(n_times);
        std::vector<double> d(n), e(n), f(n), z(n);  // A = L D L', L with unit diagonal and e, f below it
        for (int64_t s = 0; s < n_series; ++s) {
            const float *y = values + s;
            float *to = out + s;
            int64_t seen_first = -1, seen_last = -1;
            for (size_t i = 0; i < n; ++i) {
                const float value = y[static_cast<int64_t>(i) * n_series];
                const bool seen = value == value;
                if (seen) {
                    seen_first = seen_first < 0 ? static_cast<int64_t>(i) : seen_first;
                    seen_last = static_cast<int64_t>(i);
                }
                d[i] = q.main[i] + kRidge + (seen ? 1.0 : 0.0);
                e[i] = q.first[i];
                f[i] = q.second[i];
                z[i] = seen ? static_cast<double>(value) : 0.0;
                if (i >= 2) {
                    d[i] -= f[i - 2] * f[i - 2] * d[i - 2];
                    z[i] -= f[i - 2] * z[i - 2];
                }
                if (i >= 1) {
                    d[i] -= e[i - 1] * e[i - 1] * d[i - 1];
                    z[i] -= e[i - 1] * z[i - 1];
                    e[i] -= e[i - 1] * f[i - 1] * d[i - 1];
                }
                e[i] /= d[i];
                f[i] /= d[i];
            }
            for (size_t i = n; i-- > 0;) {
                z[i] /= d[i];
                if (i + 1 < n) {
                    z[i] -= e[i] * z[i + 1];
                }
                if (i + 2 < n) {
                    z[i] -= f[i] * z[i + 2];
                }
            }
            for (int64_t i = 0; i < n_times; ++i) {
                // nothing is claimed outside of what was observed
                const bool inside = seen_first >= 0 && i >= seen_first && i <= seen_last;
                to[i * n_series] = inside ? static_cast<float>(z[static_cast<size_t>(i)]) : __builtin_nanf("");
            }
        }
    } catch (const std::bad_alloc &) {
        gndc::say(message, "out of memory while smoothing");
        return GNDC_ERR_MEMORY;
    }
    return GNDC_OK;
}
