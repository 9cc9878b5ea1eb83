#ifndef GNDC_RESIDUAL_H
#define GNDC_RESIDUAL_H

#include <algorithm>
#include <cstdint>
#include <vector>

#include "gndc_core.h"

// Sorted positions within a chunk's frame, and what to add there, in physical units.
struct gndc_residual {
    std::vector<int64_t> positions;
    std::vector<float> values;
    int64_t n_bands = 0, width = 0;

    // index of the first entry at or after a pixel
    int64_t at(int64_t row, int64_t col) const {
        const int64_t position = (row * width + col) * n_bands;
        return std::lower_bound(positions.begin(), positions.end(), position) - positions.begin();
    }
};
#endif
