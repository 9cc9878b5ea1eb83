// A field as the kernels see it: plain pointers, no containers (see simd.h).
#ifndef GNDC_FIELD_H
#define GNDC_FIELD_H

#include "fixed.h"

namespace gndc {

// One fully connected layer, packed for the kernels: weights[k][n], n padded to a multiple of 16 with zeros, so that
// neurons lie in the vector lanes.
struct Layer {
    const float *weights;
    int64_t k, n;
};

// The weights of a grid: floats or, where those of `bytes` have the same values to the bit, the bytes they were stored
// in. A byte q is worth q / scale, which fma(q, high, q * low) is as well.
struct Table {
    const float *floats;
    const int8_t *bytes;
    float scale, high, low;
};

struct FieldView {
    Layout layout;
    Table spatial, temporal;
    int n_matrices;                // n_layers + 1
    Layer layers[kMaxLayers + 1];  // the first reads n_inputs_padded inputs
    int64_t width;                 // widest padded activation
    FixedLayer fixed[kMaxLayers];  // the hidden layers, from 1, once more
};

}  // namespace gndc

struct gndc_field {
    gndc::FieldView view;
    float *storage;
    int64_t bytes;
};
#endif
