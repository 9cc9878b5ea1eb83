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

// What becomes of a product before it is stored: nothing, negative values cut to 0, or 0 where the gate is not
// positive.
enum class Finish { plain, rectified, gated };

// Every loop over the block is unrolled, so that its sums stay in registers from the first line to the last: the
// compiler keeps them in memory as soon as one loop indexes them by a variable.
template <int Rows, int Vectors, Finish finish>
inline void product_block(const float *__restrict a, int lda, int k, const float *__restrict b, int ldb,
                          float *__restrict c, int ldc, const float *__restrict gate) {
    Vec sum[Rows][Vectors];
#pragma GCC unroll 32
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            sum[r][v] = Vec{};
        }
    }
#pragma GCC unroll 2
    for (int i = 0; i < k; ++i, b += ldb) {
        Vec row[Vectors];
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            row[v] = load<Vec>(b + v * kLanes);
        }
#pragma GCC unroll 32
        for (int r = 0; r < Rows; ++r) {
            const Vec factor = spread(a[(int64_t)r * lda + i]);
#pragma GCC unroll 4
            for (int v = 0; v < Vectors; ++v) {
                sum[r][v] = fma(factor, row[v], sum[r][v]);
            }
        }
    }
#pragma GCC unroll 32
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            Vec value = sum[r][v];
            if (finish == Finish::rectified) {
                value = relu(value);
            } else if (finish == Finish::gated) {
                value = load<Vec>(gate + (int64_t)r * ldc + v * kLanes) > Vec{} ? value : Vec{};
            }
            store(c + (int64_t)r * ldc + v * kLanes, value);
        }
    }
}

template <int Rows, int Vectors, Finish finish>
inline void product_columns(const float *a, int lda, int k, const float *b, int n, float *c, const float *gate) {
    static_assert(kTile % Rows == 0, "a tile holds whole blocks");
    for (int p = 0; p < kTile; p += Rows) {
        product_block<Rows, Vectors, finish>(a + (int64_t)p * lda, lda, k, b, n, c + (int64_t)p * n, n,
                                             finish == Finish::gated ? gate + (int64_t)p * n : nullptr);
    }
}

template <Finish finish>
void multiply_as(const float *a, int lda, int k, const float *b, int n, float *c, const float *gate) {
    int j = 0;
    while (j < n) {
        const float *g = finish == Finish::gated ? gate + j : nullptr;
        const int left = (n - j) / kLanes;
        int vectors = left < kBlockVectors ? left : kBlockVectors;
        if (kBlockVectors == 4 && left >= kBlockVectors) {
            product_columns<6, 4, finish>(a, lda, k, b + j, n, c + j, g);
        } else if (kBlockVectors == 4 && left == 3) {
            product_columns<8, 3, finish>(a, lda, k, b + j, n, c + j, g);
        } else if (left >= 2) {
            vectors = 2;
            product_columns<kBlockVectors == 4 ? 12 : 6, 2, finish>(a, lda, k, b + j, n, c + j, g);
        } else {
            product_columns<12, 1, finish>(a, lda, k, b + j, n, c + j, g);
        }
        j += vectors * kLanes;
    }
}

void multiply(const float *a, int lda, int k, const float *b, int n, float *c, bool rectify, const float *gate) {
    if (gate) {
        multiply_as<Finish::gated>(a, lda, k, b, n, c, gate);
    } else if (rectify) {
        multiply_as<Finish::rectified>(a, lda, k, b, n, c, nullptr);
    } else {
        multiply_as<Finish::plain>(a, lda, k, b, n, c, nullptr);
    }
}

template <int Rows, int Vectors>
inline void accumulate_block(const float *__restrict a, int k, const float *__restrict d, int n, float *__restrict c,
                             int count, bool fresh) {
    Vec sum[Rows][Vectors];
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            sum[r][v] = fresh ? Vec{} : load<Vec>(c + (int64_t)r * n + v * kLanes);
        }
    }
#pragma GCC unroll 2
    for (int p = 0; p < count; ++p) {
        Vec row[Vectors];
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            row[v] = load<Vec>(d + (int64_t)p * n + v * kLanes);
        }
