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

inline Vec between(Vec a, Vec low, Vec high) {
    a = a > high ? high : a;
    return a < low ? low : a;
}

// Round to nearest, ties to even, for |a| < 2^22.
inline Vec nearest(Vec a) {
    const Vec magic = spread(12582912.0f);  // 1.5 * 2^23
    return (a + magic) - magic;
}

// The nearest float16: 11 significant bits (Dekker's splitting), multiples of 2^-24 among the subnormals.
inline Vec nearest_half(Vec a) {
    const Vec spread_out = a * spread(8193.0f);
    const Vec normal = spread_out - (spread_out - a);
    const Vec small = (a + spread(0.75f)) - spread(0.75f);
    return (a < Vec{} ? -a : a) < spread(6.103515625e-05f) ? small : normal;
}

inline Vec clamp_steps(Vec a) {
    return between(a, spread(-gndc::kMaxSteps), spread(gndc::kMaxSteps));
}

// Then a product with its inverse is the quotient.
inline bool is_power_of_two(float a) {
    uint32_t bits;
    __builtin_memcpy(&bits, &a, sizeof bits);
    return bits << 9 == 0;
}

template <typename Round>
inline void round_pass(int64_t n, const float *w, float *rounded, Round round) {
    for (int64_t i = 0; i < n; i += kLanes) {
        store(rounded + i, round(load<Vec>(w + i)));
    }
}

void round_all(Rounding rounding, float scale, int64_t n, const float *w, float *rounded) {
    if (rounding == Rounding::steps) {
        const Vec by = spread(scale);
        round_pass(n, w, rounded, [&](Vec a) { return nearest(clamp_steps(a * by)) / by; });
    } else if (rounding == Rounding::half) {
        round_pass(n, w, rounded, [](Vec a) { return nearest_half(a); });
    } else {
        round_pass(n, w, rounded, [](Vec a) { return a; });
    }
}

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

// The penalty's slope at w, of the same sign.
inline Vec price_of(const AdamStep &s, Vec w) {
    const Vec most = spread(gndc::kMaxSteps);
    const Vec steps = w * spread(s.scale);
    Vec size = steps < Vec{} ? -steps : steps;
    size = size < most ? size : most;  // most where w is no number any more: an index it must not become
    const Whole cell = __builtin_convertvector(size, Whole);
    const Vec below = look_up(s.slopes, cell), above = look_up(s.slopes + 1, cell);
    const Vec slope = lerp(below, above, size - __builtin_convertvector(cell, Vec)) * spread(s.penalty);
    return steps < Vec{} ? -slope : slope;
}

// One pass over all five arrays: they are larger than the caches near a core.
template <bool priced, typename Round>
void adam_pass(const AdamStep &s, int64_t n, float *__restrict w, float *__restrict rounded, float *__restrict g,
               float *__restrict m, float *__restrict v, Round round) {
    const Vec rate = spread(s.rate), second = spread(s.second), least = spread(1e-30f);
    const Vec most = spread(s.most);
    const Vec keep_m = spread(0.1f), keep_v = spread(0.01f), gradient_scale = spread(s.gradient_scale);
    for (int64_t i = 0; i < n; i += kLanes) {
        const Vec w0 = load<Vec>(w + i), m0 = load<Vec>(m + i), v0 = load<Vec>(v + i);
        Vec gradient = load<Vec>(g + i) * gradient_scale;
        if (priced) {
            gradient = gradient + price_of(s, w0);
        }
        const Vec m1 = fma(keep_m, gradient - m0, m0);
        const Vec v1 = fma(keep_v, gradient * gradient - v0, v0);
        const Vec root = v1 * second;  // an epsilon of 1e-15 below the root of it
        const Vec step = rate * m1 * reciprocal_root(root > least ? root : least);
        const Vec w1 = between(w0 - step, -most, most);
        store(w + i, w1);
        store(m + i, m1);
        store(v + i, v1);
        store(g + i, Vec{});
        store(rounded + i, round(w1));
    }
}

template <bool priced>
void adam_as(const AdamStep &s, int64_t n, float *w, float *rounded, float *g, float *m, float *v) {
    if (s.rounding == Rounding::steps && is_power_of_two(s.scale)) {
        const Vec scale = spread(s.scale), step = spread(1.0f / s.scale);
        adam_pass<priced>(s, n, w, rounded, g, m, v, [&](Vec a) { return nearest(clamp_steps(a * scale)) * step; });
    } else if (s.rounding == Rounding::steps) {
        const Vec scale = spread(s.scale);
        adam_pass<priced>(s, n, w, rounded, g, m, v, [&](Vec a) { return nearest(clamp_steps(a * scale)) / scale; });
    } else if (s.rounding == Rounding::half) {
        adam_pass<priced>(s, n, w, rounded, g, m, v, [](Vec a) { return nearest_half(a); });
    } else {
        adam_pass<priced>(s, n, w, rounded, g, m, v, [](Vec a) { return a; });
    }
}

void adam(const AdamStep &step, int64_t n, float *w, float *rounded, float *g, float *m, float *v) {
    if (step.penalty > 0.0f) {
        adam_as<true>(step, n, w, rounded, g, m, v);
    } else {
        adam_as<false>(step, n, w, rounded, g, m, v);
    }
}

}  // namespace
#endif
