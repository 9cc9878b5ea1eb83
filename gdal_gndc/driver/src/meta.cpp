#include "meta.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "failure.h"
#include "json.h"
#include "times.h"

namespace gndc_driver
{

namespace
{

using Long = long long;

constexpr int64_t LARGEST_AXIS = std::numeric_limits<int>::max();
// against the size of a file, a million nameless bands or undated frames are no cube
constexpr int64_t MOST_NAMELESS_BANDS = 65536;
constexpr int64_t MOST_UNLISTED_FRAMES = 1000000;

// Whether the file has a time axis.
bool ReadShape(const Json &document, Meta &meta, int64_t &bands)
{
    std::vector<std::string> axes{"time", "y", "x", "band"};
    if (document.Has("axes"))
        axes = document.Strings("axes");
    const std::vector<int64_t> sizes = document.Integers("shape", 1, LARGEST_AXIS);
    if (sizes.size() != axes.size())
        Fail("shape has %zu entries for %zu axes", sizes.size(), axes.size());
    std::map<std::string, int64_t> byName;
    for (size_t i = 0; i < axes.size(); ++i)
    {
        if (!byName.emplace(axes[i], sizes[i]).second)
            Fail("axes names \"%s\" twice", Shown(axes[i]).c_str());
        const bool known = axes[i] == "time" || axes[i] == "y" || axes[i] == "x" || axes[i] == "band";
        if (!known && sizes[i] != 1)
            Fail("the axis \"%s\" of size %lld is not supported, expected time, y, x and band", Shown(axes[i]).c_str(),
                 static_cast<Long>(sizes[i]));
    }
    if (!byName.count("y") || !byName.count("x"))
        Fail("axes has no y or no x, expected both");
    const auto size = [&byName](const char *axis)
    {
        const auto found = byName.find(axis);
        return found == byName.end() ? int64_t{1} : found->second;
    };
    meta.m_frames = size("time");
    meta.m_height = size("y");
    meta.m_width = size("x");
    bands = size("band");
    return byName.count("time") > 0;
}

void ReadBands(const Json &document, Meta &meta, int64_t count)
{
    if (!document.Has("bands"))
    {
        if (count > MOST_NAMELESS_BANDS)
            Fail("shape has %lld bands, expected at most %lld without a list of bands", static_cast<Long>(count),
                 static_cast<Long>(MOST_NAMELESS_BANDS));
        meta.m_bands.resize(static_cast<size_t>(count));
    }
    else
    {
        const std::vector<Json> items = document.Children("bands");
        if (static_cast<int64_t>(items.size()) != count)
            Fail("bands has %zu entries for %lld bands of shape", items.size(), static_cast<Long>(count));
        for (const Json &item : items)
        {
            Band band;
            band.m_name = item.String("name", "");
            band.m_description = item.String("description", "");
            band.m_unit = item.String("unit", "");
            band.m_commonName = item.String("common_name", "");
            if (item.Has("center_wavelength"))
                band.m_wavelength = item.Number("center_wavelength");
            meta.m_bands.push_back(band);
        }
    }
    for (size_t i = 0; i < meta.m_bands.size(); ++i)
        if (meta.m_bands[i].m_name.empty())
            meta.m_bands[i].m_name = "band_" + std::to_string(i + 1);
}

void ReadTransform(const Json &document, Meta &meta)
{
    std::string anchor = document.String("pixel_anchor", "");
    if (document.Has("transform"))
    {
        if (document.IsArray("transform"))
        {
            const std::vector<double> numbers = document.Numbers("transform");
            if (numbers.size() != 6)
                Fail("transform has %zu numbers, expected six", numbers.size());
            std::copy(numbers.begin(), numbers.end(), meta.m_stored.begin());
        }
        else
        {
            const Json item = document.Child("transform");
            if (anchor.empty())
                anchor = item.String("pixel_anchor", "");
            for (size_t i = 0; i < 6; ++i)
                meta.m_stored[i] = item.Number(std::string(1, "abcdef"[i]));
        }
        meta.m_hasTransform = true;
    }
    if (!anchor.empty() && anchor != "upper_left" && anchor != "center")
        Fail("pixel_anchor is \"%s\", expected \"upper_left\" or \"center\"", Shown(anchor).c_str());
    meta.m_anchorCenter = anchor == "center";
    if (!meta.m_hasTransform)
        return;
    const auto &[a, b, c, d, e, f] = meta.m_stored;
    if (a * e - b * d == 0.0)
        Fail("transform cannot be inverted: a*e - b*d is zero");
    const double half = meta.m_anchorCenter ? -0.5 : 0.0;
    meta.m_transform = {a, b, c + half * (a + b), d, e, f + half * (d + e)};
}

std::optional<int64_t> ReadTimeOf(const Json &time, const std::string &key)
{
    if (!time.Has(key))
        return std::nullopt;
    return In(time.Name(key), [&] { return ParseTime(time.String(key)).m_micros; });
}

void ReadTime(const Json &time, Meta &meta, bool withAxis)
{
    const std::string calendar = time.String("calendar", "gregorian");
    static const std::set<std::string> CALENDARS{"gregorian", "standard", "proleptic_gregorian", "noleap",
                                                 "365_day",   "360_day",  "julian"};
    if (!CALENDARS.count(calendar))
        Fail("time.calendar is \"%s\", expected one that CF names", Shown(calendar).c_str());
    meta.m_start = ReadTimeOf(time, "global_start");
    meta.m_end = ReadTimeOf(time, "global_end");
    if (meta.m_start && meta.m_end && *meta.m_end < *meta.m_start)
        Fail("time.global_end is before time.global_start");
    if (time.Has("values"))
    {
        const std::vector<std::string> values = time.Strings("values");
        if (static_cast<int64_t>(values.size()) != meta.m_frames && (withAxis || !values.empty()))
            Fail("time.values has %zu entries for %lld frames of shape", values.size(),
                 static_cast<Long>(meta.m_frames));
        for (size_t i = 0; i < values.size(); ++i)
            meta.m_times.push_back(In("time.values[" + std::to_string(i) + "]",
                                      [&] { return ParseTime(values[i]).m_micros; }));
    }
    else if (time.Has("units") && meta.m_start && meta.m_end)
    {
        if (meta.m_frames > MOST_UNLISTED_FRAMES)
            Fail("shape has %lld frames, expected at most %lld without time.values",
                 static_cast<Long>(meta.m_frames), static_cast<Long>(MOST_UNLISTED_FRAMES));
        const int64_t steps = std::max<int64_t>(meta.m_frames - 1, 1);
        const int64_t span = *meta.m_end - *meta.m_start;
        // half to even, as the division of time spans rounds elsewhere
        int64_t step = span / steps;
        const int64_t twice = 2 * (span % steps);
        step += twice > steps || (twice == steps && step % 2 == 1) ? 1 : 0;
        for (int64_t i = 0; i < meta.m_frames; ++i)
            meta.m_times.push_back(i > 0 && i == meta.m_frames - 1 ? *meta.m_end : *meta.m_start + i * step);
    }
    else if (meta.m_frames > 1)
        Fail("time has neither values nor units, global_start and global_end for %lld frames",
             static_cast<Long>(meta.m_frames));
}

void ReadSensors(const Json &document, Meta &meta)
{
    std::map<int64_t, int64_t> indices;
    for (const Json &item : document.Children("sensors"))
    {
        Sensor sensor;
        sensor.m_id = item.Integer("id", std::numeric_limits<int64_t>::min());
        sensor.m_name = item.String("name", "sensor_" + std::to_string(sensor.m_id));
        sensor.m_platform = item.String("platform", "");
        sensor.m_instrument = item.String("instrument", "");
        sensor.m_observes.assign(meta.m_bands.size(), !item.Has("bands"));
        if (item.Has("bands"))
            for (const std::string &name : item.Strings("bands"))
                for (size_t i = 0; i < meta.m_bands.size(); ++i)
                    if (meta.m_bands[i].m_name == name)
                        sensor.m_observes[i] = true;
        indices[sensor.m_id] = static_cast<int64_t>(meta.m_sensors.size());
        meta.m_sensors.push_back(sensor);
    }
    if (!document.Has("time") || !document.Child("time").Has("sensor_id"))
        return;
    const std::vector<int64_t> ids = document.Child("time").Integers("sensor_id", std::numeric_limits<int64_t>::min());
    if (static_cast<int64_t>(ids.size()) != meta.m_frames)
        Fail("time.sensor_id has %zu entries for %lld frames of shape", ids.size(), static_cast<Long>(meta.m_frames));
    if (meta.m_sensors.empty())
        return;
    for (const int64_t id : ids)
    {
        const auto found = indices.find(id);
        if (found == indices.end())
            Fail("time.sensor_id names sensor %lld, which sensors does not list", static_cast<Long>(id));
        meta.m_frameSensors.push_back(found->second);
    }
}

}  // namespace

Meta Meta::Parse(const std::vector<uint8_t> &data)
{
    const Json document = Json::Parse(data.data(), data.size());
    document.CheckFormat();
    Meta meta;
    int64_t bands = 0;
    const bool withAxis = ReadShape(document, meta, bands);
    ReadBands(document, meta, bands);
    ReadTransform(document, meta);
    if (document.Has("time"))
        ReadTime(document.Child("time"), meta, withAxis);
    else if (meta.m_frames > 1)
        Fail("time is absent, expected the times of %lld frames", static_cast<Long>(meta.m_frames));
    ReadSensors(document, meta);
    if (document.Has("missing_fill"))
        meta.m_missingFill = document.Number("missing_fill");
    meta.m_useLog = document.Boolean("use_log", false);
    meta.m_crs = document.String("crs", "");
    return meta;
}

}  // namespace gndc_driver
