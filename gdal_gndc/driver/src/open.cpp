// From names to datasets: identification, connection strings and open options, and what the datasets say of themselves.
#include <algorithm>
#include <limits>
#include <numeric>

#include "cpl_conv.h"
#include "dataset.h"
#include "failure.h"
#include "maskband.h"
#include "rasterband.h"
#include "selection.h"
#include "statistics.h"
#include "times.h"

namespace gndc_driver
{

namespace
{

constexpr const char *EXTENSION = "gndc";
constexpr int SMALLEST_OVERVIEW = 256;
constexpr size_t MOST_SUBDATASETS = 5000;
constexpr int ZIP_NAME_AT = 30;

// The options of GDALOpen that stand for keys of the connection string.
const std::pair<const char *, const char *> OPTIONS[] = {
    {"T", "t"}, {"BAND", "band"}, {"EVERY", "every"}, {"START", "start"}, {"END", "end"}, {"PRODUCT", "product"}};

}  // namespace

int Dataset::Identify(GDALOpenInfo *info)
{
    if (Connection::HasPrefix(info->pszFilename))
        return TRUE;
    const char *const magic = "PK\x03\x04";
    if (!EQUAL(CPLGetExtension(info->pszFilename), EXTENSION) || info->nHeaderBytes < ZIP_NAME_AT)
        return FALSE;
    // claimed for the sake of a clear error
    if (IsLegacyLayout(info->pabyHeader, static_cast<size_t>(info->nHeaderBytes)))
        return TRUE;
    if (memcmp(info->pabyHeader, magic, 4) != 0)
        return FALSE;
    const std::string first(reinterpret_cast<const char *>(info->pabyHeader) + ZIP_NAME_AT,
                            static_cast<size_t>(info->nHeaderBytes - ZIP_NAME_AT));
    for (const char *entry : {"meta.json", "manifest.json", "chunks/"})
        if (first.compare(0, strlen(entry), entry) == 0)
            return TRUE;
    return GDAL_IDENTIFY_UNKNOWN;
}

GDALDataset *Dataset::Open(GDALOpenInfo *info)
{
    if (!Identify(info))
        return nullptr;
    return Guarded<GDALDataset *>(
        nullptr,
        [info]() -> GDALDataset *
        {
            if (info->eAccess == GA_Update)
                Fail("%s: the GNDC driver cannot update a file, expected it opened for reading", info->pszFilename);
            const bool named = Connection::HasPrefix(info->pszFilename);
            Connection connection;
            if (named)
                connection = Connection::Parse(info->pszFilename);
            else
                connection.m_path = info->pszFilename;
            for (const auto &option : OPTIONS)
                if (const char *value = CSLFetchNameValue(info->papszOpenOptions, option.first))
                    connection.Add(option.second, value);
            CheckKeys(connection);
            // part of what tells this view from others of the file, though no key of the connection string
            if (const char *bands = CSLFetchNameValue(info->papszOpenOptions, "BANDS"))
                connection.Add("bands", bands);
            const Reading reading = In(connection.m_path, [info] { return ReadingOf(info->papszOpenOptions); });
            std::shared_ptr<Cube> cube = Cube::Open(connection.m_path);
            if (info->nOpenFlags & GDAL_OF_MULTIDIM_RASTER)
                return OpenGroup(connection, cube, info->papszOpenOptions, reading).release();
            std::unique_ptr<Dataset> dataset = OpenConnection(connection, cube, reading);
            // what GDAL computes of these pixels is kept apart from that of others
            for (const char *name : {"MASK", "RESAMPLING"})
                if (const char *value = CSLFetchNameValue(info->papszOpenOptions, name))
                    connection.Add(CPLString(name).tolower(), CPLString(value).tolower());
            dataset->LoadPam(info->pszFilename, connection.View());
            return dataset.release();
        });
}

void Dataset::LoadPam(const std::string &description, const std::string &view)
{
    m_pamName = view;
    SetDescription(description.c_str());
    SetPhysicalFilename(m_cube->Path().c_str());
    if (!view.empty())
        SetSubdatasetName(view.c_str());
    TryLoadXML();
}

std::unique_ptr<Dataset> Dataset::OpenConnection(const Connection &connection, const std::shared_ptr<Cube> &cube,
                                                 const Reading &reading)
{
    const char *const path = connection.m_path.c_str();
    const std::string *band = connection.Find("band");
    const std::string *bands = connection.Find("bands");
    const std::string *time = connection.Find("t");
    const std::string *product = connection.Find("product");
    if (band && bands)
        Fail("%s: found band and BANDS, expected one of them", path);
    const std::vector<Moment> moments =
        time ? std::vector<Moment>{cube->Resolve(*time, reading.m_clamp)} : MomentsOf(connection, *cube);
    const bool many = !time && moments.size() > 1;
    const std::optional<Derivative> derivative = product ? Derivative::Find(*product) : std::nullopt;
    if (product && !derivative)
    {
        if (band || bands)
            Fail("%s: found %s with product=%s, expected one of them: an index takes bands of its own", path,
                 band ? "band" : "BANDS", Shown(*product).c_str());
        return OpenView(View::OfProduct(cube, Product::Find(*cube, *product), moments, many), reading);
    }
    const auto open = [&](const View &view) { return OpenView(derivative ? view.Derived(*derivative) : view, reading); };
    if (band && !time)
        return open(View::OfBand(cube, FindBand(*cube, *band), moments));
    if (band)
        return open(View::OfMoment(cube, moments.front(), {FindBand(*cube, *band)}));
    if (!many)
        return open(View::OfMoment(cube, moments.front(), FindBands(*cube, bands ? *bands : "")));
    if (bands)
        Fail("%s: found BANDS without a time, expected T or t= beside it", path);
    return OpenContainer(cube, moments, derivative ? derivative->Name() : "");
}

std::unique_ptr<Dataset> Dataset::OpenGroup(const Connection &connection, const std::shared_ptr<Cube> &cube,
                                            CSLConstList options, const Reading &reading)
{
    for (const char *key : {"band", "bands", "product"})
        if (connection.Find(key))
            Fail("%s: found %s, expected none: every band is an array of the group", connection.m_path.c_str(), key);
    const std::string *time = connection.Find("t");
    const std::vector<Moment> moments =
        time ? std::vector<Moment>{cube->Resolve(*time, reading.m_clamp)} : MomentsOf(connection, *cube);
    const char *const arrays = CSLFetchNameValueDef(options, "ARRAYS", "BANDS");
    if (!EQUAL(arrays, "BANDS") && !EQUAL(arrays, "ONE"))
        Fail("%s: found ARRAYS=%s, expected BANDS or ONE", connection.m_path.c_str(), Shown(arrays).c_str());
    std::unique_ptr<Dataset> dataset(new Dataset);
    dataset->m_cube = cube;
    dataset->SetPlace(*cube);
    // what GDAL keeps beside the file has room for one selection of times: all observations
    std::shared_ptr<GDALPamMultiDim> pam;
    if (connection.m_keys.empty() && reading.m_mask == MaskMode::NODATA)
        pam = std::make_shared<GDALPamMultiDim>(connection.m_path);
    dataset->m_group = Group::Create(cube, moments, EQUAL(arrays, "ONE"), dataset->m_srs, reading, pam);
    return dataset;
}

std::unique_ptr<Dataset> Dataset::OpenContainer(const std::shared_ptr<Cube> &cube, const std::vector<Moment> &moments,
                                                const std::string &product)
{
    const Meta &meta = cube->GetMeta();
    std::unique_ptr<Dataset> dataset(new Dataset);
    dataset->SetPlace(*cube);
    dataset->m_cube = cube;
    dataset->nRasterXSize = static_cast<int>(meta.m_width);
    dataset->nRasterYSize = static_cast<int>(meta.m_height);

    CPLStringList list;
    const size_t listed = std::min(moments.size(), MOST_SUBDATASETS);
    for (size_t i = 0; i < listed; ++i)
    {
        Connection connection;
        connection.m_path = cube->Path();
        const Moment &moment = moments[i];
        // frames of the same second go by their number
        const std::string time = FormatTime(moment.m_micros);
        const bool byTime = !meta.m_times.empty() && cube->At(moment.m_micros).m_index == moment.m_index;
        connection.Add("t", byTime ? time : std::to_string(moment.m_index));
        if (!product.empty())
            connection.Add("product", product);
        list.SetNameValue(CPLSPrintf("SUBDATASET_%zu_NAME", i + 1), connection.ToString().c_str());
        list.SetNameValue(CPLSPrintf("SUBDATASET_%zu_DESC", i + 1),
                          CPLSPrintf("%s, %dx%d pixels, %zu band%s",
                                     meta.m_times.empty() ? "without a date" : time.c_str(), dataset->nRasterXSize,
                                     dataset->nRasterYSize, meta.m_bands.size(), meta.m_bands.size() == 1 ? "" : "s"));
    }
    dataset->GDALMajorObject::SetMetadata(list.List(), "SUBDATASETS");
    const auto say = [&dataset](const char *key, const std::string &value)
    { dataset->GDALMajorObject::SetMetadataItem(key, value.c_str()); };
    if (listed < moments.size())
        say("SUBDATASETS_NOTE", "the first " + std::to_string(listed) + " of " + std::to_string(moments.size()) +
                                    " times are listed; any other opens with t=TIME or t=INDEX");
    std::string names;
    for (const Band &band : meta.m_bands)
        names += (names.empty() ? "" : ",") + band.m_name;
    say("bands", names);
    say("frames", std::to_string(meta.m_frames));
    if (!meta.m_times.empty())
    {
        const auto [first, last] = std::minmax_element(meta.m_times.begin(), meta.m_times.end());
        say("time_start", FormatTime(*first));
        say("time_end", FormatTime(*last));
    }
    return dataset;
}

std::unique_ptr<Dataset> Dataset::OpenView(const View &view, const Reading &reading)
{
    if (!GDALCheckBandCount(view.PlaneCount(), FALSE))
        Fail("%s: GDAL shows no raster of %d bands, expected a coarser selection of times",
             view.GetCube()->Path().c_str(), view.PlaneCount());
    std::unique_ptr<Dataset> dataset(new Dataset);
    dataset->SetView(view, reading, 0);
    const Meta &meta = view.GetCube()->GetMeta();
    const auto say = [&dataset](const char *key, const std::string &value, const char *domain = "")
    { dataset->GDALMajorObject::SetMetadataItem(key, value.c_str(), domain); };
    say("INTERLEAVE", view.IsSeries() ? "BAND" : "PIXEL", "IMAGE_STRUCTURE");
    say("AREA_OR_POINT", meta.m_anchorCenter ? "Point" : "Area");
    if (!view.IsSeries())
    {
        const Moment &moment = view.MomentOf(0);
        if (!meta.m_times.empty())
        {
            say("time", FormatTime(moment.m_micros));
            say("observed", moment.m_index >= 0 ? "YES" : "NO");
            say("TIFFTAG_DATETIME", FormatTimeAs(moment.m_micros, "%Y:%m:%d %H:%M:%S"));
            say("ACQUISITIONDATETIME", FormatTimeAs(moment.m_micros, "%Y-%m-%d %H:%M:%S"), "IMAGERY");
        }
        if (moment.m_index >= 0 && !meta.m_frameSensors.empty())
        {
            const Sensor &sensor =
                meta.m_sensors[static_cast<size_t>(meta.m_frameSensors[static_cast<size_t>(moment.m_index)])];
            say("sensor", sensor.m_name);
            if (!sensor.m_platform.empty())
                say("SATELLITEID", sensor.m_platform, "IMAGERY");
        }
    }
    SetStatistics(*dataset, view);
    for (int level = 1; (std::max(dataset->nRasterXSize, dataset->nRasterYSize) >> level) >= SMALLEST_OVERVIEW; ++level)
        dataset->m_overviews.push_back(OpenOverview(view, reading, level));
    return dataset;
}

std::unique_ptr<Dataset> Dataset::OpenOverview(const View &view, const Reading &reading, int level)
{
    std::unique_ptr<Dataset> dataset(new Dataset);
    dataset->SetView(view, reading, level);
    return dataset;
}

void Dataset::SetView(const View &view, const Reading &reading, int level)
{
    const Meta &meta = view.GetCube()->GetMeta();
    const auto reduced = [level](int64_t size) { return static_cast<int>((size + (int64_t{1} << level) - 1) >> level); };
    m_cube = view.GetCube();
    m_view = std::make_unique<View>(view);
    m_reading = reading;
    nRasterXSize = reduced(meta.m_width);
    nRasterYSize = reduced(meta.m_height);
    SetPlace(*view.GetCube());
    for (int i = 1; i <= view.PlaneCount(); ++i)
        SetBand(i, new RasterBand(*this, i));
    if (reading.m_mask == MaskMode::BAND)
        m_mask = std::make_unique<MaskBand>(*this);
}

void Dataset::SetPlace(const Cube &cube)
{
    const std::string &crs = cube.GetMeta().m_crs;
    if (crs.empty())
        return;
    bool known = false;
    {
        CPLErrorStateBackuper state;
        CPLErrorHandlerPusher quiet(CPLQuietErrorHandler);
        // text of a file must not make PROJ or GDAL open other files or addresses
        known = m_srs.SetFromUserInput(crs.c_str(), OGRSpatialReference::SET_FROM_USER_INPUT_LIMITATIONS_get()) ==
                OGRERR_NONE;
    }
    if (known)
        m_srs.SetAxisMappingStrategy(OAMS_TRADITIONAL_GIS_ORDER);
    else
    {
        m_srs.Clear();
        CPLError(CE_Warning, CPLE_AppDefined, "%s: meta.json: found crs \"%s\", expected WKT or an authority's code",
                 cube.Path().c_str(), Shown(crs).c_str());
    }
}

}  // namespace gndc_driver
