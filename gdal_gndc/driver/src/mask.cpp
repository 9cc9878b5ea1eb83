#include "mask.h"

#include <string>

#include "codec.h"
#include "failure.h"

namespace gndc_driver
{

namespace
{

constexpr uint8_t STATIC = 0;
constexpr uint8_t DYNAMIC = 1;
constexpr uint8_t NONE = 255;
constexpr size_t HEADER = 13;

}  // namespace

Mask Mask::Parse(Bytes section, const int64_t *stored)
{
    Mask mask;
    if (section.Size() == 0)
        return mask;
    const uint8_t type = *section.Take(1, "mask");
    if (type == NONE)
    {
        if (section.Size() > HEADER)
            Fail("mask: found %zu bytes of type 255 (none), expected at most %zu", section.Size(), HEADER);
        return mask;
    }
    if (type != STATIC && type != DYNAMIC)
        Fail("mask: found type %d, expected 0 (static), 1 (dynamic) or 255 (none)", type);
    const int64_t frames = stored[1] - stored[0];
    const int64_t height = stored[3] - stored[2];
    const int64_t width = stored[5] - stored[4];
    const int64_t t = section.U32("mask header");
    const int64_t h = section.U32("mask header");
    const int64_t w = section.U32("mask header");
    // static masks are specified with one frame; writers that give the number of frames are understood
    if (h != height || w != width || !(t == frames || (type == STATIC && t == 1)))
        Fail("mask: found shape (%lld, %lld, %lld), expected (%lld, %lld, %lld), the stored extent of the chunk",
             static_cast<long long>(t), static_cast<long long>(h), static_cast<long long>(w),
             static_cast<long long>(type == STATIC ? 1 : frames), static_cast<long long>(height),
             static_cast<long long>(width));
    mask.m_isStatic = type == STATIC;
    mask.m_bytes = static_cast<size_t>((height * width + 7) / 8);
    const int64_t count = mask.m_isStatic ? 1 : frames;
    for (int64_t i = 0; i < count; ++i)
        mask.m_frames.push_back(section.Part(("mask frame " + std::to_string(i)).c_str()));
    if (section.Left() > 0)
        Fail("mask: found %llu bytes after the last frame, expected none",
             static_cast<unsigned long long>(section.Left()));
    return mask;
}

std::vector<uint8_t> Mask::Unpack(int64_t index) const
{
    const Bytes &frame = m_frames[static_cast<size_t>(index)];
    return Decompress("zstd", frame.Data(), frame.Size(), m_bytes, ("mask frame " + std::to_string(index)).c_str());
}

}  // namespace gndc_driver
