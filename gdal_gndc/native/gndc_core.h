/* The numeric core of gdal-gndc: neural fields to pixels.
 *
 * No I/O, no JSON, no decompression: a host (the Python package through cffi, the GDAL driver in C++) fetches and
 * unpacks the entries of a container and hands buffers to this interface. Every function is thread safe as long as no
 * two threads write to the same output; handles are immutable once made.
 *
 * Conventions
 *  - Positions are continuous pixel coordinates of the cube: pixel i covers [i, i + 1), its centre is i + 0.5. Frames
 *    likewise on the time axis.
 *  - A function that can fail returns GNDC_OK or another gndc_status and, on failure, writes one sentence into
 *    `message` (GNDC_MESSAGE bytes, may be NULL) that says what was found and what was expected.
 *  - n_threads <= 0 means as many as gndc_set_threads() said, by default the cores this process may run on.
 *  - Results do not depend on the number of threads, nor on the window whole pixels are read with: a pixel at one time
 *    has the same bits in every grid of consecutive pixels. Grids of other spacings and series reach the same values
 *    on another path and differ by float32 rounding (some 1e-6 of a band's range).
 */
#ifndef GNDC_CORE_H
#define GNDC_CORE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* cdef begin */
#define GNDC_MESSAGE 320

typedef enum {
    GNDC_OK = 0,
    GNDC_ERR_CONFIG = 1, /* the model configuration is not one that can be built */
    GNDC_ERR_SIZE = 2,   /* a count or length disagrees with the configuration */
    GNDC_ERR_VALUE = 3,  /* a number is outside what is allowed (position, scale, weight) */
    GNDC_ERR_MEMORY = 4  /* an allocation failed */
} gndc_status;

typedef enum { GNDC_FLOAT16 = 0, GNDC_INT8 = 1, GNDC_INT16 = 2, GNDC_FLOAT32 = 3 } gndc_type;

/* ---- library -------------------------------------------------------------------------------------------------- */

/* Instruction sets, from the least to the most: "generic", "avx2", "avx512". The best one the machine has is taken;
 * GNDC_ISA in the environment or gndc_set_isa() can lower it. gndc_set_isa returns 0 if the machine lacks it; it must
 * not be called while another thread evaluates. */
const char *gndc_isa(void);
int gndc_set_isa(const char *name);
int gndc_threads(void);
void gndc_set_threads(int n_threads);

/* ---- model layout (specification 6.1, DECODING.md 3, 4 and 6) -------------------------------------------------- */

typedef struct {
    int64_t n_bands;
    int64_t xy_hash_size, xy_base_resolution, xy_n_levels, xy_features_per_level;
    int64_t t_hash_size, t_base_resolution, t_n_levels, t_features_per_level;
    double xy_per_level_scale, t_per_level_scale, spatial_scale;
    int64_t decoder_hidden, n_hidden_layers;
    int64_t disable_temporal;
    int64_t block_rows, block_cols;
} gndc_config;

typedef struct {
    int64_t spatial_count, temporal_count, decoder_count; /* weights of each component; temporal 0 when disabled */
    int64_t n_inputs, n_inputs_padded, n_outputs, n_outputs_padded;
} gndc_layout;

typedef struct {
    int64_t resolution; /* vertices per axis */
    int64_t entries;    /* table entries that are addressed by hash, or resolution^dim when dense */
    int64_t allocated;  /* entries reserved in the weight vector */
    int64_t offset;     /* first weight of the level within its grid */
    float scale;        /* coordinate in [0, 1] -> grid coordinate is p * scale + 0.5 */
    int32_t hashed;
} gndc_level;

/* Refuses what cannot be built (zero or huge levels, layers, widths) in constant time and without allocating. */
int gndc_layout_of(const gndc_config *config, gndc_layout *layout, char *message);
int gndc_level_of(const gndc_config *config, int temporal, int level, gndc_level *out, char *message);

/* ---- field: the dequantised network --------------------------------------------------------------------------- */

typedef struct gndc_field gndc_field;

typedef struct {
    const void *data; /* little endian, any alignment */
    int64_t count;
    int32_t type; /* gndc_type; integers are divided by scale, floats taken as they are (scale ignored) */
    float scale;
} gndc_tensor;

/* tensors: spatial, temporal (absent when disabled), decoder. Counts must equal the layout's. Copies what it needs. */
gndc_field *gndc_field_new(const gndc_config *config, const gndc_tensor *tensors, int n_tensors, int *status,
                           char *message);
