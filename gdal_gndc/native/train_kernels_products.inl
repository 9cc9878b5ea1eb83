// Matrix products of a training step. Part of train_kernels.inl.
#ifndef GNDC_TRAIN_KERNELS_PRODUCTS_INL
#define GNDC_TRAIN_KERNELS_PRODUCTS_INL
#include <cstdint>

#include "simd.h"
#include "train_kernels.h"

namespace {

using gndc::kTile;

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

}  // namespace
#endif
