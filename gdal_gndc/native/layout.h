// The shape of a model: levels of the hash grids and sizes of the decoder. DECODING.md sections 3, 4 and 6.
#ifndef GNDC_LAYOUT_H
#define GNDC_LAYOUT_H

#include "gndc_core.h"

namespace gndc {

constexpr int kMaxLevels = 64;
constexpr int kMaxLayers = 64;

struct Level {
    int64_t resolution, entries, allocated, offset;
    float scale;
    bool hashed;
};

struct Grid {
    int dim = 0;
    int n_levels = 0;
    int features = 0;
    int64_t count = 0;  // weights in all levels
    Level levels[kMaxLevels];
};

struct Layout {
    Grid spatial, temporal;  // temporal.n_levels == 0 when disabled
    int64_t n_inputs, n_inputs_padded, n_outputs, n_outputs_padded, hidden, n_layers, decoder_count;
    int64_t n_bands, block_rows, block_cols;
    float spatial_scale;
};

// Writes one sentence into message (may be null), cut to GNDC_MESSAGE.
void say(char *message, const char *format, ...) __attribute__((format(printf, 2, 3)));

int make_layout(const gndc_config &config, Layout &layout, char *message);

}  // namespace gndc
#endif