void gndc_field_free(gndc_field *field);
int64_t gndc_field_bytes(const gndc_field *field);

/* How the hidden layers are evaluated. GNDC_PRECISION_FAST: in 16-bit fixed point with a scale for every sample and
 * neuron, which errs by some 1e-5 of a band's range, where gndc_has_fast() says that the instruction set in use has
 * what it takes (AVX512-VNNI with "avx512"), else in float32. Samples keep the guarantees above: the same bits in every
 * grid of consecutive pixels and on any number of threads. Derivatives are float32 always. */
typedef enum { GNDC_PRECISION_FLOAT32 = 0, GNDC_PRECISION_FAST = 1 } gndc_precision;
int gndc_has_fast(void);

/* Raw network outputs (before denormalisation) at normalised coordinates in [0, 1]; out is (n, n_outputs). precision: a
 * gndc_precision. */
int gndc_field_points(const gndc_field *field, int64_t n, const float *x, const float *y, const float *t,
                      int precision, int n_threads, float *out);

/* ---- where a cube's samples come from (DECODING.md 8 and 11) --------------------------------------------------- */

typedef struct {
    int64_t n_frames, height, width;
    int64_t overlap, t_overlap;
    int64_t n_chunks;
    const int64_t *bounds; /* (n_chunks, 6): t0, t1, y0, y1, x0, x1, half open, without halo */
} gndc_cube;

/* Stored extent of a chunk: bounds widened by the halos and clamped to the cube; same order as bounds. */
void gndc_stored_extent(const gndc_cube *cube, int64_t chunk, int64_t *stored);
/* Chunks that contribute to the box [row0, row1) x [col0, col1) at continuous frame coordinate `frame`
 * (i + 0.5 for observed frame i), ascending, into chunks[n_chunks]; returns how many. */
int64_t gndc_route(const gndc_cube *cube, double frame, double row0, double row1, double col0, double col1,
                   int64_t *chunks);
/* The same for any of n frame coordinates. */
int64_t gndc_route_times(const gndc_cube *cube, const double *frames, int64_t n, double row0, double row1, double col0,
                         double col1, int64_t *chunks);
/* 1 if contributions overlap and must be blended (any halo), else 0. */
int gndc_blends(const gndc_cube *cube);
/* Feather weight of a chunk at a frame coordinate, in (0, 1]; 0 where the chunk stores nothing. */
double gndc_time_weight(const gndc_cube *cube, int64_t chunk, double frame);
void gndc_time_weights(const gndc_cube *cube, int64_t chunk, const double *frames, int64_t n, double *weights);
/* Continuous frame coordinate of a time: i + 0.5 at times[i], linear in between, clamped to the ends. times ascend. */
double gndc_frame_of(const double *times, int64_t n, double time);
/* Index of the time nearest to `time`, the first on a tie; any order. */
int64_t gndc_nearest_frame(const double *times, int64_t n, double time);
/* (time - start) / (end - start) clamped to [0, 1]; 0 when start == end. */
float gndc_normalise_time(double time, double start, double end);
void gndc_normalise_times(const double *times, int64_t n, double start, double end, float *normalised);

/* ---- residuals of one frame (specification 6.4.2) -------------------------------------------------------------- */

typedef struct gndc_residual gndc_residual;

/* deltas: gap-coded positions (row * width + col) * n_bands + band of the chunk's stored extent, ascending; values:
 * count of int8, int16 or, as they are to be added, float32. Else with band_scales (1 or n_bands of them) the residual
 * is value * band_scale, else value * frame_scale. */
gndc_residual *gndc_residual_new(const int32_t *deltas, const void *values, int64_t count, int type, float frame_scale,
                                 const float *band_scales, int64_t n_band_scales, int64_t height, int64_t width,
                                 int64_t n_bands, int *status, char *message);
/* The same from an in-band stream, which has one of height * width * n_bands int8 or int16 for every value of the
 * frame, each worth value * scale; those of `sparse` (may be NULL) are added. What is 0 is left out. */
gndc_residual *gndc_residual_dense(const void *values, int type, float scale, const gndc_residual *sparse,
                                   int64_t height, int64_t width, int64_t n_bands, int *status, char *message);
void gndc_residual_free(gndc_residual *residual);
int64_t gndc_residual_bytes(const gndc_residual *residual);

/* ---- chunk: a field with its place in the cube and its units (DECODING.md 5 and 7) ------------------------------ */

