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

inline void product(const float *__restrict a, const float *__restrict b, const float *__restrict c,
                    float *__restrict out) {
    for (int p = 0; p < kTile; ++p) {
        out[p] = a[p] * b[p] * c[p];
    }
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
    for (int k = 0; k < n_corners; ++k) {
        join(level.hashed, add_x[k & 1], add_y[k >> 1 & 1], Dim == 3 ? add_t[k >> 2] : zero, out->index[k]);
        product(k & 1 ? ax.near_high : ax.near_low, k >> 1 & 1 ? ay.near_high : ay.near_low,
                k >> 2 ? at.near_high : at.near_low, out->weight[k]);
    }
    uint32_t *index = out->index[0];
    const uint32_t modulus = level.modulus;
    if (level.hashed) {
        for (int i = 0; i < n_corners * kTile; ++i) {
            index[i] &= modulus - 1;
        }
    } else if (level.wraps_once) {
        for (int i = 0; i < n_corners * kTile; ++i) {
            index[i] = index[i] >= modulus ? index[i] - modulus : index[i];
        }
    } else {
        for (int i = 0; i < n_corners * kTile; ++i) {
            index[i] %= modulus;
        }
    }
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

// A table that does not fit the first-level cache is asked for ahead of time.
constexpr int64_t kPrefetchBytes = 1 << 18;

inline void prefetch_entries(const float *table, const TrainLevel &level, const Corners *c) {
    if ((int64_t)level.modulus * level.features * (int64_t)sizeof(float) < kPrefetchBytes) {
        return;
    }
    for (int k = 0; k < 1 << level.dim; ++k) {
        for (int p = 0; p < kTile; ++p) {
            __builtin_prefetch(table + (int64_t)c->index[k][p] * level.features, 1);
        }
    }
}

void gather(const float *table, const TrainLevel &level, const Corners *c, float *out, int stride) {
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
