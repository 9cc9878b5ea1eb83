// How the parts of the driver report what is wrong: one exception type that never crosses into GDAL.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "cpl_error.h"
#include "cpl_port.h"

namespace gndc_driver
{

class Failure final : public std::runtime_error
{
  public:
    using std::runtime_error::runtime_error;
};

/** Throws a Failure with a formatted sentence: what was found, what was expected. */
[[noreturn]] void Fail(CPL_FORMAT_STRING(const char *format), ...) CPL_PRINT_FUNC_FORMAT(1, 2);

/** Text of a file as it may appear in a message: short, printable. */
std::string Shown(const std::string &text);

/** Runs `work`; what fails in it is reported as happening in `place` (a file, an entry, a key). */
template <class Work> auto In(const std::string &place, Work &&work) -> decltype(work())
{
    try
    {
        return std::forward<Work>(work)();
    }
    catch (const Failure &failure)
    {
        throw Failure(place + ": " + failure.what());
    }
    catch (const std::bad_alloc &)
    {
        throw Failure(place + ": not enough memory");
    }
}

/** Runs `work` at the border to GDAL: a failure becomes one CPLError and `otherwise` is returned. */
template <class Result, class Work> Result Guarded(Result otherwise, Work &&work)
{
    try
    {
        return std::forward<Work>(work)();
    }
    catch (const Failure &failure)
    {
        CPLError(CE_Failure, CPLE_AppDefined, "%s", failure.what());
    }
    catch (const std::bad_alloc &)
    {
        CPLError(CE_Failure, CPLE_OutOfMemory, "GNDC: not enough memory");
    }
    catch (const std::exception &error)
    {
        CPLError(CE_Failure, CPLE_AppDefined, "GNDC: %s", error.what());
    }
    return otherwise;
}

}  // namespace gndc_driver
