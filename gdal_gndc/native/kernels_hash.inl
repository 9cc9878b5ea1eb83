// Hash grids: where a vertex lies in a table, and interpolation of one sample. Part of kernels.inl.
#ifndef GNDC_KERNELS_HASH_INL
#define GNDC_KERNELS_HASH_INL
#include <cmath>
#include <cstdint>
#include "layout.h"
#include "simd.h"
#include "table.inl"

namespace {

using gndc::Level;

constexpr uint32_t kPrimeY = 2654435761u;
constexpr uint32_t kPrimeZ = 805459861u;

// a coordinate within one level
struct Place {
    int64_t cell;
    float fraction;
};

inline Place place(float p, const Level &level) {
    const float s = p * level.scale + 0.5f;
    const float g = std::floor(s);
    return {static_cast<int64_t>(g), s - g};
}

inline Place place(double p, const Level &level) {
    const double s = p * static_cast<double>(level.scale) + 0.5;
    const double g = std::floor(s);
    return {static_cast<int64_t>(g), static_cast<float>(s - g)};
}

// What addresses a row of vertices: its y (and z) part of the index.
inline uint32_t row_key(const Level &level, int64_t y, int64_t z) {
    const uint32_t uy = static_cast<uint32_t>(y), uz = static_cast<uint32_t>(z);
    if (level.hashed) {
        return uy * kPrimeY ^ uz * kPrimeZ;
    }
    const uint32_t n = static_cast<uint32_t>(level.resolution);
    return uy * n + uz * n * n;
}

inline uint32_t vertex(const Level &level, uint32_t key, int64_t x) {
    const uint32_t ux = static_cast<uint32_t>(x);
    if (level.hashed) {
        return (key ^ ux) & static_cast<uint32_t>(level.entries - 1);
    }
    const uint32_t i = key + ux, allocated = static_cast<uint32_t>(level.allocated);
    return i < allocated ? i : i % allocated;
}

// F features at once; F == 0 stands for a number known at run time only. The weights at i and at j of a table, mixed.
template <int F>
struct Features {
    using V = typename VecOf<F>::type;
    template <typename T>
    static inline void mix(const T &table, int64_t i, int64_t j, float f, float *out, int) {
        store<V>(out, lerp<V>(table.template get<V>(i), table.template get<V>(j), splat<V>(f)));
    }
    static inline void mix(const float *a, const float *b, float f, float *out, int) {
        store<V>(out, lerp<V>(load<V>(a), load<V>(b), splat<V>(f)));
    }
};
template <>
struct Features<0> {
    template <typename T>
    static inline void mix(const T &table, int64_t i, int64_t j, float f, float *out, int n) {
        for (int k = 0; k < n; ++k) {
            out[k] = lerp<float>(table.template get<float>(i + k), table.template get<float>(j + k), f);
        }
    }
    static inline void mix(const float *a, const float *b, float f, float *out, int n) {
        for (int k = 0; k < n; ++k) {
            out[k] = lerp<float>(a[k], b[k], f);
        }
    }
};
constexpr int kMaxFeatures = 64;

template <int F, typename T>
inline void interpolate2(const Level &level, const T &table, int n, uint32_t key0, uint32_t key1, Place x, float fy,
                         float *out) {
    float left[F ? F : kMaxFeatures], right[F ? F : kMaxFeatures];
    const int64_t f = F ? F : n;
    Features<F>::mix(table, vertex(level, key0, x.cell) * f, vertex(level, key1, x.cell) * f, fy, left, n);
    Features<F>::mix(table, vertex(level, key0, x.cell + 1) * f, vertex(level, key1, x.cell + 1) * f, fy, right, n);
    Features<F>::mix(left, right, x.fraction, out, n);
}

// keys: (y, z), (y + 1, z), (y, z + 1), (y + 1, z + 1)
template <int F, typename T>
inline void interpolate3(const Level &level, const T &table, int n, const uint32_t *key, Place x, float fy, float ft,
                         float *out) {
    constexpr int kF = F ? F : kMaxFeatures;
    float low[kF], high[kF], left[kF], right[kF];
    const int64_t f = F ? F : n;
    const auto mix_time = [&](int k, int64_t cell, float *to) {
        Features<F>::mix(table, vertex(level, key[k], cell) * f, vertex(level, key[k + 2], cell) * f, ft, to, n);
    };
    mix_time(0, x.cell, low);
    mix_time(1, x.cell, high);
    Features<F>::mix(low, high, fy, left, n);
    mix_time(0, x.cell + 1, low);
    mix_time(1, x.cell + 1, high);
    Features<F>::mix(low, high, fy, right, n);
    Features<F>::mix(left, right, x.fraction, out, n);
}

inline void keys3(const Level &level, int64_t y, int64_t z, uint32_t *key) {
    key[0] = row_key(level, y, z);
    key[1] = row_key(level, y + 1, z);
    key[2] = row_key(level, y, z + 1);
    key[3] = row_key(level, y + 1, z + 1);
}

// Calls body(std::integral_constant-like tag) with the number of features fixed at compile time where it is usual.
template <int N>
struct Fixed {
    static constexpr int value = N;
};
template <typename Body>
inline void with_features(int n, Body &&body) {
    switch (n) {
        case 1: body(Fixed<1>()); break;
        case 2: body(Fixed<2>()); break;
        case 4: body(Fixed<4>()); break;
        case 8: body(Fixed<8>()); break;
        default: body(Fixed<0>()); break;
    }
}

}  // namespace
#endif
