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
        return m_frames.empty() && !HasMain();
    }

    /** Whether an in-band stream corrects every value. */
    bool HasMain() const
    {
        return m_main.Size() > 0;
    }

    /** The in-band stream of all stored frames, which GDAL's decompressors cannot give in parts. Throws Failure. */
    std::vector<uint8_t> UnpackMain() const;

    /** Corrections of a stored frame, null if it has none; `main` is what UnpackMain gave, if there is one. Throws
     *  Failure. */
    ResidualPtr Unpack(int64_t frame, const std::vector<uint8_t> *main) const;

  private:
    ResidualPtr UnpackSparse(int64_t frame) const;
    size_t MainBytes() const;

    int64_t m_frameCount{};
    int64_t m_height{};
    int64_t m_width{};
    int64_t m_bands{};
    gndc_type m_type{GNDC_INT16};
    std::string m_codec{};
    std::string m_mainCodec{};
    float m_scale{1.0F};
    Bytes m_main{nullptr, 0};
    std::vector<float> m_bandScales{};
    std::vector<Bytes> m_frames{};
};

}  // namespace gndc_driver
