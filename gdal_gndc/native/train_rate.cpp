// The price of a weight: what an adaptive coder would spend on it, and how that changes with its size.
#include <cmath>

#include "train_model.h"

namespace gndc {

double rate_slopes(const float *w, const uint32_t *blocks, int64_t n_blocks, float scale, float *slopes) {
    constexpr int most = static_cast<int>(kMaxSteps);
    int64_t counts[most + 1] = {};
    // a large table is sampled: its histogram does not need every weight
    const int64_t stride = n_blocks > (1 << 17) ? n_blocks >> 17 : 1;
    for (int64_t i = 0; i < n_blocks; i += stride) {
        const float *block = w + (blocks ? static_cast<int64_t>(blocks[i]) : i) * kPad;
        for (int k = 0; k < kPad; ++k) {
            const float size = std::fabs(block[k] * scale);
            const int q = size >= kMaxSteps ? most : static_cast<int>(size + 0.5f);
            ++counts[q > most ? most : q];
        }
    }
    return gndc_rate_slopes(counts, slopes) * static_cast<double>(stride);
}

}  // namespace gndc

extern "C" double gndc_rate_slopes(const int64_t *counts, float *slopes) {
    constexpr int most = static_cast<int>(gndc::kMaxSteps);
    int64_t total = 0;
    for (int q = 0; q <= most; ++q) {
        total += counts[q];
    }
    // Code lengths from the histogram: symmetric, averaged over a window that widens with the size, never falling
    double bits[most + 2];
    auto probability_mass = [&](int q) {
        return q ? 0.5 * static_cast<double>(counts[q]) : static_cast<double>(counts[0]);
    };
    for (int q = 0; q <= most; ++q) {
        const int reach = q / 4;
        double sum = 0;
        int n = 0;
        for (int k = q - reach; k <= q + reach; ++k) {
            if (k <= most) {
                sum += probability_mass(k < 0 ? -k : k);
                ++n;
            }
        }
        bits[q] = -std::log2((sum / n + 0.02) / (static_cast<double>(total) + 5.0));
        if (q && bits[q] < bits[q - 1]) {
            bits[q] = bits[q - 1];
        }
    }
    bits[most + 1] = bits[most] + (bits[most] - bits[most - 7]) / 7;
    for (int q = 1; q <= most; ++q) {
        slopes[q] = static_cast<float>((bits[q + 1] - bits[q - 1]) / 2);
    }
    slopes[0] = 0.0f;
    const float first = static_cast<float>((bits[1] - bits[0]) / 2);
    slopes[1] = slopes[1] < first ? first : slopes[1];
    slopes[most + 1] = slopes[most];
    double size = 0;
    for (int q = 0; q <= most; ++q) {
        size += static_cast<double>(counts[q]) * bits[q];
    }
    return size;
}
