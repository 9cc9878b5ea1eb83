// The decoder: fully connected layers, and the layers of a field after the first. Part of kernels.inl.
#ifndef GNDC_KERNELS_DECODER_INL
#define GNDC_KERNELS_DECODER_INL
#include <cstdint>
#include "kernels.h"
#include "simd.h"

namespace {

// out[p][j] = (ACCUMULATE ? out[p][j] : 0) + sum over k of in[p][k] * w[k][j], for NV vectors of neurons and R samples
template <int NV, int R, bool ACCUMULATE, bool RECTIFY>
inline void dense_block(const float *in, int64_t ld_in, const float *w, int64_t ldw, int64_t k_count, float *out,
                        int64_t ld_out, int count) {
    for (int p = 0; p < count; p += R) {
        Vec acc[R][NV];
        float *o = out + p * ld_out;
        for (int r = 0; r < R; ++r) {
            for (int v = 0; v < NV; ++v) {
                acc[r][v] = ACCUMULATE ? load<Vec>(o + r * ld_out + v * kLanes) : Vec{};
            }
        }
        const float *a = in + p * ld_in;
        const float *b = w;
        for (int64_t k = 0; k < k_count; ++k, b += ldw) {
            Vec wv[NV];
#pragma GCC unroll 4
            for (int v = 0; v < NV; ++v) {
                wv[v] = load<Vec>(b + v * kLanes);
            }
#pragma GCC unroll 12
            for (int r = 0; r < R; ++r) {
                const Vec x = splat<Vec>(a[r * ld_in + k]);
#pragma GCC unroll 4
                for (int v = 0; v < NV; ++v) {
                    acc[r][v] = fma(x, wv[v], acc[r][v]);
                }
            }
        }
        for (int r = 0; r < R; ++r) {
            for (int v = 0; v < NV; ++v) {
                store(o + r * ld_out + v * kLanes, RECTIFY ? relu(acc[r][v]) : acc[r][v]);
            }
        }
    }
}

// count is a multiple of 24, n of 16
template <bool ACCUMULATE, bool RECTIFY>
inline void dense(const float *in, int64_t ld_in, const float *w, int64_t k_count, int64_t n, float *out,
                  int64_t ld_out, int count) {
#if defined(__AVX512F__)
    int64_t j = 0;
    for (; j + 64 <= n; j += 64) {
        dense_block<4, 6, ACCUMULATE, RECTIFY>(in, ld_in, w + j, n, k_count, out + j, ld_out, count);
    }
    if (n - j == 48) {
        dense_block<3, 8, ACCUMULATE, RECTIFY>(in, ld_in, w + j, n, k_count, out + j, ld_out, count);
    } else if (n - j == 32) {
        dense_block<2, 12, ACCUMULATE, RECTIFY>(in, ld_in, w + j, n, k_count, out + j, ld_out, count);
    } else if (n - j == 16) {
        dense_block<1, 12, ACCUMULATE, RECTIFY>(in, ld_in, w + j, n, k_count, out + j, ld_out, count);
    }
#else
    for (int64_t j = 0; j < n; j += 2 * kLanes) {
        dense_block<2, 6, ACCUMULATE, RECTIFY>(in, ld_in, w + j, n, k_count, out + j, ld_out, count);
    }
#endif
}

inline int padded(int n) {
    return (n + 23) / 24 * 24;
}

// layers 1 and up, from h (tile, width), which lies in scratch.hidden, into scratch.raw
inline void decode_tail(const gndc::FieldView &field, const float *h, int count, gndc::Scratch &s) {
    const int64_t width = field.width;
    const int last = field.n_matrices - 1;
    int into = h >= s.hidden[1] ? 0 : 1;
    if (s.fixed_hidden) {
        s.fixed_hidden(field, h, count, s.hidden[into], s);
        h = s.hidden[into];
    }
    for (int l = 1; l < last && !s.fixed_hidden; ++l) {
        dense<false, true>(h, width, field.layers[l].weights, field.layers[l].k, field.layers[l].n, s.hidden[into],
                           width, count);
        h = s.hidden[into];
        into = 1 - into;
    }
    dense<false, false>(h, width, field.layers[last].weights, field.layers[last].k,
                        field.layers[last].n, s.raw, field.layers[last].n, count);
}

inline void decode(const gndc::FieldView &field, int n, gndc::Scratch &s) {
    const int count = padded(n);
    dense<false, true>(s.features, field.layout.n_inputs_padded, field.layers[0].weights, field.layers[0].k,
                       field.layers[0].n, s.hidden[0], field.width, count);
    decode_tail(field, s.hidden[0], count, s);
}

inline void set_ones(const gndc::FieldView &field, int count, float *features, int64_t stride, int64_t first) {
    const int64_t pad = field.layout.n_inputs_padded - field.layout.n_inputs;
    for (int p = 0; p < count && pad; ++p) {
        for (int64_t k = 0; k < pad; ++k) {
            features[p * stride + first + k] = 1.0f;
        }
    }
}

}  // namespace
#endif
