#include "train_step.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace gndc;

namespace {

constexpr int kGroups = 32;        // sums of the decoder's gradient; their number must not depend on the threads
constexpr int kPriceInterval = 25; // steps between two looks at the weights' histogram

// Samples are sorted where tables are larger than a core's cache and a batch large enough to bring neighbours together.
constexpr int64_t kOrderedTables = 1 << 19;
constexpr int kOrderedTiles = 40;

// Bytes of tables that do not stay in the caches near a core, whose entries are asked for ahead of time.
constexpr size_t kLargeTable = 1 << 18;

constexpr double kSmoothing = 0.02;   // of the running error

int tiles_of(int64_t batch) {
    return static_cast<int>((std::max<int64_t>(batch, 1) + kTile - 1) / kTile);
}

template <int N>
void copy_runs(const float *from, int stride, float *to) {
    for (int p = 0; p < kTile; ++p) {
        std::memcpy(to + static_cast<int64_t>(p) * N, from + static_cast<int64_t>(p) * stride, N * sizeof(float));
    }
}

// The first n columns of a tile's matrix, one row after the other.
void copy_columns(const float *from, int stride, int n, float *to) {
    switch (n) {
        case 1: return copy_runs<1>(from, stride, to);
        case 2: return copy_runs<2>(from, stride, to);
        case 4: return copy_runs<4>(from, stride, to);
        case 8: return copy_runs<8>(from, stride, to);
        default:
            for (int p = 0; p < kTile; ++p) {
                std::memcpy(to + static_cast<int64_t>(p) * n, from + static_cast<int64_t>(p) * stride,
                            static_cast<size_t>(n) * sizeof(float));
            }
    }
}

}  // namespace

gndc_trainer::gndc_trainer(const gndc_config &config, const Layout &layout, const gndc_train_options &given,
                           const gndc_train_data &data)
    : options(given),
      model(config, layout),
      samples(data, given, static_cast<int>(layout.n_bands), static_cast<float>(config.spatial_scale)),
      n_tiles(tiles_of(given.batch)),
      slopes(make_floats(3 * kSlopes)),
      kernels_(train_kernels()),
      n_threads_(given.n_threads > 0 ? given.n_threads : gndc_threads()),
      n_groups_(std::min(n_tiles, kGroups)),
      tiles_(static_cast<size_t>(n_tiles)),
      ordered_(model.tables.count >= kOrderedTables && n_tiles >= kOrderedTiles),
      feature_gradient_(make_floats(static_cast<int64_t>(n_tiles) * kTile * model.n_features)),
      tile_loss_(static_cast<size_t>(n_tiles)),
      tile_weight_(static_cast<size_t>(n_tiles)) {
    n_threads_ = std::max(1, std::min(n_threads_, n_groups_));
    if (ordered_) {
        drawn_.resize(static_cast<size_t>(n_tiles) * kTile);
        order_.resize(drawn_.size());
    }
    int64_t activations = 0;
    for (const Matrix &matrix : model.matrices) {
        activations += matrix.columns;
    }
    for (int i = 0; i < n_threads_; ++i) {
        Workspace work;
        work.features = make_floats(static_cast<int64_t>(kTile) * model.width);
        work.hidden = make_floats(kTile * activations);
        work.targets = make_floats(static_cast<int64_t>(kTile) * model.matrices.back().columns);
        work.weights = make_floats(static_cast<int64_t>(kTile) * model.matrices.back().columns);
        work.d0 = make_floats(static_cast<int64_t>(kTile) * model.widest);
        work.d1 = make_floats(static_cast<int64_t>(kTile) * model.widest);
        work.corners = std::make_unique<Corners>();
        work.next = std::make_unique<Corners>();
        work_.push_back(std::move(work));
    }
    group_gradient_ = make_floats(n_groups_ * model.decoder.count);
    for (size_t l = 0; l < model.levels.size(); ++l) {
        level_order_.push_back(l);
    }
    auto cost = [&](size_t l) {
        const TrainLevel &level = model.levels[l];
        return static_cast<double>(level.features << level.dim) * std::log2(static_cast<double>(level.modulus) + 2.0);
    };
    std::stable_sort(level_order_.begin(), level_order_.end(), [&](size_t a, size_t b) { return cost(a) > cost(b); });
    for (TrainLevel &level : model.levels) {
        const size_t bytes = size_t{level.modulus} * static_cast<size_t>(level.features) * sizeof(float);
        level.prefetched = bytes >= kLargeTable && !(ordered_ && samples.shares_cells(level));
    }
    mark_reachable(model, samples, kernels_, options.time_jitter);
    model.start(options.seed, options.table_init);
    refresh();
}

bool gndc_trainer::quantised(int64_t at) const {
    return static_cast<double>(at) >= options.quantise_from * static_cast<double>(options.total_steps);
}

