#include "reading.h"

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "cpl_conv.h"
#include "cpl_string.h"
#include "failure.h"

namespace gndc_driver
{

namespace
{

template <class Value> using Choices = std::vector<std::pair<const char *, Value>>;

template <class Value>
Value Choice(const char *const *options, const char *name, const Choices<Value> &choices, Value otherwise)
{
    const char *const given = CSLFetchNameValue(options, name);
    if (!given)
        return otherwise;
    std::string known;
    for (const auto &choice : choices)
    {
        if (EQUAL(choice.first, given))
            return choice.second;
        known += (known.empty() ? "" : ", ") + std::string(choice.first);
    }
    Fail("found the option %s=%s, expected one of %s", name, Shown(given).c_str(), known.c_str());
}

int ThreadCount(const char *given)
{
    const char *const threads = given ? given : CPLGetConfigOption("GDAL_NUM_THREADS", nullptr);
    if (!threads || EQUAL(threads, "ALL_CPUS"))
        return 0;
    const bool number = CPLGetValueType(threads) == CPL_VALUE_INTEGER;
    if (given && (!number || atoi(given) < 1))
        Fail("found the option NUM_THREADS=%s, expected a positive number or ALL_CPUS", Shown(given).c_str());
    return std::max(0, atoi(threads));
}

}  // namespace

Reading ReadingOf(const char *const *options)
{
    Reading reading;
    reading.m_threads = ThreadCount(CSLFetchNameValue(options, "NUM_THREADS"));
    reading.m_mask =
        Choice<MaskMode>(options, "MASK",
                         {{"NODATA", MaskMode::NODATA}, {"BAND", MaskMode::BAND}, {"NONE", MaskMode::NONE}},
                         MaskMode::NODATA);
    reading.m_resampling = Choice<Resampling>(options, "RESAMPLING",
                                              {{"NEAREST", Resampling::NEAREST},
                                               {"AVERAGE", Resampling::AVERAGE},
                                               {"BILINEAR", Resampling::BILINEAR}},
                                              Resampling::NEAREST);
    reading.m_clamp = Choice<bool>(options, "EXTRAPOLATE", {{"ERROR", false}, {"CLAMP", true}}, false);
    reading.m_precision = Choice<gndc_precision>(
        options, "PRECISION", {{"FLOAT32", GNDC_PRECISION_FLOAT32}, {"FAST", GNDC_PRECISION_FAST}}, GNDC_PRECISION_FLOAT32);
    if (reading.m_precision == GNDC_PRECISION_FAST && !gndc_has_fast())
        CPLDebug("GNDC", "PRECISION=FAST: in float32, for lack of AVX512-VNNI");
    return reading;
}

}  // namespace gndc_driver
