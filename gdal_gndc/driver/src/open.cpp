// From names to datasets: identification, connection strings and open options, and what the datasets say of themselves.
#include <algorithm>
#include <limits>
#include <numeric>

#include "cpl_conv.h"
#include "dataset.h"
#include "failure.h"
#include "rasterband.h"
#include "statistics.h"
#include "times.h"

namespace gndc_driver
{

namespace
{

constexpr const char *EXTENSION = "gndc";
constexpr int SMALLEST_OVERVIEW = 256;
constexpr size_t MOST_SUBDATASETS = 5000;
constexpr int64_t MOST_MOMENTS = 1000000;
constexpr int ZIP_NAME_AT = 30;
const char *const KEYS[] = {"t", "band", "every", "start", "end", "product"};

// The options of GDALOpen that stand for keys of the connection string.
const std::pair<const char *, const char *> OPTIONS[] = {
    {"T", "t"}, {"BAND", "band"}, {"EVERY", "every"}, {"START", "start"}, {"END", "end"}, {"PRODUCT", "product"}};

int ThreadCount(const char *option)
{
    const char *threads = option ? option : CPLGetConfigOption("GDAL_NUM_THREADS", nullptr);
    return !threads || EQUAL(threads, "ALL_CPUS") ? 0 : std::max(0, atoi(threads));
}

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
    for (const char *key : {"band", "every"})
        if (connection.Find("t") && connection.Find(key))
            Fail("%s: found t and %s, expected one of them: %s shows many times", connection.m_path.c_str(), key, key);
    if (connection.Find("band") && connection.Find("product"))
        Fail("%s: found band and product, expected one of them", connection.m_path.c_str());
    for (const char *key : {"start", "end"})
        if (connection.Find(key) && !connection.Find("every"))
            Fail("%s: found %s without every, expected every=P5D or the like beside it", connection.m_path.c_str(), key);
}

// The times a connection string selects: the observations, or regular ones.
std::vector<Moment> MomentsOf(const Connection &connection, const Cube &cube)
{
    std::vector<Moment> moments;
    const Meta &meta = cube.GetMeta();
    const std::string *every = connection.Find("every");
    if (!every)
    {
        for (int64_t i = 0; i < meta.m_frames; ++i)
            moments.push_back(cube.FrameAt(i));
        return moments;
    }
    return In(connection.m_path,
              [&]
              {
                  if (meta.m_times.empty())
                      Fail("the cube has no times, expected no every");
                  const int64_t step = In("every", [&] { return ParseDuration(*every); });
                  const auto [low, high] = std::minmax_element(meta.m_times.begin(), meta.m_times.end());
                  const auto bound = [&connection](const char *key, int64_t otherwise)
                  {
                      const std::string *text = connection.Find(key);
                      return text ? In(key, [&] { return ParseTime(*text).m_micros; }) : otherwise;
                  };
                  const int64_t first = bound("start", *low);
                  const int64_t last = bound("end", *high);
                  if (last < first)
                      Fail("end %s is before start %s", FormatTime(last).c_str(), FormatTime(first).c_str());
                  if ((last - first) / step >= MOST_MOMENTS)
                      Fail("every=%s makes more than %lld times, expected a longer step", Shown(*every).c_str(),
                           static_cast<long long>(MOST_MOMENTS));
                  for (int64_t time = first; time <= last; time += step)
                      moments.push_back(cube.At(time));
                  return moments;
              });
}

}  // namespace

int Dataset::Identify(GDALOpenInfo *info)
{
    if (Connection::HasPrefix(info->pszFilename))
        return TRUE;
    const char *const magic = "PK\x03\x04";
    if (!EQUAL(CPLGetExtension(info->pszFilename), EXTENSION) || info->nHeaderBytes < ZIP_NAME_AT ||
        memcmp(info->pabyHeader, magic, 4) != 0)
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
            std::shared_ptr<Cube> cube = Cube::Open(connection.m_path);
            const int threads = ThreadCount(CSLFetchNameValue(info->papszOpenOptions, "NUM_THREADS"));
            if (info->nOpenFlags & GDAL_OF_MULTIDIM_RASTER)
                return OpenGroup(connection, cube, info->papszOpenOptions, threads).release();
            std::unique_ptr<Dataset> dataset = OpenConnection(connection, cube);
            dataset->m_threads = threads;
            for (auto &overview : dataset->m_overviews)
                overview->m_threads = threads;
            dataset->SetDescription(info->pszFilename);
            dataset->SetPhysicalFilename(connection.m_path.c_str());
            if (!connection.m_keys.empty())
                dataset->SetSubdatasetName(connection.View().c_str());
            dataset->TryLoadXML();
            return dataset.release();
        });
}

