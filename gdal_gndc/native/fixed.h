// Hidden layers in 16-bit fixed point: what gndc_precision's GNDC_PRECISION_FAST means.
//
// A sample's activations, which ReLU leaves >= 0, are h = u * q with whole q in [0, kFixedTop] and one u a sample, such
// that the largest q is kFixedTop: nothing can saturate and nothing has to be calibrated. A neuron's weights are
// w = unit * r with whole r, as fine as the sum of all products stays below 2^31 whatever the activations are. Sums are
// therefore exact, and a sample has the same bits whatever is evaluated beside it.
#ifndef GNDC_FIXED_H
#define GNDC_FIXED_H

#include <cstdint>

#include "layout.h"

namespace gndc {

struct FieldView;

constexpr int kFixedTop = 16383;

// One hidden layer: weights[k / 2][n][2], the inputs in the order of fixed_place(), both padded with zeros.
struct FixedLayer {
    const int16_t *weights;
    const float *unit;  // of each neuron; 0 where all weights are
    int64_t k, n;       // multiples of 32 and of 16
};

// Where the activation of neuron j lies: two vectors of 16 are packed by one instruction, which interleaves them by 4.
inline int64_t fixed_place(int64_t j) {
    return j / 32 * 32 + j % 16 / 4 * 8 + j % 32 / 16 * 4 + j % 4;
}

inline int64_t fixed_inputs(int64_t width) {
    return (width + 31) / 32 * 32;
}

// Floats that the fixed point layers of a model take.
int64_t fixed_floats(const Layout &layout);

// Quantises the hidden layers of a field into storage of so many floats.
void quantise_hidden(FieldView &view, float *storage);

struct Scratch;

// Activations (count, width) of the first layer to those of the last hidden one; count is a multiple of 24.
using FixedHidden = void (*)(const FieldView &, const float *in, int count, float *out, Scratch &);

// What the set in use has (dispatch.cpp), null where float32 is as fast.
FixedHidden fixed_hidden();

#ifdef GNDC_X86
extern const FixedHidden kFixedHiddenAvx512Vnni;
#endif

}  // namespace gndc
#endif
