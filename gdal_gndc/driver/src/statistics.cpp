#include "statistics.h"

#include "failure.h"
#include "json.h"

namespace gndc_driver
{

namespace
{

constexpr const char *ENTRY = "metrics.json";

// key of metrics.json -> metadata item of GDAL
const std::pair<const char *, const char *> ITEMS[] = {{"min", "STATISTICS_MINIMUM"},
                                                       {"max", "STATISTICS_MAXIMUM"},
                                                       {"mean", "STATISTICS_MEAN"},
                                                       {"stddev", "STATISTICS_STDDEV"}};

void ReadInto(GDALDataset &dataset, const View &view)
{
    const std::vector<uint8_t> data = view.GetCube()->GetContainer().Read(ENTRY);
    const std::vector<Json> bands = Json::Parse(data.data(), data.size()).Children("bands");
    if (bands.size() != view.GetCube()->GetMeta().m_bands.size())
        Fail("%s: found %zu bands, expected as many as the cube has", ENTRY, bands.size());
    for (int i = 0; i < view.PlaneCount() && !view.GetProduct(); ++i)
    {
        const Json &band = bands[static_cast<size_t>(view.BandIndexOf(i))];
        CPLStringList items;
        for (const auto &item : ITEMS)
            if (band.Has(item.first))
                items.SetNameValue(item.second, CPLSPrintf("%.15g", band.Number(item.first)));
        if (items.Count() != static_cast<int>(CPL_ARRAYSIZE(ITEMS)))
            continue;
        items.SetNameValue("STATISTICS_APPROXIMATE", "YES");
        for (int k = 0; k < items.Count(); ++k)
        {
            char *key = nullptr;
            const char *value = CPLParseNameValue(items[k], &key);
            dataset.GetRasterBand(i + 1)->GDALMajorObject::SetMetadataItem(key, value);
            CPLFree(key);
        }
    }
}

}  // namespace

void SetStatistics(GDALDataset &dataset, const View &view)
{
    if (!view.GetCube()->GetContainer().Has(ENTRY) || view.GetDerivative())
        return;
    try
    {
        ReadInto(dataset, view);
    }
    catch (const Failure &failure)
    {
        CPLDebug("GNDC", "%s", failure.what());
    }
}

}  // namespace gndc_driver
