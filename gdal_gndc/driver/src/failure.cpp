#include "failure.h"

#include <cstdarg>

#include "cpl_string.h"

namespace gndc_driver
{

void Fail(CPL_FORMAT_STRING(const char *format), ...)
{
    va_list arguments;
    va_start(arguments, format);
    CPLString text;
    text.vPrintf(format, arguments);
    va_end(arguments);
    throw Failure(text);
}

std::string Shown(const std::string &text)
{
    constexpr size_t MOST = 80;
    std::string shown;
    for (const char c : text.substr(0, MOST))
        shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    if (text.size() > MOST)
        shown += "...";
    return shown;
}

}  // namespace gndc_driver
