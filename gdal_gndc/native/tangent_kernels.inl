// Forward mode through one field: every quantity is carried with its derivatives by the network's coordinates. Values
// are computed in the order of kernels.inl (time, then y, then x; inputs of a neuron ascending).

#include <cmath>
#include <cstdint>

#include "simd.h"
#include "table.inl"
#include "tangent_kernels.h"

namespace {

using gndc::FieldView;
using gndc::Grid;
using gndc::kTangentTile;
using gndc::Level;
using gndc::TangentScratch;

constexpr uint32_t kPrimeY = 2654435761u;
constexpr uint32_t kPrimeZ = 805459861u;

// ---- hash grids --------------------------------------------------------------------------------------------------

struct Place {
    int64_t cell;
    float fraction;
};

inline Place place(float p, const Level &level) {
    const float s = p * level.scale + 0.5f;
    const float g = std::floor(s);
    return {static_cast<int64_t>(g), s - g};
}

inline int64_t vertex(const Level &level, int64_t x, int64_t y, int64_t z) {
    const uint32_t ux = static_cast<uint32_t>(x), uy = static_cast<uint32_t>(y), uz = static_cast<uint32_t>(z);
    if (level.hashed) {
        return (ux ^ uy * kPrimeY ^ uz * kPrimeZ) & static_cast<uint32_t>(level.entries - 1);
    }
    const uint32_t n = static_cast<uint32_t>(level.resolution);
    return (ux + uy * n + uz * n * n) % static_cast<uint32_t>(level.allocated);
}

// Where a tile's features and their derivatives go: a stream that was not asked for has a null pointer.
struct Streams {
    float *value, *dx, *dy, *dt;
};

inline float *advance(float *p, int64_t by) {
    return p ? p + by : nullptr;
}

template <typename V>
inline void put(float *p, V v, float slope) {
    if (p) {
        store<V>(p, v * splat<V>(slope));
    }
}

// Features [first, first + F) of one sample in one level. sx, sy, st: slopes of the grid coordinates.
template <int F, int DIM, typename T>
inline void interpolate(const Level &level, const T &table, int64_t features, int64_t first, Place x, Place y,
                        Place t, float sx, float sy, float st, const Streams &out) {
    using V = typename VecOf<F>::type;
    const V fx = splat<V>(x.fraction), fy = splat<V>(y.fraction), ft = splat<V>(t.fraction);
    auto at = [&](int64_t i, int64_t j, int64_t k) {
        const int64_t here = vertex(level, x.cell + i, y.cell + j, DIM == 3 ? t.cell + k : 0);
        return table.template get<V>(here * features + first);
    };
    V corner[2][2], rise[2][2];
    for (int i = 0; i < 2; ++i) {
        for (int j = 0; j < 2; ++j) {
            const V low = at(i, j, 0);
            if (DIM == 3) {
                const V high = at(i, j, 1);
                corner[i][j] = lerp<V>(low, high, ft);
                rise[i][j] = high - low;
            } else {
                corner[i][j] = low;
            }
        }
    }
    const V left = lerp<V>(corner[0][0], corner[0][1], fy), right = lerp<V>(corner[1][0], corner[1][1], fy);
    store<V>(out.value + first, lerp<V>(left, right, fx));
    put<V>(advance(out.dx, first), right - left, sx);
    put<V>(advance(out.dy, first), lerp<V>(corner[0][1] - corner[0][0], corner[1][1] - corner[1][0], fx), sy);
    if (DIM == 3) {
        put<V>(advance(out.dt, first),
               lerp<V>(lerp<V>(rise[0][0], rise[0][1], fy), lerp<V>(rise[1][0], rise[1][1], fy), fx), st);
    }
}

template <int F, int DIM, typename T>
inline void level_features(const Level &level, const T &table, int64_t features, int n, const float *x,
                           const float *y, const float *t, float scale, int64_t stride, Streams out) {
    const float slope = level.scale * scale;
    for (int p = 0; p < n; ++p) {
        const Place px = place(x[p] * scale, level), py = place(y[p] * scale, level);
        const Place pt = DIM == 3 ? place(t[p], level) : Place{0, 0.0f};
        for (int64_t first = 0; first < features; first += F) {
            interpolate<F, DIM>(level, table, features, first, px, py, pt, slope, slope, level.scale, out);
        }
        out = {out.value + stride, advance(out.dx, stride), advance(out.dy, stride), advance(out.dt, stride)};
    }
}

template <int DIM, typename T>
inline void grid_features(const Grid &grid, const T &tables, int n, const float *x, const float *y, const float *t,
                          float scale, int64_t stride, Streams out) {
    for (int l = 0; l < grid.n_levels; ++l) {
        const Level &level = grid.levels[l];
        const T table = tables.from(level.offset);
        const int64_t at = static_cast<int64_t>(l) * grid.features;
        const Streams here = {out.value + at, advance(out.dx, at), advance(out.dy, at), advance(out.dt, at)};
        if (grid.features % 8 == 0) {
            level_features<8, DIM>(level, table, grid.features, n, x, y, t, scale, stride, here);
        } else if (grid.features % 4 == 0) {
            level_features<4, DIM>(level, table, grid.features, n, x, y, t, scale, stride, here);
        } else if (grid.features % 2 == 0) {
            level_features<2, DIM>(level, table, grid.features, n, x, y, t, scale, stride, here);
        } else {
            level_features<1, DIM>(level, table, grid.features, n, x, y, t, scale, stride, here);
        }
    }
}

// ---- decoder -----------------------------------------------------------------------------------------------------

// out[p][j] = sum over k of in[p][k] * w[k][j], for NV vectors of neurons and R rows at once
template <int NV, int R>
inline void dense_block(const float *in, int64_t ld_in, const float *w, int64_t ldw, int64_t k_count, float *out,
                        int64_t ld_out, int count) {
    for (int p = 0; p < count; p += R) {
        Vec acc[R][NV] = {};
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
                const Vec value = splat<Vec>(a[r * ld_in + k]);
#pragma GCC unroll 4
                for (int v = 0; v < NV; ++v) {
                    acc[r][v] = fma(value, wv[v], acc[r][v]);
                }
            }
        }
        for (int r = 0; r < R; ++r) {
            for (int v = 0; v < NV; ++v) {
                store(out + (p + r) * ld_out + v * kLanes, acc[r][v]);
            }
        }
    }
}

