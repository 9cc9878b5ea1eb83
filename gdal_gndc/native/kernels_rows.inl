// Features of a grid at one time: rows of vertices shared by the pixels of an image row. Part of kernels.inl.
#ifndef GNDC_KERNELS_ROWS_INL
#define GNDC_KERNELS_ROWS_INL
#include <cstdint>
#include "kernels.h"
#include "kernels_hash.inl"

namespace {

using gndc::FieldView;
using gndc::Grid;
using gndc::GridPlan;
using gndc::LevelColumns;
using gndc::Scratch;

// out = a + f * (b - a) over n weights from a[i] and b[j]
template <typename T, typename U>
inline void mix_rows(const T &a, int64_t i, const U &b, int64_t j, float f, float *out, int64_t n) {
    int64_t k = 0;
    const Vec fv = splat<Vec>(f);
    for (; k + kLanes <= n; k += kLanes) {
        store(out + k, lerp<Vec>(a.template get<Vec>(i + k), b.template get<Vec>(j + k), fv));
    }
    for (; k < n; ++k) {
        out[k] = lerp<float>(a.template get<float>(i + k), b.template get<float>(j + k), f);
    }
}

// The vertices [first, first + count) of two rows, mixed.
template <int F, typename T>
inline void mix_vertices(const Level &level, const T &table, int n, uint32_t key0, uint32_t key1, int64_t first,
                         int64_t count, float f, float *out) {
    if (!level.hashed) {
        const uint32_t i0 = vertex(level, key0, first), i1 = vertex(level, key1, first);
        if (i0 + count <= level.allocated && i1 + count <= level.allocated) {
            mix_rows(table, static_cast<int64_t>(i0) * n, table, static_cast<int64_t>(i1) * n, f, out, count * n);
            return;
        }
    }
    const int64_t stride = F ? F : n;
    int64_t i = 0;
    const auto mix_until = [&](int64_t end) {
        for (; i < end; ++i) {
            Features<F>::mix(table, vertex(level, key0, first + i) * stride, vertex(level, key1, first + i) * stride, f,
                             out + i * stride, n);
        }
    };
    if constexpr (F > 0 && F < kLanes) {
        // The hash takes x as it is: an aligned group of vertices lies together, in an order that the key says.
        constexpr int64_t kGroup = kLanes / F;
        if (level.hashed && level.entries >= kGroup) {
            const int64_t aligned = (first + kGroup - 1) / kGroup * kGroup - first;
            mix_until(aligned < count ? aligned : count);
            const LaneSwap swap0(static_cast<int>(key0 % kGroup) * F), swap1(static_cast<int>(key1 % kGroup) * F);
            const Vec fv = splat<Vec>(f);
            const uint32_t groups = static_cast<uint32_t>(level.entries - 1) & ~static_cast<uint32_t>(kGroup - 1);
            for (; i + kGroup <= count; i += kGroup) {
                const uint32_t x = static_cast<uint32_t>(first + i);
                const Vec a = swap0(table.template get<Vec>(static_cast<int64_t>((key0 ^ x) & groups) * F));
                const Vec b = swap1(table.template get<Vec>(static_cast<int64_t>((key1 ^ x) & groups) * F));
                store(out + i * F, lerp<Vec>(a, b, fv));
            }
        }
    }
    mix_until(count);
}

template <int F>
inline void tile_from_row(const float *row, int n, const LevelColumns &columns, int64_t col, int count, float *out,
                          int64_t stride) {
    for (int p = 0; p < count; ++p) {
        const float *v = row + (columns.cell[col + p] - columns.first) * (F ? F : n);
        Features<F>::mix(v, v + (F ? F : n), columns.fraction[col + p], out + p * stride, n);
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
                with_table(field.spatial, level.offset, [&](const auto &table) {
                    mix_vertices<F>(level, table, spatial.features, row_key(level, py.cell, 0),
                                    row_key(level, py.cell + 1, 0), columns.first, columns.count, py.fraction,
                                    s.rows + columns.row_offset);
                });
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
            const Place py = place(y * static_cast<double>(field.layout.spatial_scale), level);
            const Place pt = place(plan.t, level);
            const int64_t offset = columns.row_offset;
            // rows iy and iy + 1 at the grid's time: kept while the image rows stay in the same cells
            if (!s.folded_valid[l] || s.folded_row[l] != py.cell) {
                for (int d = 0; d < 2; ++d) {
                    with_table(field.temporal, level.offset, [&](const auto &table) {
                        mix_vertices<F>(level, table, temporal.features, row_key(level, py.cell + d, pt.cell),
                                        row_key(level, py.cell + d, pt.cell + 1), columns.first, columns.count,
                                        pt.fraction, s.folded[d] + offset);
                    });
                }
                s.folded_row[l] = py.cell;
                s.folded_valid[l] = true;
            }
            mix_rows(Floats{s.folded[0]}, offset, Floats{s.folded[1]}, offset, py.fraction, s.rows + offset,
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
                with_table(field.spatial, level.offset, [&](const auto &table) {
                    for (int p = 0; p < n; ++p) {
                        interpolate2<F>(level, table, spatial.features, key0, key1,
                                        {columns.cell[col + p], columns.fraction[col + p]}, py.fraction,
                                        out + p * stride);
                    }
                });
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
                const Place py = place(y * static_cast<double>(field.layout.spatial_scale), level);
                const Place pt = place(plan.t, level);
                uint32_t key[4];
                keys3(level, py.cell, pt.cell, key);
                with_table(field.temporal, level.offset, [&](const auto &table) {
                    for (int p = 0; p < n; ++p) {
                        interpolate3<F>(level, table, temporal.features, key,
                                        {columns.cell[col + p], columns.fraction[col + p]}, py.fraction, pt.fraction,
                                        out + p * stride);
                    }
                });
            }
            out += temporal.features;
        }
    });
}

}  // namespace
#endif
