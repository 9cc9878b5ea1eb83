// The numeric core on configurations, weights, residuals and grids of any kind: what it accepts it must evaluate.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "gndc_core.h"
#include "gndc_tangent.h"

namespace {

constexpr int64_t kMostWeights = 1 << 20;

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

// mostly what a file could sensibly hold, now and then anything
int64_t integer(FuzzedDataProvider &data, int64_t low, int64_t high) {
    return data.ConsumeIntegral<uint8_t>() != 255 ? data.ConsumeIntegralInRange<int64_t>(low, high)
                                           : data.ConsumeIntegral<int64_t>();
}

double number(FuzzedDataProvider &data, double low, double high) {
    return data.ConsumeIntegral<uint8_t>() != 255 ? data.ConsumeFloatingPointInRange<double>(low, high)
                                           : data.ConsumeFloatingPoint<double>();
}

gndc_config config_of(FuzzedDataProvider &data) {
    gndc_config c = {};
    c.n_bands = integer(data, 1, 9);
    c.xy_hash_size = integer(data, 1, 14);
    c.xy_base_resolution = integer(data, 1, 64);
    c.xy_n_levels = integer(data, 1, 5);
    c.xy_features_per_level = integer(data, 1, 9);
    c.t_hash_size = integer(data, 1, 14);
    c.t_base_resolution = integer(data, 1, 32);
    c.t_n_levels = integer(data, 1, 4);
    c.t_features_per_level = integer(data, 1, 9);
    c.xy_per_level_scale = number(data, 0.1, 3.0);
    c.t_per_level_scale = number(data, 0.1, 3.0);
    c.spatial_scale = number(data, 0.0, 2.0);
    c.decoder_hidden = integer(data, 1, 80);
    c.n_hidden_layers = integer(data, 1, 5);
    c.disable_temporal = data.ConsumeBool();
    c.block_rows = integer(data, 1, 4);
    c.block_cols = integer(data, 1, 4);
    return c;
}

gndc_tensor tensor_of(FuzzedDataProvider &data, int64_t count, std::vector<uint8_t> &bytes) {
    const int types[] = {GNDC_INT8, GNDC_INT16, GNDC_FLOAT16, GNDC_FLOAT32};
    const int type = data.PickValueInArray(types);
    const std::vector<uint8_t> pattern = data.ConsumeBytes<uint8_t>(64);
    bytes.resize(static_cast<size_t>(count) * (type == GNDC_INT8 ? 1 : type == GNDC_FLOAT32 ? 4 : 2));
    for (size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = pattern.empty() ? 0 : static_cast<uint8_t>(pattern[i % pattern.size()] + i / pattern.size());
    }
    if (type >= GNDC_FLOAT32) {  // no NaN by chance: weights that are refused end the run early
        for (size_t i = 3; i < bytes.size(); i += 4) {
            bytes[i] &= 0xbf;
        }
    }
    return {bytes.data(), count, type, data.ConsumeIntegral<uint8_t>() != 255 ? 100.0f : data.ConsumeFloatingPoint<float>()};
}

gndc_residual *residual_of(FuzzedDataProvider &data, int64_t height, int64_t width, int64_t n_bands) {
    const int64_t count = data.ConsumeIntegralInRange<int64_t>(0, 40);
    std::vector<int32_t> deltas;
    std::vector<int16_t> values(static_cast<size_t>(count) + 1);
    for (int64_t i = 0; i < count; ++i) {
        deltas.push_back(static_cast<int32_t>(integer(data, 0, 200)));
    }
    std::vector<float> scales(static_cast<size_t>(data.ConsumeIntegralInRange<int>(0, 3)), 0.5f);
    int status = GNDC_OK;
    char message[GNDC_MESSAGE] = {};
    gndc_residual *residual = gndc_residual_new(
        deltas.data(), values.data(), count, data.ConsumeBool() ? GNDC_INT16 : GNDC_INT8, data.ConsumeFloatingPoint<float>(),
        scales.empty() ? nullptr : scales.data(), static_cast<int64_t>(scales.size()), height, width, n_bands, &status,
        message);
    require((residual != nullptr) == (status == GNDC_OK) && (status == GNDC_OK || message[0]));
    if (!data.ConsumeBool()) {
        return residual;
    }
    std::vector<int16_t> every(static_cast<size_t>(height * width * n_bands));
    for (size_t i = 0; i < every.size(); ++i) {
        every[i] = static_cast<int16_t>(i % 5) - 2;
    }
    gndc_residual *dense = gndc_residual_dense(every.data(), data.ConsumeBool() ? GNDC_INT16 : GNDC_INT8,
                                               data.ConsumeFloatingPoint<float>(), residual, height, width, n_bands,
                                               &status, message);
    require((dense != nullptr) == (status == GNDC_OK) && (status == GNDC_OK || message[0]));
    gndc_residual_free(residual);
    return dense;
}

// Each instruction set that the machine has, and both precisions, of which "fast" is another one only with avx512.
gndc_precision evaluation_of(FuzzedDataProvider &data) {
    const char *const sets[] = {"generic", "avx2", "avx512", "avx512"};
    if (!gndc_set_isa(sets[data.ConsumeIntegralInRange<size_t>(0, 3)])) {
        require(gndc_set_isa("generic"));
    }
    return data.ConsumeBool() ? GNDC_PRECISION_FAST : GNDC_PRECISION_FLOAT32;
}

void evaluate(FuzzedDataProvider &data, const gndc_field *field, const gndc_config &config, gndc_precision precision) {
    gndc_chunk chunk = {};
    chunk.field = field;
    const int64_t height = data.ConsumeIntegralInRange<int64_t>(1, 40), width = data.ConsumeIntegralInRange<int64_t>(1, 90);
    const int64_t halo = data.ConsumeIntegralInRange<int64_t>(0, 5);
    const int64_t bounds[6] = {0, 3, halo, height + halo, halo, width + halo};
    gndc_cube cube = {};
    cube.n_frames = 3;
    cube.height = height + 2 * halo;
    cube.width = width + 2 * halo;
    cube.overlap = halo;
    cube.n_chunks = 1;
    cube.bounds = bounds;
    std::copy(bounds, bounds + 6, chunk.bounds);
    gndc_stored_extent(&cube, 0, chunk.stored);
    std::vector<float> range;
    for (int64_t i = 0; i < 2 * config.n_bands; ++i) {
        range.push_back(data.ConsumeIntegral<uint8_t>() != 255 ? static_cast<float>(i % 2) : data.ConsumeFloatingPoint<float>());
    }
    chunk.range = range.data();
    chunk.use_log = data.ConsumeBool();
    chunk.norm_mode = data.ConsumeIntegralInRange<int32_t>(-1, 4);
    chunk.norm_mode = data.ConsumeBool() ? 3 : chunk.norm_mode;
    chunk.has_xyz_params = data.ConsumeBool();
    for (double &param : chunk.params) {
        param = number(data, -1.0, 1.0);
    }
    for (double &term : chunk.transform) {
        term = number(data, -10.0, 10.0);
    }
    const bool blends = gndc_blends(&cube);
    std::vector<int32_t> bands;
    for (int64_t i = 0, n = data.ConsumeIntegralInRange<int64_t>(1, 3); i < n; ++i) {
        bands.push_back(static_cast<int32_t>(data.ConsumeIntegralInRange<int64_t>(0, config.n_bands - 1)));
    }
    const int64_t stored_h = chunk.stored[3] - chunk.stored[2], stored_w = chunk.stored[5] - chunk.stored[4];
    const std::vector<uint8_t> mask((static_cast<size_t>(stored_h * stored_w) + 7) / 8,
                                    data.ConsumeIntegral<uint8_t>());
    gndc_residual *residual = data.ConsumeBool() ? residual_of(data, stored_h, stored_w, config.n_bands) : nullptr;

    const int64_t n_rows = data.ConsumeIntegralInRange<int64_t>(1, 12), n_cols = data.ConsumeIntegralInRange<int64_t>(1, 100);
    std::vector<double> rows(static_cast<size_t>(n_rows)), cols(static_cast<size_t>(n_cols));
    const double offset = data.ConsumeFloatingPointInRange<double>(0.0, 1.0) * static_cast<double>(cube.width - 1);
    const double size = data.ConsumeBool() && offset == std::floor(offset) ? static_cast<double>(n_cols)
                                                                          : static_cast<double>(cube.width) - offset;
    gndc_positions(0.0, static_cast<double>(cube.height), n_rows, rows.data());
    gndc_positions(offset, std::min(size, static_cast<double>(cube.width) - offset), n_cols, cols.data());
    const int64_t n_bands = static_cast<int64_t>(bands.size());
    std::vector<float> out(static_cast<size_t>(n_rows * n_cols * n_bands)), weights(static_cast<size_t>(n_rows * n_cols));
    const gndc_grid grid = {n_rows, n_cols, n_bands, rows.data(), cols.data(), bands.data(), out.data(), n_cols * n_bands,
                            n_bands, 1, blends ? weights.data() : nullptr, precision};
    const float t = data.ConsumeFloatingPointInRange<float>(0.0f, 1.0f);
    char message[GNDC_MESSAGE] = {};
    gndc_grid_begin(&grid, NAN);
    const int status = gndc_grid_add(&grid, &chunk, t, gndc_time_weight(&cube, 0, 1.5), data.ConsumeBool() ? mask.data() : nullptr,
                                     residual, 1, message);
    require(status == GNDC_OK || message[0]);
    gndc_grid_end(&grid, NAN);

    const int64_t n_points = std::min(n_rows, n_cols);
    std::vector<float> series_out(static_cast<size_t>(n_points * 3 * n_bands)), series_weights(static_cast<size_t>(n_points * 3));
    const gndc_series series = {n_points, 3, n_bands, rows.data(), cols.data(), bands.data(), series_out.data(),
                                blends ? series_weights.data() : nullptr, precision};
    const float times[3] = {0.0f, t, 1.0f};
    const double time_weights[3] = {1.0, data.ConsumeBool() ? 0.5 : 0.0, 1.0};
    const uint8_t *const masks[3] = {mask.data(), nullptr, mask.data()};
    const gndc_residual *const residuals[3] = {residual, nullptr, residual};
    gndc_series_begin(&series, NAN);
    require((gndc_series_add(&series, &chunk, times, time_weights, masks, residuals, 1, message) == GNDC_OK) ==
            (status == GNDC_OK));
    gndc_series_end(&series, NAN);

    std::vector<float> tangents_out(static_cast<size_t>(4 * n_points * n_bands));
    std::vector<double> sums(static_cast<size_t>(4 * n_points * (n_bands + 1)));
    const gndc_tangents tangents = {n_points, n_bands, rows.data(), cols.data(), bands.data(),
                                    GNDC_BY_COLUMN | GNDC_BY_ROW | GNDC_BY_TIME, tangents_out.data(),
                                    blends ? sums.data() : nullptr};
    gndc_tangents_begin(&tangents, NAN);
    gndc_tangents_add(&tangents, &chunk, t, 1.0, 1.0, 0.0, mask.data(), 1, message);
    gndc_tangents_end(&tangents);
    gndc_residual_free(residual);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    FuzzedDataProvider data(bytes, size);
    const gndc_precision precision = evaluation_of(data);
    const gndc_config config = config_of(data);
    gndc_layout layout = {};
    char message[GNDC_MESSAGE] = {};
    if (gndc_layout_of(&config, &layout, message) != GNDC_OK) {
        require(message[0]);
        return 0;
    }
    const int64_t counts[3] = {layout.spatial_count, layout.temporal_count, layout.decoder_count};
    if (counts[0] + counts[1] + counts[2] > kMostWeights || layout.n_outputs > 4096) {
        return 0;
    }
    std::vector<uint8_t> buffers[3];
    std::vector<gndc_tensor> tensors;
    for (int i = 0; i < 3; ++i) {
        if (i != 1 || !config.disable_temporal) {
            tensors.push_back(tensor_of(data, counts[i], buffers[i]));
        }
    }
    int status = GNDC_OK;
    gndc_field *field = gndc_field_new(&config, tensors.data(), static_cast<int>(tensors.size()), &status, message);
    require((field != nullptr) == (status == GNDC_OK));
    if (field) {
        evaluate(data, field, config, precision);
        gndc_field_free(field);
    }
    return 0;
}