// count is a multiple of 24, n of 16
inline void dense(const float *in, int64_t ld_in, const gndc::Layer &layer, float *out, int64_t ld_out, int count) {
    const int64_t n = layer.n;
    int64_t j = 0;
#if defined(__AVX512F__)
    for (; j + 64 <= n; j += 64) {
        dense_block<4, 6>(in, ld_in, layer.weights + j, n, layer.k, out + j, ld_out, count);
    }
    for (; j < n; j += 16) {
        dense_block<1, 12>(in, ld_in, layer.weights + j, n, layer.k, out + j, ld_out, count);
    }
#else
    for (; j < n; j += 2 * kLanes) {
        dense_block<2, 6>(in, ld_in, layer.weights + j, n, layer.k, out + j, ld_out, count);
    }
#endif
}

// ReLU of the values; derivatives pass where the value does.
inline void rectify(float *rows, int64_t width, int64_t n, int streams) {
    for (int p = 0; p < kTangentTile; ++p) {
        float *value = rows + p * width;
        for (int64_t j = 0; j < n; j += kLanes) {
            const Vec v = load<Vec>(value + j);
            for (int s = 1; s < streams; ++s) {
                float *d = value + s * kTangentTile * width + j;
                store(d, v > Vec{} ? load<Vec>(d) : Vec{});
            }
            store(value + j, relu(v));
        }
    }
}

void tangents(const FieldView &field, int n, int coordinates, const float *x, const float *y, const float *t,
              TangentScratch &s) {
    const int64_t stride = field.layout.n_inputs_padded;
    Streams out{s.features, nullptr, nullptr, nullptr};
    int streams = 1;
    float **targets[3] = {&out.dx, &out.dy, &out.dt};
    for (int c = 0; c < 3; ++c) {
        if (coordinates >> c & 1) {
            *targets[c] = s.features + streams * kTangentTile * stride;
            ++streams;
        }
    }
    // inputs that do not depend on a coordinate, and the constant ones, have derivative 0
    __builtin_memset(s.features + kTangentTile * stride, 0,
                     static_cast<size_t>((streams - 1) * kTangentTile * stride) * sizeof(float));
    with_table(field.spatial, 0, [&](const auto &tables) {
        grid_features<2>(field.layout.spatial, tables, n, x, y, t, 1.0f, stride, out);
    });
    const int64_t at = static_cast<int64_t>(field.layout.spatial.n_levels) * field.layout.spatial.features;
    const Streams temporal = {out.value + at, advance(out.dx, at), advance(out.dy, at), advance(out.dt, at)};
    with_table(field.temporal, 0, [&](const auto &tables) {
        grid_features<3>(field.layout.temporal, tables, n, x, y, t, field.layout.spatial_scale, stride, temporal);
    });
    for (int p = 0; p < kTangentTile; ++p) {
        for (int64_t k = field.layout.n_inputs; k < stride; ++k) {
            s.features[p * stride + k] = 1.0f;
        }
    }
    const int count = streams * kTangentTile, last = field.n_matrices - 1;
    const float *in = s.features;
    int64_t ld_in = stride;
    for (int l = 0; l < last; ++l) {
        float *hidden = s.hidden[l & 1];
        dense(in, ld_in, field.layers[l], hidden, field.width, count);
        rectify(hidden, field.width, field.layers[l].n, streams);
        in = hidden;
        ld_in = field.width;
    }
    dense(in, ld_in, field.layers[last], s.raw, field.layers[last].n, count);
}

}  // namespace
