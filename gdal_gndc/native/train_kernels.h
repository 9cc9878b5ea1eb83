// What a training step is made of. One table of these functions exists for each instruction set (train_kernels.inl).
#ifndef GNDC_TRAIN_KERNELS_H
#define GNDC_TRAIN_KERNELS_H

#include <cstdint>

namespace gndc {

// Samples are worked on in tiles of this many: a multiple of every register block of the matrix products, and small
// enough for a tile's activations to stay in the second-level cache.
constexpr int kTile = 96;

// Widths of matrices are padded to this many floats, the widest vector there is.
constexpr int kPad = 16;

struct TrainLevel {
    int dim;
    int features;
    uint32_t resolution;
    uint32_t modulus;  // entries (a power of two) when hashed, allocated entries when dense
    float scale;
    bool hashed;
    bool wraps_once;  // an index is below twice the modulus
    bool prefetched;  // its entries are asked for ahead of time
    int64_t offset;   // first weight in the tables of both grids
};

// The entries that a tile's samples are interpolated from. Where both ends of every cell along x follow each other in
// the table, `run` is 2: index[k] and the one after it, for 2^(dim - 1) corners of y and t, whose weights leave out
// those of x, 1 - far and far. Otherwise `run` is 1, and there are 2^dim corners.
struct Corners {
    alignas(64) uint32_t index[8][kTile];
    alignas(64) float weight[8][kTile];
    alignas(64) float far[kTile];
    int count, run;
};

// Coordinates of a tile: x, y of the spatial grid, x, y of the temporal grid, t.
struct TileCoordinates {
    alignas(64) float x[kTile], y[kTile], xs[kTile], ys[kTile], t[kTile];
};

enum class Rounding { none, steps, half };

struct AdamStep {
    float rate;            // step size over the first bias correction
    float second;          // one over the second bias correction
    float gradient_scale;  // the gradient is multiplied by this first
    float most;            // weights stay within +-most
    Rounding rounding;     // what is done for the rounded copy
    float scale;           // steps of 1 / scale
    float penalty;         // times slope(|w * scale|) is added to the gradient, 0: none
    const float *slopes;   // [kSlopes] bits a step at every whole number of steps
};

constexpr int kSlopes = 129;
constexpr float kMaxSteps = 127.0f;

struct TrainKernels {
    // Entries and weights of the corners of the cells that hold a tile's samples.
    void (*corners)(const TrainLevel &level, const float *x, const float *y, const float *t, Corners *out);
    // Asks for the entries of a table.
    void (*prefetch)(const float *table, const TrainLevel &level, const Corners *corners);
    // out[p * stride + f] = sum over corners; scatter is its transpose and adds to `gradient`.
    void (*gather)(const float *table, const TrainLevel &level, const Corners *corners, float *out, int stride);
    void (*scatter)(float *gradient, const TrainLevel &level, const Corners *corners, const float *d, int stride);
    // c[kTile][n] = a[kTile][k] b[k][n], rows of a being lda apart; negative values cut to 0 if relu; where `gate` is
    // given, 0 where gate <= 0.
    void (*multiply)(const float *a, int lda, int k, const float *b, int n, float *c, bool relu, const float *gate);
    // c[k][n] = or, unless fresh, += sum over the tile of a[p][k] d[p][n]
    void (*accumulate)(const float *a, int k, const float *d, int n, float *c, bool fresh);
    // The weighted squared errors of a tile of outputs, n numbers, added up; d becomes their slope.
    double (*errors)(const float *output, const float *targets, const float *weights, int64_t n, float *d);
    // One Adam step on n (a multiple of kPad) parameters; clears the gradient and rounds the result into `rounded`.
    void (*adam)(const AdamStep &step, int64_t n, float *w, float *rounded, float *g, float *m, float *v);
    void (*round)(Rounding rounding, float scale, int64_t n, const float *w, float *rounded);
    // to[n][stride] = from[k][n]
    void (*transpose)(const float *from, int k, int n, float *to, int stride);
    // to[i] = sum over the parts of from[part * stride + i], n (a multiple of 4 kPad) numbers
    void (*total)(const float *from, int64_t stride, int parts, int64_t n, float *to);
};

const TrainKernels &train_kernels();

}  // namespace gndc
#endif
