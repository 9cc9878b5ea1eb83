#include "field.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "kernels.h"
#include "memory.h"
#include "scratch.h"
#include "threads.h"

namespace gndc {
namespace {

float half_to_float(uint16_t h) {
    const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
    uint32_t exponent = (h >> 10) & 31u, mantissa = h & 0x3ffu;
    uint32_t bits;
    if (exponent == 31) {
        bits = sign | 0x7f800000u | (mantissa << 13);
    } else if (exponent != 0) {
        bits = sign | ((exponent + 112) << 23) | (mantissa << 13);
    } else if (mantissa == 0) {
        bits = sign;
    } else {  // subnormal half: normalise
        int shift = 0;
        while (!(mantissa & 0x400u)) {
            mantissa <<= 1;
            ++shift;
        }
        bits = sign | (static_cast<uint32_t>(113 - shift) << 23) | ((mantissa & 0x3ffu) << 13);
    }
    float f;
    std::memcpy(&f, &bits, sizeof f);
    return f;
}

template <typename T>
T load_at(const void *data, int64_t i) {
    T v;
    std::memcpy(&v, static_cast<const char *>(data) + i * static_cast<int64_t>(sizeof(T)), sizeof v);
    return v;
}

int dequantise(const gndc_tensor &tensor, const char *name, float *out, char *message) {
    const bool integer = tensor.type == GNDC_INT8 || tensor.type == GNDC_INT16;
    if (integer && (!(tensor.scale != 0.0f) || !std::isfinite(tensor.scale))) {
        say(message, "the scale of the %s weights is %g, expected a finite number other than 0", name,
            static_cast<double>(tensor.scale));
        return GNDC_ERR_VALUE;
    }
    bool finite = true;
    switch (tensor.type) {
        case GNDC_INT8: {
            // 256 possible values: divide once each. Division, not multiplication by the reciprocal (DECODING.md 3).
            float table[256];
            for (int q = -128; q < 128; ++q) {
                table[q + 128] = static_cast<float>(q) / tensor.scale;
            }
            finite = std::isfinite(table[0]);
            const int8_t *q = static_cast<const int8_t *>(tensor.data);
            for (int64_t i = 0; i < tensor.count; ++i) {
                out[i] = table[q[i] + 128];
            }
            break;
        }
        case GNDC_INT16:
            finite = std::isfinite(32768.0f / tensor.scale);
            for (int64_t i = 0; i < tensor.count; ++i) {
                out[i] = static_cast<float>(load_at<int16_t>(tensor.data, i)) / tensor.scale;
            }
            break;
        case GNDC_FLOAT16:
            for (int64_t i = 0; i < tensor.count; ++i) {
                out[i] = half_to_float(load_at<uint16_t>(tensor.data, i));
                finite = finite && std::isfinite(out[i]);
            }
            break;
        case GNDC_FLOAT32:
            for (int64_t i = 0; i < tensor.count; ++i) {
                out[i] = load_at<float>(tensor.data, i);
                finite = finite && std::isfinite(out[i]);
            }
            break;
        default:
            say(message, "weight type %d is not known", tensor.type);
            return GNDC_ERR_VALUE;
    }
    if (!finite) {
        say(message, "the %s weights hold a value that is not a finite number", name);
        return GNDC_ERR_VALUE;
    }
    return GNDC_OK;
}

// Whether all weights of 8 bits can be had without a division; then *table says how. high + low is 1 / scale to twice
// the precision, so that only the last of its roundings counts, yet that is not proven here but tried.
bool dividing_is_multiplying(float scale, Table &table) {
    const float high = 1.0f / scale;
    table.scale = scale;
    table.high = high;
    table.low = std::fma(-high, scale, 1.0f) / scale;
    for (int q = -128; q < 128; ++q) {
        const float whole = static_cast<float>(q), worth = whole / scale;
        const float got = std::fma(whole, high, whole * table.low);
        if (!std::isfinite(worth) || std::memcmp(&got, &worth, sizeof worth) != 0) {
            return false;
        }
    }
    return true;
}

float *allocate(int64_t floats) {
    return static_cast<float *>(allocate_aligned(static_cast<size_t>(floats) * 4, nullptr));
}

int64_t pad16(int64_t n) {
    return (n + 15) / 16 * 16;
}

// Floats that a grid's weights take, as bytes where they can be.
int64_t table_floats(const gndc_tensor &tensor, Table &table) {
    const bool bytes = tensor.type == GNDC_INT8 && dividing_is_multiplying(tensor.scale, table);
    table.bytes = bytes ? static_cast<const int8_t *>(tensor.data) : nullptr;
    return pad16(bytes ? (tensor.count + 3) / 4 : tensor.count);
}

int fill_table(const gndc_tensor &tensor, const char *name, float *storage, Table &table, char *message) {
    if (table.bytes) {
        std::memcpy(storage, tensor.data, static_cast<size_t>(tensor.count));
        table.bytes = reinterpret_cast<const int8_t *>(storage);
        return GNDC_OK;
    }
    table.floats = storage;
    return dequantise(tensor, name, storage, message);
}

// Rows of outputs, as stored, to columns of outputs, as the kernels want them; advances `flat`.
void pack(const float *&flat, int64_t rows, int64_t kept_rows, int64_t cols, float *&packed, Layer &layer) {
    layer = {packed, cols, pad16(rows)};
    for (int64_t j = 0; j < kept_rows; ++j) {
        for (int64_t k = 0; k < cols; ++k) {
            packed[k * layer.n + j] = flat[j * cols + k];
        }
    }
    flat += rows * cols;
    packed += layer.k * layer.n;
}

}  // namespace

int make_field(const gndc_config &config, const gndc_tensor *tensors, int n_tensors,
               std::unique_ptr<gndc_field, void (*)(gndc_field *)> &out, char *message) {
    FieldView view{};
    int status = make_layout(config, view.layout, message);
    if (status != GNDC_OK) {
        return status;
    }
    const Layout &layout = view.layout;
    const bool temporal = layout.temporal.n_levels > 0;
    const char *names[3] = {"spatial", temporal ? "temporal" : "decoder", "decoder"};
    const int64_t counts[3] = {layout.spatial.count, temporal ? layout.temporal.count : layout.decoder_count,
                               layout.decoder_count};
    const int expected = temporal ? 3 : 2;
    if (n_tensors != expected) {
        say(message, "%d weight tensors were given, expected %d", n_tensors, expected);
        return GNDC_ERR_SIZE;
    }
    for (int i = 0; i < expected; ++i) {
        if (tensors[i].count != counts[i]) {
            say(message, "the %s component has %lld weights, expected %lld for this model_config", names[i],
                static_cast<long long>(tensors[i].count), static_cast<long long>(counts[i]));
            return GNDC_ERR_SIZE;
        }
    }
    const int64_t hidden = pad16(layout.hidden);
    const int64_t packed_count = hidden * (layout.n_inputs_padded + (layout.n_layers - 1) * layout.hidden) +
                                 layout.n_outputs_padded * layout.hidden;
    const int64_t spatial_floats = table_floats(tensors[0], view.spatial),
                  temporal_floats = temporal ? table_floats(tensors[1], view.temporal) : 0;
    // one vector of slack behind each table: kernels load whole vectors
    const int64_t floats = spatial_floats + temporal_floats + packed_count + 64 + fixed_floats(layout);
    out.reset(new gndc_field{});
    out->storage = allocate(floats);
    out->bytes = floats * 4;
    float *spatial = out->storage, *temporal_table = spatial + spatial_floats,
          *packed = temporal_table + temporal_floats;
    std::memset(packed, 0, static_cast<size_t>(packed_count + 64) * 4);
    if ((status = fill_table(tensors[0], names[0], spatial, view.spatial, message)) != GNDC_OK ||
        (temporal && (status = fill_table(tensors[1], names[1], temporal_table, view.temporal, message)) != GNDC_OK)) {
        return status;
    }
    std::vector<float> decoder(static_cast<size_t>(layout.decoder_count));
    if ((status = dequantise(tensors[expected - 1], "decoder", decoder.data(), message)) != GNDC_OK) {
        return status;
    }
    view.n_matrices = static_cast<int>(layout.n_layers) + 1;
    const float *flat = decoder.data();
    pack(flat, layout.hidden, layout.hidden, layout.n_inputs_padded, packed, view.layers[0]);
    for (int l = 1; l < view.n_matrices - 1; ++l) {
        pack(flat, layout.hidden, layout.hidden, layout.hidden, packed, view.layers[l]);
    }
    pack(flat, layout.n_outputs_padded, layout.n_outputs, layout.hidden, packed, view.layers[view.n_matrices - 1]);
    view.width = hidden;
    quantise_hidden(view, packed + 64);
    out->view = view;
    return GNDC_OK;
}

}  // namespace gndc

