// Reading a grid of samples at one time from one chunk.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "axis.h"
#include "kernels.h"
#include "scratch.h"
#include "threads.h"
#include "values.h"

namespace gndc {
namespace {

// Where a chunk's samples go: sinks network outputs into the target grid.
class GridWriter {
  public:
    GridWriter(const gndc_grid &grid, const gndc_chunk &chunk, double time_weight, const uint8_t *mask,
               const gndc_residual *residual)
        : rows(make_axis(chunk, chunk.field->view.layout, 1, grid.rows, grid.n_rows)),
          cols(make_axis(chunk, chunk.field->view.layout, 2, grid.cols, grid.n_cols)),
          m_grid(grid),
          m_values(chunk, grid.bands, grid.n_bands),
          m_time_weight(time_weight),
          m_mask(mask),
          m_residual(residual) {}

    bool empty() const { return rows.begin == rows.end || cols.begin == cols.end; }

    // Outputs of evaluations (row, col .. col + n), `stride` floats apart.
    void write(int64_t row, int64_t col, int64_t n, const float *raw, int64_t stride, float *scratch) const {
        for (int64_t i = rows.evaluation_begin[static_cast<size_t>(row)];
             i < rows.evaluation_begin[static_cast<size_t>(row) + 1]; ++i) {
            write_row(i, col, n, raw, stride, scratch);
        }
    }

    const Axis rows, cols;

  private:
    void write_row(int64_t i, int64_t col, int64_t n, const float *raw, int64_t stride, float *scratch) const {
        const size_t r = static_cast<size_t>(i);
        const int64_t j0 = cols.evaluation_begin[static_cast<size_t>(col)];
        int64_t entry = m_residual ? m_residual->at(rows.pixel[r], cols.pixel[static_cast<size_t>(j0)]) : 0;
        float *out = m_grid.out + (rows.begin + i) * m_grid.row_stride;
        if (m_values.simple() && !m_residual && !m_grid.weights) {
            m_values.row(raw, stride, n, m_mask, rows.pixel[r] * m_values.width(), &cols.pixel[static_cast<size_t>(j0)],
                         out + (cols.begin + j0) * m_grid.col_stride, m_grid.col_stride, m_grid.band_stride);
            return;
        }
        for (int64_t e = 0; e < n; ++e) {
            const size_t c = static_cast<size_t>(col + e);
            for (int64_t j = cols.evaluation_begin[c]; j < cols.evaluation_begin[c + 1]; ++j) {
                const size_t k = static_cast<size_t>(j);
                float *sample = out + (cols.begin + j) * m_grid.col_stride;
                if (!m_grid.weights) {
                    m_values(raw + e * stride, rows.sub[r], cols.sub[k], rows.pixel[r], cols.pixel[k], m_mask,
                             m_residual, entry, sample, m_grid.band_stride);
                    continue;
                }
                m_values(raw + e * stride, rows.sub[r], cols.sub[k], rows.pixel[r], cols.pixel[k], m_mask, m_residual,
                         entry, scratch, 1);
                const float w = static_cast<float>(rows.weight[r] * cols.weight[k] * m_time_weight);
                for (int64_t b = 0; b < m_grid.n_bands; ++b) {
                    sample[b * m_grid.band_stride] += w * scratch[b];
                }
                m_grid.weights[(rows.begin + i) * m_grid.n_cols + cols.begin + j] += w;
            }
        }
    }

