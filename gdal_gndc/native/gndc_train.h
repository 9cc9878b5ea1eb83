/* Training a neural field: forward, backward and Adam fused, on the CPU.
 *
 * The trainer evaluates exactly the network of gndc_core.h (same levels, same corners, same padded inputs), fits it to
 * one chunk's samples and hands its weights over, already on the quantisation grid they will be written with. Results
 * depend on the seed, the options and the instruction set, never on the number of threads.
 */
#ifndef GNDC_TRAIN_H
#define GNDC_TRAIN_H

#include "gndc_core.h"

#ifdef __cplusplus
extern "C" {
#endif

/* cdef begin */
/* ---- training ------------------------------------------------------------------------------------------------- */

typedef struct gndc_trainer gndc_trainer;

typedef struct {
    int64_t n_frames, height, width; /* of the chunk's stored extent */
    const float *values;             /* (n_frames, height, width, n_bands) targets, NaN where there is none */
    const float *times;              /* (n_frames) normalised to [0, 1] */
    const float *frame_weights;      /* (n_frames) weight of a frame's samples in the loss, or NULL for 1 */
} gndc_train_data;

typedef struct {
    int64_t total_steps;  /* length of the cosine schedule */
    int64_t warmup_steps; /* linear rise at its beginning */
    int64_t batch;        /* samples a step; a multiple of 96 is used, rounded up */
    uint64_t seed;
    double table_rate, decoder_rate; /* Adam step sizes at the top of the schedule */
    double final_rate;               /* fraction of them that is left at the end */
    double table_init;               /* tables start uniform in +-table_init */
    /* Quantisation: weights are integers of 1 / scale, at most 127 of them. 0: none. A negative decoder_scale rounds
     * the decoder to float16. Gradients go straight through the rounding. */
    double spatial_scale, temporal_scale, decoder_scale;
    double quantise_from; /* fraction of the schedule before quantisation begins */
    /* Weight of the coded size, in bits a sample, beside the mean squared error: rate_weight + rate_relative times the
     * running error, at most 3. The relative part is the same trade for easy and for hard data. Both rise from 0 over
     * the first tenth of the schedule. */
    double rate_weight, rate_relative;
    int64_t rate_samples; /* samples the size is divided by; 0: those of the data */
    double time_jitter;   /* samples are drawn at t +- this much */
    int32_t n_threads;
} gndc_train_options;

typedef struct {
    int64_t step;    /* steps done so far */
    double loss;     /* weighted mean squared error over the steps of this call */
    double bits;     /* estimated size of the quantised weights, 0 when not quantised */
    int64_t samples; /* samples seen in this call */
} gndc_train_progress;

/* values, times and frame_weights are kept by reference and must outlive the trainer. Models whose blocks are larger
 * than 1 x 1 are refused. */
gndc_trainer *gndc_trainer_new(const gndc_config *config, const gndc_train_options *options,
                               const gndc_train_data *data, int *status, char *message);
void gndc_trainer_free(gndc_trainer *trainer);
int64_t gndc_trainer_bytes(const gndc_trainer *trainer);
int gndc_trainer_run(gndc_trainer *trainer, int64_t n_steps, gndc_train_progress *progress, char *message);

/* Weights of a component (0 spatial, 1 temporal, 2 decoder) in the order of the format. rounded: as the decoder will
 * read them, else the continuous ones. Quantised: the integers themselves. */
int gndc_trainer_weights(const gndc_trainer *trainer, int component, int rounded, float *out, int64_t count,
                         char *message);
int gndc_trainer_quantised(const gndc_trainer *trainer, int component, int8_t *out, int64_t count, char *message);
int gndc_trainer_set_weights(gndc_trainer *trainer, int component, const float *weights, int64_t count,
                             char *message);

/* Network outputs (n, n_bands) at normalised coordinates, with the rounded weights. */
int gndc_trainer_evaluate(gndc_trainer *trainer, int64_t n, const float *x, const float *y, const float *t, float *out,
                          char *message);

/* Positions (frame * height + row) * width + col that step `step` draws, -1 for places left empty; n as many as a
 * step draws (the batch, rounded up). */
int gndc_trainer_draw(const gndc_trainer *trainer, int64_t step, int64_t *positions, int64_t n, char *message);
/* Loss and its gradient over the batch of a step, without the size penalty, in the order of the format. */
int gndc_trainer_gradient(gndc_trainer *trainer, int64_t step, double *loss, float *spatial, float *temporal,
                          float *decoder, char *message);

/* The price list of the size penalty: counts[128] of the weights that are 0, 1, ... 127 steps long, slopes[129] bits a
 * step at each of these lengths and beyond. Returns the bits of all weights together. */
double gndc_rate_slopes(const int64_t *counts, float *slopes);

/* Whittaker smoother of series over irregular, ascending times: values and out are (n_times, n_series), NaN where there
 * is no observation; out is NaN before the first and after the last one of a series. strength weighs the squared second
 * derivative, the median gap being the unit of time. */
int gndc_smooth(int64_t n_times, int64_t n_series, const double *times, const float *values, double strength,
                float *out, char *message);
/* cdef end */

#ifdef __cplusplus
}
#endif
#endif
