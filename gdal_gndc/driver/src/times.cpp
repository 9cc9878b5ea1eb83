#include "times.h"

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <ctime>

#include "cpl_string.h"
#include "cpl_time.h"
#include "failure.h"

namespace gndc_driver
{

namespace
{

constexpr int64_t SECOND = 1000000;
constexpr int64_t DAY = 86400 * SECOND;

int64_t FloorDiv(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

// Days from 1970-01-01 in the proleptic Gregorian calendar (H. Hinnant, chrono-compatible low-level date algorithms).
int64_t DaysOf(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    const int64_t era = FloorDiv(year, 400);
    const int64_t yearOfEra = year - era * 400;
    const int64_t dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719468;
}

bool IsLeap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int64_t DaysIn(int64_t year, int64_t month)
{
    constexpr int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return DAYS[month - 1] + (month == 2 && IsLeap(year) ? 1 : 0);
}

class Scanner final
{
  public:
    explicit Scanner(const std::string &text) : m_text(text)
    {
    }

    bool At(char c) const
    {
        return m_at < m_text.size() && m_text[m_at] == c;
    }

    bool AtDigits(size_t count) const
    {
        for (size_t i = 0; i < count; ++i)
            if (m_at + i >= m_text.size() || !std::isdigit(static_cast<unsigned char>(m_text[m_at + i])))
                return false;
        return true;
    }

    bool Skip(const char *any)
    {
        for (; *any; ++any)
            if (At(*any))
            {
                ++m_at;
                return true;
            }
        return false;
    }

    bool Digits(size_t count, int64_t &value)
    {
        if (!AtDigits(count))
            return false;
        value = std::atoi(m_text.substr(m_at, count).c_str());
        m_at += count;
        return true;
    }

    bool AtEnd() const
    {
        return m_at == m_text.size();
    }

    size_t m_at = 0;

  private:
    const std::string &m_text;
};

bool ScanDate(Scanner &scan, int64_t &year, int64_t &month, int64_t &day)
{
    if (!scan.Digits(4, year))
        return false;
    if (!scan.Skip("-"))
        return scan.Digits(2, month) && scan.Digits(2, day);
    if (!scan.Digits(2, month))
        return false;
    day = 1;
    return !scan.Skip("-") || scan.Digits(2, day);
}

bool ScanZone(Scanner &scan, int64_t &ahead)
{
    scan.Skip(" ");
    if (scan.Skip("Zz") || scan.AtEnd())
        return true;
    const bool west = scan.At('-');
    int64_t hours = 0;
    int64_t minutes = 0;
    if (!scan.Skip("+-") || !scan.Digits(2, hours))
        return false;
    if (!scan.AtEnd())
    {
        scan.Skip(":");
        if (!scan.Digits(2, minutes))
            return false;
    }
    ahead = (hours * 60 + minutes) * 60 * SECOND * (west ? -1 : 1);
    return hours <= 23 && minutes <= 59;
}

bool ScanClock(Scanner &scan, int64_t &micros, int64_t &ahead)
{
    int64_t hour = 0;
    int64_t minute = 0;
    int64_t second = 0;
    int64_t fraction = 0;
    if (!scan.Digits(2, hour))
        return false;
    if (scan.Skip(":") ? scan.AtDigits(2) : scan.AtDigits(2))
    {
        scan.Digits(2, minute);
        scan.Skip(":");
        if (scan.Digits(2, second) && scan.Skip(".,"))
        {
            if (!scan.AtDigits(1))
                return false;
            int64_t digit = 0;
            for (int64_t unit = SECOND / 10; scan.Digits(1, digit); unit /= 10)
                fraction += digit * unit;
        }
    }
    micros = ((hour * 60 + minute) * 60 + second) * SECOND + fraction;
    return hour <= 23 && minute <= 59 && second <= 59 && ScanZone(scan, ahead);
}

bool Scan(const std::string &given, ParsedTime &time)
{
    const std::string text = CPLString(given).Trim();
    Scanner scan(text);
    int64_t year = 0;
    int64_t month = 0;
    int64_t day = 0;
    int64_t clock = 0;
    int64_t ahead = 0;
    if (!ScanDate(scan, year, month, day) || year < 1 || month < 1 || month > 12 || day < 1 ||
        day > DaysIn(year, month))
        return false;
    time.m_dateOnly = scan.AtEnd();
    if (!time.m_dateOnly && (!scan.Skip("Tt ") || !ScanClock(scan, clock, ahead) || !scan.AtEnd()))
        return false;
    time.m_micros = DaysOf(year, month, day) * DAY + clock - ahead;
    return true;
}

// Microseconds of one unit of a short duration (5d, 30min); 0 when it has no fixed length or is unknown.
int64_t ShortUnit(const std::string &unit)
{
    if (unit == "M")  // months; only the small letter means minutes
        return 0;
    const CPLString name = CPLString(unit).tolower();
    for (const char *known : {"w", "week", "weeks"})
        if (name == known)
            return 7 * DAY;
    for (const char *known : {"d", "day", "days"})
        if (name == known)
            return DAY;
    for (const char *known : {"h", "hr", "hour", "hours"})
        if (name == known)
            return 3600 * SECOND;
    for (const char *known : {"m", "min", "minute", "minutes"})
        if (name == known)
            return 60 * SECOND;
    for (const char *known : {"s", "sec", "second", "seconds"})
        if (name == known)
            return SECOND;
    return 0;
}

// Number at `at`, which is moved behind it; negative if there is none.
double ScanNumber(const std::string &text, size_t &at)
{
    size_t end = at;
    while (end < text.size() && (std::isdigit(static_cast<unsigned char>(text[end])) || text[end] == '.' || text[end] == ','))
        ++end;
    CPLString number = text.substr(at, end - at);
    if (number.empty() || !std::isdigit(static_cast<unsigned char>(number[0])))
        return -1;
    at = end;
    return CPLAtof(number.replaceAll(',', '.').c_str());
}

}  // namespace

ParsedTime ParseTime(const std::string &text)
{
    ParsedTime time;
    if (!Scan(text, time))
        Fail("\"%s\" is not a time, expected ISO 8601 such as 2024-06-15 or 2024-06-15T10:30:00Z",
             Shown(text).c_str());
    return time;
}

bool IsTime(const std::string &text)
{
    ParsedTime time;
    return Scan(text, time);
}

double ToSeconds(int64_t micros)
{
    return static_cast<double>(micros) / static_cast<double>(SECOND);
}

std::string FormatTimeAs(int64_t micros, const char *pattern)
{
    struct tm broken = {};
    CPLUnixTimeToYMDHMS(FloorDiv(micros, SECOND), &broken);
    char text[64] = {};
    const size_t length = std::strftime(text, sizeof(text), pattern, &broken);
    std::string found(text, length);
    // strftime does not pad the year
    while (found.find_first_not_of("0123456789") < 4)
        found.insert(0, "0");
    return found;
}

std::string FormatTime(int64_t micros)
{
    const int64_t fraction = micros - FloorDiv(micros, SECOND) * SECOND;
    const std::string text = FormatTimeAs(micros, "%Y-%m-%dT%H:%M:%S");
    if (fraction == 0)
        return text + "Z";
    return text + CPLSPrintf(".%06dZ", static_cast<int>(fraction));
}

int64_t DayOf(int64_t micros)
{
    return FloorDiv(micros, DAY);
}

int64_t ParseDuration(const std::string &given)
{
    const std::string text = CPLString(given).Trim();
    double micros = 0;
    bool good = text.size() > 1;
    size_t at = 0;
    if (good && text[0] == 'P')
    {
        bool clock = false;
        for (at = 1; good && at < text.size();)
        {
            if (!clock && text[at] == 'T')
            {
                clock = true;
                ++at;
                continue;
            }
            const double number = ScanNumber(text, at);
            const std::string unit = at < text.size() ? text.substr(at++, 1) : "";
            const int64_t length = clock ? (unit == "H" || unit == "S" ? ShortUnit(unit) : unit == "M" ? 60 * SECOND : 0)
                                         : (unit == "W" || unit == "D" ? ShortUnit(unit) : 0);
            good = number >= 0 && length > 0;
            micros += number * static_cast<double>(length);
        }
    }
    else if (good)
    {
        const double number = ScanNumber(text, at);
        const int64_t length = ShortUnit(CPLString(text.substr(at)).Trim());
        good = number >= 0 && length > 0;
        micros = number * static_cast<double>(length);
    }
    if (!good || !(micros >= 1) || micros > 1e18)
        Fail("\"%s\" is not a positive duration of fixed length, expected one such as P5D, PT12H, 5d or 12h",
             Shown(given).c_str());
    return static_cast<int64_t>(std::llround(micros));
}

}  // namespace gndc_driver
