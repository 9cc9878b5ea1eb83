// The forward-mode kernel, once per instruction set. No containers (see simd.h).
#ifndef GNDC_TANGENT_KERNELS_H
#define GNDC_TANGENT_KERNELS_H

#include "field.h"

namespace gndc {

constexpr int kTangentTile = 24;  // samples evaluated together

// Streams of a tile: the values, then the derivatives by each chosen coordinate of the network (1: x, 2: y, 4: t),
// kTangentTile rows each.
struct TangentScratch {
    float *features;   // (streams * tile, n_inputs_padded)
    float *hidden[2];  // (streams * tile, width)
    float *raw;        // (streams * tile, n_outputs_padded)
};

// n <= kTangentTile samples into scratch.raw
using TangentKernel = void (*)(const FieldView &, int n, int coordinates, const float *x, const float *y,
                               const float *t, TangentScratch &);

extern const TangentKernel kTangentGeneric;
#ifdef GNDC_X86
extern const TangentKernel kTangentAvx2;
extern const TangentKernel kTangentAvx512;
#endif

}  // namespace gndc
#endif
