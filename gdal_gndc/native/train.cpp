// The C face of training: checks what it is given and keeps exceptions inside.
#include "gndc_train.h"

#include <cmath>
#include <cstring>
#include <new>
#include <system_error>

#include "train_step.h"

using gndc::say;

namespace {

int check(const gndc_config &config, const gndc_train_options &o, const gndc_train_data &d, char *message) {
    auto refuse = [&](const char *what) {
        say(message, "%s", what);
        return GNDC_ERR_VALUE;
    };
    if (config.block_rows != 1 || config.block_cols != 1) {
        say(message, "training writes models of block_size [1, 1], found [%lld, %lld]",
            static_cast<long long>(config.block_rows), static_cast<long long>(config.block_cols));
        return GNDC_ERR_CONFIG;
    }
    if (d.n_frames < 1 || d.height < 1 || d.width < 1 || !d.values || !d.times) {
        return refuse("the training data are empty");
    }
    for (int64_t i = 0; i < d.n_frames; ++i) {
        if (!(d.times[i] >= 0.0f && d.times[i] <= 1.0f)) {
            say(message, "time %lld is %g, expected 0 to 1", static_cast<long long>(i),
                static_cast<double>(d.times[i]));
            return GNDC_ERR_VALUE;
        }
        if (d.frame_weights && !(d.frame_weights[i] >= 0.0f && std::isfinite(d.frame_weights[i]))) {
            return refuse("frame weights must be finite and not negative");
        }
    }
    if (o.total_steps < 1 || o.batch < 1 || o.batch > (1 << 24)) {
        return refuse("total_steps and batch must be positive (batch at most 2^24)");
    }
    for (double value : {o.table_rate, o.decoder_rate, o.final_rate, o.table_init, o.spatial_scale, o.temporal_scale,
                         o.quantise_from, o.rate_weight, o.rate_relative, o.time_jitter}) {
        if (!(value >= 0.0) || !std::isfinite(value)) {
            return refuse("training options must be finite and not negative");
        }
    }
    return std::isfinite(o.decoder_scale) ? GNDC_OK : refuse("decoder_scale must be finite");
}

int check_count(const gndc_trainer *trainer, int component, int64_t count, char *message) {
    const int64_t expected = trainer->model.component_count(component);
    if (expected < 0) {
        say(message, "component %d, expected 0 to 2", component);
        return GNDC_ERR_VALUE;
    }
    if (expected != count) {
        say(message, "%lld weights given for component %d, expected %lld", static_cast<long long>(count), component,
            static_cast<long long>(expected));
        return GNDC_ERR_SIZE;
    }
    return GNDC_OK;
}

double scale_of(const gndc_trainer *trainer, int component) {
    const gndc_train_options &o = trainer->options;
    return component == 0 ? o.spatial_scale : component == 1 ? o.temporal_scale : o.decoder_scale;
}

template <typename Work>
int guarded(char *message, const Work &work) {
    try {
        return work();
    } catch (const std::bad_alloc &) {
        say(message, "out of memory while training");
        return GNDC_ERR_MEMORY;
    } catch (const std::system_error &) {
        say(message, "the system refused to start a training thread");
        return GNDC_ERR_MEMORY;
    }
}

}  // namespace