void gndc_trainer::refresh() {
    model.round(kernels_, options, quantised(step));
}

float *gndc_trainer::hidden_of(Workspace &work, size_t layer) const {
    float *p = work.hidden.get();
    for (size_t l = 0; l < layer; ++l) {
        p += static_cast<int64_t>(kTile) * model.matrices[l].columns;
    }
    return p;
}

void gndc_trainer::forward(const TileCoordinates &tile, Workspace &work) const {
    auto find = [&](size_t l) {
        const TrainLevel &level = model.levels[l];
        const bool flat = level.dim == 2;
        kernels_.corners(level, flat ? tile.x : tile.xs, flat ? tile.y : tile.ys, tile.t, work.next.get());
        kernels_.prefetch(model.tables.rounded + level.offset, level, work.next.get());
    };
    find(0);
    for (size_t l = 0; l < model.levels.size(); ++l) {
        std::swap(work.corners, work.next);
        if (l + 1 < model.levels.size()) {
            find(l + 1);  // its entries arrive while those of this level are used
        }
        const TrainLevel &level = model.levels[l];
        kernels_.gather(model.tables.rounded + level.offset, level, work.corners.get(),
                        work.features.get() + model.column_of(l), model.width);
    }
    for (int p = 0; p < kTile; ++p) {
        for (int c = model.n_features; c < model.width; ++c) {
            work.features[static_cast<int64_t>(p) * model.width + c] = 1.0f;
        }
    }
    const float *input = work.features.get();
    for (size_t l = 0; l < model.matrices.size(); ++l) {
        const Matrix &matrix = model.matrices[l];
        float *output = hidden_of(work, l);
        kernels_.multiply(input, matrix.rows, matrix.rows, model.decoder.rounded + matrix.offset, matrix.columns,
                          output, l + 1 < model.matrices.size(), nullptr);
        input = output;
    }
}

void gndc_trainer::prepare(int64_t at) {
    if (!ordered_ || prepared_ == at) {
        return;
    }
    for (int tile = 0; tile < n_tiles; ++tile) {
        samples.draw(at * n_tiles + tile, drawn_.data() + static_cast<int64_t>(tile) * kTile);
    }
    samples.order(drawn_.data(), static_cast<int64_t>(drawn_.size()), order_.data());
    prepared_ = at;
}

void gndc_trainer::tile_pass(int64_t at, int tile, int group, bool first, Workspace &work) {
    const int64_t number = at * n_tiles + tile;
    TileCoordinates &place = tiles_[static_cast<size_t>(tile)];
    int64_t room[kTile];
    const int64_t *positions = room;
    if (ordered_) {
        positions = order_.data() + static_cast<int64_t>(tile) * kTile;
    } else {
        samples.draw(number, room);
    }
    samples.prefetch(positions);
    samples.coordinates(number, positions, &place);
    const size_t last = model.matrices.size() - 1;
    const int stride = model.matrices[last].columns;
    forward(place, work);
    tile_weight_[static_cast<size_t>(tile)] =
        samples.targets(positions, stride, work.targets.get(), work.weights.get());
    const float *output = hidden_of(work, last);
    float *d = work.d0.get(), *other = work.d1.get();
    tile_loss_[static_cast<size_t>(tile)] =
        kernels_.errors(output, work.targets.get(), work.weights.get(), static_cast<int64_t>(kTile) * stride, d);
    float *gradient = group_gradient_.get() + group * model.decoder.count;
    for (size_t l = last;; --l) {
        const Matrix &matrix = model.matrices[l];
        const float *input = l ? hidden_of(work, l - 1) : work.features.get();
        kernels_.accumulate(input, matrix.rows, d, matrix.columns, gradient + matrix.offset, first);
        const int used = l == last ? static_cast<int>(model.layout.n_outputs) : matrix.columns;
        const float *back = model.transposed.get() + matrix.offset;
        if (l == 0) {
            kernels_.multiply(d, matrix.columns, used, back, matrix.rows, other, false, nullptr);
            break;
        }
        kernels_.multiply(d, matrix.columns, used, back, matrix.rows, other, false, input);
        std::swap(d, other);
    }
    for (size_t l = 0; l < model.levels.size(); ++l) {
        copy_columns(other + model.column_of(l), model.width, model.levels[l].features, gradient_of(l, tile));
    }
}

// A level reads its slopes of all tiles one after the other: each has them for itself.
float *gndc_trainer::gradient_of(size_t level, int tile) const {
    return feature_gradient_.get() +
           kTile * (static_cast<int64_t>(model.column_of(level)) * n_tiles +
                    static_cast<int64_t>(model.levels[level].features) * tile);
}

