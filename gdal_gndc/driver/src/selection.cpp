#include "selection.h"

#include <algorithm>
#include <limits>

#include "failure.h"
#include "times.h"

namespace gndc_driver
{

namespace
{

constexpr int64_t MOST_MOMENTS = 1000000;
constexpr int64_t DAY_MICROS = int64_t{86400} * 1000000;
const char *const KEYS[] = {"t", "band", "every", "start", "end", "product"};

int64_t Bound(const Connection &connection, const char *key, int64_t otherwise)
{
    const std::string *text = connection.Find(key);
    return text ? In(key, [text] { return ParseTime(*text).m_micros; }) : otherwise;
}

std::vector<Moment> Observations(const Connection &connection, const Cube &cube)
{
    const Meta &meta = cube.GetMeta();
    const std::string *end = connection.Find("end");
    const bool bounded = connection.Find("start") || end;
    if (bounded && meta.m_times.empty())
        Fail("the cube has no times, expected neither start nor end");
    const int64_t low = Bound(connection, "start", std::numeric_limits<int64_t>::min());
    int64_t high = Bound(connection, "end", std::numeric_limits<int64_t>::max());
    // an end that is only a date includes the observations of that day
    if (end && In("end", [end] { return ParseTime(*end).m_dateOnly; }))
        high += DAY_MICROS - 1;
    std::vector<Moment> moments;
    for (int64_t i = 0; i < meta.m_frames; ++i)
        if (!bounded || (low <= meta.m_times[static_cast<size_t>(i)] && meta.m_times[static_cast<size_t>(i)] <= high))
            moments.push_back(cube.FrameAt(i));
    if (moments.empty())
        Fail("no observation lies between start and end");
    return moments;
}

std::vector<Moment> RegularTimes(const Connection &connection, const Cube &cube, const std::string &every)
{
    const Meta &meta = cube.GetMeta();
    if (meta.m_times.empty())
        Fail("the cube has no times, expected no every");
    const int64_t step = In("every", [&every] { return ParseDuration(every); });
    const auto [low, high] = std::minmax_element(meta.m_times.begin(), meta.m_times.end());
    const int64_t first = Bound(connection, "start", *low);
    const int64_t last = Bound(connection, "end", *high);
    if (last < first)
        Fail("end %s is before start %s", FormatTime(last).c_str(), FormatTime(first).c_str());
    if ((last - first) / step >= MOST_MOMENTS)
        Fail("every=%s makes more than %lld times, expected a longer step", Shown(every).c_str(),
             static_cast<long long>(MOST_MOMENTS));
    std::vector<Moment> moments;
    for (int64_t time = first; time <= last; time += step)
        moments.push_back(cube.At(time));
    return moments;
}

}  // namespace

void CheckKeys(const Connection &connection)
{
    std::string known;
    for (const char *key : KEYS)
        known += (known.empty() ? "" : ", ") + std::string(key);
    for (const auto &item : connection.m_keys)
    {
        if (std::find(std::begin(KEYS), std::end(KEYS), item.first) == std::end(KEYS))
            Fail("%s: found the key %s, expected one of %s", connection.m_path.c_str(), Shown(item.first).c_str(),
                 known.c_str());
        if (item.second.empty())
            Fail("%s: the key %s has no value, expected one", connection.m_path.c_str(), item.first.c_str());
    }
    for (const char *key : {"every", "start", "end"})
        if (connection.Find("t") && connection.Find(key))
            Fail("%s: found t and %s, expected one of them: %s is about many times", connection.m_path.c_str(), key, key);
}

std::vector<Moment> MomentsOf(const Connection &connection, const Cube &cube)
{
    const std::string *every = connection.Find("every");
    return In(connection.m_path, [&]
              { return every ? RegularTimes(connection, cube, *every) : Observations(connection, cube); });
}

}  // namespace gndc_driver
