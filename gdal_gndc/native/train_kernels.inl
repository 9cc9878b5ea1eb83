// Kernels of a training step, compiled once for each instruction set: see simd.h. No standard containers in here.
#include "simd.h"
#include "train_kernels.h"

namespace {

using gndc::AdamStep;
using gndc::Corners;
using gndc::kTile;
using gndc::Rounding;
using gndc::TrainLevel;

// Vectors of one register block of a product; 32 registers with AVX-512, 16 without.
constexpr int kBlockVectors = kLanes == 16 ? 4 : 2;

inline Vec spread(float a) {
#if defined(__AVX512F__)
    return (Vec)_mm512_set1_ps(a);
#elif defined(__AVX2__)
    return (Vec)_mm256_set1_ps(a);
#else
    return Vec{a, a, a, a};
#endif
}

// ---- grids -------------------------------------------------------------------------------------------------------

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

// ---- products ----------------------------------------------------------------------------------------------------

template <int Rows, int Vectors>
inline void product_block(const float *a, int lda, int k, const float *b, int ldb, float *c, int ldc, bool rectify,
                          const float *gate) {
    Vec sum[Rows][Vectors];
    for (int r = 0; r < Rows; ++r) {
        for (int v = 0; v < Vectors; ++v) {
            sum[r][v] = Vec{};
        }
    }
    for (int i = 0; i < k; ++i, b += ldb) {
        Vec row[Vectors];
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            row[v] = load<Vec>(b + v * kLanes);
        }
#pragma GCC unroll 12
        for (int r = 0; r < Rows; ++r) {
            const Vec factor = spread(a[(int64_t)r * lda + i]);
#pragma GCC unroll 4
            for (int v = 0; v < Vectors; ++v) {
                sum[r][v] = fma(factor, row[v], sum[r][v]);
            }
        }
    }
    for (int r = 0; r < Rows; ++r) {
        for (int v = 0; v < Vectors; ++v) {
            Vec value = sum[r][v];
            if (rectify) {
                value = relu(value);
            }
            if (gate) {
                value = load<Vec>(gate + (int64_t)r * ldc + v * kLanes) > Vec{} ? value : Vec{};
            }
            store(c + (int64_t)r * ldc + v * kLanes, value);
        }
    }
}

template <int Rows, int Vectors>
inline void product_columns(const float *a, int lda, int k, const float *b, int n, float *c, bool rectify,
                            const float *gate) {
    static_assert(kTile % Rows == 0, "a tile holds whole blocks");
    for (int p = 0; p < kTile; p += Rows) {
        product_block<Rows, Vectors>(a + (int64_t)p * lda, lda, k, b, n, c + (int64_t)p * n, n, rectify,
                                     gate ? gate + (int64_t)p * n : nullptr);
    }
}

void multiply(const float *a, int lda, int k, const float *b, int n, float *c, bool rectify, const float *gate) {
    int j = 0;
    while (j < n) {
        const float *g = gate ? gate + j : nullptr;
        const int left = (n - j) / kLanes;
        int vectors = left < kBlockVectors ? left : kBlockVectors;
        if (kBlockVectors == 4 && left >= kBlockVectors) {
            product_columns<6, 4>(a, lda, k, b + j, n, c + j, rectify, g);
        } else if (kBlockVectors == 4 && left == 3) {
            product_columns<8, 3>(a, lda, k, b + j, n, c + j, rectify, g);
        } else if (left >= 2) {
            vectors = 2;
            product_columns<kBlockVectors == 4 ? 12 : 6, 2>(a, lda, k, b + j, n, c + j, rectify, g);
        } else {
            product_columns<12, 1>(a, lda, k, b + j, n, c + j, rectify, g);
        }
        j += vectors * kLanes;
    }
}

template <int rows, int Vectors>
inline void accumulate_columns(const float *a, int k, const float *d, int n, float *c) {
    static_assert(gndc::kPad % rows == 0, "a padded width holds whole blocks");
    for (int i = 0; i < k; i += rows) {
        Vec sum[rows][Vectors];
        for (int r = 0; r < rows; ++r) {
            for (int v = 0; v < Vectors; ++v) {
                sum[r][v] = load<Vec>(c + (int64_t)(i + r) * n + v * kLanes);
            }
        }
        for (int p = 0; p < kTile; ++p) {
            Vec row[Vectors];
#pragma GCC unroll 4
            for (int v = 0; v < Vectors; ++v) {
                row[v] = load<Vec>(d + (int64_t)p * n + v * kLanes);
            }
#pragma GCC unroll 16
            for (int r = 0; r < rows; ++r) {
                const Vec factor = spread(a[(int64_t)p * k + i + r]);
#pragma GCC unroll 4
                for (int v = 0; v < Vectors; ++v) {
                    sum[r][v] = fma(factor, row[v], sum[r][v]);
                }
            }
        }
        for (int r = 0; r < rows; ++r) {
            for (int v = 0; v < Vectors; ++v) {
                store(c + (int64_t)(i + r) * n + v * kLanes, sum[r][v]);
            }
        }
    }
}

void accumulate(const float *a, int k, const float *d, int n, float *c) {
    int j = 0;
    while (j < n) {
        const int left = (n - j) / kLanes;
        int vectors = left < kBlockVectors ? left : kBlockVectors;
        if (kBlockVectors == 4 && left >= kBlockVectors) {
            accumulate_columns<4, 4>(a, k, d + j, n, c + j);
        } else if (kBlockVectors == 4 && left == 3) {
            accumulate_columns<8, 3>(a, k, d + j, n, c + j);
        } else if (left >= 2) {
            vectors = 2;
            accumulate_columns<kBlockVectors == 4 ? 8 : 4, 2>(a, k, d + j, n, c + j);
        } else {
            accumulate_columns<kBlockVectors == 4 ? 16 : 8, 1>(a, k, d + j, n, c + j);
        }
        j += vectors * kLanes;
    }
}

void transpose(const float *from, int k, int n, float *to) {
    for (int i = 0; i < k; ++i) {
        for (int j = 0; j < n; ++j) {
            to[(int64_t)j * k + i] = from[(int64_t)i * n + j];
        }
    }
}

void add(const float *from, int64_t n, float *to) {
    for (int64_t i = 0; i < n; ++i) {
        to[i] += from[i];
    }
}

// ---- parameters --------------------------------------------------------------------------------------------------

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

namespace gndc {

#define GNDC_JOIN_(a, b) a##b
#define GNDC_JOIN(a, b) GNDC_JOIN_(a, b)

extern const TrainKernels GNDC_JOIN(train_kernels_, GNDC_ISA_NAME);
const TrainKernels GNDC_JOIN(train_kernels_, GNDC_ISA_NAME) = {corners, prefetch_entries,  gather, scatter,   multiply, accumulate,
                                                               adam, round_all, transpose, add};

}  // namespace gndc