extern "C" gndc_field *gndc_field_new(const gndc_config *config, const gndc_tensor *tensors, int n_tensors, int *status,
                                      char *message) {
    std::unique_ptr<gndc_field, void (*)(gndc_field *)> field(nullptr, gndc_field_free);
    try {
        *status = gndc::make_field(*config, tensors, n_tensors, field, message);
    } catch (const std::bad_alloc &) {
        gndc::say(message, "not enough memory for the weights of the model");
        *status = GNDC_ERR_MEMORY;
    }
    return *status == GNDC_OK ? field.release() : nullptr;
}

extern "C" void gndc_field_free(gndc_field *field) {
    if (field) {
        std::free(field->storage);
        delete field;
    }
}

extern "C" int64_t gndc_field_bytes(const gndc_field *field) {
    return field->bytes;
}

extern "C" int gndc_field_points(const gndc_field *field, int64_t n, const float *x, const float *y, const float *t,
                                 int precision, int n_threads, float *out) {
    using namespace gndc;
    try {
        const FieldView &view = field->view;
        const int64_t n_out = view.layout.n_outputs, stride = view.layout.n_outputs_padded;
        Workers workers(view, nullptr, threads_for(n_threads, (n + kTile - 1) / kTile), precision);
        parallel_for(n, kTile * 8, workers.count(), [&](int worker, int64_t begin, int64_t end) {
            Scratch &s = workers.scratch(worker);
            for (int64_t i = begin; i < end; i += s.tile) {
                const int m = static_cast<int>(std::min<int64_t>(s.tile, end - i));
                kernels().points(view, m, x + i, y + i, t + i, s);
                for (int p = 0; p < m; ++p) {
                    std::memcpy(out + (i + p) * n_out, s.raw + p * stride, static_cast<size_t>(n_out) * 4);
                }
            }
        });
    } catch (const std::bad_alloc &) {
        return GNDC_ERR_MEMORY;
    }
    return GNDC_OK;
}
