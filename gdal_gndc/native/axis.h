// One axis of a read within one chunk: which samples the chunk covers, where they lie in the model's coordinates and
// how much they weigh.
#ifndef GNDC_AXIS_H
#define GNDC_AXIS_H

#include <cstdint>
#include <vector>

#include "gndc_core.h"
#include "layout.h"

namespace gndc {

struct Axis {
    int64_t begin = 0, end = 0;     // samples [begin, end) of the target lie in the chunk's stored extent
    // model coordinate of each evaluation (one per sample, or one per block), not rounded to float32 so that a place in
    // a fine cell is exact and rows of pixels agree with single ones
    std::vector<double> normalised;
    // pixels from one sample to the next when they are evenly spaced and can be followed from one to the next, else 0
    double spacing = 0.0;
    int64_t unit_from = -1;  // first pixel when the samples are the centres of consecutive pixels (spacing is 1), else -1
    std::vector<int64_t> evaluation_begin;  // samples of evaluation i: [evaluation_begin[i], evaluation_begin[i + 1])
    std::vector<int64_t> pixel;             // per sample from begin: pixel relative to the stored extent
    std::vector<int64_t> sub;               // per sample: place inside the block
    std::vector<double> weight;             // per sample: feather weight

    int64_t evaluations() const { return static_cast<int64_t>(normalised.size()); }
};

// axis: 1 for rows, 2 for columns. positions ascend.
Axis make_axis(const gndc_chunk &chunk, const Layout &layout, int axis, const double *positions, int64_t n);

// Model coordinate of a pixel's centre, where Axis::unit_from says that one exists. size: of the stored extent.
double unit_coordinate(int64_t pixel, int64_t size);

// Model coordinates are not separable (norm_mode 0 and 1): x and y of one sample come from both axes.
bool separable(const gndc_chunk &chunk);
void model_point(const gndc_chunk &chunk, float col, float row, float &x, float &y);

// 0 if the chunk's geometry and units can be evaluated, else a status with a message.
int check_chunk(const gndc_chunk &chunk, char *message);

}  // namespace gndc
#endif
