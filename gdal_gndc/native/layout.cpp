#include "layout.h"

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <limits>

namespace gndc {

void say(char *message, const char *format, ...) {
    if (!message) {
        return;
    }
    va_list args;
    va_start(args, format);
    std::vsnprintf(message, GNDC_MESSAGE, format, args);
    va_end(args);
}

namespace {

constexpr int64_t kMaxWeights = int64_t{1} << 36;

bool within(int64_t value, int64_t low, int64_t high, const char *name, char *message) {
    if (value >= low && value <= high) {
        return true;
    }
    say(message, "model_config.%s is %lld, expected %lld to %lld", name, static_cast<long long>(value),
        static_cast<long long>(low), static_cast<long long>(high));
    return false;
}

struct GridConfig {
    const char *prefix;
    int dim;
    int64_t hash_size, base_resolution, n_levels, features;
    double per_level_scale;
};

int make_grid(const GridConfig &config, Grid &grid, char *message) {
    char name[48];
    auto named = [&](const char *field) {
        std::snprintf(name, sizeof name, "%s_%s", config.prefix, field);
        return name;
    };
    if (!within(config.n_levels, 1, kMaxLevels, named("n_levels"), message) ||
        !within(config.hash_size, 1, 31, named("hash_size"), message) ||
        !within(config.base_resolution, 1, 1 << 24, named("base_resolution"), message) ||
        !within(config.features, 1, 64, named("features_per_level"), message)) {
        return GNDC_ERR_CONFIG;
    }
    const float growth = static_cast<float>(config.per_level_scale);
    if (!(growth > 0.0f) || !(growth < 1e6f)) {
        say(message, "model_config.%s is %g, expected a positive number", named("per_level_scale"),
            config.per_level_scale);
        return GNDC_ERR_CONFIG;
    }
    grid.dim = config.dim;
    grid.n_levels = static_cast<int>(config.n_levels);
    grid.features = static_cast<int>(config.features);
    // float32 throughout, log2 and exp2 correctly rounded: computed in double and rounded once
    const float log2_growth = static_cast<float>(std::log2(static_cast<double>(growth)));
    int64_t offset = 0;
    for (int l = 0; l < grid.n_levels; ++l) {
        const float exponent = static_cast<float>(l) * log2_growth;
        const float raw = static_cast<float>(std::exp2(static_cast<double>(exponent))) *
                          static_cast<float>(config.base_resolution);
        if (!(raw > 0.0f) || !(raw < 1073741824.0f)) {
            say(message, "model_config.%s: level %d has a resolution of %g, expected one below 2^30",
                named("per_level_scale"), l, static_cast<double>(raw));
            return GNDC_ERR_CONFIG;
        }
        Level &level = grid.levels[l];
        level.resolution = static_cast<int64_t>(std::ceil(raw));
        level.scale = raw - 1.0f;
        const int64_t limit = int64_t{1} << config.hash_size;
        int64_t full = level.resolution;
        for (int d = 1; d < config.dim && full <= limit; ++d) {
            full *= level.resolution;  // both at most 2^31, no overflow
        }
        level.hashed = limit < full;
        level.entries = level.hashed ? limit : full;
        level.allocated = (level.entries + 7) / 8 * 8;
        level.offset = offset;
        offset += level.allocated * config.features;
        if (offset > kMaxWeights) {
            say(message, "the %s grid needs more than 2^36 weights", config.prefix);
            return GNDC_ERR_CONFIG;
        }
    }
    grid.count = offset;
    return GNDC_OK;
}

}  // namespace

int make_layout(const gndc_config &c, Layout &out, char *message) {
    if (!within(c.n_bands, 1, 4096, "n_bands", message) ||
        !within(c.decoder_hidden, 1, 4096, "decoder_hidden", message) ||
        !within(c.n_hidden_layers, 1, kMaxLayers, "n_hidden_layers", message) ||
        !within(c.block_rows, 1, 256, "block_size[0]", message) ||
        !within(c.block_cols, 1, 256, "block_size[1]", message)) {
        return GNDC_ERR_CONFIG;
    }
    if (!(std::fabs(c.spatial_scale) <= 1e3)) {
        say(message, "model_config.spatial_scale is %g, expected a finite number", c.spatial_scale);
        return GNDC_ERR_CONFIG;
    }
    int status = make_grid({"xy", 2, c.xy_hash_size, c.xy_base_resolution, c.xy_n_levels, c.xy_features_per_level,
                            c.xy_per_level_scale},
                           out.spatial, message);
    if (status != GNDC_OK) {
        return status;
    }
    out.temporal = Grid{};
    if (!c.disable_temporal) {
        status = make_grid({"t", 3, c.t_hash_size, c.t_base_resolution, c.t_n_levels, c.t_features_per_level,
                            c.t_per_level_scale},
                           out.temporal, message);
        if (status != GNDC_OK) {
            return status;
        }
    }
    auto pad16 = [](int64_t n) { return (n + 15) / 16 * 16; };
    out.n_bands = c.n_bands;
    out.block_rows = c.block_rows;
    out.block_cols = c.block_cols;
    out.spatial_scale = static_cast<float>(c.spatial_scale);
    out.hidden = c.decoder_hidden;
    out.n_layers = c.n_hidden_layers;
    out.n_inputs = static_cast<int64_t>(out.spatial.n_levels) * out.spatial.features +
                   static_cast<int64_t>(out.temporal.n_levels) * out.temporal.features;
    out.n_inputs_padded = pad16(out.n_inputs);
    out.n_outputs = c.n_bands * c.block_rows * c.block_cols;
    if (out.n_outputs > (1 << 20)) {
        say(message, "n_bands x block_size is %lld outputs, expected at most 2^20",
            static_cast<long long>(out.n_outputs));
        return GNDC_ERR_CONFIG;
    }
    out.n_outputs_padded = pad16(out.n_outputs);
    out.decoder_count = out.hidden * out.n_inputs_padded + (out.n_layers - 1) * out.hidden * out.hidden +
                        out.n_outputs_padded * out.hidden;
    return GNDC_OK;
}

}  // namespace gndc

extern "C" int gndc_layout_of(const gndc_config *config, gndc_layout *layout, char *message) {
    gndc::Layout full;
    const int status = gndc::make_layout(*config, full, message);
    if (status != GNDC_OK) {
        return status;
    }
    *layout = {full.spatial.count, full.temporal.count, full.decoder_count,   full.n_inputs,
               full.n_inputs_padded, full.n_outputs,    full.n_outputs_padded};
    return GNDC_OK;
}

extern "C" int gndc_level_of(const gndc_config *config, int temporal, int level, gndc_level *out, char *message) {
    gndc::Layout full;
    const int status = gndc::make_layout(*config, full, message);
    if (status != GNDC_OK) {
        return status;
    }
    const gndc::Grid &grid = temporal ? full.temporal : full.spatial;
    if (level < 0 || level >= grid.n_levels) {
        gndc::say(message, "level %d of a grid of %d levels", level, grid.n_levels);
        return GNDC_ERR_VALUE;
    }
    const gndc::Level &l = grid.levels[level];
    *out = {l.resolution, l.entries, l.allocated, l.offset, l.scale, l.hashed ? 1 : 0};
    return GNDC_OK;
}
