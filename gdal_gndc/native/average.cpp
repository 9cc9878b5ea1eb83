// Reading a grid coarser than the pixels as means: the rule is in gndc_core.h.
#include <algorithm>
#include <cmath>
#include <limits>

#include "gndc_core.h"
#include "threads.h"

extern "C" int64_t gndc_supersamples(double size, int64_t n) {
    // edges that a round trip through a CRS left a hair beyond a pixel's do not ask for one more
    const double wanted = std::ceil(size / static_cast<double>(n) - 1e-6);
    return static_cast<int64_t>(std::min(std::max(wanted, 1.0), static_cast<double>(GNDC_SUPERSAMPLES)));
}

extern "C" void gndc_average(const gndc_grid *grid, const float *fine, int64_t row_samples, int64_t col_samples,
                             float fill, int n_threads) {
    const int64_t n_bands = grid->n_bands, fine_cols = grid->n_cols * col_samples;
    const float nan = std::numeric_limits<float>::quiet_NaN();
    gndc::parallel_for(grid->n_rows, 1 + (1 << 20) / (1 + fine_cols * row_samples * n_bands), n_threads,
                       [&](int, int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            for (int64_t col = 0; col < grid->n_cols; ++col) {
                const float *cell = fine + (row * row_samples * fine_cols + col * col_samples) * n_bands;
                float *out = grid->out + row * grid->row_stride + col * grid->col_stride;
                for (int64_t b = 0; b < n_bands; ++b) {
                    double sum = 0.0;
                    int64_t valid = 0;
                    bool masked = false;
                    for (int64_t i = 0; i < row_samples; ++i) {
                        const float *sample = cell + i * fine_cols * n_bands + b;
                        for (int64_t j = 0; j < col_samples; ++j, sample += n_bands) {
                            if (std::isnan(*sample)) {
                                masked = true;
                            } else if (*sample != fill) {
                                sum += static_cast<double>(*sample);
                                ++valid;
                            }
                        }
                    }
                    out[b * grid->band_stride] = valid > 0 ? static_cast<float>(sum / static_cast<double>(valid))
                                                 : masked  ? nan
                                                           : fill;
                }
            }
        }
    });
}
