#include "train_model.h"

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "memory.h"

namespace gndc {

void FreeDeleter::operator()(float *p) const {
    std::free(p);
}

Floats make_floats(int64_t n) {
    const size_t wanted = (static_cast<size_t>(n) * sizeof(float) + 127) / 64 * 64;
    size_t bytes;
    float *p = static_cast<float *>(allocate_aligned(wanted, &bytes));
    std::memset(p, 0, bytes);
    return Floats(p);
}

void Parameters::allocate(int64_t n) {
    // Adam goes through all five at once. At the same place in a page each, a read from one would wait for writes to
    // the others, which the machine tells apart by the place in the page; so they lie a fifth of one apart.
    constexpr int64_t kPage = 1024, kApart = 208;
    const int64_t spacing = (n + kPage - 1) / kPage * kPage + kApart;
    count = n;
    room_ = make_floats(5 * spacing);
    float *next = room_.get();
    for (float **array : {&w, &rounded, &g, &m, &v}) {
        *array = next;
        next += spacing;
    }
}

namespace {

int padded(int64_t n) {
    return static_cast<int>((n + kPad - 1) / kPad * kPad);
}

void add_levels(std::vector<TrainLevel> &levels, const Grid &grid, int64_t start, float spatial_scale) {
    for (int l = 0; l < grid.n_levels; ++l) {
        const Level &level = grid.levels[l];
        TrainLevel out{};
        out.dim = grid.dim;
        out.features = grid.features;
        out.resolution = static_cast<uint32_t>(level.resolution);
        out.modulus = static_cast<uint32_t>(level.hashed ? level.entries : level.allocated);
        out.scale = level.scale;
        out.hashed = level.hashed;
        out.wraps_once = grid.dim == 2 || (spatial_scale >= 0.0f && spatial_scale <= 1.0f);
        out.offset = start + level.offset;
        levels.push_back(out);
    }
}

}  // namespace

Model::Model(const gndc_config &config, const Layout &full) : layout(full) {
    const float spatial_scale = static_cast<float>(config.spatial_scale);
    add_levels(levels, layout.spatial, 0, 1.0f);
    temporal_start = padded(layout.spatial.count);
    add_levels(levels, layout.temporal, temporal_start, spatial_scale);
    tables.allocate(temporal_start + padded(layout.temporal.count));
    n_features = static_cast<int>(layout.n_inputs);
    width = padded(layout.n_inputs_padded);
    widest = width;
    int64_t offset = 0;
    const int n_matrices = static_cast<int>(layout.n_layers) + 1;
    for (int l = 0; l < n_matrices; ++l) {
        Matrix matrix{};
        matrix.inputs = static_cast<int>(l == 0 ? layout.n_inputs_padded : layout.hidden);
        matrix.outputs = static_cast<int>(l + 1 == n_matrices ? layout.n_outputs_padded : layout.hidden);
        matrix.rows = padded(matrix.inputs);
        matrix.columns = padded(matrix.outputs);
        matrix.offset = offset;
        offset += static_cast<int64_t>(matrix.rows) * matrix.columns;
        widest = matrix.columns > widest ? matrix.columns : widest;
        matrices.push_back(matrix);
    }
    decoder.allocate(offset);
    transposed = make_floats(offset);
}

int Model::column_of(size_t level) const {
    const size_t n_spatial = static_cast<size_t>(layout.spatial.n_levels);
    return static_cast<int>(level < n_spatial ? level * static_cast<size_t>(layout.spatial.features)
                                              : n_spatial * static_cast<size_t>(layout.spatial.features) +
                                                    (level - n_spatial) *
                                                        static_cast<size_t>(layout.temporal.features));
}

void Model::start(uint64_t seed, double table_init) {
    const uint64_t key = mix(seed ^ 0x7461626c6573u);
    const float span = static_cast<float>(table_init);
    for (uint32_t block : blocks) {
        for (int64_t i = static_cast<int64_t>(block) * kPad, end = i + kPad; i < end; ++i) {
            tables.w[i] = span * (2.0f * uniform(mix(key + static_cast<uint64_t>(i))) - 1.0f);
        }
    }
    const uint64_t decoder_key = mix(seed ^ 0x6465636f646572u);
    uint64_t counter = 0;
    for (const Matrix &matrix : matrices) {
        const bool last = &matrix == &matrices.back();
        // He et al. 2015 for the rectified layers, half the variance for the linear one
        const float bound = std::sqrt((last ? 3.0f : 6.0f) / static_cast<float>(matrix.inputs));
        const int used = last ? static_cast<int>(layout.n_outputs) : matrix.outputs;
        for (int k = 0; k < matrix.inputs; ++k) {
            for (int j = 0; j < used; ++j) {
                decoder.w[matrix.offset + static_cast<int64_t>(k) * matrix.columns + j] =
                    bound * (2.0f * uniform(mix(decoder_key + counter++)) - 1.0f);
            }
        }
    }
}

int64_t Model::component_count(int component) const {
    return component == 0   ? layout.spatial.count
           : component == 1 ? layout.temporal.count
           : component == 2 ? layout.decoder_count
                            : -1;
}

void Model::export_component(int component, const float *table_values, const float *decoder_values,
                             float *out) const {
    if (component < 2) {
        const int64_t start = component == 0 ? 0 : temporal_start;
        std::memcpy(out, table_values + start, static_cast<size_t>(component_count(component)) * sizeof(float));
        return;
    }
    for (const Matrix &matrix : matrices) {
        const float *from = decoder_values + matrix.offset;
        for (int j = 0; j < matrix.outputs; ++j) {
            for (int k = 0; k < matrix.inputs; ++k) {
                *out++ = from[static_cast<int64_t>(k) * matrix.columns + j];
            }
        }
    }
}

void Model::import_component(int component, const float *weights) {
    if (component < 2) {
        const int64_t start = component == 0 ? 0 : temporal_start;
        std::memcpy(tables.w + start, weights, static_cast<size_t>(component_count(component)) * sizeof(float));
        return;
    }
    for (const Matrix &matrix : matrices) {
        float *to = decoder.w + matrix.offset;
        for (int j = 0; j < matrix.outputs; ++j) {
            for (int k = 0; k < matrix.inputs; ++k) {
                to[static_cast<int64_t>(k) * matrix.columns + j] = *weights++;
            }
        }
    }
}

void Model::round(const TrainKernels &kernels, const gndc_train_options &options, bool on) {
    auto tables_of = [&](int64_t start, int64_t n, double scale) {
        const Rounding how = on && scale > 0 ? Rounding::steps : Rounding::none;
        kernels.round(how, static_cast<float>(scale), n, tables.w + start, tables.rounded + start);
    };
    tables_of(0, temporal_start, options.spatial_scale);
    tables_of(temporal_start, tables.count - temporal_start, options.temporal_scale);
    const double scale = options.decoder_scale;
    const Rounding how = !on || scale == 0 ? Rounding::none : scale < 0 ? Rounding::half : Rounding::steps;
    kernels.round(how, static_cast<float>(scale), decoder.count, decoder.w, decoder.rounded);
    for (const Matrix &matrix : matrices) {
        kernels.transpose(decoder.rounded + matrix.offset, matrix.rows, matrix.columns,
                          transposed.get() + matrix.offset, matrix.rows);
    }
}

void mark_reachable(Model &model, const Samples &samples, const TrainKernels &kernels, double time_jitter) {
    const int64_t n = samples.positions();
    const int64_t frame = samples.data().height * samples.data().width;
    std::vector<bool> marked(static_cast<size_t>(model.tables.count / kPad));
    TileCoordinates tile{};
    auto corners = std::make_unique<Corners>();
    auto flush = [&](int filled, int dim) {
        for (int p = filled; p < kTile; ++p) {  // repeat the last place, so that empty ones mark nothing
            tile.x[p] = tile.x[filled - 1], tile.y[p] = tile.y[filled - 1], tile.t[p] = tile.t[filled - 1];
            tile.xs[p] = tile.xs[filled - 1], tile.ys[p] = tile.ys[filled - 1];
        }
        for (const TrainLevel &level : model.levels) {
            if (level.dim != dim) {
                continue;
            }
            kernels.corners(level, dim == 2 ? tile.x : tile.xs, dim == 2 ? tile.y : tile.ys, tile.t, corners.get());
            for (int k = 0; k < corners->count; ++k) {
                for (int p = 0; p < kTile; ++p) {
                    const int64_t first = level.offset + static_cast<int64_t>(corners->index[k][p]) * level.features;
                    for (int64_t b = first / kPad; b <= (first + corners->run * level.features - 1) / kPad; ++b) {
                        marked[static_cast<size_t>(b)] = true;
                    }
                }
            }
        }
    };
    std::vector<bool> pixels(static_cast<size_t>(frame));
    int filled = 0;
    for (int64_t i = 0; i < n; ++i) {
        if (!samples.has_data(i)) {
            continue;
        }
        pixels[static_cast<size_t>(i % frame)] = true;
        for (int side = -1; side <= 1; side += time_jitter > 0 ? 1 : 3) {
            samples.place(i, &tile, filled);
            if (time_jitter > 0) {
                const float moved = tile.t[filled] + static_cast<float>(side * time_jitter);
                tile.t[filled] = moved < 0.0f ? 0.0f : moved > 1.0f ? 1.0f : moved;
            }
            if (++filled == kTile) {
                flush(filled, 3);
                filled = 0;
            }
        }
    }
    if (filled) {
        flush(filled, 3);
        filled = 0;
    }
    for (int64_t i = 0; i < frame; ++i) {
        if (!pixels[static_cast<size_t>(i)]) {
            continue;
        }
        samples.place(i, &tile, filled);
        if (++filled == kTile) {
            flush(filled, 2);
            filled = 0;
        }
    }
    if (filled) {
        flush(filled, 2);
    }
    model.blocks.clear();
    for (size_t i = 0; i < marked.size(); ++i) {
        if (marked[i]) {
            model.blocks.push_back(static_cast<uint32_t>(i));
        }
    }
}

}  // namespace gndc
