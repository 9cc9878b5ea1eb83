// The mask section of a chunk: a packed bitmap per frame, 1 where there is no data (specification 6.3).
#pragma once

#include <cstdint>
#include <vector>

#include "bytes.h"

namespace gndc_driver
{

class Mask final
{
  public:
    Mask() = default;

    /** Takes the section apart, which it does not copy; `stored` is the chunk's extent with halo (t0, t1, y0, y1, x0,
     *  x1), which it must agree with. Throws Failure. */
    static Mask Parse(Bytes section, const int64_t *stored);

    bool IsEmpty() const
    {
        return m_frames.empty();
    }

    /** Which bitmap serves a stored frame; static masks have one for all. */
    int64_t IndexOf(int64_t frame) const
    {
        return m_isStatic ? 0 : frame;
    }

    /** The bitmap's ceil(height * width / 8) bytes, rows one after the other. Throws Failure. */
    std::vector<uint8_t> Unpack(int64_t index) const;

  private:
    bool m_isStatic{};
    size_t m_bytes{};
    std::vector<Bytes> m_frames{};
};

}  // namespace gndc_driver
