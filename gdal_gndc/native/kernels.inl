// Evaluation of a field: interpolation of the hash grids and the decoder. Compiled once per instruction set.
//
// Every path (grid, points, series) interpolates in the same order, first time, then y, then x, and sums the inputs of
// a neuron in the same order, so that a sample has the same bits however it is read.

#include <cstdint>

#include "kernels.h"
#include "kernels_decoder.inl"
#include "kernels_follow.inl"
#include "kernels_hash.inl"
#include "kernels_rows.inl"
#include "kernels_series.inl"
#include "simd.h"

namespace {

using gndc::FieldView;
using gndc::Grid;
using gndc::GridPlan;
using gndc::GridSink;
using gndc::Level;
using gndc::Scratch;

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
            float *out = base + l * grid.features;
            with_table(field.temporal, level.offset, [&](const auto &table) {
                for (int p = 0; p < n; ++p) {
                    const Place px = place(x[p] * scale, level), py = place(y[p] * scale, level),
                                pt = place(t[p], level);
                    uint32_t key[4];
                    keys3(level, py.cell, pt.cell, key);
                    interpolate3<F>(level, table, grid.features, key, px, py.fraction, pt.fraction, out + p * stride);
                }
            });
        }
    });
    set_ones(field, n, s.features, stride, field.layout.n_inputs);
    decode(field, n, s);
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
            const bool all = plan.direct_inputs == 0;
            if (all) {
                follow<true>(field, plan, s, col, n, s.hidden[1]);
            } else {
                follow<false>(field, plan, s, col, n, s.hidden[1]);
            }
            const int wanted = n - skip, count = padded(wanted);
            float *h = s.hidden[1] + skip * field.width;
            if (!all) {
                tile_features(field, plan, plan.y[row], col + skip, wanted, s, plan.direct_inputs);
                dense<true, true>(s.features, plan.direct_inputs, plan.direct_weights, plan.direct_inputs, first.n, h,
                                  field.width, count);
            }
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

}  // namespace
