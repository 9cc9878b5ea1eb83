// One trainer: a model, its samples and the buffers of a step.
#ifndef GNDC_TRAIN_STEP_H
#define GNDC_TRAIN_STEP_H

#include <atomic>

#include "train_model.h"
#include "train_team.h"

struct gndc_trainer {
    gndc_trainer(const gndc_config &config, const gndc::Layout &layout, const gndc_train_options &options,
                 const gndc_train_data &data);

    void run(int64_t n_steps, gndc_train_progress *progress);
    // Loss and gradient sums of a step's batch, left in the g arrays; returns the mean loss, *weight the divisor.
    double gradient(int64_t step, double *weight);
    void evaluate(int64_t n, const float *x, const float *y, const float *t, float *out);
    void clear_gradient();
    void refresh();  // rounded weights after the weights were set

    gndc_train_options options;
    gndc::Model model;
    gndc::Samples samples;
    int64_t step = 0;
    int n_tiles;
    gndc::Floats slopes;  // [3][kSlopes]
    double bits = 0;
    double running_loss = 0;  // smoothed over the steps; 0 before the first

private:
    // Buffers of one thread: activations of every layer and the two gradients passed between layers.
    struct Workspace {
        gndc::Floats features, hidden, targets, weights, d0, d1;
        std::unique_ptr<gndc::Corners> corners, next;
    };

    bool quantised(int64_t at) const;
    void forward(const gndc::TileCoordinates &tile, Workspace &work) const;
    void prepare(int64_t at);  // draws and sorts a step's samples, where they are sorted
    void tile_pass(int64_t at, int tile, int group, bool first, Workspace &work);
    void scatter_level(size_t level, Workspace &work);
    void phases(int64_t at, int thread, int n_threads, gndc::Barrier &barrier, bool update);
    void update(int thread, int n_threads);
    void update_tables(const gndc::AdamStep &adam, size_t from, size_t to);
    void update_decoder(int thread, int n_threads);
    void price_weights();
    gndc::AdamStep adam_step(int component) const;
    float *gradient_of(size_t level, int tile) const;
    float *hidden_of(Workspace &work, size_t layer) const;

    const gndc::TrainKernels &kernels_;
    int n_threads_, n_groups_;
    std::vector<Workspace> work_;
    std::vector<gndc::TileCoordinates> tiles_;
    bool ordered_;                      // the samples of a step are sorted by place
    std::vector<int64_t> drawn_, order_;  // positions of the step `prepared_`, if so
    int64_t prepared_ = -1;
    gndc::Floats feature_gradient_;             // of the features of each level [n_tiles * kTile][features]
    gndc::Floats group_gradient_;               // of the decoder [n_groups][count], added up in this order
    std::vector<double> tile_loss_, tile_weight_;
    std::vector<size_t> level_order_;           // the largest first
    std::atomic<int> next_group_{0}, next_level_{0};
    double total_loss_ = 0, total_weight_ = 0, step_weight_ = 0;
};

#endif
