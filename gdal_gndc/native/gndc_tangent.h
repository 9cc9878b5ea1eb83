/* Derivatives of a cube: what a field's values change by per pixel column, per pixel row and per unit of time.
 *
 * Exact forward-mode derivatives of what gndc_core.h evaluates: through the interpolation of the hash grids (piecewise
 * multilinear: the derivative inside the cell; on a cell's edge that of the cell above), the decoder (ReLU: 0 where its
 * input is 0), denormalisation, use_log, and the feather weights where chunks overlap. Residuals are corrections of
 * single observed pixels and take no part; masked pixels are NaN.
 */
#ifndef GNDC_TANGENT_H
#define GNDC_TANGENT_H

#include "gndc_core.h"

#ifdef __cplusplus
extern "C" {
#endif

/* cdef begin */
#define GNDC_BY_COLUMN 1
#define GNDC_BY_ROW 2
#define GNDC_BY_TIME 4

typedef struct {
    int64_t n_points, n_bands;
    const double *rows, *cols; /* (n_points) pixel coordinates inside the cube, in any order */
    const int32_t *bands;      /* 0-based */
    int32_t axes;              /* GNDC_BY_*, or-ed */
    float *out;   /* (1 + number of axes, n_points, n_bands): the value, then the derivatives by column, row, time */
    double *sums; /* (1 + number of axes, n_points, n_bands + 1) when gndc_blends(), else NULL */
} gndc_tangents;

/* Call begin, then add for every routed chunk, then end. `fill` is the value of points no chunk covers; their
 * derivatives are NaN.
 *
 * t_rate: what the chunk's normalised time t changes by per unit of time (any unit the caller likes, such as a second).
 * time_weight_rate: what time_weight changes by per unit of time. mask: as for gndc_grid_add.
 *
 * A chunk whose model decodes blocks of several pixels is constant within a block: GNDC_ERR_CONFIG if a derivative by
 * column or row is asked of it. */
void gndc_tangents_begin(const gndc_tangents *tangents, float fill);
int gndc_tangents_add(const gndc_tangents *tangents, const gndc_chunk *chunk, float t, double t_rate,
                      double time_weight, double time_weight_rate, const uint8_t *mask, int n_threads, char *message);
void gndc_tangents_end(const gndc_tangents *tangents);

/* What gndc_time_weight() changes by per frame, and what gndc_frame_of() changes by per unit of `time`: both that of
 * the piece after a corner, of the piece before it at the last frame. */
double gndc_time_weight_rate(const gndc_cube *cube, int64_t chunk, double frame);
double gndc_frame_rate(const double *times, int64_t n, double time);
/* 1 if a chunk's model decodes blocks of several pixels. */
int gndc_decodes_blocks(const gndc_chunk *chunk);
/* cdef end */

#ifdef __cplusplus
}
#endif
#endif
