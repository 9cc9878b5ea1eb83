// manifest.json: which chunks there are and what part of the cube each one holds (specification 5).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "meta.h"

namespace gndc_driver
{

struct Manifest
{
    int64_t m_overlap{};            // halo in y and x, pixels
    int64_t m_timeOverlap{};        // halo in time, frames
    std::vector<int64_t> m_bounds{};  // t0, t1, y0, y1, x0, x1 of every chunk, half open, without halo
    std::vector<std::string> m_files{};

    static Manifest Parse(const std::vector<uint8_t> &data, const Meta &meta);
};

}  // namespace gndc_driver