    const gndc_grid &m_grid;
    const Values m_values;
    const double m_time_weight;
    const uint8_t *m_mask;
    const gndc_residual *m_residual;
};

// Cells of every level along the columns. Whole rows of vertices are interpolated where they are not many more than the
// columns; levels whose cells are wider than a column are merged where columns are evenly spaced.
class GridPlanner {
  public:
    GridPlanner(const FieldView &field, const Axis &cols, int64_t width, const std::vector<double> &y, float t)
        : m_field(field) {
        const Grid &spatial = field.layout.spatial, &temporal = field.layout.temporal;
        const int n_levels = spatial.n_levels + temporal.n_levels;
        plan.merging = false;
        const bool can_merge = cols.spacing > 0.0 && Workers::tile_of(field) >= 3 * kAnchor;
        for (int l = 0; l < n_levels; ++l) {
            LevelColumns &columns = plan.columns[l];
            const float step = static_cast<float>(cols.spacing) * level(l).scale *
                               (l < spatial.n_levels ? 1.0f : field.layout.spatial_scale) / static_cast<float>(width);
            // decided by the model, the chunk and the spacing alone, so that windows agree
            columns.step = step;
            columns.merged = can_merge && step >= 0.0f && step <= kMergedStep;
            plan.merging = plan.merging || columns.merged;
        }
        m_x = cols.normalised;
        plan.lead = plan.merging && cols.unit_from >= 0 ? cols.unit_from % kAnchor : 0;
        std::vector<double> lead;
        for (int64_t i = plan.lead; i > 0; --i) {
            lead.push_back(unit_coordinate(cols.unit_from - i, width));
        }
        m_x.insert(m_x.begin(), lead.begin(), lead.end());
        plan.n_cols = static_cast<int64_t>(m_x.size());
        plan.y = y.data();
        plan.t = t;
        place_columns(n_levels);
        if (plan.merging) {
            find_crossings(n_levels);
            pack_direct(n_levels);
        }
    }

    GridPlan plan;

  private:
    // the widest step at which following a level is cheaper than evaluating it (measured)
    static constexpr float kMergedStep = 0.65f;
    // the most vertices a column at which whole rows are cheaper than the vertices of each column (measured)
    static constexpr int64_t kMostShared = 12;

    const Level &level(int l) const {
        const int n = m_field.layout.spatial.n_levels;
        return l < n ? m_field.layout.spatial.levels[l] : m_field.layout.temporal.levels[l - n];
    }

    int features(int l) const {
        return l < m_field.layout.spatial.n_levels ? m_field.layout.spatial.features
                                                   : m_field.layout.temporal.features;
    }

    void place_columns(int n_levels) {
        const size_t n = m_x.size();
        m_cells.resize(n * static_cast<size_t>(n_levels));
        m_fractions.resize(n * static_cast<size_t>(n_levels));
        int64_t offset = 0;
        for (int l = 0; l < n_levels; ++l) {
            const bool is_spatial = l < m_field.layout.spatial.n_levels;
            const double scale = level(l).scale;
            const double spread = is_spatial ? 1.0 : static_cast<double>(m_field.layout.spatial_scale);
            int64_t *cell = m_cells.data() + static_cast<size_t>(l) * n;
            float *fraction = m_fractions.data() + static_cast<size_t>(l) * n;
            int64_t low = INT64_MAX, high = INT64_MIN;
            for (size_t i = 0; i < n; ++i) {
                const double s = m_x[i] * spread * scale + 0.5;
                const double g = std::floor(s);
                cell[i] = static_cast<int64_t>(g);
                fraction[i] = static_cast<float>(s - g);
                low = std::min(low, cell[i]);
                high = std::max(high, cell[i]);
            }
            LevelColumns &columns = plan.columns[l];
            columns.cell = cell;
            columns.fraction = fraction;
            columns.first = low;
            columns.count = high - low + 2;
            columns.shared = columns.merged || columns.count <= kMostShared * static_cast<int64_t>(n) + 2;
            columns.row_offset = offset;
            if (columns.shared) {
                offset += Workers::round(columns.count * features(l));
            }
        }
    }

