// Times: ISO 8601 text and seconds since 1970-01-01T00:00:00Z, in UTC.
#pragma once

#include <cstdint>
#include <string>

namespace gndc_driver
{

struct ParsedTime
{
    int64_t m_micros{};   // since 1970
    bool m_dateOnly{};    // a day or a month, without a time of day
};

/** Parses ISO 8601: 2024-06-15, 2024-06, 20240615, each with T or a space, hh[:mm[:ss[.fff]]] and Z or +hh[:mm];
 *  without a zone it is UTC. Digits beyond microseconds are dropped. Throws Failure. */
ParsedTime ParseTime(const std::string &text);

/** Whether text is a time that ParseTime takes. */
bool IsTime(const std::string &text);

/** Correctly rounded seconds of microseconds. */
double ToSeconds(int64_t micros);

/** 2024-06-15T10:30:00Z, with microseconds only if there are any. */
std::string FormatTime(int64_t micros);

/** The same in another pattern of strftime; whole seconds. */
std::string FormatTimeAs(int64_t micros, const char *pattern);

/** Number of the UTC day, 0 for 1970-01-01. */
int64_t DayOf(int64_t micros);

/** Microseconds of a positive duration of fixed length: P5D, PT12H, P1DT6H, 5d, 12h, 30min, 90s, 2w. Throws Failure. */
int64_t ParseDuration(const std::string &text);

}  // namespace gndc_driver
