// The buffers a worker evaluates in.
#ifndef GNDC_SCRATCH_H
#define GNDC_SCRATCH_H

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "kernels.h"

namespace gndc {

class Workers {
  public:
    // plan: of the grid that will be read, or null
    // precision: a gndc_precision
    Workers(const FieldView &view, const GridPlan *plan, int count, int precision) {
        const int64_t out = view.layout.n_outputs_padded;
        const int tile = tile_of(view);
        const FixedHidden fixed = precision == GNDC_PRECISION_FAST && view.n_matrices > 2 ? fixed_hidden() : nullptr;
        int64_t rows = 0;
        if (plan) {
            const int levels = view.layout.spatial.n_levels + view.layout.temporal.n_levels;
            for (int l = 0; l < levels; ++l) {
                const int features =
                    l < view.layout.spatial.n_levels ? view.layout.spatial.features : view.layout.temporal.features;
                if (plan->columns[l].shared) {
                    rows += round(plan->columns[l].count * features);
                }
            }
        }
        const int64_t sizes[12] = {round(tile * view.layout.n_inputs_padded),
                                  round(tile * view.width),
                                  round(tile * view.width),
                                  round(tile * out),
                                  round(tile * view.width),
                                  rows,
                                  rows,
                                  rows,
                                  plan && plan->merging ? rows : 0,
                                  fixed ? round(tile * fixed_inputs(view.width) / 2) : 0,
                                  fixed ? round(tile) : 0,
                                  plan && plan->merging ? round(plan->slots * 64) : 0};
        int64_t total = 64;
        for (const int64_t size : sizes) {
            total += size;
        }
        m_scratch.resize(static_cast<size_t>(count));
        for (Scratch &s : m_scratch) {
            float *p = take(static_cast<size_t>(total) * 4);
            float *parts[12];
            for (int i = 0; i < 12; ++i) {
                parts[i] = p;
                p += sizes[i];
            }
            s.tile = tile;
            s.features = parts[0];
            s.hidden[0] = parts[1];
            s.hidden[1] = parts[2];
            s.raw = parts[3];
            s.partial = parts[4];
            s.rows = parts[5];
            s.folded[0] = parts[6];
            s.folded[1] = parts[7];
            s.bends = parts[8];
            s.fixed = reinterpret_cast<int16_t *>(parts[9]);
            s.units = parts[10];
            s.changes = parts[11];
            if (sizes[11]) {
                std::fill(s.changes, s.changes + 64, 0.0f);
            }
            s.fixed_hidden = fixed;
        }
    }

    int count() const { return static_cast<int>(m_scratch.size()); }
    Scratch &scratch(int worker) { return m_scratch[static_cast<size_t>(worker)]; }

    // samples a tile holds: fewer when each has very many outputs
    static int tile_of(const FieldView &view) { return view.layout.n_outputs_padded <= 8192 ? kTile : 24; }

    static int64_t round(int64_t floats) { return (floats + 31) / 16 * 16; }

  private:
    struct Free {
        void operator()(float *p) const { std::free(p); }
    };
    using Memory = std::unique_ptr<float, Free>;

    // A small block that a thread keeps for its next call: to make one anew takes longer than a pixel's series.
    struct Kept {
        Memory memory;
        size_t bytes = 0;
        bool lent = false;
    };
    static constexpr size_t kMostKept = size_t{1} << 20;

    struct Loan {
        Loan() = default;
        Loan(const Loan &) = delete;
        Loan &operator=(const Loan &) = delete;
        ~Loan() {
            if (held) {
                kept().lent = false;
            }
        }
        bool held = false;
    };

    static Kept &kept() {
        thread_local Kept block;
        return block;
    }

    // Unused samples of a tile are evaluated too, whatever they are; but memory that never was a number costs time.
    static Memory allocate(size_t bytes) {
        Memory memory(static_cast<float *>(std::aligned_alloc(64, bytes)));
        if (!memory) {
            throw std::bad_alloc();
        }
        std::memset(memory.get(), 0, bytes);
        return memory;
    }

    float *take(size_t bytes) {
        Kept &block = kept();
        if (bytes > kMostKept || block.lent) {
            m_memory.push_back(allocate(bytes));
            return m_memory.back().get();
        }
        if (block.bytes < bytes) {
            block.memory = allocate(bytes);
            block.bytes = bytes;
        }
        block.lent = m_loan.held = true;
        return block.memory.get();
    }

    std::vector<Memory> m_memory;
    std::vector<Scratch> m_scratch;
    Loan m_loan;
};

}  // namespace gndc
#endif