    void find_crossings(int n_levels) {
        m_steps_begin.assign(1, 0);
        plan.slots = 1;
        std::vector<int32_t> slots(static_cast<size_t>(kAnchor) * static_cast<size_t>(n_levels));
        for (int64_t from = 0; from < plan.n_cols; from += kAnchor) {
            const int64_t to = std::min(from + kAnchor, plan.n_cols);
            int32_t used = 1;
            std::fill(slots.begin(), slots.end(), 0);
            for (int64_t c = from; c < to; ++c) {
                const int32_t column = static_cast<int32_t>(c - from);
                float advance = c > from ? 1.0f : 0.0f;
                const size_t steps = m_steps.size();
                for (int l = 0; l < n_levels && c > from; ++l) {
                    const LevelColumns &columns = plan.columns[l];
                    if (columns.merged && columns.cell[c] != columns.cell[c - 1]) {
                        slots[static_cast<size_t>(l * kAnchor + column)] = used;
                        m_steps.push_back({advance, columns.fraction[c], columns.step, used++, column});
                        advance = 0.0f;
                    }
                }
                if (m_steps.size() == steps) {
                    m_steps.push_back({advance, 0.0f, 0.0f, 0, column});
                }
            }
            for (int l = 0; l < n_levels; ++l) {
                const LevelColumns &columns = plan.columns[l];
                m_starts.push_back({static_cast<int32_t>((columns.cell[from] - columns.first) * features(l)),
                                    columns.fraction[from], static_cast<int32_t>(m_bends.size())});
                for (int64_t c = from; c < to; ++c) {
                    if (const int32_t slot = slots[static_cast<size_t>(l * kAnchor + (c - from))]) {
                        m_bends.push_back({static_cast<int32_t>(columns.cell[c] - columns.first), slot});
                    }
                }
            }
            m_steps_begin.push_back(static_cast<int32_t>(m_steps.size()));
            plan.slots = std::max<int64_t>(plan.slots, used);
        }
        m_starts.push_back({0, 0.0f, static_cast<int32_t>(m_bends.size())});
        plan.starts = m_starts.data();
        plan.bends = m_bends.data();
        plan.steps = m_steps.data();
        plan.steps_begin = m_steps_begin.data();
    }

    void pack_direct(int n_levels) {
        const Layer &first = m_field.layers[0];
        const float *rows = first.weights;
        plan.direct_inputs = 0;
        for (int l = 0; l < n_levels; ++l) {
            if (!plan.columns[l].merged) {
                m_direct.insert(m_direct.end(), rows, rows + features(l) * first.n);
                plan.direct_inputs += features(l);
            }
            rows += features(l) * first.n;
        }
        plan.direct_weights = m_direct.empty() ? first.weights : m_direct.data();
    }

    const FieldView &m_field;
    std::vector<double> m_x;
    std::vector<int64_t> m_cells;
    std::vector<float> m_fractions;
    std::vector<Bend> m_bends;
    std::vector<Step> m_steps;
    std::vector<Start> m_starts;
    std::vector<int32_t> m_steps_begin;
    std::vector<float> m_direct;
};

int64_t operations(const FieldView &field) {
    return field.layout.decoder_count + 8 * field.layout.n_inputs;
}

void add(const gndc_grid &grid, const gndc_chunk &chunk, float t, double time_weight, const uint8_t *mask,
         const gndc_residual *residual, int n_threads) {
    const FieldView &field = chunk.field->view;
    const GridWriter writer(grid, chunk, time_weight, mask, residual);
    if (writer.empty()) {
        return;
    }
    const int64_t ny = writer.rows.evaluations(), nx = writer.cols.evaluations();
    const int64_t row_cost = nx * operations(field);
    // a thread costs about as much to start as this many multiplications
    constexpr int64_t kThreadCost = 1 << 20;
    const int64_t grain = std::max<int64_t>(1, std::min<int64_t>(32, kThreadCost / row_cost + 1));
    const int threads = ny * row_cost < 2 * kThreadCost ? 1 : threads_for(n_threads, (ny + grain - 1) / grain);
    const int64_t stride = field.layout.n_outputs_padded;

    struct Context {
        const GridWriter *writer;
        int64_t stride;
        std::vector<float> scratch;
    };
    auto context = [&] {
        return Context{&writer, stride, std::vector<float>(static_cast<size_t>(grid.n_bands))};
    };
    const GridSink sink = [](void *opaque, int64_t row, int64_t col, int n, const float *raw) {
        Context &c = *static_cast<Context *>(opaque);
        c.writer->write(row, col, n, raw, c.stride, c.scratch.data());
    };

    if (!separable(chunk)) {
        Workers workers(field, nullptr, threads, grid.precision);
        parallel_for(ny, grain, threads, [&](int worker, int64_t begin, int64_t end) {
            Scratch &s = workers.scratch(worker);
            Context c = context();
            float x[kTile], y[kTile], times[kTile];
            std::fill(times, times + kTile, t);
            for (int64_t row = begin; row < end; ++row) {
                for (int64_t col = 0; col < nx; col += s.tile) {
                    const int n = static_cast<int>(std::min<int64_t>(s.tile, nx - col));
                    for (int p = 0; p < n; ++p) {
                        model_point(chunk, static_cast<float>(writer.cols.normalised[static_cast<size_t>(col + p)]),
                                    static_cast<float>(writer.rows.normalised[static_cast<size_t>(row)]), x[p], y[p]);
                    }
                    kernels().points(field, n, x, y, times, s);
                    sink(&c, row, col, n, s.raw);
                }
            }
        });
        return;
    }
    const GridPlanner planner(field, writer.cols, chunk.stored[5] - chunk.stored[4], writer.rows.normalised, t);
    Workers workers(field, &planner.plan, threads, grid.precision);
    parallel_for(ny, grain, threads, [&](int worker, int64_t begin, int64_t end) {
        Context c = context();
        kernels().grid_rows(field, planner.plan, begin, end, workers.scratch(worker), sink, &c);
    });
}

}  // namespace
}  // namespace gndc

