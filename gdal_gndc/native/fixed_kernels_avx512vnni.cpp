// Hidden layers in 16-bit fixed point with AVX512-VNNI: see fixed.h. One instruction multiplies and adds 32 pairs.
#include <immintrin.h>

#include "kernels.h"

namespace {

using gndc::FixedLayer;
using gndc::kFixedTop;
using gndc::Scratch;

constexpr int kGroup = 8;  // samples whose largest activations are found together; divides 24

// b into the upper half of a, the maxima of pairs: 2 vectors to 1
inline __m512 fold_halves(__m512 a, __m512 b) {
    return _mm512_max_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
}
inline __m512 fold_quarters(__m512 a, __m512 b) {
    return _mm512_max_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}
inline __m512 fold_pairs(__m512 a, __m512 b) {
    return _mm512_max_ps(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xee));
}

// Activations >= 0 as whole numbers up to kFixedTop; `units` become theirs, times what was there before.
template <bool FIRST>
inline void to_fixed(const float *in, int64_t width, int64_t n, int count, int16_t *out, int64_t ld_out, float *units) {
    for (int p = 0; p < count; p += kGroup, in += kGroup * width, out += kGroup * ld_out) {
        __m512 most[kGroup];
        for (int r = 0; r < kGroup; ++r) {
            most[r] = _mm512_loadu_ps(in + r * width);
            for (int64_t j = 16; j < n; j += 16) {
                most[r] = _mm512_max_ps(most[r], _mm512_loadu_ps(in + r * width + j));
            }
        }
        const __m512 low = fold_quarters(fold_halves(most[0], most[1]), fold_halves(most[2], most[3]));
        const __m512 high = fold_quarters(fold_halves(most[4], most[5]), fold_halves(most[6], most[7]));
        // in every quarter r: of sample r twice, of sample r + 4 twice
        __m512 found = fold_pairs(low, high);
        found = _mm512_max_ps(found, _mm512_permute_ps(found, 0xb1));
        // a sample without activations: any number that can be divided by
        found = _mm512_max_ps(found, _mm512_set1_ps(1e-30f));
        const __m512 top = _mm512_set1_ps(kFixedTop);
        alignas(64) float scale[16], unit[16];
        _mm512_store_ps(scale, _mm512_div_ps(top, found));
        _mm512_store_ps(unit, _mm512_div_ps(found, top));
        for (int r = 0; r < kGroup; ++r) {
            const int at = r % 4 * 4 + r / 4 * 2;
            units[p + r] = FIRST ? unit[at] : units[p + r] * unit[at];
            const __m512 s = _mm512_set1_ps(scale[at]);
            const float *h = in + r * width;
            int16_t *q = out + r * ld_out;
            int64_t j = 0;
            for (; j + 32 <= n; j += 32) {
                const __m512i a = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(h + j), s));
                const __m512i b = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(h + j + 16), s));
                _mm512_storeu_si512(q + j, _mm512_packs_epi32(a, b));
            }
            if (j < n) {
                const __m512i a = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(h + j), s));
                _mm512_storeu_si512(q + j, _mm512_packs_epi32(a, _mm512_setzero_si512()));
            }
        }
    }
}

typedef int32_t Sums __attribute__((vector_size(64)));

// sum[i] += a[2 i] * b[2 i] + a[2 i + 1] * b[2 i + 1]. Not the intrinsic, whose sums gcc 12 keeps moving to and fro.
inline void add_products(Sums &sum, __m512i a, __m512i b) {
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
}

// out[p][j] = relu(sum over k of in[p][k] * w[k][j]) * unit[j], times the sample's own unit where LAST, for NV vectors
// of neurons and R samples
template <int NV, int R, bool LAST>
inline void fixed_block(const int16_t *in, int64_t ld_in, const FixedLayer &layer, int64_t j, const float *units,
                        float *out, int64_t ld_out, int count) {
    for (int p = 0; p < count; p += R) {
        Sums acc[R][NV];
#pragma GCC unroll 12
        for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
            for (int v = 0; v < NV; ++v) {
                acc[r][v] = Sums{};
            }
        }
        const int16_t *a = in + p * ld_in;
        const int16_t *w = layer.weights + 2 * j;
        for (int64_t k = 0; k < layer.k; k += 2, w += 2 * layer.n) {
            __m512i wv[NV];
#pragma GCC unroll 4
            for (int v = 0; v < NV; ++v) {
                wv[v] = _mm512_loadu_si512(w + 32 * v);
            }
#pragma GCC unroll 12
            for (int r = 0; r < R; ++r) {
                int32_t pair;
                __builtin_memcpy(&pair, a + r * ld_in + k, sizeof pair);
                const __m512i x = _mm512_set1_epi32(pair);
#pragma GCC unroll 4
                for (int v = 0; v < NV; ++v) {
                    add_products(acc[r][v], wv[v], x);
                }
            }
        }
#pragma GCC unroll 12
        for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
            for (int v = 0; v < NV; ++v) {
                const __m512i sum = _mm512_max_epi32((__m512i)acc[r][v], _mm512_setzero_si512());
                __m512 h = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(layer.unit + j + 16 * v));
                if (LAST) {
                    h = _mm512_mul_ps(h, _mm512_set1_ps(units[p + r]));
                }
                _mm512_storeu_ps(out + (p + r) * ld_out + j + 16 * v, h);
            }
        }
    }
}

template <bool LAST>
void fixed_layer(const int16_t *in, int64_t ld_in, const FixedLayer &layer, const float *units, float *out,
                 int64_t ld_out, int count) {
    int64_t j = 0;
    for (; j + 64 <= layer.n; j += 64) {
        fixed_block<4, 6, LAST>(in, ld_in, layer, j, units, out, ld_out, count);
    }
    if (layer.n - j == 48) {
        fixed_block<3, 8, LAST>(in, ld_in, layer, j, units, out, ld_out, count);
    } else if (layer.n - j == 32) {
        fixed_block<2, 12, LAST>(in, ld_in, layer, j, units, out, ld_out, count);
    } else if (layer.n - j == 16) {
        fixed_block<1, 12, LAST>(in, ld_in, layer, j, units, out, ld_out, count);
    }
}

void hidden(const gndc::FieldView &field, const float *in, int count, float *out, Scratch &s) {
    const int64_t width = field.width;
    const int last = field.n_matrices - 2;
    for (int l = 1; l <= last; ++l) {
        const FixedLayer &layer = field.fixed[l];
        if (l == 1) {
            to_fixed<true>(in, width, layer.n, count, s.fixed, layer.k, s.units);
        } else {
            to_fixed<false>(out, width, layer.n, count, s.fixed, layer.k, s.units);
        }
        if (l == last) {
            fixed_layer<true>(s.fixed, layer.k, layer, s.units, out, width, count);
        } else {
            fixed_layer<false>(s.fixed, layer.k, layer, s.units, out, width, count);
        }
    }
}

}  // namespace

namespace gndc {
extern const FixedHidden kFixedHiddenAvx512Vnni = hidden;
}
