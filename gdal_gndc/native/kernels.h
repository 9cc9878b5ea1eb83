// The functions that exist once per instruction set, and the plans they work from. No containers (see simd.h).
#ifndef GNDC_KERNELS_H
#define GNDC_KERNELS_H

#include "field.h"

namespace gndc {

constexpr int kTile = 96;  // samples evaluated together; a multiple of every register block of the kernels

// Columns between those where a merged row starts afresh: of consecutive pixels a value depends on its column, never on
// the window. Of other spacings they count from the first column of the read within the chunk.
// Rounding grows with it; a start costs as much as following some ten pixels.
constexpr int kAnchor = 24;

// Cells of one level along one axis of a grid.
struct LevelColumns {
    const int64_t *cell;    // per column
    const float *fraction;  // per column
    int64_t first, count;   // vertices [first, first + count) hold all cells
    bool shared;            // rows of vertices are interpolated once and shared by the columns
    bool merged;            // its share of the first layer is followed from column to column, see kernels.inl
    float step;             // cells a column
    int64_t row_offset;     // where the level's row of vertices lies in the scratch rows
};

// A merged level at the anchor of a tile.
struct Start {
    int32_t left;    // where the vertex left of the column lies in the level's row, in floats
    float fraction;  // of the column within its cell
    int32_t bends;   // first of the level's bends in the tile; those of the next level follow
};

// A merged level enters a new cell.
struct Bend {
    int32_t vertex;  // first vertex of the new cell, from LevelColumns::first
    int32_t slot;    // of what that changes
};

// From column to column of a merged row, and through the crossings of each. Sums advance by `advance` slopes; then the
// change of a slot, of which slot 0 is none, adds `fraction` times to the sums and `rate` times to the slopes.
struct Step {
    float advance;   // 1 for the first step of a column, else 0
    float fraction;  // of the column within the new cell
    float rate;      // cells a column
    int32_t slot;
    int32_t column;  // from the anchor
};

struct GridPlan {
    int64_t n_cols;  // lead included
    int64_t lead;    // columns before the first one wanted, back to an anchor; 0 unless merging
    const double *y;  // normalised, one per row
    float t;
    LevelColumns columns[2 * kMaxLevels];  // spatial levels, then temporal ones
    bool merging;
    // of each tile of kAnchor columns: starts and bends by level, steps by column
    const Start *starts;  // (tiles * levels + 1)
    const Bend *bends;
    const Step *steps;
    const int32_t *steps_begin;  // (tiles + 1)
    int64_t slots;               // of the tile that has most
    const float *direct_weights;     // first layer's rows of the inputs that are not merged, (direct_inputs, n)
    int64_t direct_inputs;
};

// Buffers of one worker, sized by scratch_floats().
struct Scratch {
    int tile;         // samples a tile holds: kTile, or less when the output is very wide
    float *features;  // (tile, n_inputs_padded)
    float *hidden[2]; // (tile, width)
    float *raw;       // (tile, n_outputs_padded)
    int16_t *fixed;   // (tile, fixed_inputs(width)): activations in fixed point
    float *units;     // (tile): theirs
    FixedHidden fixed_hidden;  // what evaluates the hidden layers, null for float32
    float *partial;   // (tile, width): first layer of the spatial branch, for series
    float *rows;      // interpolated rows of vertices of the shared levels
    float *changes;   // (slots, 64) of the crossings of a tile; slot 0 stays 0
    float *bends;     // second differences of those rows, of the merged levels
    float *folded[2]; // the temporal levels' rows iy and iy + 1 at the grid's time
    int64_t folded_row[kMaxLevels];
    bool folded_valid[kMaxLevels];
};

using GridSink = void (*)(void *context, int64_t row, int64_t col, int n, const float *raw);
using SeriesSink = void (*)(void *context, int64_t point, int64_t time, int n, const float *raw);

struct Kernels {
    const char *name;
    // n <= scratch.tile samples into scratch.raw
    void (*points)(const FieldView &, int n, const float *x, const float *y, const float *t, Scratch &);
    // rows [row0, row1) of a grid, tile by tile, to the sink
    void (*grid_rows)(const FieldView &, const GridPlan &, int64_t row0, int64_t row1, Scratch &, GridSink,
                      void *context);
    // Coordinates of the next two are not rounded to float32, see Axis::normalised.
    // points [0, n) at n_times times, tile by tile, to the sink
    void (*series)(const FieldView &, int64_t n, const double *x, const double *y, int64_t n_times, const float *t,
                   Scratch &, SeriesSink, void *context);
};

extern const Kernels kKernelsGeneric;
#ifdef GNDC_X86
extern const Kernels kKernelsAvx2;
extern const Kernels kKernelsAvx512;
#endif

// The set in use (dispatch.cpp).
const Kernels &kernels();

}  // namespace gndc
#endif
