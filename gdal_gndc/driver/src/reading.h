// How the pixels of a cube are wanted, beside where and when.
#pragma once

#include <string>

#include "gndc_core.h"

namespace gndc_driver
{

enum class Resampling
{
    NEAREST,   // the field at the centre of a pixel
    AVERAGE,   // the mean over a pixel
    BILINEAR,  // the mean over a pixel and its neighbours, weighted by a tent
};

enum class MaskMode
{
    NODATA,  // NaN where the file has no data
    BAND,    // a mask band for all bands, the network's values below it
    NONE,    // the network's values everywhere
};

struct Reading
{
    int m_threads{};  // 0: all
    MaskMode m_mask{MaskMode::NODATA};
    Resampling m_resampling{Resampling::NEAREST};
    bool m_clamp{};  // a time outside the cube is the nearest end of it
    gndc_precision m_precision{GNDC_PRECISION_FLOAT32};
};

/** The reading that open options ask for: NUM_THREADS, MASK, RESAMPLING, EXTRAPOLATE, PRECISION. Throws Failure. */
Reading ReadingOf(const char *const *options);

}  // namespace gndc_driver
