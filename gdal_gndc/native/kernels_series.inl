// Points over many times: all dates of a level together. Part of kernels.inl.
#ifndef GNDC_KERNELS_SERIES_INL
#define GNDC_KERNELS_SERIES_INL

#include <cmath>
#include <cstdint>

#include "kernels.h"
#include "kernels_decoder.inl"
#include "kernels_hash.inl"
#include "simd.h"

namespace {

using gndc::FieldView;
using gndc::Grid;
using gndc::Level;
using gndc::Scratch;
using gndc::SeriesSink;

// Asks for the vertices of n points in one level.
template <typename W, typename T>
inline void fetch_spatial(const Level &level, const W &table, int64_t features, int n, const T *x, const T *y) {
    for (int p = 0; p < n; ++p) {
        const Place px = place(x[p], level), py = place(y[p], level);
        for (int k = 0; k < 4; ++k) {
            const uint32_t row = row_key(level, py.cell + (k >> 1), 0);
            table.fetch(vertex(level, row, px.cell + (k & 1)) * features);
        }
    }
}

template <typename T>
void spatial_features(const FieldView &field, int n, const T *x, const T *y, float *features, int64_t stride) {
    const Grid &grid = field.layout.spatial;
    const auto interpolate = [&](auto fixed, const auto &tables) {
        constexpr int F = decltype(fixed)::value;
        const int ahead = n < 8 ? grid.n_levels : 1;  // levels, whose lines are on their way
        int fetched = 0;
        for (int l = 0; l < grid.n_levels; ++l) {
            for (; fetched < grid.n_levels && fetched <= l + ahead; ++fetched) {
                const Level &next = grid.levels[fetched];
                fetch_spatial(next, tables.from(next.offset), F ? F : grid.features, n, x, y);
            }
            const Level &level = grid.levels[l];
            const auto table = tables.from(level.offset);
            float *out = features + l * grid.features;
            for (int p = 0; p < n; ++p) {
                const Place px = place(x[p], level), py = place(y[p], level);
                interpolate2<F>(level, table, grid.features, row_key(level, py.cell, 0),
                                row_key(level, py.cell + 1, 0), px, py.fraction, out + p * stride);
            }
        }
    };
    with_features(grid.features, [&](auto fixed) {
        with_table(field.spatial, 0, [&](const auto &tables) { interpolate(fixed, tables); });
    });
}

// Where one level's eight vertices of each date lie, and how far between them the date is.
struct Places {
    int64_t offset;  // of the level in its tables
    uint32_t vertex[8][gndc::kTile];  // bit 0 of the first index: x + 1, bit 1: y + 1, bit 2: t + 1
    float ft[gndc::kTile];
    float fx, fy;
    bool apart;  // neighbours along x do not share a cache line
};

// Finds the vertices of a point at m dates.
inline void find_places(const Level &level, int bytes, double x, double y, const float *t, int m, Places &out) {
    const Place px = place(x, level), py = place(y, level);
    out.offset = level.offset;
    out.fx = px.fraction;
    out.fy = py.fraction;
    const uint32_t next = row_key(level, 0, 1), mask = static_cast<uint32_t>(level.entries - 1);
    uint32_t key[gndc::kTile];
    for (int i = 0; i < m; ++i) {
        const float s = t[i] * level.scale + 0.5f, g = std::floor(s);
        key[i] = static_cast<uint32_t>(static_cast<int64_t>(g)) * next;
        out.ft[i] = s - g;
    }
    out.apart = bytes >= 64 || (px.cell + 1) % (64 / bytes) == 0 || !level.hashed;
    for (int k = 0; k < 8; ++k) {
        const uint32_t ux = static_cast<uint32_t>(px.cell + (k & 1));
        const uint32_t row = row_key(level, py.cell + (k >> 1 & 1), 0), up = k >> 2 ? next : 0;
        uint32_t *vertex = out.vertex[k];
        if (level.hashed) {
            const uint32_t here = row ^ ux;
            for (int i = 0; i < m; ++i) {
                vertex[i] = (here ^ (key[i] + up)) & mask;
            }
        } else {
            const uint32_t here = row + ux + up, allocated = static_cast<uint32_t>(level.allocated);
            uint32_t most = 0;
            for (int i = 0; i < m; ++i) {
                vertex[i] = here + key[i];
                most = vertex[i] > most ? vertex[i] : most;
            }
            for (int i = 0; i < m && most >= allocated; ++i) {
                vertex[i] = vertex[i] < allocated ? vertex[i] : vertex[i] % allocated;
            }
        }
    }
}

// Asks for the vertices of date i.
template <typename T>
inline void fetch(const T &table, const Places &at, int64_t features, int i) {
    for (int k = 0; k < 8; k += 2) {
        table.fetch(at.offset + at.vertex[k][i] * features);
    }
    for (int k = 1; k < 8 && at.apart; k += 2) {
        table.fetch(at.offset + at.vertex[k][i] * features);
    }
}

// Features of a level at its places, in the order of interpolate3; meanwhile `next` is fetched, if there is one.
template <int F, typename T>
inline void interpolate_places(const T &tables, const Places &at, const Places *next, int n, int m, float *out,
                               int64_t stride) {
    const T table = tables.from(at.offset);
    constexpr int kF = F ? F : kMaxFeatures;
    const int64_t f = F ? F : n;
    for (int i = 0; i < m; ++i, out += stride) {
        if (next) {
            fetch(tables, *next, f, i);
        }
        float low[kF], high[kF], left[kF], right[kF];
        const auto mix_time = [&](int k, float *to) {
            Features<F>::mix(table, at.vertex[k][i] * f, at.vertex[k + 4][i] * f, at.ft[i], to, n);
        };
        mix_time(0, low);
        mix_time(2, high);
        Features<F>::mix(low, high, at.fy, left, n);
        mix_time(1, low);
        mix_time(3, high);
        Features<F>::mix(low, high, at.fy, right, n);
        Features<F>::mix(left, right, at.fx, out, n);
    }
}

// Features of the temporal branch of one point at m dates.
inline void series_features(const FieldView &field, double x, double y, const float *t, int m, float *features,
                            int64_t stride) {
    const Grid &grid = field.layout.temporal;
    Places places[2];
    const int vertex_bytes = grid.features * (field.temporal.bytes ? 1 : 4);
    const auto find = [&](int l) { find_places(grid.levels[l], vertex_bytes, x, y, t, m, places[l % 2]); };
    if (grid.n_levels > 0) {
        find(0);
    }
    const auto interpolate = [&](auto fixed, const auto &tables) {
        constexpr int F = decltype(fixed)::value;
        for (int l = 0; l < grid.n_levels; ++l) {
            const bool more = l + 1 < grid.n_levels;
            if (more) {
                find(l + 1);
            }
            interpolate_places<F>(tables, places[l % 2], more ? &places[(l + 1) % 2] : nullptr, grid.features, m,
                                  features + l * grid.features, stride);
        }
    };
    with_features(grid.features, [&](auto fixed) {
        with_table(field.temporal, 0, [&](const auto &tables) { interpolate(fixed, tables); });
    });
}

void series(const FieldView &field, int64_t n_points, const double *x, const double *y, int64_t n_times, const float *t,
            Scratch &s, SeriesSink sink, void *context) {
    const Grid &spatial = field.layout.spatial;
    const int64_t stride = field.layout.n_inputs_padded;
    const int64_t n_spatial = static_cast<int64_t>(spatial.n_levels) * spatial.features;
    const int64_t n_rest = stride - n_spatial;  // temporal features and the constant inputs
    const double scale = field.layout.spatial_scale;
    const gndc::Layer &first = field.layers[0];
    for (int64_t base = 0; base < n_points; base += s.tile) {
        const int n = static_cast<int>(n_points - base < s.tile ? n_points - base : s.tile);
        // the spatial branch's share of the first layer, once per point
        spatial_features(field, n, x + base, y + base, s.features, stride);
        const int few = first.n % 64 == 0 ? (n + 5) / 6 * 6 : padded(n);  // what the block for 64 neurons takes
        dense<false, false>(s.features, stride, first.weights, n_spatial, first.n, s.partial, field.width, few);
        set_ones(field, s.tile, s.features, stride, field.layout.n_inputs - n_spatial);
        for (int p = 0; p < n; ++p) {
            const double px = x[base + p] * scale, py = y[base + p] * scale;
            for (int64_t t0 = 0; t0 < n_times; t0 += s.tile) {
                const int m = static_cast<int>(n_times - t0 < s.tile ? n_times - t0 : s.tile);
                series_features(field, px, py, t + t0, m, s.features, stride);
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
#endif
