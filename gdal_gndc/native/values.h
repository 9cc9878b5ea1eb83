// From network outputs to values: denormalisation, log, residual, mask (DECODING.md 7).
#ifndef GNDC_VALUES_H
#define GNDC_VALUES_H

#include <cmath>
#include <limits>
#include <vector>

#include "field.h"
#include "residual.h"

namespace gndc {

class Values {
  public:
    Values(const gndc_chunk &chunk, const int32_t *bands, int64_t n_bands)
        : m_chunk(chunk),
          m_layout(chunk.field->view.layout),
          m_bands(bands),
          m_n(n_bands),
          m_width(chunk.stored[5] - chunk.stored[4]),
          m_low(static_cast<size_t>(n_bands)),
          m_span(static_cast<size_t>(n_bands)) {
        for (int64_t i = 0; i < n_bands; ++i) {
            m_low[static_cast<size_t>(i)] = chunk.range[2 * bands[i]];
            m_span[static_cast<size_t>(i)] = chunk.range[2 * bands[i] + 1] - chunk.range[2 * bands[i]];
        }
    }

    // Values of one sample, band_stride floats apart. raw: the outputs of its block; row, col: pixel of the stored
    // extent; entry: index of the first residual at or after the pixel, moved on to it.
    void operator()(const float *raw, int64_t sub_row, int64_t sub_col, int64_t row, int64_t col, const uint8_t *mask,
                    const gndc_residual *residual, int64_t &entry, float *out, int64_t band_stride) const {
        const int64_t pixel = row * m_width + col;
        if (mask && (mask[pixel >> 3] >> (7 - (pixel & 7))) & 1) {
            for (int64_t i = 0; i < m_n; ++i) {
                out[i * band_stride] = std::numeric_limits<float>::quiet_NaN();
            }
            return;
        }
        const float *o = raw + (sub_row * m_layout.block_cols + sub_col) * m_layout.n_bands;
        for (int64_t i = 0; i < m_n; ++i) {
            const size_t k = static_cast<size_t>(i);
            const float v = o[m_bands[i]] * m_span[k] + m_low[k];
            out[i * band_stride] = m_chunk.use_log ? std::expm1(v) : v;
        }
        if (!residual) {
            return;
        }
        const int64_t n = static_cast<int64_t>(residual->positions.size());
        const int64_t first = pixel * m_layout.n_bands;
        while (entry < n && residual->positions[static_cast<size_t>(entry)] < first) {
            ++entry;
        }
        for (int64_t e = entry; e < n; ++e) {
            const int64_t band = residual->positions[static_cast<size_t>(e)] - first;
            if (band >= m_layout.n_bands) {
                break;
            }
            for (int64_t i = 0; i < m_n; ++i) {
                if (m_bands[i] == band) {
                    out[i * band_stride] += residual->values[static_cast<size_t>(e)];
                }
            }
        }
    }

    // The same for n samples of one row without blocks, log and residuals: `raw` and `out` advance by their strides.
    // first: the row's first pixel; cols: those of the samples, from there.
    void row(const float *raw, int64_t raw_stride, int64_t n, const uint8_t *mask, int64_t first, const int64_t *cols,
             float *out, int64_t col_stride, int64_t band_stride) const {
        for (int64_t i = 0; i < m_n; ++i) {
            const size_t k = static_cast<size_t>(i);
            const float span = m_span[k], low = m_low[k];
            const float *o = raw + m_bands[i];
            float *v = out + i * band_stride;
            for (int64_t p = 0; p < n; ++p) {
                v[p * col_stride] = o[p * raw_stride] * span + low;
            }
        }
        for (int64_t p = 0; mask && p < n; ++p) {
            const int64_t pixel = first + cols[p];
            if ((mask[pixel >> 3] >> (7 - (pixel & 7))) & 1) {
                for (int64_t i = 0; i < m_n; ++i) {
                    out[p * col_stride + i * band_stride] = std::numeric_limits<float>::quiet_NaN();
                }
            }
        }
    }

    bool simple() const { return !m_chunk.use_log && m_layout.block_rows == 1 && m_layout.block_cols == 1; }
    int64_t width() const { return m_width; }

  private:
    const gndc_chunk &m_chunk;
    const Layout &m_layout;
    const int32_t *m_bands;
    int64_t m_n, m_width;
    std::vector<float> m_low, m_span;
};

}  // namespace gndc
#endif
