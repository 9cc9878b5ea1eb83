// What a step does to the parameters: Adam, the price of bits, rounding.
#include "train_step.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace gndc;

namespace {

constexpr double kMostRelative = 3.0;

}  // namespace

AdamStep gndc_trainer::adam_step(int component) const {
    const double fraction = static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, options.total_steps));
    const double cosine = 0.5 * (1.0 + std::cos(3.14159265358979323846 * std::min(1.0, fraction)));
    const double warm = std::min(1.0, static_cast<double>(step + 1) /
                                          static_cast<double>(std::max<int64_t>(1, options.warmup_steps)));
    const double rate = (component == 2 ? options.decoder_rate : options.table_rate) * warm *
                        (cosine * (1.0 - options.final_rate) + options.final_rate);
    const double n = static_cast<double>(step + 1);
    const double scale = component == 0   ? options.spatial_scale
                         : component == 1 ? options.temporal_scale
                                          : options.decoder_scale;
    AdamStep adam{};
    adam.rate = static_cast<float>(rate / (1.0 - std::pow(0.9, n)));
    adam.second = static_cast<float>(1.0 / (1.0 - std::pow(0.99, n)));
    adam.gradient_scale = static_cast<float>(1.0 / std::max(step_weight_, 1e-30));
    adam.scale = static_cast<float>(scale);
    adam.most = scale > 0 ? kMaxSteps / adam.scale : std::numeric_limits<float>::max();
    if (quantised(step + 1)) {
        adam.rounding = scale > 0 ? Rounding::steps : scale < 0 ? Rounding::half : Rounding::none;
    }
    // While little is learnt yet a price on every weight would end all learning: it rises with the first tenth of the
    // schedule, and its relative part stays below what an untrained error would ask for.
    const double rise = std::min(1.0, 10.0 * fraction);
    const double rate_weight =
        rise * (options.rate_weight + std::min(kMostRelative, options.rate_relative * running_loss));
    if (scale > 0 && rate_weight > 0) {
        const int64_t n_samples = options.rate_samples > 0 ? options.rate_samples : samples.valid_samples();
        adam.penalty = static_cast<float>(rate_weight * scale / static_cast<double>(n_samples));
        adam.slopes = slopes.get() + component * kSlopes;
    }
    return adam;
}

void gndc_trainer::update_tables(const AdamStep &adam, size_t from, size_t to) {
    Parameters &p = model.tables;
    const std::vector<uint32_t> &blocks = model.blocks;
    for (size_t i = from; i < to;) {  // runs of neighbouring blocks at once
        size_t end = i + 1;
        while (end < to && blocks[end] == blocks[end - 1] + 1) {
            ++end;
        }
        const int64_t first = static_cast<int64_t>(blocks[i]) * kPad, n = static_cast<int64_t>(end - i) * kPad;
        kernels_.adam(adam, n, p.w + first, p.rounded + first, p.g + first, p.m + first,
                      p.v + first);
        i = end;
    }
}

void gndc_trainer::update(int thread, int n_threads) {
    const std::vector<uint32_t> &blocks = model.blocks;
    const size_t n = blocks.size();
    const size_t from = n * static_cast<size_t>(thread) / static_cast<size_t>(n_threads);
    const size_t to = n * static_cast<size_t>(thread + 1) / static_cast<size_t>(n_threads);
    const uint32_t border = static_cast<uint32_t>(model.temporal_start / kPad);
    const size_t middle = static_cast<size_t>(
        std::lower_bound(blocks.begin() + static_cast<std::ptrdiff_t>(from),
                         blocks.begin() + static_cast<std::ptrdiff_t>(to), border) -
        blocks.begin());
    update_tables(adam_step(0), from, middle);
    update_tables(adam_step(1), middle, to);
    update_decoder(thread, n_threads);
}

// Shared out in blocks of kPad rows, whose columns are whole cache lines of the transposed matrix.
void gndc_trainer::update_decoder(int thread, int n_threads) {
    Parameters &p = model.decoder;
    const AdamStep adam = adam_step(2);
    int n_blocks = 0;
    for (const Matrix &matrix : model.matrices) {
        n_blocks += matrix.rows / kPad;
    }
    const int from = n_blocks * thread / n_threads, to = n_blocks * (thread + 1) / n_threads;
    int block = 0;
    for (const Matrix &matrix : model.matrices) {
        for (int row = 0; row < matrix.rows; row += kPad, ++block) {
            if (block < from || block >= to) {
                continue;
            }
            const int64_t first = matrix.offset + static_cast<int64_t>(row) * matrix.columns;
            const int64_t n = static_cast<int64_t>(kPad) * matrix.columns;
            kernels_.total(group_gradient_.get() + first, p.count, n_groups_, n, p.g + first);
            kernels_.adam(adam, n, p.w + first, p.rounded + first, p.g + first, p.m + first,
                          p.v + first);
            kernels_.transpose(p.rounded + first, kPad, matrix.columns,
                               model.transposed.get() + matrix.offset + row, matrix.rows);
        }
    }
}

void gndc_trainer::price_weights() {
    const uint32_t border = static_cast<uint32_t>(model.temporal_start / kPad);
    const std::vector<uint32_t> &blocks = model.blocks;
    const int64_t n_spatial = std::lower_bound(blocks.begin(), blocks.end(), border) - blocks.begin();
    const int64_t n_temporal = static_cast<int64_t>(blocks.size()) - n_spatial;
    bits = 0;
    if (options.spatial_scale > 0) {
        bits += rate_slopes(model.tables.w, blocks.data(), n_spatial, static_cast<float>(options.spatial_scale),
                            slopes.get());
    }
    if (options.temporal_scale > 0 && n_temporal) {
        bits += rate_slopes(model.tables.w, blocks.data() + n_spatial, n_temporal,
                            static_cast<float>(options.temporal_scale), slopes.get() + kSlopes);
    }
    if (options.decoder_scale > 0) {
        bits += rate_slopes(model.decoder.w, nullptr, model.decoder.count / kPad,
                            static_cast<float>(options.decoder_scale), slopes.get() + 2 * kSlopes);
    } else if (options.decoder_scale < 0) {
        bits += 16.0 * static_cast<double>(model.layout.decoder_count);
    }
}
