// Levels with cells wider than a pixel: their share of the first layer along a row. Part of kernels.inl.
#ifndef GNDC_KERNELS_FOLLOW_INL
#define GNDC_KERNELS_FOLLOW_INL
#include <cstdint>
#include "kernels.h"
#include "kernels_hash.inl"
#include "simd.h"

namespace {

using gndc::FieldView;
using gndc::Grid;
using gndc::GridPlan;
using gndc::LevelColumns;
using gndc::Scratch;

// Along a row, before its ReLU, the first layer is piecewise linear in the column: it bends only where a level enters a
// new cell. A level whose cells are wider than a pixel is therefore followed: the sums of all such levels have one
// value and one slope per neuron, good up to the next crossing, where both are corrected by the bend of that level's
// row of vertices. Every kAnchor pixels the sums start afresh.
//
// A tile is done twice over: level by level, whose weights stay in registers, for the start and for what each crossing
// changes; then column by column, without a branch that could not be foreseen.

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
        const int64_t f = level_features(field, l), end = (columns.count - 1) * f;
        const float *row = s.rows + columns.row_offset;
        float *bend = s.bends + columns.row_offset;
        int64_t i = f;
        for (; i + kLanes <= end; i += kLanes) {
            const Vec here = load<Vec>(row + i);
            store(bend + i, (load<Vec>(row + i + f) - here) - (here - load<Vec>(row + i - f)));
        }
        for (; i < end; ++i) {
            bend[i] = (row[i + f] - row[i]) - (row[i] - row[i - f]);
        }
    }
}

// One level's share of the sums at the anchor and of their slopes, and what each of its crossings changes, for NB
// vectors of neurons. F: features held in registers, 0 for any number.
template <int NB, int F>
inline void follow_level(const LevelColumns &columns, const float *row, const float *bends, int n_features,
                         const float *w, int64_t ldw, const gndc::Start &start, const gndc::Bend *bend,
                         const gndc::Bend *end, Vec *value, Vec *slope, float *changes) {
    const int f = F ? F : n_features;
    Vec held[F ? F * NB : 1];
    if constexpr (F > 0) {
#pragma GCC unroll 16
        for (int i = 0; i < F * NB; ++i) {
            held[i] = load<Vec>(w + i / NB * ldw + i % NB * kLanes);
        }
    }
    const auto weight = [&](int e, int v) {
        if constexpr (F > 0) {
            return held[e * NB + v];
        } else {
            return load<Vec>(w + e * ldw + v * kLanes);
        }
    };
    const float *left = row + start.left;
#pragma GCC unroll 4
    for (int e = 0; e < f; ++e) {
        const float rise = left[f + e] - left[e];
        const Vec x = splat<Vec>(fma(start.fraction, rise, left[e])), d = splat<Vec>(rise * columns.step);
#pragma GCC unroll 4
        for (int v = 0; v < NB; ++v) {
            value[v] = fma(x, weight(e, v), value[v]);
            slope[v] = fma(d, weight(e, v), slope[v]);
        }
    }
    for (; bend != end; ++bend) {
        const float *at = bends + static_cast<int64_t>(bend->vertex) * f;
        Vec change[NB] = {};
#pragma GCC unroll 4
        for (int e = 0; e < f; ++e) {
            const Vec x = splat<Vec>(at[e]);
#pragma GCC unroll 4
            for (int v = 0; v < NB; ++v) {
                change[v] = fma(x, weight(e, v), change[v]);
            }
        }
#pragma GCC unroll 4
        for (int v = 0; v < NB; ++v) {
            store(changes + (static_cast<int64_t>(bend->slot) * NB + v) * kLanes, change[v]);
        }
    }
}

// Neurons [j, j + NB vectors) of the merged sums over the columns of one anchored tile, into out (tile, width).
template <int NB, bool RECTIFY>
inline void follow_block(const FieldView &field, const GridPlan &plan, const Scratch &s, int64_t col, int64_t j,
                         float *out) {
    const int n_levels = field.layout.spatial.n_levels + field.layout.temporal.n_levels;
    const int64_t ldw = field.layers[0].n, tile = col / gndc::kAnchor;
    Vec value[NB] = {}, slope[NB] = {};
    for (int64_t k = field.layout.n_inputs; k < field.layout.n_inputs_padded; ++k) {
        for (int v = 0; v < NB; ++v) {
            value[v] = value[v] + load<Vec>(field.layers[0].weights + k * ldw + j + v * kLanes);
        }
    }
    const gndc::Start *start = plan.starts + tile * n_levels;
    for (int l = 0; l < n_levels; ++l, ++start) {
        const LevelColumns &columns = plan.columns[l];
        if (!columns.merged) {
            continue;
        }
        const float *row = s.rows + columns.row_offset, *bends = s.bends + columns.row_offset;
        const float *w = level_weights(field, l) + j;
        const gndc::Bend *bend = plan.bends + start->bends, *end = plan.bends + start[1].bends;
        const int f = level_features(field, l);
        const auto follow = [&](auto features) {
            follow_level<NB, decltype(features)::value>(columns, row, bends, f, w, ldw, *start, bend, end, value, slope,
                                                        s.changes);
        };
        switch (f) {
            case 1: follow(Fixed<1>()); break;
            case 2: follow(Fixed<2>()); break;
            case 4: follow(Fixed<4>()); break;
            default: follow(Fixed<0>()); break;
        }
    }
    const gndc::Step *const last = plan.steps + plan.steps_begin[tile + 1];
    for (const gndc::Step *step = plan.steps + plan.steps_begin[tile]; step != last; ++step) {
        const Vec advance = splat<Vec>(step->advance), fraction = splat<Vec>(step->fraction);
        const Vec rate = splat<Vec>(step->rate);
        const float *change = s.changes + static_cast<int64_t>(step->slot) * NB * kLanes;
        float *o = out + step->column * field.width + j;
#pragma GCC unroll 4
        for (int v = 0; v < NB; ++v) {
            const Vec c = load<Vec>(change + v * kLanes);
            value[v] = fma(c, fraction, fma(advance, slope[v], value[v]));
            slope[v] = fma(c, rate, slope[v]);
            store(o + v * kLanes, RECTIFY ? relu(value[v]) : value[v]);
        }
    }
}

// The merged sums of columns [col, col + n), from anchor to anchor; col is one. RECTIFY: they are all there is.
template <bool RECTIFY>
inline void follow(const FieldView &field, const GridPlan &plan, const Scratch &s, int64_t col, int n, float *out) {
    const int64_t neurons = field.layers[0].n;  // a multiple of 16
    for (int p = 0; p < n; p += gndc::kAnchor, out += gndc::kAnchor * field.width) {
        int64_t j = 0;
        for (; j + 4 * kLanes <= neurons; j += 4 * kLanes) {
            follow_block<4, RECTIFY>(field, plan, s, col + p, j, out);
        }
        for (; j < neurons; j += kLanes) {
            follow_block<1, RECTIFY>(field, plan, s, col + p, j, out);
        }
    }
}

}  // namespace
#endif
