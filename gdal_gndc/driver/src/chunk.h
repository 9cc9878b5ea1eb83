// One chunk of a container, ready to be evaluated: its field, its place in the cube, its mask and residuals.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gndc_core.h"
#include "mask.h"
#include "meta.h"
#include "residual.h"
#include "weights.h"

namespace gndc_driver
{

class Chunk final
{
  public:
    /** Takes an entry apart and dequantises its weights.
     *  @param blob the entry (specification 6)
     *  @param meta the cube
     *  @param bounds,stored extents of the chunk without and with halo (t0, t1, y0, y1, x0, x1)
     *  Throws Failure. */
    static std::shared_ptr<const Chunk> Parse(const std::vector<uint8_t> &blob, const Meta &meta,
                                              const int64_t *bounds, const int64_t *stored);

    /** What the numeric core takes. */
    const gndc_chunk &Core() const
    {
        return m_core;
    }

    /** Seconds that the network knows as 0 and 1. */
    double Start() const
    {
        return m_start;
    }

    double End() const
    {
        return m_end;
    }

    const Mask &GetMask() const
    {
        return m_mask;
    }

    const Residuals &GetResiduals() const
    {
        return m_residuals;
    }

    int64_t ByteCount() const;

  private:
    Chunk() = default;

    void ReadRange(const Json &header);
    void ReadNorm(const Json &header, const Meta &meta);
    void ReadTimes(const Json &header, const Meta &meta);

    FieldPtr m_field{};
    std::vector<float> m_range{};
    std::vector<uint8_t> m_maskBytes{};
    std::vector<uint8_t> m_residualBytes{};
    Mask m_mask{};
    Residuals m_residuals{};
    gndc_chunk m_core{};
    double m_start{};
    double m_end{};
};

}  // namespace gndc_driver
