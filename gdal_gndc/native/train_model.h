// A field in training: its parameters, what Adam remembers of them, and which of them any sample can reach.
#ifndef GNDC_TRAIN_MODEL_H
#define GNDC_TRAIN_MODEL_H

#include <cstdint>
#include <memory>
#include <vector>

#include "gndc_train.h"
#include "layout.h"
#include "train_kernels.h"

namespace gndc {

struct FreeDeleter {
    void operator()(float *p) const;
};
// Zeroed floats, aligned for the widest vectors. Throws std::bad_alloc.
using Floats = std::unique_ptr<float[], FreeDeleter>;
Floats make_floats(int64_t n);

// One set of parameters, laid out alike in all five arrays.
struct Parameters {
    int64_t count = 0;  // a multiple of kPad
    float *w = nullptr, *rounded = nullptr, *g = nullptr, *m = nullptr, *v = nullptr;

    void allocate(int64_t n);

private:
    Floats room_;
};

// Matrices are kept [inputs][outputs] with both sides padded to kPad; padding is zero and stays zero.
struct Matrix {
    int inputs, outputs;      // as the format stores them
    int rows, columns;        // padded
    int64_t offset;           // in the decoder's parameters
};

struct Model {
    Layout layout;
    std::vector<TrainLevel> levels;  // of both grids, spatial first
    int64_t temporal_start = 0;      // of the temporal grid in `tables`
    int64_t decoder_start = 0;       // first feature column of the temporal levels is n_spatial_features
    int n_features = 0, width = 0;   // inputs, and inputs padded to kPad
    int widest = 0;                  // columns of the widest activation
    Parameters tables, decoder;
    std::vector<Matrix> matrices;
    Floats transposed;               // of decoder.rounded, each matrix [outputs][inputs]
    std::vector<uint32_t> blocks;    // reachable blocks of kPad table weights, ascending

    Model(const gndc_config &config, const Layout &layout);
    int column_of(size_t level) const;
    void start(uint64_t seed, double table_init);
    void export_component(int component, const float *tables, const float *decoder, float *out) const;
    void import_component(int component, const float *weights);
    int64_t component_count(int component) const;
    void round(const TrainKernels &kernels, const gndc_train_options &options, bool on);
};

struct Quotient {
    int64_t whole, rest;
};

// Division of numbers from 0 to 2^52 by a number that stays the same: several times as fast as the machine's.
class Divisor {
public:
    explicit Divisor(int64_t by) : by_(by), inverse_(1.0 / static_cast<double>(by)) {}
    Quotient of(int64_t a) const {
        int64_t whole = static_cast<int64_t>(static_cast<double>(a) * inverse_);  // one too many or too few at most
        int64_t rest = a - whole * by_;
        const int64_t step = (rest >= by_) - (rest < 0);
        whole += step;
        rest -= step * by_;
        return {whole, rest};
    }

private:
    int64_t by_;
    double inverse_;
};

// Data of a chunk and the order in which its samples are drawn.
class Samples {
public:
    Samples(const gndc_train_data &data, const gndc_train_options &options, int n_bands, float spatial_scale);

    // Places in the tile are left empty (position -1) where the draw meets positions without data.
    void draw(int64_t tile, int64_t *positions) const;
    // Positions to go with few pages of the tables: neighbours in space follow each other. Not thread-safe.
    void order(const int64_t *positions, int64_t n, int64_t *ordered);
    // The places are all over the cube: asks for the values of a tile long before they are needed.
    void prefetch(const int64_t *positions) const;
    void coordinates(int64_t tile, const int64_t *positions, TileCoordinates *out) const;
    // Targets and weights of a tile, padded to `stride` bands with weight 0; returns the sum of weights.
    double targets(const int64_t *positions, int stride, float *values, float *weights) const;
    // Whether samples that `order` brings together use the same few cells of a level.
    bool shares_cells(const TrainLevel &level) const;
    bool has_data(int64_t position) const;
    void place(int64_t position, TileCoordinates *out, int slot) const;

    int64_t positions() const { return n_; }
    int64_t valid_samples() const { return valid_samples_; }
    int64_t valid_positions() const { return valid_positions_; }
    const gndc_train_data &data() const { return data_; }

private:
    struct Shuffle {  // what the permutation of an epoch is made of
        Shuffle(uint64_t seed, uint64_t epoch);
        uint64_t key, odd0, odd1, odd2;
    };
    void permute(const Shuffle &shuffle, int64_t first, int count, int64_t *positions) const;

    gndc_train_data data_;
    int n_bands_;
    float spatial_scale_;
    float jitter_;
    uint64_t seed_;
    int64_t n_, frame_, valid_samples_ = 0, valid_positions_ = 0;
    int64_t candidates_;  // positions looked at for each tile
    int bits_;
    Divisor by_frame_, by_width_;
    int square_bits_ = 3;  // squares of pixels that `order` sorts by
    int64_t squares_across_ = 1, n_squares_ = 1;
    std::vector<int64_t> squares_;
};

// Marks the table weights that the samples reach.
void mark_reachable(Model &model, const Samples &samples, const TrainKernels &kernels, double time_jitter);

// Bits a step costs at every whole number of steps, from the weights as they are now; returns the coded size in bits.
double rate_slopes(const float *w, const uint32_t *blocks, int64_t n_blocks, float scale, float *slopes);

inline uint64_t mix(uint64_t z) {  // splitmix64's finaliser (Steele, Lea and Flood 2014)
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
inline float uniform(uint64_t bits) {  // [0, 1)
    return static_cast<float>(bits >> 40) * (1.0f / 16777216.0f);
}

}  // namespace gndc
#endif