std::unique_ptr<Dataset> Dataset::OpenConnection(const Connection &connection, const std::shared_ptr<Cube> &cube)
{
    if (const std::string *name = connection.Find("band"))
        return OpenView(View::OfBand(cube, FindBand(*cube, *name), MomentsOf(connection, *cube)));
    const std::string *time = connection.Find("t");
    const std::vector<Moment> moments =
        time ? std::vector<Moment>{cube->Resolve(*time)} : MomentsOf(connection, *cube);
    const std::string *names = connection.Find("bands");
    if (const std::string *product = connection.Find("product"))
    {
        if (names)
            Fail("%s: found BANDS with product, expected one of them", connection.m_path.c_str());
        return OpenView(View::OfProduct(cube, Product::Find(*cube, *product), moments, !time && moments.size() > 1));
    }
    if (moments.size() == 1)
        return OpenView(View::OfMoment(cube, moments.front(), FindBands(*cube, names ? *names : "")));
    if (names)
        Fail("%s: found BANDS without a time, expected T or t= beside it", connection.m_path.c_str());
    return OpenContainer(cube, moments);
}

std::unique_ptr<Dataset> Dataset::OpenGroup(const Connection &connection, const std::shared_ptr<Cube> &cube,
                                            CSLConstList options, int threads)
{
    for (const char *key : {"band", "bands", "product"})
        if (connection.Find(key))
            Fail("%s: found %s, expected none: every band is an array of the group", connection.m_path.c_str(), key);
    const std::string *time = connection.Find("t");
    const std::vector<Moment> moments =
        time ? std::vector<Moment>{cube->Resolve(*time)} : MomentsOf(connection, *cube);
    const char *const arrays = CSLFetchNameValueDef(options, "ARRAYS", "BANDS");
    if (!EQUAL(arrays, "BANDS") && !EQUAL(arrays, "ONE"))
        Fail("%s: found ARRAYS=%s, expected BANDS or ONE", connection.m_path.c_str(), Shown(arrays).c_str());
    std::unique_ptr<Dataset> dataset(new Dataset);
    dataset->m_cube = cube;
    dataset->SetPlace(*cube);
    dataset->m_group = Group::Create(cube, moments, EQUAL(arrays, "ONE"), dataset->m_srs, threads);
    return dataset;
}

std::unique_ptr<Dataset> Dataset::OpenContainer(const std::shared_ptr<Cube> &cube, const std::vector<Moment> &moments)
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

std::unique_ptr<Dataset> Dataset::OpenView(const View &view)
{
    if (!GDALCheckBandCount(view.PlaneCount(), FALSE))
        Fail("%s: GDAL shows no raster of %d bands, expected a coarser selection of times",
             view.GetCube()->Path().c_str(), view.PlaneCount());
    std::unique_ptr<Dataset> dataset(new Dataset);
    dataset->SetView(view, 0);
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
        dataset->m_overviews.push_back(OpenOverview(view, level, 0));
    return dataset;
}

std::unique_ptr<Dataset> Dataset::OpenOverview(const View &view, int level, int threads)
{
    std::unique_ptr<Dataset> dataset(new Dataset);
    dataset->m_threads = threads;
    dataset->SetView(view, level);
    return dataset;
}

void Dataset::SetView(const View &view, int level)
{
    const Meta &meta = view.GetCube()->GetMeta();
    const auto reduced = [level](int64_t size) { return static_cast<int>((size + (int64_t{1} << level) - 1) >> level); };
    m_cube = view.GetCube();
    m_view = std::make_unique<View>(view);
    nRasterXSize = reduced(meta.m_width);
    nRasterYSize = reduced(meta.m_height);
    SetPlace(*view.GetCube());
    for (int i = 1; i <= view.PlaneCount(); ++i)
        SetBand(i, new RasterBand(*this, i));
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
