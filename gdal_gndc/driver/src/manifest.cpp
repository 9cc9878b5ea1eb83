#include "manifest.h"

#include <array>
#include <limits>

#include "failure.h"
#include "json.h"

namespace gndc_driver
{

namespace
{

using Long = long long;

void ReadBounds(const Json &bounds, const char *axis, int64_t size, int64_t &start, int64_t &end)
{
    start = 0;
    end = size;
    if (!bounds.Has(axis))
        return;
    const std::string name = bounds.Name(axis);
    const std::vector<int64_t> pair = bounds.Integers(axis, std::numeric_limits<int64_t>::min());
    if (pair.size() != 2)
        Fail("%s has %zu entries, expected [start, end)", name.c_str(), pair.size());
    start = pair[0];
    end = pair[1];
    const auto found = [&](const char *problem)
    { Fail("%s [%lld, %lld) %s", name.c_str(), static_cast<Long>(start), static_cast<Long>(end), problem); };
    if (start < 0)
        found("is negative");
    if (end <= start)
        found("is empty or reversed, expected start < end");
    if (end > size)
        found(("is outside the cube, expected at most " + std::to_string(size)).c_str());
}

}  // namespace

Manifest Manifest::Parse(const std::vector<uint8_t> &data, const Meta &meta)
{
    constexpr int64_t INT32 = std::numeric_limits<int32_t>::max();
    const Json document = Json::Parse(data.data(), data.size());
    document.CheckFormat();
    Manifest manifest;
    manifest.m_overlap = document.Integer("overlap", 0, INT32, 0);
    manifest.m_timeOverlap = document.Integer("t_overlap", 0, INT32, 0);
    if (!document.IsArray("chunks"))
        document.Wrong("chunks", "an array");
    const int64_t bandCount = static_cast<int64_t>(meta.m_bands.size());
    for (const Json &item : document.Children("chunks"))
    {
        const std::string file = item.String("file");
        if (file.empty())
            item.Wrong("file", "the name of an entry");
        std::array<int64_t, 8> b{0, meta.m_frames, 0, meta.m_height, 0, meta.m_width, 0, bandCount};
        if (item.Has("bounds"))
        {
            const Json bounds = item.Child("bounds");
            ReadBounds(bounds, "time", meta.m_frames, b[0], b[1]);
            ReadBounds(bounds, "y", meta.m_height, b[2], b[3]);
            ReadBounds(bounds, "x", meta.m_width, b[4], b[5]);
            ReadBounds(bounds, "band", bandCount, b[6], b[7]);
            if (b[6] != 0 || b[7] != bandCount)
                Fail("%s is [%lld, %lld), chunks of some of the %lld bands are not supported",
                     bounds.Name("band").c_str(), static_cast<Long>(b[6]), static_cast<Long>(b[7]),
                     static_cast<Long>(bandCount));
        }
        manifest.m_bounds.insert(manifest.m_bounds.end(), b.begin(), b.begin() + 6);
        manifest.m_files.push_back(file);
    }
    return manifest;
}

}  // namespace gndc_driver