void gndc_trainer::scatter_level(size_t l, Workspace &work) {
    const TrainLevel &level = model.levels[l];
    const bool flat = level.dim == 2;
    for (int tile = 0; tile < n_tiles; ++tile) {
        const TileCoordinates &place = tiles_[static_cast<size_t>(tile)];
        kernels_.corners(level, flat ? place.x : place.xs, flat ? place.y : place.ys, place.t, work.corners.get());
        kernels_.scatter(model.tables.g + level.offset, level, work.corners.get(),
                         gradient_of(l, tile), level.features);
    }
}

void gndc_trainer::phases(int64_t at, int thread, int n_threads, Barrier &barrier, bool learn) {
    Workspace &work = work_[static_cast<size_t>(thread)];
    for (int group = next_group_.fetch_add(1); group < n_groups_; group = next_group_.fetch_add(1)) {
        const int begin = n_tiles * group / n_groups_;
        for (int tile = begin; tile < n_tiles * (group + 1) / n_groups_; ++tile) {
            tile_pass(at, tile, group, tile == begin, work);
        }
    }
    barrier.wait();
    if (thread == 0) {
        next_group_.store(0);
        double loss = 0, weight = 0;
        for (int tile = 0; tile < n_tiles; ++tile) {
            loss += tile_loss_[static_cast<size_t>(tile)];
            weight += tile_weight_[static_cast<size_t>(tile)];
        }
        total_loss_ += loss;
        total_weight_ += weight;
        step_weight_ = weight;
        if (learn && weight > 0) {
            running_loss += (running_loss > 0 ? kSmoothing : 1.0) * (loss / weight - running_loss);
        }
    }
    // besides, the order of the next step's samples: that of this one is needed no more
    const int n_levels = static_cast<int>(level_order_.size());
    for (int l = next_level_.fetch_add(1); l <= n_levels; l = next_level_.fetch_add(1)) {
        if (l) {
            scatter_level(level_order_[static_cast<size_t>(l - 1)], work);
        } else if (learn) {
            prepare(at + 1);
        }
    }
    barrier.wait();
    if (thread == 0) {
        next_level_.store(0);  // all are past this phase, and none reaches the next of its kind before a barrier
    }
    if (learn) {
        update(thread, n_threads);
        barrier.wait();
        if (thread == 0) {
            ++step;
        }
    }
}

void gndc_trainer::run(int64_t n_steps, gndc_train_progress *progress) {
    total_loss_ = total_weight_ = 0;
    const int64_t first = step, last = std::min(options.total_steps, step + n_steps);
    prepare(first);
    Barrier barrier(n_threads_);
    run_team(n_threads_, [&](int thread) {
        for (int64_t at = first; at < last; ++at) {
            if (at % kPriceInterval == 0 && thread == 0) {
                price_weights();
            }
            phases(at, thread, n_threads_, barrier, true);
        }
    });
    progress->step = step;
    progress->loss = total_weight_ > 0 ? total_loss_ / total_weight_ : 0;
    progress->bits = bits;
    progress->samples = (step - first) * n_tiles * kTile;
}

double gndc_trainer::gradient(int64_t at, double *weight) {
    total_loss_ = total_weight_ = 0;
    prepare(at);
    Barrier barrier(1);
    run_team(1, [&](int) { phases(at, 0, 1, barrier, false); });
    kernels_.total(group_gradient_.get(), model.decoder.count, n_groups_, model.decoder.count, model.decoder.g);
    *weight = total_weight_;
    return total_weight_ > 0 ? total_loss_ / total_weight_ : 0;
}

void gndc_trainer::clear_gradient() {
    for (Parameters *p : {&model.tables, &model.decoder}) {
        std::memset(p->g, 0, static_cast<size_t>(p->count) * sizeof(float));
    }
}

void gndc_trainer::evaluate(int64_t n, const float *x, const float *y, const float *t, float *out) {
    Workspace &work = work_[0];
    auto tile = std::make_unique<TileCoordinates>();
    const size_t last = model.matrices.size() - 1;
    const int n_bands = static_cast<int>(model.layout.n_outputs), stride = model.matrices[last].columns;
    const float spatial_scale = model.layout.spatial_scale;
    for (int64_t i = 0; i < n; i += kTile) {
        const int count = static_cast<int>(std::min<int64_t>(kTile, n - i));
        for (int p = 0; p < kTile; ++p) {
            const int64_t from = i + std::min(p, count - 1);
            tile->x[p] = x[from];
            tile->y[p] = y[from];
            tile->xs[p] = x[from] * spatial_scale;
            tile->ys[p] = y[from] * spatial_scale;
            tile->t[p] = t[from];
        }
        forward(*tile, work);
        const float *output = hidden_of(work, last);
        for (int p = 0; p < count; ++p) {
            std::memcpy(out + (i + p) * n_bands, output + static_cast<int64_t>(p) * stride,
                        static_cast<size_t>(n_bands) * sizeof(float));
        }
    }
}
