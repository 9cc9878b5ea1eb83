#include "fixed.h"

#include <algorithm>
#include <cmath>

#include "field.h"

namespace gndc {
namespace {

int64_t neurons(const Layout &layout) {
    return (layout.hidden + 15) / 16 * 16;
}

int64_t floats_of_layer(int64_t k, int64_t n) {
    return n + k * n / 2;
}

}  // namespace

int64_t fixed_floats(const Layout &layout) {
    const int64_t n = neurons(layout);
    return (layout.n_layers - 1) * floats_of_layer(fixed_inputs(n), n);
}

void quantise_hidden(FieldView &view, float *storage) {
    const int64_t n = neurons(view.layout), k = fixed_inputs(n);
    for (int l = 1; l < view.n_matrices - 1; ++l) {
        const Layer &layer = view.layers[l];
        float *unit = storage;
        int16_t *weights = reinterpret_cast<int16_t *>(storage + n);
        std::fill(weights, weights + k * n, int16_t{0});
        for (int64_t j = 0; j < n; ++j) {
            double sum = 0.0, most = 0.0;
            for (int64_t i = 0; i < layer.k; ++i) {
                const double w = std::fabs(static_cast<double>(layer.weights[i * layer.n + j]));
                sum += w;
                most = std::max(most, w);
            }
            // rounding adds at most a half to each
            const double room = static_cast<double>(INT32_MAX / (kFixedTop + 1) - layer.k);
            const double scale = most > 0.0 ? std::min(32767.0 / most, std::max(room, 0.0) / sum) : 0.0;
            unit[j] = scale > 0.0 ? static_cast<float>(1.0 / scale) : 0.0f;
            for (int64_t i = 0; i < layer.k && scale > 0.0; ++i) {
                const double w = static_cast<double>(layer.weights[i * layer.n + j]);
                const int64_t place = fixed_place(i);
                weights[(place / 2 * n + j) * 2 + place % 2] = static_cast<int16_t>(std::lrint(w * scale));
            }
        }
        view.fixed[l] = {weights, unit, k, n};
        storage += floats_of_layer(k, n);
    }
}

}  // namespace gndc
