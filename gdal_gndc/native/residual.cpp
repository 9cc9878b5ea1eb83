#include "residual.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <new>

#include "layout.h"

namespace gndc {
namespace {

float stored(const void *values, int type, int64_t i) {
    if (type == GNDC_INT8) {
        return static_cast<float>(static_cast<const int8_t *>(values)[i]);
    }
    int16_t v;
    std::memcpy(&v, static_cast<const char *>(values) + i * 2, 2);
    return static_cast<float>(v);
}

int fill(gndc_residual &out, const int32_t *deltas, const void *values, int64_t count, int type, float frame_scale,
         const float *band_scales, int64_t n_band_scales, int64_t height, int64_t width, int64_t n_bands,
         char *message) {
    if (band_scales && n_band_scales != 1 && n_band_scales != n_bands) {
        say(message, "residual_info.band_scales has %lld entries, expected 1 or %lld",
            static_cast<long long>(n_band_scales), static_cast<long long>(n_bands));
        return GNDC_ERR_SIZE;
    }
    if (type != GNDC_INT8 && type != GNDC_INT16 && type != GNDC_FLOAT32) {
        say(message, "residual type %d is not known, expected int8, int16 or float32", type);
        return GNDC_ERR_VALUE;
    }
    bool finite = std::isfinite(frame_scale);
    for (int64_t b = 0; band_scales && b < n_band_scales; ++b) {
        finite = finite && std::isfinite(band_scales[b]);
    }
    if (!finite) {
        say(message, "a residual scale is not a finite number");
        return GNDC_ERR_VALUE;
    }
    out.positions.resize(static_cast<size_t>(count));
    out.values.resize(static_cast<size_t>(count));
    out.n_bands = n_bands;
    out.width = width;
    const int64_t end = height * width * n_bands;
    int64_t position = 0;
    for (int64_t i = 0; i < count; ++i) {
        int32_t delta;
        std::memcpy(&delta, reinterpret_cast<const char *>(deltas) + i * 4, 4);
        position += delta;
        if (position < 0 || position >= end || (i > 0 && delta < 1)) {
            say(message, "residual position %lld (entry %lld), expected ascending positions below %lld",
                static_cast<long long>(position), static_cast<long long>(i), static_cast<long long>(end));
            return GNDC_ERR_VALUE;
        }
        float value;
        if (type == GNDC_FLOAT32) {
            std::memcpy(&value, static_cast<const char *>(values) + i * 4, 4);
            if (!std::isfinite(value)) {
                say(message, "the residual at position %lld is not a finite number", static_cast<long long>(position));
                return GNDC_ERR_VALUE;
            }
        } else {
            value = stored(values, type, i);
        }
        const float scale = type == GNDC_FLOAT32 ? 1.0f
                            : band_scales ? band_scales[n_band_scales == 1 ? 0 : position % n_bands] : frame_scale;
        out.positions[static_cast<size_t>(i)] = position;
        out.values[static_cast<size_t>(i)] = value * scale;
    }
    return GNDC_OK;
}

int fill_dense(gndc_residual &out, const void *values, int type, float scale, const gndc_residual *sparse,
               int64_t height, int64_t width, int64_t n_bands, char *message) {
    if (type != GNDC_INT8 && type != GNDC_INT16) {
        say(message, "residual type %d of an in-band stream is not known, expected int8 or int16", type);
        return GNDC_ERR_VALUE;
    }
    if (!std::isfinite(scale)) {
        say(message, "a residual scale is not a finite number");
        return GNDC_ERR_VALUE;
    }
    out.n_bands = n_bands;
    out.width = width;
    const int64_t end = height * width * n_bands;
    const size_t extra = sparse ? sparse->positions.size() : 0;
    size_t next = 0;
    for (int64_t i = 0; i < end; ++i) {
        float value = stored(values, type, i) * scale;
        if (next < extra && sparse->positions[next] == i) {
            value += sparse->values[next++];
        }
        if (value != 0.0f) {
            out.positions.push_back(i);
            out.values.push_back(value);
        }
    }
    return GNDC_OK;
}

}  // namespace
}  // namespace gndc

extern "C" gndc_residual *gndc_residual_dense(const void *values, int type, float scale, const gndc_residual *sparse,
                                              int64_t height, int64_t width, int64_t n_bands, int *status,
                                              char *message) {
    try {
        auto out = std::make_unique<gndc_residual>();
        *status = gndc::fill_dense(*out, values, type, scale, sparse, height, width, n_bands, message);
        return *status == GNDC_OK ? out.release() : nullptr;
    } catch (const std::bad_alloc &) {
        gndc::say(message, "not enough memory for the residuals of a frame");
        *status = GNDC_ERR_MEMORY;
        return nullptr;
    }
}

extern "C" gndc_residual *gndc_residual_new(const int32_t *deltas, const void *values, int64_t count, int type,
                                            float frame_scale, const float *band_scales, int64_t n_band_scales,
                                            int64_t height, int64_t width, int64_t n_bands, int *status,
                                            char *message) {
    try {
        auto out = std::make_unique<gndc_residual>();
        *status = gndc::fill(*out, deltas, values, count, type, frame_scale, band_scales, n_band_scales, height, width,
                             n_bands, message);
        return *status == GNDC_OK ? out.release() : nullptr;
    } catch (const std::bad_alloc &) {
        gndc::say(message, "not enough memory for %lld residuals", static_cast<long long>(count));
        *status = GNDC_ERR_MEMORY;
        return nullptr;
    }
}

extern "C" void gndc_residual_free(gndc_residual *residual) {
    delete residual;
}

extern "C" int64_t gndc_residual_bytes(const gndc_residual *residual) {
    return static_cast<int64_t>(residual->positions.size() * (sizeof(int64_t) + sizeof(float)));
}