extern "C" void gndc_positions(double offset, double size, int64_t n, double *positions) {
    for (int64_t i = 0; i < n; ++i) {
        positions[i] = offset + (static_cast<double>(i) + 0.5) * size / static_cast<double>(n);
    }
}

extern "C" void gndc_grid_begin(const gndc_grid *grid, float fill) {
    const float start = grid->weights ? 0.0f : fill;
    for (int64_t row = 0; row < grid->n_rows; ++row) {
        for (int64_t col = 0; col < grid->n_cols; ++col) {
            for (int64_t b = 0; b < grid->n_bands; ++b) {
                grid->out[row * grid->row_stride + col * grid->col_stride + b * grid->band_stride] = start;
            }
        }
    }
    if (grid->weights) {
        std::fill(grid->weights, grid->weights + grid->n_rows * grid->n_cols, 0.0f);
    }
}

extern "C" int gndc_grid_add(const gndc_grid *grid, const gndc_chunk *chunk, float t, double time_weight,
                             const uint8_t *mask, const gndc_residual *residual, int n_threads, char *message) {
    const int status = gndc::check_chunk(*chunk, message);
    if (status != GNDC_OK) {
        return status;
    }
    try {
        gndc::add(*grid, *chunk, t, time_weight, mask, residual, n_threads);
    } catch (const std::bad_alloc &) {
        gndc::say(message, "not enough memory to evaluate a grid of %lld x %lld samples",
                  static_cast<long long>(grid->n_rows), static_cast<long long>(grid->n_cols));
        return GNDC_ERR_MEMORY;
    }
    return GNDC_OK;
}

extern "C" void gndc_grid_end(const gndc_grid *grid, float fill) {
    if (!grid->weights) {
        return;
    }
    for (int64_t row = 0; row < grid->n_rows; ++row) {
        for (int64_t col = 0; col < grid->n_cols; ++col) {
            const float w = grid->weights[row * grid->n_cols + col];
            float *sample = grid->out + row * grid->row_stride + col * grid->col_stride;
            for (int64_t b = 0; b < grid->n_bands; ++b) {
                sample[b * grid->band_stride] = w > 0.0f ? sample[b * grid->band_stride] / w : fill;
            }
        }
    }
}

extern "C" int gndc_grid_add_raw(const gndc_grid *grid, const gndc_chunk *chunk, const float *raw, double time_weight,
                                 const uint8_t *mask, const gndc_residual *residual, char *message) {
    try {
        const gndc::GridWriter writer(*grid, *chunk, time_weight, mask, residual);
        if (!writer.empty()) {
            std::vector<float> scratch(static_cast<size_t>(grid->n_bands));
            const int64_t nx = writer.cols.evaluations(), n_out = chunk->field->view.layout.n_outputs;
            for (int64_t row = 0; row < writer.rows.evaluations(); ++row) {
                writer.write(row, 0, nx, raw + row * nx * n_out, n_out, scratch.data());
            }
        }
    } catch (const std::bad_alloc &) {
        gndc::say(message, "not enough memory");
        return GNDC_ERR_MEMORY;
    }
    return GNDC_OK;
}
