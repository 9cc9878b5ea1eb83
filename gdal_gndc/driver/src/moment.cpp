// What the times of a connection string mean.
#include <algorithm>
#include <cstdlib>

#include "cpl_string.h"
#include "cube.h"
#include "failure.h"
#include "times.h"

namespace gndc_driver
{

namespace
{

constexpr int64_t SECOND = 1000000;

bool IsIndex(const std::string &text)
{
    const size_t start = !text.empty() && text[0] == '-' ? 1 : 0;
    return text.size() > start && text.find_first_not_of("0123456789", start) == std::string::npos &&
           text.size() - start != 8;  // eight digits are a date: 20240615
}

}  // namespace

Moment Cube::Resolve(const std::string &given, bool clamp) const
{
    const std::string text = CPLString(given).Trim();
    return In(Path(),
              [&]
              {
                  if (IsIndex(text))
                  {
                      // negative ones count from the end
                      const GIntBig index = CPLAtoGIntBig(text.c_str());
                      if (text.size() > 18 || index < -m_meta.m_frames || index >= m_meta.m_frames)
                          Fail("t=%s is outside the cube, expected a frame from 0 to %lld or an ISO 8601 time",
                               Shown(text).c_str(), static_cast<long long>(m_meta.m_frames - 1));
                      return FrameAt(index < 0 ? index + m_meta.m_frames : index);
                  }
                  const ParsedTime time = In("t", [&] { return ParseTime(text); });
                  const int64_t same = ObservedAt(time.m_micros);
                  if (same >= 0)
                      return FrameAt(same);
                  if (time.m_dateOnly)
                  {
                      int64_t first = -1;
                      for (size_t i = 0; i < m_meta.m_times.size(); ++i)
                          if (DayOf(m_meta.m_times[i]) == DayOf(time.m_micros) &&
                              (first < 0 || m_meta.m_times[i] < m_meta.m_times[static_cast<size_t>(first)]))
                              first = static_cast<int64_t>(i);
                      if (first >= 0)
                          return FrameAt(first);
                  }
                  if (clamp && !m_meta.m_times.empty())
                  {
                      const std::vector<int64_t> &times = m_meta.m_times;
                      const auto [low, high] = std::minmax_element(times.begin(), times.end());
                      if (time.m_micros < *low || time.m_micros > *high)
                          return FrameAt((time.m_micros < *low ? low : high) - times.begin());
                  }
                  return At(time.m_micros);
              });
}

// The frame within a second of a time, the earlier one on a tie; -1 if there is none.
int64_t Cube::ObservedAt(int64_t micros) const
{
    const std::vector<int64_t> &times = m_meta.m_times;
    int64_t found = -1;
    int64_t distance = SECOND + 1;
    for (size_t i = 0; i < times.size(); ++i)
    {
        const int64_t away = std::llabs(times[i] - micros);
        if (away < distance || (away == distance && found >= 0 && times[i] < times[static_cast<size_t>(found)]))
        {
            found = static_cast<int64_t>(i);
            distance = away;
        }
    }
    return found;
}

Moment Cube::At(int64_t micros) const
{
    const std::vector<int64_t> &times = m_meta.m_times;
    if (times.empty())
        Fail("t=%s, but the cube has no times: expected t=0", FormatTime(micros).c_str());
    const int64_t same = ObservedAt(micros);
    if (same >= 0)
        return FrameAt(same);
    const auto [first, last] = std::minmax_element(times.begin(), times.end());
    if (micros < *first || micros > *last)
        Fail("t=%s is outside the cube, expected a time from %s to %s", FormatTime(micros).c_str(),
             FormatTime(*first).c_str(), FormatTime(*last).c_str());
    Moment moment;
    moment.m_micros = micros;
    // frames out of order have no position in between: the nearest one says which chunk answers
    moment.m_frame = m_ascending
                         ? gndc_frame_of(m_seconds.data(), static_cast<int64_t>(m_seconds.size()), ToSeconds(micros))
                         : static_cast<double>(gndc_nearest_frame(
                               m_seconds.data(), static_cast<int64_t>(m_seconds.size()), ToSeconds(micros))) + 0.5;
    return moment;
}

}  // namespace gndc_driver