#pragma GCC unroll 16
        for (int r = 0; r < Rows; ++r) {
            const Vec factor = spread(a[(int64_t)p * k + r]);
#pragma GCC unroll 4
            for (int v = 0; v < Vectors; ++v) {
                sum[r][v] = fma(factor, row[v], sum[r][v]);
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) {
            store(c + (int64_t)r * n + v * kLanes, sum[r][v]);
        }
    }
}

// k is a multiple of kPad: blocks of six rows leave two or four, which make two blocks of four or one.
template <int Rows, int Vectors>
inline void accumulate_columns(const float *a, int k, const float *d, int n, float *c, int count, bool fresh) {
    static_assert(Rows == 6 || gndc::kPad % Rows == 0, "a padded width holds whole blocks");
    const int fours = Rows != 6 || k % 6 == 0 ? 0 : k % 6 == 4 ? 1 : 2;
    int i = 0;
    for (; i < k - 4 * fours; i += Rows) {
        accumulate_block<Rows, Vectors>(a + i, k, d, n, c + (int64_t)i * n, count, fresh);
    }
    for (; i < k; i += 4) {
        accumulate_block<4, Vectors>(a + i, k, d, n, c + (int64_t)i * n, count, fresh);
    }
}

void accumulate_rows(const float *a, int k, const float *d, int n, float *c, int count, bool fresh) {
    int j = 0;
    while (j < n) {
        const int left = (n - j) / kLanes;
        int vectors = left < kBlockVectors ? left : kBlockVectors;
        if (kBlockVectors == 4 && left >= kBlockVectors) {
            accumulate_columns<6, 4>(a, k, d + j, n, c + j, count, fresh);
        } else if (kBlockVectors == 4 && left == 3) {
            accumulate_columns<8, 3>(a, k, d + j, n, c + j, count, fresh);
        } else if (left >= 2) {
            vectors = 2;
            accumulate_columns<kBlockVectors == 4 ? 8 : 6, 2>(a, k, d + j, n, c + j, count, fresh);
        } else {
            accumulate_columns<kBlockVectors == 4 ? 16 : 8, 1>(a, k, d + j, n, c + j, count, fresh);
        }
        j += vectors * kLanes;
    }
}

void accumulate(const float *a, int k, const float *d, int n, float *c, bool fresh) {
    // d is read once for every block of rows of c: in parts that stay in the first-level cache
    const int part = n < 64 ? kTile : kTile / 2;
    for (int p = 0; p < kTile; p += part) {
        accumulate_rows(a + (int64_t)p * k, k, d + (int64_t)p * n, n, c, part, fresh && p == 0);
    }
}

double errors(const float *output, const float *targets, const float *weights, int64_t n, float *d) {
    Vec sum = {};
    for (int64_t i = 0; i < n; i += kLanes) {
        const Vec error = load<Vec>(output + i) - load<Vec>(targets + i);
        const Vec weighted = load<Vec>(weights + i) * error;
        sum = fma(weighted, error, sum);
        store(d + i, weighted + weighted);
    }
    double all = 0;
    for (int v = 0; v < kLanes; ++v) {
        all += (double)sum[v];
    }
    return all;
}

void transpose(const float *from, int k, int n, float *to, int stride) {
    for (int j = 0; j < n; ++j) {
        for (int i = 0; i < k; ++i) {
            to[(int64_t)j * stride + i] = from[(int64_t)i * n + j];
        }
    }
}

void total(const float *from, int64_t stride, int parts, int64_t n, float *to) {
    for (int64_t i = 0; i < n; i += 4 * kLanes) {
        Vec sum[4];
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) {
            sum[v] = load<Vec>(from + i + v * kLanes);
        }
        for (int part = 1; part < parts; ++part) {
            const float *more = from + part * stride + i;
#pragma GCC unroll 4
            for (int v = 0; v < 4; ++v) {
                sum[v] = sum[v] + load<Vec>(more + v * kLanes);
            }
        }
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) {
            store(to + i + v * kLanes, sum[v]);
        }
    }
}

}  // namespace
#endif
