#include <algorithm>
#include <cmath>

#include "train_model.h"

namespace gndc {
namespace {

constexpr int64_t kMostSquares = 1 << 14;

}  // namespace

Samples::Samples(const gndc_train_data &data, const gndc_train_options &options, int n_bands, float spatial_scale)
    : data_(data),
      n_bands_(n_bands),
      spatial_scale_(spatial_scale),
      jitter_(static_cast<float>(options.time_jitter)),
      seed_(mix(options.seed)),
      n_(data.n_frames * data.height * data.width),
      frame_(data.height * data.width),
      by_frame_(frame_),
      by_width_(data.width) {
    while ((((data.height - 1) >> square_bits_) + 1) * (((data.width - 1) >> square_bits_) + 1) > kMostSquares) {
        ++square_bits_;
    }
    squares_across_ = ((data.width - 1) >> square_bits_) + 1;
    n_squares_ = (((data.height - 1) >> square_bits_) + 1) * squares_across_;
    for (int64_t i = 0; i < n_; ++i) {
        const float *values = data_.values + i * n_bands_;
        int n_valid = 0;
        for (int c = 0; c < n_bands_; ++c) {
            n_valid += values[c] == values[c];
        }
        if (n_valid && has_data(i)) {
            valid_samples_ += n_valid;
            ++valid_positions_;
        }
    }
    const double wanted = static_cast<double>(kTile) * static_cast<double>(n_);
    candidates_ =
        valid_positions_ ? static_cast<int64_t>(std::ceil(wanted / static_cast<double>(valid_positions_))) : kTile;
    bits_ = 2;
    while ((int64_t{1} << bits_) < n_) {
        ++bits_;
    }
}

bool Samples::has_data(int64_t position) const {
    if (data_.frame_weights && !(data_.frame_weights[position / frame_] > 0.0f)) {
        return false;
    }
    const float *values = data_.values + position * n_bands_;
    for (int c = 0; c < n_bands_; ++c) {
        if (values[c] == values[c]) {
            return true;
        }
    }
    return false;
}

Samples::Shuffle::Shuffle(uint64_t seed, uint64_t epoch)
    : key(mix(seed + epoch)), odd0(mix(key) | 1), odd1(mix(key + 1) | 1), odd2(mix(key + 2) | 1) {}

// A bijection of [0, n): odd multiplications and right shifts permute the integers of bits_ bits, and what falls
// beyond n goes round again. Whether one does cannot be foretold, so those that do are collected without a branch.
void Samples::permute(const Shuffle &s, int64_t first, int count, int64_t *positions) const {
    const uint64_t mask = (uint64_t{1} << bits_) - 1;
    const int shift = bits_ / 2;
    uint8_t left[kTile];
    static_assert(kTile <= 256, "a place in a tile fits a byte");
    for (int i = 0; i < count; ++i) {
        positions[i] = first + i;
        left[i] = static_cast<uint8_t>(i);
    }
    for (int n_left = count; n_left > 0;) {
        int again = 0;
        for (int i = 0; i < n_left; ++i) {
            const uint8_t slot = left[i];
            uint64_t z = static_cast<uint64_t>(positions[slot]);
            z = (z + s.key) & mask;
            z = (z * s.odd0) & mask;
            z ^= z >> shift;
            z = (z * s.odd1) & mask;
            z ^= z >> shift;
            z = (z * s.odd2) & mask;
            z ^= z >> shift;
            positions[slot] = static_cast<int64_t>(z);
            left[again] = slot;
            again += z >= static_cast<uint64_t>(n_);
        }
        n_left = again;
    }
}

void Samples::draw(int64_t tile, int64_t *positions) const {
    const int64_t first = tile * candidates_, last = first + candidates_;
    int filled = 0;
    for (int64_t i = first; i < last && filled < kTile;) {
        const int64_t index = i % n_;
        const int count = static_cast<int>(std::min({last - i, n_ - index, static_cast<int64_t>(kTile)}));
        int64_t some[kTile];
        permute(Shuffle(seed_, static_cast<uint64_t>(i / n_)), index, count, some);
        const bool all = valid_positions_ == n_;
        for (int k = 0; k < count && !all; ++k) {
            __builtin_prefetch(data_.values + some[k] * n_bands_);
        }
        for (int k = 0; k < count && filled < kTile; ++k) {
            if (all || has_data(some[k])) {
                positions[filled++] = some[k];
            }
        }
        i += count;
    }
    while (filled < kTile) {
        positions[filled++] = -1;
    }
}

bool Samples::shares_cells(const TrainLevel &level) const {
    const int64_t shorter = std::min(data_.height, data_.width);
    const float cells = level.scale * (level.dim == 3 ? spatial_scale_ : 1.0f);
    return cells * static_cast<float>(int64_t{1} << square_bits_) <= 2.0f * static_cast<float>(shorter);
}

void Samples::prefetch(const int64_t *positions) const {
    for (int p = 0; p < kTile; ++p) {
        if (positions[p] >= 0) {
            __builtin_prefetch(data_.values + positions[p] * n_bands_);
            __builtin_prefetch(data_.values + (positions[p] + 1) * n_bands_ - 1);
        }
    }
}

void Samples::order(const int64_t *positions, int64_t n, int64_t *ordered) {
    std::vector<int64_t> start(static_cast<size_t>(n_squares_ + 2));
    squares_.resize(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) {
        int64_t square = n_squares_;  // empty places go last
        if (positions[i] >= 0) {
            const Quotient frame = by_frame_.of(positions[i]);
            const Quotient row = by_width_.of(frame.rest);
            square = (row.whole >> square_bits_) * squares_across_ + (row.rest >> square_bits_);
        }
        squares_[static_cast<size_t>(i)] = square;
        ++start[static_cast<size_t>(square + 1)];
    }
    for (int64_t i = 0; i <= n_squares_; ++i) {
        start[static_cast<size_t>(i + 1)] += start[static_cast<size_t>(i)];
    }
    for (int64_t i = 0; i < n; ++i) {
        ordered[start[static_cast<size_t>(squares_[static_cast<size_t>(i)])]++] = positions[i];
    }
}

void Samples::place(int64_t position, TileCoordinates *out, int slot) const {
    const Quotient frame = by_frame_.of(position);
    const Quotient row = by_width_.of(frame.rest);
    const float x = (static_cast<float>(row.rest) + 0.5f) / static_cast<float>(data_.width);
    const float y = (static_cast<float>(row.whole) + 0.5f) / static_cast<float>(data_.height);
    out->x[slot] = x;
    out->y[slot] = y;
    out->xs[slot] = x * spatial_scale_;
    out->ys[slot] = y * spatial_scale_;
    out->t[slot] = data_.times[frame.whole];
}

void Samples::coordinates(int64_t tile, const int64_t *positions, TileCoordinates *out) const {
    for (int p = 0; p < kTile; ++p) {
        place(positions[p] < 0 ? 0 : positions[p], out, p);
        if (jitter_ > 0.0f) {
            const uint64_t key = mix(seed_ ^ mix(static_cast<uint64_t>(tile * kTile + p)));
            const float moved = out->t[p] + jitter_ * (2.0f * uniform(key) - 1.0f);
            out->t[p] = moved < 0.0f ? 0.0f : moved > 1.0f ? 1.0f : moved;
        }
    }
}

double Samples::targets(const int64_t *positions, int stride, float *values, float *weights) const {
    double total = 0;
    for (int p = 0; p < kTile; ++p) {
        float *v = values + static_cast<int64_t>(p) * stride, *w = weights + static_cast<int64_t>(p) * stride;
        for (int c = 0; c < stride; ++c) {
            v[c] = w[c] = 0.0f;
        }
        if (positions[p] < 0) {
            continue;
        }
        const float weight = data_.frame_weights ? data_.frame_weights[positions[p] / frame_] : 1.0f;
        const float *from = data_.values + positions[p] * n_bands_;
        for (int c = 0; c < n_bands_; ++c) {
            if (from[c] == from[c]) {
                v[c] = from[c];
                w[c] = weight;
                total += weight;
            }
        }
    }
    return total;
}

}  // namespace gndc