typedef struct {
    const gndc_field *field;
    int64_t bounds[6]; /* t0, t1, y0, y1, x0, x1 without halo */
    int64_t stored[6]; /* with halo */
    const float *range; /* (n_bands, 2): min, max of train_data_range */
    int32_t use_log;
    int32_t norm_mode;      /* 3, 2, 1 or 0 */
    int32_t has_xyz_params; /* norm_mode 1: params given */
    /* mode 2: lon_min, lon_span, lat_min, lat_span; mode 1: x_min, x_span, y_min, y_span, z_min, z_span */
    double params[6];
    double transform[6]; /* of the stored extent: a, b, c, d, e, f; used by modes 0 to 2 */
} gndc_chunk;

/* ---- reading a grid at one time -------------------------------------------------------------------------------- */

typedef struct {
    int64_t n_rows, n_cols, n_bands;
    const double *rows, *cols; /* ascending pixel coordinates inside the cube */
    const int32_t *bands;      /* 0-based */
    float *out;
    int64_t row_stride, col_stride, band_stride; /* in floats */
    float *weights; /* (n_rows, n_cols) when gndc_blends(), else NULL */
    int32_t precision; /* gndc_precision */
} gndc_grid;

/* Pixel coordinates of n samples that divide [offset, offset + size) evenly: their centres. A window read at its own
 * resolution has size == n; fewer samples decimate, more enlarge. */
void gndc_positions(double offset, double size, int64_t n, double *positions);

/* Call begin, then add for every routed chunk in ascending order, then end. `fill` is the value of pixels no chunk
 * covers. mask: the packed bits of the frame over the chunk's stored extent (1 = nodata) or NULL. */
void gndc_grid_begin(const gndc_grid *grid, float fill);
int gndc_grid_add(const gndc_grid *grid, const gndc_chunk *chunk, float t, double time_weight, const uint8_t *mask,
                  const gndc_residual *residual, int n_threads, char *message);
void gndc_grid_end(const gndc_grid *grid, float fill);

/* Averaged reading of a grid whose samples are wider than a pixel, which single samples would alias. The rule, for
 * every host to follow to the bit: a sample of size / n pixels along an axis stands for gndc_supersamples(size, n)
 * sub-samples of that axis, ceil(size / n - 1e-6) but at least 1 and at most GNDC_SUPERSAMPLES. The sub-samples are the
 * grid gndc_positions(offset, size, n * supersamples): at whole ratios up to GNDC_SUPERSAMPLES exactly the pixels'
 * centres. Of that finer grid, read as any other with the same `fill`, gndc_average takes the mean of each cell, band by
 * band, in double, row by row, over the sub-samples that are neither NaN nor equal to `fill`. A cell without such is NaN
 * if one of its sub-samples is, else `fill`. One sub-sample per cell gives the bits of the plain read. */
#define GNDC_SUPERSAMPLES 16
int64_t gndc_supersamples(double size, int64_t n);
/* fine: (n_rows * row_samples, n_cols * col_samples, n_bands), contiguous. Of grid its sizes, out and strides are used;
 * the bands are those of `fine`, in its order. */
void gndc_average(const gndc_grid *grid, const float *fine, int64_t row_samples, int64_t col_samples, float fill,
                  int n_threads);

/* The part of add that is not the network, for hosts that evaluate the network elsewhere: takes its outputs
 * (ny, nx, n_outputs) at the part of the grid that the chunk covers, block by block when the model has blocks. */
int gndc_grid_add_raw(const gndc_grid *grid, const gndc_chunk *chunk, const float *raw, double time_weight,
                      const uint8_t *mask, const gndc_residual *residual, char *message);

/* ---- reading points over many times ---------------------------------------------------------------------------- */

typedef struct {
    int64_t n_points, n_times, n_bands;
    const double *rows, *cols; /* (n_points) pixel coordinates inside the cube */
    const int32_t *bands;
    float *out;     /* (n_points, n_times, n_bands) */
    float *weights; /* (n_points, n_times) when gndc_blends(), else NULL */
    int32_t precision; /* gndc_precision */
} gndc_series;

void gndc_series_begin(const gndc_series *series, float fill);
/* t, time_weights, masks, residuals: one per time; a time_weight of 0 says the chunk does not answer that time.
 * masks and residuals may be NULL, or hold NULLs. Points outside the chunk's stored extent are left alone. */
int gndc_series_add(const gndc_series *series, const gndc_chunk *chunk, const float *t, const double *time_weights,
                    const uint8_t *const *masks, const gndc_residual *const *residuals, int n_threads, char *message);
void gndc_series_end(const gndc_series *series, float fill);
/* cdef end */

#ifdef __cplusplus
}
#endif
#endif
