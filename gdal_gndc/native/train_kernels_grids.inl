// The hash grids of a training step: corners, features, and their gradient. Part of train_kernels.inl.
#ifndef GNDC_TRAIN_KERNELS_GRIDS_INL
#define GNDC_TRAIN_KERNELS_GRIDS_INL
#include <cstdint>

#include "simd.h"
#include "train_kernels.h"

namespace {

using gndc::Corners;
using gndc::kTile;
using gndc::TrainLevel;

inline float floor_of(float s, uint32_t &index) {
    int32_t whole = (int32_t)s;
    whole -= (float)whole > s;
    index = (uint32_t)whole;
    return (float)whole;
}

// The two ends of a sample's cell along each axis: whole coordinate and weights.
struct Axis {
    alignas(64) uint32_t low[kTile];
    alignas(64) float near_low[kTile], near_high[kTile];
};

inline void axis_of(const float *x, float scale, Axis *out) {
    for (int p = 0; p < kTile; ++p) {
        uint32_t whole;
        const float place = x[p] * scale + 0.5f;
        const float f = place - floor_of(place, whole);
        out->low[p] = whole;
        out->near_low[p] = 1.0f - f;
        out->near_high[p] = f;
    }
}

// low and high: what the axis adds to an index at its lower and upper end
inline void strides(const Axis &axis, uint32_t stride, uint32_t *__restrict low, uint32_t *__restrict high) {
    for (int p = 0; p < kTile; ++p) {
        low[p] = axis.low[p] * stride;
        high[p] = low[p] + stride;
    }
}

inline void join(bool hashed, const uint32_t *__restrict a, const uint32_t *__restrict b,
                 const uint32_t *__restrict c, uint32_t *__restrict out) {
    if (hashed) {
        for (int p = 0; p < kTile; ++p) {
            out[p] = a[p] ^ b[p] ^ c[p];
        }
    } else {
        for (int p = 0; p < kTile; ++p) {
            out[p] = a[p] + b[p] + c[p];
        }
    }
}

inline void product(const float *a, const float *b, float *out) {
    for (int p = 0; p < kTile; ++p) {
        out[p] = a[p] * b[p];
    }
}

inline void wrap(const TrainLevel &level, int n, uint32_t *index) {
    const uint32_t modulus = level.modulus;
    if (level.hashed) {
        for (int i = 0; i < n; ++i) {
            index[i] &= modulus - 1;
        }
    } else if (level.wraps_once) {
        for (int i = 0; i < n; ++i) {
            index[i] = index[i] >= modulus ? index[i] - modulus : index[i];
        }
    } else {
        for (int i = 0; i < n; ++i) {
            index[i] %= modulus;
        }
    }
}

// Whether two entries that follow each other fit a vector.
inline bool is_paired(const TrainLevel &level) {
    return !level.hashed && kLanes > 4 && (level.features == 2 || level.features == 4 || level.features == kLanes / 2);
}

template <int Dim>
void corner_indices(const TrainLevel &level, const float *x, const float *y, const float *t, Corners *out) {
    alignas(64) static constexpr uint32_t zero[kTile] = {};
    constexpr int n_corners = 1 << Dim;
    const uint32_t n = level.resolution;
    alignas(64) uint32_t add_x[2][kTile], add_y[2][kTile], add_t[2][kTile];
    Axis ax, ay, at;
    axis_of(x, level.scale, &ax);
    axis_of(y, level.scale, &ay);
    strides(ax, 1, add_x[0], add_x[1]);
    strides(ay, level.hashed ? 2654435761u : n, add_y[0], add_y[1]);
    if (Dim == 3) {
        axis_of(t, level.scale, &at);
        strides(at, level.hashed ? 805459861u : n * n, add_t[0], add_t[1]);
    } else {
        for (int p = 0; p < kTile; ++p) {
            at.near_low[p] = 1.0f;
        }
    }
    if (is_paired(level)) {
        // one entry alone is followed by none: the last, beside the first again
        uint32_t alone = 0;
        out->count = n_corners / 2;
        for (int k = 0; k < n_corners / 2; ++k) {
            join(false, add_x[0], add_y[k & 1], Dim == 3 ? add_t[k >> 1] : zero, out->index[k]);
            product(k & 1 ? ay.near_high : ay.near_low, k >> 1 ? at.near_high : at.near_low, out->weight[k]);
        }
        wrap(level, n_corners / 2 * kTile, out->index[0]);
        for (int k = 0; k < n_corners / 2; ++k) {
            for (int p = 0; p < kTile; ++p) {
                alone |= out->index[k][p] == level.modulus - 1;
            }
        }
        if (!alone) {
            for (int p = 0; p < kTile; ++p) {
                out->far[p] = ax.near_high[p];
            }
            out->run = 2;
            return;
        }
    }
    out->count = n_corners;
    out->run = 1;
    for (int k = 0; k < n_corners; ++k) {
        join(level.hashed, add_x[k & 1], add_y[k >> 1 & 1], Dim == 3 ? add_t[k >> 2] : zero, out->index[k]);
        product(k & 1 ? ax.near_high : ax.near_low, k >> 1 & 1 ? ay.near_high : ay.near_low, out->weight[k]);
        if (Dim == 3) {
            product(out->weight[k], k >> 2 ? at.near_high : at.near_low, out->weight[k]);
        }
    }
    wrap(level, n_corners * kTile, out->index[0]);
}

void corners(const TrainLevel &level, const float *x, const float *y, const float *t, Corners *out) {
    if (level.dim == 2) {
        corner_indices<2>(level, x, y, t, out);
    } else {
        corner_indices<3>(level, x, y, t, out);
    }
}

#if defined(__AVX2__) || defined(__AVX512F__)
// Two features in half a register: what the compiler makes of a vector of two goes through scalars.
inline __m128 load_pair(const float *p) {
    return _mm_castsi128_ps(_mm_loadl_epi64((const __m128i *)p));
}

template <int N>
void gather_pairs(const float *table, const Corners *c, float *out, int stride) {
    for (int p = 0; p < kTile; ++p) {
        __m128 sum = _mm_mul_ps(_mm_set1_ps(c->weight[0][p]), load_pair(table + (int64_t)c->index[0][p] * 2));
        for (int k = 1; k < N; ++k) {
            sum = _mm_fmadd_ps(_mm_set1_ps(c->weight[k][p]), load_pair(table + (int64_t)c->index[k][p] * 2), sum);
        }
        _mm_storel_pi((__m64 *)(out + (int64_t)p * stride), sum);
    }
}

template <int N>
void scatter_pairs(float *gradient, const Corners *c, const float *d, int stride) {
    for (int p = 0; p < kTile; ++p) {
        const __m128 slope = load_pair(d + (int64_t)p * stride);
        for (int k = 0; k < N; ++k) {
            float *entry = gradient + (int64_t)c->index[k][p] * 2;
            _mm_storel_pi((__m64 *)entry, _mm_fmadd_ps(_mm_set1_ps(c->weight[k][p]), slope, load_pair(entry)));
        }
    }
}

// Interpolation along x between the halves of a vector, stored; and its transpose.
inline void store_between(VecOf<4>::type halves, float far, float *out) {
    const __m128 both = (__m128)halves;
    const __m128 rise = _mm_sub_ps(_mm_movehl_ps(both, both), both);
    _mm_storel_pi((__m64 *)out, _mm_fmadd_ps(_mm_set1_ps(far), rise, both));
}
inline void store_between(VecOf<8>::type both, float far, float *out) {
    const __m128 low = _mm256_castps256_ps128((__m256)both), high = _mm256_extractf128_ps((__m256)both, 1);
    _mm_storeu_ps(out, _mm_fmadd_ps(_mm_set1_ps(far), _mm_sub_ps(high, low), low));
}
#if defined(__AVX512F__)
inline void store_between(VecOf<16>::type both, float far, float *out) {
    const __m256 low = _mm512_castps512_ps256((__m512)both);
    const __m256 high = _mm512_maskz_extractf32x8_ps(0xff, (__m512)both, 1);
    _mm256_storeu_ps(out, _mm256_fmadd_ps(_mm256_set1_ps(far), _mm256_sub_ps(high, low), low));
}
#endif

template <int F>
inline typename VecOf<2 * F>::type load_between(const float *d, float far);
template <>
inline VecOf<4>::type load_between<2>(const float *d, float far) {
    const __m128 all = load_pair(d), high = _mm_mul_ps(_mm_set1_ps(far), all);
    return (VecOf<4>::type)_mm_movelh_ps(_mm_sub_ps(all, high), high);
}
template <>
inline VecOf<8>::type load_between<4>(const float *d, float far) {
    const __m128 all = _mm_loadu_ps(d), high = _mm_mul_ps(_mm_set1_ps(far), all);
    return (VecOf<8>::type)_mm256_insertf128_ps(_mm256_castps128_ps256(_mm_sub_ps(all, high)), high, 1);
}
#if defined(__AVX512F__)
template <>
inline VecOf<16>::type load_between<8>(const float *d, float far) {
    const __m256 all = _mm256_loadu_ps(d), high = _mm256_mul_ps(_mm256_set1_ps(far), all);
    return (VecOf<16>::type)_mm512_maskz_insertf32x8(0xffff, _mm512_castps256_ps512(_mm256_sub_ps(all, high)), high, 1);
}
#endif

template <int F, int N>
void gather_runs(const float *table, const Corners *c, float *out, int stride) {
    using V = typename VecOf<2 * F>::type;
    for (int p = 0; p < kTile; ++p) {
        V sum = c->weight[0][p] - V{};
        sum = sum * load<V>(table + (int64_t)c->index[0][p] * F);
#pragma GCC unroll 4
        for (int k = 1; k < N; ++k) {
            sum = fma(c->weight[k][p] - V{}, load<V>(table + (int64_t)c->index[k][p] * F), sum);
        }
        store_between(sum, c->far[p], out + (int64_t)p * stride);
    }
}

template <int F, int N>
void scatter_runs(float *gradient, const Corners *c, const float *d, int stride) {
    using V = typename VecOf<2 * F>::type;
    for (int p = 0; p < kTile; ++p) {
        const V slope = load_between<F>(d + (int64_t)p * stride, c->far[p]);
#pragma GCC unroll 4
        for (int k = 0; k < N; ++k) {
            float *entry = gradient + (int64_t)c->index[k][p] * F;
            store(entry, fma(c->weight[k][p] - V{}, slope, load<V>(entry)));
        }
    }
}

void scatter_runs_of(float *gradient, const TrainLevel &level, const Corners *c, const float *d, int stride) {
    switch (level.features * 10 + c->count) {
        case 22: return scatter_runs<2, 2>(gradient, c, d, stride);
        case 24: return scatter_runs<2, 4>(gradient, c, d, stride);
        case 42: return scatter_runs<4, 2>(gradient, c, d, stride);
        case 44: return scatter_runs<4, 4>(gradient, c, d, stride);
#if defined(__AVX512F__)
        case 82: return scatter_runs<8, 2>(gradient, c, d, stride);
        case 84: return scatter_runs<8, 4>(gradient, c, d, stride);
#endif
    }
}

void gather_runs_of(const float *table, const TrainLevel &level, const Corners *c, float *out, int stride) {
    switch (level.features * 10 + c->count) {
        case 22: return gather_runs<2, 2>(table, c, out, stride);
        case 24: return gather_runs<2, 4>(table, c, out, stride);
        case 42: return gather_runs<4, 2>(table, c, out, stride);
        case 44: return gather_runs<4, 4>(table, c, out, stride);
#if defined(__AVX512F__)
        case 82: return gather_runs<8, 2>(table, c, out, stride);
        case 84: return gather_runs<8, 4>(table, c, out, stride);
#endif
    }
}
#endif

template <int F, int N>
void gather_of(const float *table, const Corners *c, float *out, int stride) {
    using V = typename VecOf<F>::type;
    for (int p = 0; p < kTile; ++p) {
        V sum = c->weight[0][p] - V{};  // a scalar in every lane
        sum = sum * load<V>(table + (int64_t)c->index[0][p] * F);
        for (int k = 1; k < N; ++k) {
            sum = fma(c->weight[k][p] - V{}, load<V>(table + (int64_t)c->index[k][p] * F), sum);
        }
        store(out + (int64_t)p * stride, sum);
    }
}

template <int F, int N>
void scatter_of(float *gradient, const Corners *c, const float *d, int stride) {
    using V = typename VecOf<F>::type;
    for (int p = 0; p < kTile; ++p) {
        const V slope = load<V>(d + (int64_t)p * stride);
        for (int k = 0; k < N; ++k) {
            float *entry = gradient + (int64_t)c->index[k][p] * F;
            store(entry, fma(c->weight[k][p] - V{}, slope, load<V>(entry)));
        }
    }
}

void gather_any(const float *table, int features, int n_corners, const Corners *c, float *out, int stride) {
    for (int p = 0; p < kTile; ++p) {
        for (int f = 0; f < features; ++f) {
            float sum = 0.0f;
            for (int k = 0; k < n_corners; ++k) {
                sum = fma(c->weight[k][p], table[(int64_t)c->index[k][p] * features + f], sum);
            }
            out[(int64_t)p * stride + f] = sum;
        }
    }
}

void scatter_any(float *gradient, int features, int n_corners, const Corners *c, const float *d, int stride) {
    for (int p = 0; p < kTile; ++p) {
        for (int k = 0; k < n_corners; ++k) {
            for (int f = 0; f < features; ++f) {
                float &entry = gradient[(int64_t)c->index[k][p] * features + f];
                entry = fma(c->weight[k][p], d[(int64_t)p * stride + f], entry);
            }
        }
    }
}

inline void prefetch_entries(const float *table, const TrainLevel &level, const Corners *c) {
    if (!level.prefetched) {
        return;
    }
    for (int k = 0; k < c->count; ++k) {
        for (int p = 0; p < kTile; ++p) {
            __builtin_prefetch(table + (int64_t)c->index[k][p] * level.features, 1);
        }
    }
}

void gather(const float *table, const TrainLevel &level, const Corners *c, float *out, int stride) {
#if defined(__AVX2__) || defined(__AVX512F__)
    if (c->run == 2) {
        return gather_runs_of(table, level, c, out, stride);
    }
#endif
    switch (level.features * 10 + level.dim) {
        case 12: return gather_of<1, 4>(table, c, out, stride);
        case 13: return gather_of<1, 8>(table, c, out, stride);
        case 42: return gather_of<4, 4>(table, c, out, stride);
        case 43: return gather_of<4, 8>(table, c, out, stride);
#if defined(__AVX2__) || defined(__AVX512F__)
        case 22: return gather_pairs<4>(table, c, out, stride);
        case 23: return gather_pairs<8>(table, c, out, stride);
        case 82: return gather_of<8, 4>(table, c, out, stride);
        case 83: return gather_of<8, 8>(table, c, out, stride);
#endif
        default: return gather_any(table, level.features, 1 << level.dim, c, out, stride);
    }
}

void scatter(float *gradient, const TrainLevel &level, const Corners *c, const float *d, int stride) {
    prefetch_entries(gradient, level, c);
#if defined(__AVX2__) || defined(__AVX512F__)
    if (c->run == 2) {
        return scatter_runs_of(gradient, level, c, d, stride);
    }
#endif
    switch (level.features * 10 + level.dim) {
        case 12: return scatter_of<1, 4>(gradient, c, d, stride);
        case 13: return scatter_of<1, 8>(gradient, c, d, stride);
        case 42: return scatter_of<4, 4>(gradient, c, d, stride);
        case 43: return scatter_of<4, 8>(gradient, c, d, stride);
#if defined(__AVX2__) || defined(__AVX512F__)
        case 22: return scatter_pairs<4>(gradient, c, d, stride);
        case 23: return scatter_pairs<8>(gradient, c, d, stride);
        case 82: return scatter_of<8, 4>(gradient, c, d, stride);
        case 83: return scatter_of<8, 8>(gradient, c, d, stride);
#endif
        default: return scatter_any(gradient, level.features, 1 << level.dim, c, d, stride);
    }
}

}  // namespace
#endif