extern "C" {

gndc_trainer *gndc_trainer_new(const gndc_config *config, const gndc_train_options *options,
                               const gndc_train_data *data, int *status, char *message) {
    gndc_trainer *trainer = nullptr;
    *status = guarded(message, [&]() -> int {
        gndc::Layout layout;
        int result = gndc::make_layout(*config, layout, message);
        if (result == GNDC_OK) {
            result = check(*config, *options, *data, message);
        }
        if (result != GNDC_OK) {
            return result;
        }
        auto made = std::make_unique<gndc_trainer>(*config, layout, *options, *data);
        if (!made->samples.valid_samples()) {
            say(message, "no sample has a value: nothing to train on");
            return GNDC_ERR_VALUE;
        }
        trainer = made.release();
        return GNDC_OK;
    });
    return trainer;
}

void gndc_trainer_free(gndc_trainer *trainer) {
    delete trainer;
}

int64_t gndc_trainer_bytes(const gndc_trainer *trainer) {
    return 5 * static_cast<int64_t>(sizeof(float)) * (trainer->model.tables.count + trainer->model.decoder.count);
}

int gndc_trainer_run(gndc_trainer *trainer, int64_t n_steps, gndc_train_progress *progress, char *message) {
    return guarded(message, [&] {
        trainer->run(n_steps, progress);
        if (!std::isfinite(progress->loss)) {
            say(message, "training diverged at step %lld: the loss is not a number",
                static_cast<long long>(progress->step));
            return GNDC_ERR_VALUE;
        }
        return GNDC_OK;
    });
}

int gndc_trainer_weights(const gndc_trainer *trainer, int component, int rounded, float *out, int64_t count,
                         char *message) {
    const int status = check_count(trainer, component, count, message);
    if (status == GNDC_OK) {
        const gndc::Model &m = trainer->model;
        m.export_component(component, rounded ? m.tables.rounded : m.tables.w,
                           rounded ? m.decoder.rounded : m.decoder.w, out);
    }
    return status;
}

int gndc_trainer_quantised(const gndc_trainer *trainer, int component, int8_t *out, int64_t count, char *message) {
    const double scale = component >= 0 && component < 3 ? scale_of(trainer, component) : 0;
    if (!(scale > 0)) {
        say(message, "component %d is not trained as integers", component);
        return GNDC_ERR_VALUE;
    }
    return guarded(message, [&]() -> int {
        std::vector<float> weights(static_cast<size_t>(count));
        const int status = gndc_trainer_weights(trainer, component, 0, weights.data(), count, message);
        for (size_t i = 0; status == GNDC_OK && i < weights.size(); ++i) {
            const float q = std::nearbyint(weights[i] * static_cast<float>(scale));
            out[i] = static_cast<int8_t>(q > gndc::kMaxSteps ? gndc::kMaxSteps
                                                             : q < -gndc::kMaxSteps ? -gndc::kMaxSteps : q);
        }
        return status;
    });
}

int gndc_trainer_set_weights(gndc_trainer *trainer, int component, const float *weights, int64_t count,
                             char *message) {
    const int status = check_count(trainer, component, count, message);
    if (status == GNDC_OK) {
        trainer->model.import_component(component, weights);
        trainer->refresh();
    }
    return status;
}

int gndc_trainer_evaluate(gndc_trainer *trainer, int64_t n, const float *x, const float *y, const float *t, float *out,
                          char *message) {
    return guarded(message, [&] {
        trainer->evaluate(n, x, y, t, out);
        return GNDC_OK;
    });
}

int gndc_trainer_draw(const gndc_trainer *trainer, int64_t step, int64_t *positions, int64_t n, char *message) {
    const int64_t expected = static_cast<int64_t>(trainer->n_tiles) * gndc::kTile;
    if (n != expected || step < 0) {
        say(message, "a step draws %lld samples, found room for %lld", static_cast<long long>(expected),
            static_cast<long long>(n));
        return GNDC_ERR_SIZE;
    }
    for (int tile = 0; tile < trainer->n_tiles; ++tile) {
        trainer->samples.draw(step * trainer->n_tiles + tile, positions + static_cast<int64_t>(tile) * gndc::kTile);
    }
    return GNDC_OK;
}

int gndc_trainer_gradient(gndc_trainer *trainer, int64_t step, double *loss, float *spatial, float *temporal,
                          float *decoder, char *message) {
    return guarded(message, [&] {
        double weight = 0;
        *loss = trainer->gradient(step, &weight);
        float *const outs[3] = {spatial, temporal, decoder};
        for (int c = 0; c < 3; ++c) {
            if (!outs[c]) {
                continue;
            }
            const gndc::Model &m = trainer->model;
            m.export_component(c, m.tables.g, m.decoder.g, outs[c]);
            for (int64_t i = 0; i < m.component_count(c); ++i) {
                outs[c][i] /= static_cast<float>(weight);
            }
        }
        trainer->clear_gradient();
        return GNDC_OK;
    });
}

}  // extern "C"
