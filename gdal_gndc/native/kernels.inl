// Evaluation of a field: interpolation of the hash grids and the decoder. Compiled once per instruction set.
//
// Every path (grid, points, series) interpolates in the same order, first time, then y, then x, and sums the inputs of
// a neuron in the same order, so that a sample has the same bits however it is read.

#include <cmath>
#include <cstdint>

#include "kernels.h"
#include "simd.h"

namespace {

using gndc::FieldView;
using gndc::Grid;
using gndc::GridPlan;
using gndc::GridSink;
using gndc::Level;
using gndc::LevelColumns;
using gndc::Scratch;
using gndc::SeriesSink;

constexpr uint32_t kPrimeY = 2654435761u;
constexpr uint32_t kPrimeZ = 805459861u;

// ---- decoder ----------------------------------------------------------------------------------------------------

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
inline void decode_tail(const FieldView &field, const float *h, int count, Scratch &s) {
    const int64_t width = field.width;
    const int last = field.n_matrices - 1;
    int into = h >= s.hidden[1] ? 0 : 1;
    for (int l = 1; l < last; ++l) {
        dense<false, true>(h, width, field.layers[l].weights, field.layers[l].k, field.layers[l].n, s.hidden[into],
                           width, count);
        h = s.hidden[into];
        into = 1 - into;
    }
    dense<false, false>(h, width, field.layers[last].weights, field.layers[last].k,
                        field.layers[last].n, s.raw, field.layers[last].n, count);
}

inline void decode(const FieldView &field, int n, Scratch &s) {
    const int count = padded(n);
    dense<false, true>(s.features, field.layout.n_inputs_padded, field.layers[0].weights, field.layers[0].k,
                       field.layers[0].n, s.hidden[0], field.width, count);
    decode_tail(field, s.hidden[0], count, s);
}

inline void set_ones(const FieldView &field, int count, float *features, int64_t stride, int64_t first) {
    const int64_t pad = field.layout.n_inputs_padded - field.layout.n_inputs;
    for (int p = 0; p < count && pad; ++p) {
        for (int64_t k = 0; k < pad; ++k) {
            features[p * stride + first + k] = 1.0f;
        }
    }
}

// ---- hash grids --------------------------------------------------------------------------------------------------

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

// F features at once; F == 0 stands for a number known at run time only.
template <int F>
struct Features {
    using V = typename VecOf<F>::type;
    static inline void mix(const float *a, const float *b, float f, float *out, int) {
        store<V>(out, lerp<V>(load<V>(a), load<V>(b), splat<V>(f)));
    }
};
template <>
struct Features<0> {
    static inline void mix(const float *a, const float *b, float f, float *out, int n) {
        for (int i = 0; i < n; ++i) {
            out[i] = lerp<float>(a[i], b[i], f);
        }
    }
};
constexpr int kMaxFeatures = 64;

template <int F>
inline void interpolate2(const Level &level, const float *table, int n, uint32_t key0, uint32_t key1, Place x, float fy,
                         float *out) {
    float left[F ? F : kMaxFeatures], right[F ? F : kMaxFeatures];
    const int64_t f = n;
    Features<F>::mix(table + vertex(level, key0, x.cell) * f, table + vertex(level, key1, x.cell) * f, fy, left, n);
    Features<F>::mix(table + vertex(level, key0, x.cell + 1) * f, table + vertex(level, key1, x.cell + 1) * f, fy,
                     right, n);
    Features<F>::mix(left, right, x.fraction, out, n);
}

// keys: (y, z), (y + 1, z), (y, z + 1), (y + 1, z + 1)
template <int F>
inline void interpolate3(const Level &level, const float *table, int n, const uint32_t *key, Place x, float fy,
                         float ft, float *out) {
    constexpr int kF = F ? F : kMaxFeatures;
    float low[kF], high[kF], left[kF], right[kF];
    const int64_t f = n;
    const int64_t c = x.cell;
    Features<F>::mix(table + vertex(level, key[0], c) * f, table + vertex(level, key[2], c) * f, ft, low, n);
    Features<F>::mix(table + vertex(level, key[1], c) * f, table + vertex(level, key[3], c) * f, ft, high, n);
    Features<F>::mix(low, high, fy, left, n);
    Features<F>::mix(table + vertex(level, key[0], c + 1) * f, table + vertex(level, key[2], c + 1) * f, ft, low, n);
    Features<F>::mix(table + vertex(level, key[1], c + 1) * f, table + vertex(level, key[3], c + 1) * f, ft, high, n);
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

// ---- points --------------------------------------------------------------------------------------------------------

template <typename T>
void spatial_features(const FieldView &field, int n, const T *x, const T *y, float *features, int64_t stride) {
    const Grid &grid = field.layout.spatial;
    with_features(grid.features, [&](auto fixed) {
        constexpr int F = decltype(fixed)::value;
        for (int l = 0; l < grid.n_levels; ++l) {
            const Level &level = grid.levels[l];
            const float *table = field.spatial + level.offset;
            float *out = features + l * grid.features;
            for (int p = 0; p < n; ++p) {
                const Place px = place(x[p], level), py = place(y[p], level);
                interpolate2<F>(level, table, grid.features, row_key(level, py.cell, 0),
                                row_key(level, py.cell + 1, 0), px, py.fraction, out + p * stride);
            }
        }
    });
}

void points(const FieldView &field, int n, const float *x, const float *y, const float *t, Scratch &s) {
    const int64_t stride = field.layout.n_inputs_padded;
    spatial_features(field, n, x, y, s.features, stride);
    const Grid &grid = field.layout.temporal;
    const float scale = field.layout.spatial_scale;
    float *base = s.features + field.layout.spatial.n_levels * field.layout.spatial.features;
    with_features(grid.features, [&](auto fixed) {
        constexpr int F = decltype(fixed)::value;
        for (int l = 0; l < grid.n_levels; ++l) {
            const Level &level = grid.levels[l];
            const float *table = field.temporal + level.offset;
            float *out = base + l * grid.features;
            for (int p = 0; p < n; ++p) {
                const Place px = place(x[p] * scale, level), py = place(y[p] * scale, level),
                            pt = place(t[p], level);
                uint32_t key[4];
                keys3(level, py.cell, pt.cell, key);
                interpolate3<F>(level, table, grid.features, key, px, py.fraction, pt.fraction, out + p * stride);
            }
        }
    });
    set_ones(field, n, s.features, stride, field.layout.n_inputs);
    decode(field, n, s);
}

// ---- grid ----------------------------------------------------------------------------------------------------------

// out = a + f * (b - a) over n floats
inline void mix_rows(const float *a, const float *b, float f, float *out, int64_t n) {
    int64_t i = 0;
    const Vec fv = splat<Vec>(f);
    for (; i + kLanes <= n; i += kLanes) {
        store(out + i, lerp<Vec>(load<Vec>(a + i), load<Vec>(b + i), fv));
    }
    for (; i < n; ++i) {
        out[i] = lerp<float>(a[i], b[i], f);
    }
}

// The vertices [first, first + count) of two rows, mixed.
template <int F>
inline void mix_vertices(const Level &level, const float *table, int n, uint32_t key0, uint32_t key1, int64_t first,
                         int64_t count, float f, float *out) {
    if (!level.hashed) {
        const uint32_t i0 = vertex(level, key0, first), i1 = vertex(level, key1, first);
        if (i0 + count <= level.allocated && i1 + count <= level.allocated) {
            mix_rows(table + static_cast<int64_t>(i0) * n, table + static_cast<int64_t>(i1) * n, f, out, count * n);
            return;
        }
    }
    const int64_t stride = n;
    for (int64_t i = 0; i < count; ++i) {
        Features<F>::mix(table + vertex(level, key0, first + i) * stride,
                         table + vertex(level, key1, first + i) * stride, f, out + i * stride, n);
    }
}

template <int F>
inline void tile_from_row(const float *row, int n, const LevelColumns &columns, int64_t col, int count, float *out,
                          int64_t stride) {
    for (int p = 0; p < count; ++p) {
        const float *v = row + (columns.cell[col + p] - columns.first) * n;
        Features<F>::mix(v, v + n, columns.fraction[col + p], out + p * stride, n);
    }
}

// The rows of vertices of one image row: interpolated in time and in y.
void interpolate_rows(const FieldView &field, const GridPlan &plan, double y, Scratch &s) {
    const Grid &spatial = field.layout.spatial, &temporal = field.layout.temporal;
    with_features(spatial.features, [&](auto fixed) {
        constexpr int F = decltype(fixed)::value;
        for (int l = 0; l < spatial.n_levels; ++l) {
            const LevelColumns &columns = plan.columns[l];
            if (columns.shared) {
                const Level &level = spatial.levels[l];
                const Place py = place(y, level);
                mix_vertices<F>(level, field.spatial + level.offset, spatial.features, row_key(level, py.cell, 0),
                                row_key(level, py.cell + 1, 0), columns.first, columns.count, py.fraction,
                                s.rows + columns.row_offset);
            }
        }
    });
    with_features(temporal.features, [&](auto fixed) {
        constexpr int F = decltype(fixed)::value;
        for (int l = 0; l < temporal.n_levels; ++l) {
            const LevelColumns &columns = plan.columns[spatial.n_levels + l];
            if (!columns.shared) {
                continue;
            }
            const Level &level = temporal.levels[l];
            const Place py = place(y * static_cast<double>(field.layout.spatial_scale), level), pt = place(plan.t, level);
            const int64_t offset = columns.row_offset;
            // rows iy and iy + 1 at the grid's time: kept while the image rows stay in the same cells
            if (!s.folded_valid[l] || s.folded_row[l] != py.cell) {
                for (int d = 0; d < 2; ++d) {
                    mix_vertices<F>(level, field.temporal + level.offset, temporal.features,
                                    row_key(level, py.cell + d, pt.cell), row_key(level, py.cell + d, pt.cell + 1),
                                    columns.first, columns.count, pt.fraction, s.folded[d] + offset);
                }
                s.folded_row[l] = py.cell;
                s.folded_valid[l] = true;
            }
            mix_rows(s.folded[0] + offset, s.folded[1] + offset, py.fraction, s.rows + offset,
                     columns.count * temporal.features);
        }
    });
}

// Features of the levels that are not merged, for columns [col, col + n) of one image row, one level after the other.
void tile_features(const FieldView &field, const GridPlan &plan, double y, int64_t col, int n, const Scratch &s,
                   int64_t stride) {
    const Grid &spatial = field.layout.spatial, &temporal = field.layout.temporal;
    float *out = s.features;
    with_features(spatial.features, [&](auto fixed) {
        constexpr int F = decltype(fixed)::value;
        for (int l = 0; l < spatial.n_levels; ++l) {
            const LevelColumns &columns = plan.columns[l];
            if (columns.merged) {
                continue;
            }
            if (columns.shared) {
                tile_from_row<F>(s.rows + columns.row_offset, spatial.features, columns, col, n, out, stride);
            } else {
                const Level &level = spatial.levels[l];
                const Place py = place(y, level);
                const uint32_t key0 = row_key(level, py.cell, 0), key1 = row_key(level, py.cell + 1, 0);
                for (int p = 0; p < n; ++p) {
                    interpolate2<F>(level, field.spatial + level.offset, spatial.features, key0, key1,
                                    {columns.cell[col + p], columns.fraction[col + p]}, py.fraction, out + p * stride);
                }
            }
            out += spatial.features;
        }
    });
    with_features(temporal.features, [&](auto fixed) {
        constexpr int F = decltype(fixed)::value;
        for (int l = 0; l < temporal.n_levels; ++l) {
            const LevelColumns &columns = plan.columns[spatial.n_levels + l];
            if (columns.merged) {
                continue;
            }
            if (columns.shared) {
                tile_from_row<F>(s.rows + columns.row_offset, temporal.features, columns, col, n, out, stride);
            } else {
                const Level &level = temporal.levels[l];
                const Place py = place(y * static_cast<double>(field.layout.spatial_scale), level), pt = place(plan.t, level);
                uint32_t key[4];
                keys3(level, py.cell, pt.cell, key);
                for (int p = 0; p < n; ++p) {
                    interpolate3<F>(level, field.temporal + level.offset, temporal.features, key,
                                    {columns.cell[col + p], columns.fraction[col + p]}, py.fraction, pt.fraction,
                                    out + p * stride);
                }
            }
            out += temporal.features;
        }
    });
}

// ---- merged levels -------------------------------------------------------------------------------------------------
//
// Along a row, before its ReLU, the first layer is piecewise linear in the column: it bends only where a level enters a
// new cell. A level whose cells are wider than a pixel is therefore followed: the sums of all such levels have one value
// and one slope per neuron, good up to the next crossing, where both are corrected by the bend of that level's row of
// vertices. Every kAnchor pixels the sums start afresh.

// sum[v] += a * w[v] over NB vectors
template <int NB>
inline void add_scaled(float a, const float *w, Vec *sum) {
    const Vec x = splat<Vec>(a);
#pragma GCC unroll 8
    for (int v = 0; v < NB; ++v) {
        sum[v] = fma(x, load<Vec>(w + v * kLanes), sum[v]);
    }
}

inline const float *level_weights(const FieldView &field, int l) {
    const Grid &spatial = field.layout.spatial, &temporal = field.layout.temporal;
    const int64_t input = l < spatial.n_levels
                              ? static_cast<int64_t>(l) * spatial.features
                              : static_cast<int64_t>(spatial.n_levels) * spatial.features +
                                    static_cast<int64_t>(l - spatial.n_levels) * temporal.features;
    return field.layers[0].weights + input * field.layers[0].n;
}

inline int level_features(const FieldView &field, int l) {
    return l < field.layout.spatial.n_levels ? field.layout.spatial.features : field.layout.temporal.features;
}

// Second differences of the merged rows at their inner vertices.
void find_bends(const FieldView &field, const GridPlan &plan, Scratch &s) {
    const int n_levels = field.layout.spatial.n_levels + field.layout.temporal.n_levels;
    for (int l = 0; l < n_levels; ++l) {
        const LevelColumns &columns = plan.columns[l];
        if (!columns.merged) {
            continue;
        }
        const int64_t f = level_features(field, l);
        const float *row = s.rows + columns.row_offset;
        float *bend = s.bends + columns.row_offset;
        for (int64_t i = f; i < (columns.count - 1) * f; ++i) {
            bend[i] = (row[i + f] - row[i]) - (row[i] - row[i - f]);
        }
    }
}

// Neurons [j, j + NB vectors) of the merged sums over the columns of one anchored tile, into out (tile, width).
template <int NB>
inline void follow_block(const FieldView &field, const GridPlan &plan, const Scratch &s, int64_t col, int n, int64_t j,
                         float *out) {
    const int n_levels = field.layout.spatial.n_levels + field.layout.temporal.n_levels;
    const int64_t ldw = field.layers[0].n;
    Vec value[NB], slope[NB];
    for (int v = 0; v < NB; ++v) {
        value[v] = Vec{};
        slope[v] = Vec{};
    }
    for (int64_t k = field.layout.n_inputs; k < field.layout.n_inputs_padded; ++k) {
        add_scaled<NB>(1.0f, field.layers[0].weights + k * ldw + j, value);
    }
    for (int l = 0; l < n_levels; ++l) {
        const LevelColumns &columns = plan.columns[l];
        if (!columns.merged) {
            continue;
        }
        const int f = level_features(field, l);
        const float *w = level_weights(field, l) + j;
        const float *left = s.rows + columns.row_offset + (columns.cell[col] - columns.first) * f;
        for (int e = 0; e < f; ++e) {
            const float rise = left[f + e] - left[e];
            add_scaled<NB>(fma(columns.fraction[col], rise, left[e]), w + e * ldw, value);
            add_scaled<NB>(rise * columns.step, w + e * ldw, slope);
        }
    }
    const gndc::Crossing *crossing = plan.crossings + plan.crossings_begin[col];
    float since = 0.0f;  // columns since `value` was exact: one product instead of many additions keeps rounding small
    for (int p = 0; p < n; ++p, since += 1.0f) {
        const gndc::Crossing *end = plan.crossings + plan.crossings_begin[col + p + 1];
        if (crossing != end) {
            for (int v = 0; v < NB; ++v) {
                value[v] = fma(splat<Vec>(since), slope[v], value[v]);
            }
            since = 0.0f;
        }
        for (; crossing != end; ++crossing) {
            const LevelColumns &columns = plan.columns[crossing->level];
            const int f = level_features(field, crossing->level);
            const float *w = level_weights(field, crossing->level) + j;
            const float *bend = s.bends + columns.row_offset + static_cast<int64_t>(crossing->vertex) * f;
            Vec change[NB];
            for (int v = 0; v < NB; ++v) {
                change[v] = Vec{};
            }
            for (int e = 0; e < f; ++e) {
                add_scaled<NB>(bend[e], w + e * ldw, change);
            }
            const Vec fraction = splat<Vec>(crossing->fraction), step = splat<Vec>(columns.step);
            for (int v = 0; v < NB; ++v) {
                value[v] = fma(change[v], fraction, value[v]);
                slope[v] = fma(change[v], step, slope[v]);
            }
        }
        for (int v = 0; v < NB; ++v) {
            store(out + p * field.width + j + v * kLanes, fma(splat<Vec>(since), slope[v], value[v]));
        }
    }
}

// The merged sums of columns [col, col + n), from anchor to anchor; col is one.
inline void follow(const FieldView &field, const GridPlan &plan, const Scratch &s, int64_t col, int n, float *out) {
    const int64_t neurons = field.layers[0].n;  // a multiple of 16
    for (int p = 0; p < n; p += gndc::kAnchor, out += gndc::kAnchor * field.width) {
        const int m = n - p < gndc::kAnchor ? n - p : gndc::kAnchor;
        int64_t j = 0;
        for (; j + 4 * kLanes <= neurons; j += 4 * kLanes) {
            follow_block<4>(field, plan, s, col + p, m, j, out);
        }
        for (; j < neurons; j += kLanes) {
            follow_block<1>(field, plan, s, col + p, m, j, out);
        }
    }
}

void merged_rows(const FieldView &field, const GridPlan &plan, int64_t row0, int64_t row1, Scratch &s, GridSink sink,
                 void *context) {
    const gndc::Layer &first = field.layers[0];
    constexpr int kColumns = 2 * gndc::kAnchor;  // of a tile
    for (int64_t row = row0; row < row1; ++row) {
        interpolate_rows(field, plan, plan.y[row], s);
        find_bends(field, plan, s);
        for (int64_t col = 0; col < plan.n_cols; col += kColumns) {
            const int64_t left = plan.n_cols - col;
            const int n = static_cast<int>(left < kColumns ? left : kColumns);
            // the lead of the first tile is followed, not decoded
            const int skip = static_cast<int>(col == 0 ? plan.lead : 0);
            follow(field, plan, s, col, n, s.hidden[1]);
            const int wanted = n - skip, count = padded(wanted);
            tile_features(field, plan, plan.y[row], col + skip, wanted, s, plan.direct_inputs);
            float *h = s.hidden[1] + skip * field.width;
            dense<true, true>(s.features, plan.direct_inputs, plan.direct_weights, plan.direct_inputs, first.n, h,
                              field.width, count);
            decode_tail(field, h, count, s);
            sink(context, row, col + skip - plan.lead, wanted, s.raw);
        }
    }
}

void grid_rows(const FieldView &field, const GridPlan &plan, int64_t row0, int64_t row1, Scratch &s, GridSink sink,
               void *context) {
    for (int l = 0; l < field.layout.temporal.n_levels; ++l) {
        s.folded_valid[l] = false;
    }
    if (plan.merging) {
        merged_rows(field, plan, row0, row1, s, sink, context);
        return;
    }
    const int64_t stride = field.layout.n_inputs_padded;
    set_ones(field, s.tile, s.features, stride, field.layout.n_inputs);
    for (int64_t row = row0; row < row1; ++row) {
        interpolate_rows(field, plan, plan.y[row], s);
        for (int64_t col = 0; col < plan.n_cols; col += s.tile) {
            const int n = static_cast<int>(plan.n_cols - col < s.tile ? plan.n_cols - col : s.tile);
            tile_features(field, plan, plan.y[row], col, n, s, stride);
            decode(field, n, s);
            sink(context, row, col, n, s.raw);
        }
    }
}

// ---- series --------------------------------------------------------------------------------------------------------

void series(const FieldView &field, int64_t n_points, const double *x, const double *y, int64_t n_times, const float *t,
            Scratch &s, SeriesSink sink, void *context) {
    const Grid &spatial = field.layout.spatial, &temporal = field.layout.temporal;
    const int64_t stride = field.layout.n_inputs_padded;
    const int64_t n_spatial = static_cast<int64_t>(spatial.n_levels) * spatial.features;
    const int64_t n_rest = stride - n_spatial;  // temporal features and the constant inputs
    const double scale = field.layout.spatial_scale;
    const gndc::Layer &first = field.layers[0];
    for (int64_t base = 0; base < n_points; base += s.tile) {
        const int n = static_cast<int>(n_points - base < s.tile ? n_points - base : s.tile);
        // the spatial branch's share of the first layer, once per point
        spatial_features(field, n, x + base, y + base, s.features, stride);
        dense<false, false>(s.features, stride, first.weights, n_spatial, first.n, s.partial, field.width, padded(n));
        set_ones(field, s.tile, s.features, stride, field.layout.n_inputs - n_spatial);
        for (int p = 0; p < n; ++p) {
            const double px = x[base + p] * scale, py = y[base + p] * scale;
            for (int64_t t0 = 0; t0 < n_times; t0 += s.tile) {
                const int m = static_cast<int>(n_times - t0 < s.tile ? n_times - t0 : s.tile);
                with_features(temporal.features, [&](auto fixed) {
                    constexpr int F = decltype(fixed)::value;
                    for (int l = 0; l < temporal.n_levels; ++l) {
                        const Level &level = temporal.levels[l];
                        const float *table = field.temporal + level.offset;
                        const Place cx = place(px, level), cy = place(py, level);
                        float *out = s.features + l * temporal.features;
                        for (int i = 0; i < m; ++i) {
                            const Place ct = place(t[t0 + i], level);
                            uint32_t key[4];
                            keys3(level, cy.cell, ct.cell, key);
                            interpolate3<F>(level, table, temporal.features, key, cx, cy.fraction, ct.fraction,
                                            out + i * stride);
                        }
                    }
                });
                const int count = padded(m);
                for (int i = 0; i < count; ++i) {
                    __builtin_memcpy(s.hidden[0] + i * field.width, s.partial + p * field.width,
                                     static_cast<size_t>(first.n) * sizeof(float));
                }
                dense<true, true>(s.features, stride, first.weights + n_spatial * first.n, n_rest, first.n,
                                  s.hidden[0], field.width, count);
                decode_tail(field, s.hidden[0], count, s);
                sink(context, base + p, t0, m, s.raw);
            }
        }
    }
}

}  // namespace
