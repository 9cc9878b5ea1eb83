// The residual section of a chunk: sparse corrections, frame by frame (specification 6.4).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bytes.h"
#include "gndc_core.h"
#include "json.h"

namespace gndc_driver
{

struct ResidualDeleter
{
    void operator()(gndc_residual *residual) const
    {
        gndc_residual_free(residual);
    }
};

using ResidualPtr = std::unique_ptr<gndc_residual, ResidualDeleter>;

class Residuals final
{
  public:
    Residuals() = default;

    /** Takes the section apart, which it does not copy. `stored` as for Mask::Parse. Throws Failure. */
    static Residuals Parse(const Json &info, Bytes section, const int64_t *stored, int64_t bands);

    bool IsEmpty() const
    {
        return m_frames.empty();
    }

    /** Corrections of a stored frame, null if it has none. Throws Failure. */
    ResidualPtr Unpack(int64_t frame) const;

  private:
    int64_t m_height{};
    int64_t m_width{};
    int64_t m_bands{};
    gndc_type m_type{GNDC_INT16};
    std::string m_codec{};
    std::vector<float> m_bandScales{};
    std::vector<Bytes> m_frames{};
};

}  // namespace gndc_driver
