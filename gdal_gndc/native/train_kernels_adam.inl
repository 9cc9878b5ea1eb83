// Adam, the penalty on bits, and rounding. Part of train_kernels.inl.
#ifndef GNDC_TRAIN_KERNELS_ADAM_INL
#define GNDC_TRAIN_KERNELS_ADAM_INL
#include <cstdint>

#include "simd.h"
#include "train_kernels.h"
#include "train_kernels_products.inl"

namespace {

using gndc::AdamStep;
using gndc::Rounding;

// Round to nearest, ties to even, for |a| < 2^22.
inline float nearest(float a) {
    const float magic = 12582912.0f;  // 1.5 * 2^23
    return (a + magic) - magic;
}

// The nearest float16: 11 significant bits (Dekker's splitting), multiples of 2^-24 among the subnormals.
inline float nearest_half(float a) {
    const float spread_out = a * 8193.0f;
    const float normal = spread_out - (spread_out - a);
    const float small = (a + 0.75f) - 0.75f;
    return __builtin_fabsf(a) < 6.103515625e-05f ? small : normal;
}

inline float clamp_steps(float a) {
    a = a > gndc::kMaxSteps ? gndc::kMaxSteps : a;
    return a < -gndc::kMaxSteps ? -gndc::kMaxSteps : a;
}

inline uint32_t bits_of(float a) {
    uint32_t bits;
    __builtin_memcpy(&bits, &a, sizeof bits);
    return bits;
}

void round_all(Rounding rounding, float scale, int64_t n, const float *w, float *rounded) {
    const float step = 1.0f / scale;
    if (rounding == Rounding::steps && bits_of(scale) << 9 == 0) {
        for (int64_t i = 0; i < n; ++i) {  // a power of two: the product is the quotient
            rounded[i] = nearest(clamp_steps(w[i] * scale)) * step;
        }
    } else if (rounding == Rounding::steps) {
        for (int64_t i = 0; i < n; ++i) {
            rounded[i] = nearest(clamp_steps(w[i] * scale)) / scale;
        }
    } else if (rounding == Rounding::half) {
        for (int64_t i = 0; i < n; ++i) {
            rounded[i] = nearest_half(w[i]);
        }
    } else {
        for (int64_t i = 0; i < n; ++i) {
            rounded[i] = w[i];
        }
    }
}

// Parameters are worked on in runs short enough to stay in the first-level cache through the passes over them.
constexpr int64_t kRun = 256;

typedef int32_t Whole __attribute__((vector_size(kLanes * 4)));

inline Vec look_up(const float *table, Whole index) {
#if defined(__AVX512F__)
    // most weights are a few steps long, and the first entries of the table fit a register
    if (!_mm512_cmpgt_epi32_mask((__m512i)index, _mm512_set1_epi32(15))) {
        return (Vec)_mm512_maskz_permutexvar_ps(0xffff, (__m512i)index, _mm512_loadu_ps(table));
    }
    // the masked forms: gcc 12 warns of the undefined source of the plain ones
    return (Vec)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), 0xffff, (__m512i)index, table, 4);
#elif defined(__AVX2__)
    return (Vec)_mm256_i32gather_ps(table, (__m256i)index, 4);
#else
    return Vec{table[index[0]], table[index[1]], table[index[2]], table[index[3]]};
#endif
}

// 1 / sqrt(a) for 1e-30 <= a: the machine's estimate and one step of Newton's method, 22 bits at least
inline Vec reciprocal_root(Vec a) {
#if defined(__AVX512F__)
    const Vec r = (Vec)_mm512_maskz_rsqrt14_ps(0xffff, (__m512)a);
#elif defined(__AVX2__)
    const Vec r = (Vec)_mm256_rsqrt_ps((__m256)a);
#else
    return Vec{1.0f / __builtin_sqrtf(a[0]), 1.0f / __builtin_sqrtf(a[1]), 1.0f / __builtin_sqrtf(a[2]),
               1.0f / __builtin_sqrtf(a[3])};
#endif
#if defined(__AVX2__) || defined(__AVX512F__)
    return r * (1.5f - 0.5f * a * r * r);
#endif
}

inline Vec between(Vec a, Vec low, Vec high) {
    a = a > high ? high : a;
    return a < low ? low : a;
}

void add_penalty(const AdamStep &s, int64_t n, const float *w, float *g) {
    const Vec most = spread(gndc::kMaxSteps), scale = spread(s.scale), penalty = spread(s.penalty);
    for (int64_t i = 0; i < n; i += kLanes) {
        const Vec steps = between(load<Vec>(w + i) * scale, -most, most);
        const Vec size = steps < Vec{} ? -steps : steps;
        const Whole cell = __builtin_convertvector(size, Whole);
        const Vec below = look_up(s.slopes, cell), above = look_up(s.slopes + 1, cell);
        const Vec slope = lerp(below, above, size - __builtin_convertvector(cell, Vec)) * penalty;
        store(g + i, load<Vec>(g + i) + (steps < Vec{} ? -slope : slope));
    }
}

void adam_run(const AdamStep &s, int64_t n, float *w, float *g, float *m, float *v) {
    const Vec rate = spread(s.rate), second = spread(s.second), least = spread(1e-30f);
    const Vec most = spread(s.rounding == Rounding::steps ? gndc::kMaxSteps / s.scale : 3.0e38f);
    const Vec keep_m = spread(0.1f), keep_v = spread(0.01f);
    for (int64_t i = 0; i < n; i += kLanes) {
        const Vec gradient = load<Vec>(g + i);
        const Vec m0 = load<Vec>(m + i), v0 = load<Vec>(v + i);
        const Vec m1 = fma(keep_m, gradient - m0, m0);
        const Vec v1 = fma(keep_v, gradient * gradient - v0, v0);
        const Vec root = v1 * second;  // an epsilon of 1e-15 below the root of it
        const Vec step = rate * m1 * reciprocal_root(root > least ? root : least);
        store(w + i, between(load<Vec>(w + i) - step, -most, most));
        store(m + i, m1);
        store(v + i, v1);
        store(g + i, Vec{});
    }
}

void adam(const AdamStep &step, int64_t n, float *w, float *rounded, float *g, float *m, float *v) {
    for (int64_t i = 0; i < n; i += kRun) {
        const int64_t count = n - i < kRun ? n - i : kRun;
        for (int64_t k = 0; k < count; ++k) {
            g[i + k] *= step.gradient_scale;
        }
        if (step.penalty > 0.0f) {
            add_penalty(step, count, w + i, g + i);
        }
        adam_run(step, count, w + i, g + i, m + i, v + i);
        round_all(step.rounding, step.scale, count, w + i, rounded + i);
    }
}

}  // namespace
#endif
