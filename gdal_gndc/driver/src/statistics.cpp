#include "statistics.h"

#include "failure.h"
#include "json.h"

namespace gndc_driver
{

namespace
{

constexpr const char *ENTRY = "metrics.json";

/** Statistics whose members lie in arrays, a number for each band. */
std::vector<std::optional<Statistics>> ParseColumns(const Json &columns, size_t bands)
{
    std::vector<std::optional<Statistics>> found(bands);
    if (!(columns.Has("min") && columns.Has("max") && columns.Has("mean") && columns.Has("stddev")))
        return found;
    const std::vector<double> low = columns.Numbers("min"), high = columns.Numbers("max");
    const std::vector<double> mean = columns.Numbers("mean"), deviation = columns.Numbers("stddev");
    for (const size_t size : {low.size(), high.size(), mean.size(), deviation.size()})
        if (size != bands)
            Fail("%s: found %zu numbers, expected as many as the cube has bands", ENTRY, size);
    for (size_t i = 0; i < bands; ++i)
        found[i] = Statistics{low[i], high[i], mean[i], deviation[i]};
    return found;
}

std::vector<std::optional<Statistics>> Parse(const Cube &cube)
{
    const std::vector<uint8_t> data = cube.GetContainer().Read(ENTRY);
    const Json document = Json::Parse(data.data(), data.size());
    if (document.Has("bands") && !document.IsArray("bands"))
        return ParseColumns(document.Child("bands"), cube.GetMeta().m_bands.size());
    const std::vector<Json> bands = document.Children("bands");
    if (bands.size() != cube.GetMeta().m_bands.size())
        Fail("%s: found %zu bands, expected as many as the cube has", ENTRY, bands.size());
    std::vector<std::optional<Statistics>> found;
    for (const Json &band : bands)
    {
        found.emplace_back();
        // without the others, "max" may be the largest error
        if (band.Has("min") && band.Has("max") && band.Has("mean") && band.Has("stddev"))
            found.back() =
                Statistics{band.Number("min"), band.Number("max"), band.Number("mean"), band.Number("stddev")};
    }
    return found;
}

}  // namespace

std::vector<std::optional<Statistics>> StatisticsOf(const Cube &cube)
{
    if (cube.GetContainer().Has(ENTRY))
    {
        try
        {
            return Parse(cube);
        }
        catch (const Failure &failure)
        {
            CPLDebug("GNDC", "%s", failure.what());
        }
    }
    return std::vector<std::optional<Statistics>>(cube.GetMeta().m_bands.size());
}

void SetStatistics(GDALDataset &dataset, const View &view)
{
    if (view.GetProduct() || view.GetDerivative())
        return;
    const std::vector<std::optional<Statistics>> found = StatisticsOf(*view.GetCube());
    for (int i = 0; i < view.PlaneCount(); ++i)
    {
        const std::optional<Statistics> &statistics = found[static_cast<size_t>(view.BandIndexOf(i))];
        if (!statistics)
            continue;
        GDALRasterBand &band = *dataset.GetRasterBand(i + 1);
        const auto say = [&band](const char *key, double value)
        { band.GDALMajorObject::SetMetadataItem(key, CPLSPrintf("%.15g", value)); };
        band.GDALMajorObject::SetMetadataItem("STATISTICS_APPROXIMATE", "YES");
        say("STATISTICS_MINIMUM", statistics->m_minimum);
        say("STATISTICS_MAXIMUM", statistics->m_maximum);
        say("STATISTICS_MEAN", statistics->m_mean);
        say("STATISTICS_STDDEV", statistics->m_deviation);
    }
}

}  // namespace gndc_driver
