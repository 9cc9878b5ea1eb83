#include "dataset.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "failure.h"
#include "rasterband.h"
#include "supersample.h"

namespace gndc_driver
{

namespace
{

// floats evaluated at once: bounds memory and the time between two looks at the progress function
constexpr int64_t STRIP_FLOATS = 4 << 20;
// floats of a read that are remembered for the other bands
constexpr int64_t MEMORY_FLOATS = 16 << 20;
// up to so many pixels a read is cheaper than the block around them
constexpr int64_t FEW_PIXELS = 64;

// The resampling that a call asks for, or else that of the open options; none where GDAL's own code has to do it.
std::optional<Resampling> ResamplingOf(const GDALRasterIOExtraArg *extra, Resampling option)
{
    switch (extra ? extra->eResampleAlg : GRIORA_NearestNeighbour)
    {
        case GRIORA_NearestNeighbour:
            return option;
        case GRIORA_Average:
            return Resampling::AVERAGE;
        case GRIORA_Bilinear:
            return Resampling::BILINEAR;
        default:
            return std::nullopt;
    }
}

}  // namespace

bool Dataset::Request::operator==(const Request &other) const
{
    return m_xOff == other.m_xOff && m_yOff == other.m_yOff && m_xSize == other.m_xSize && m_ySize == other.m_ySize &&
           m_bufXSize == other.m_bufXSize && m_bufYSize == other.m_bufYSize && m_resampling == other.m_resampling;
}

CPLErr Dataset::GET_GEO_TRANSFORM(GeoTransformOut out) GEO_TRANSFORM_CONST
{
    const Meta &meta = m_cube->GetMeta();
    if (!meta.m_hasTransform)
        return GDALPamDataset::GetGeoTransform(out);
    const auto &[a, b, c, d, e, f] = meta.m_transform;
    const double x = static_cast<double>(meta.m_width) / nRasterXSize;
    const double y = static_cast<double>(meta.m_height) / nRasterYSize;
    const double values[6] = {c, a * x, b * y, f, d * x, e * y};
    for (int i = 0; i < 6; ++i)
        out[i] = values[i];
    return CE_None;
}

const OGRSpatialReference *Dataset::GetSpatialRef() const
{
    return m_srs.IsEmpty() ? GDALPamDataset::GetSpatialRef() : &m_srs;
}

char **Dataset::GetFileList()
{
    CPLStringList files;
    files.AddString(m_cube->Path().c_str());
    const std::string aux = m_cube->Path() + ".aux.xml";
    VSIStatBufL stat = {};
    if (VSIStatExL(aux.c_str(), &stat, VSI_STAT_EXISTS_FLAG) == 0)
        files.AddString(aux.c_str());
    return files.StealList();
}

#if GDAL_VERSION_NUM >= GDAL_COMPUTE_VERSION(3, 10, 0)
bool Dataset::CanBeCloned(int scope, bool) const
{
    return scope == GDAL_OF_RASTER && m_view;
}

std::unique_ptr<GDALDataset> Dataset::Clone(int, bool) const
{
    return Guarded<std::unique_ptr<GDALDataset>>(nullptr,
                                                 [this]
                                                 {
                                                     std::unique_ptr<Dataset> clone = OpenView(*m_view, m_reading);
                                                     clone->LoadPam(GetDescription(), m_pamName);
                                                     return clone;
                                                 });
}
#endif

bool Dataset::IsDirect(int xSize, int ySize, int bufXSize, int bufYSize, const GDALRasterIOExtraArg *extra) const
{
    const std::optional<Resampling> resampling = ResamplingOf(extra, m_reading.m_resampling);
    // means have a meaning for fewer pixels only: between pixels GDAL interpolates
    const bool smaller = xSize >= bufXSize && ySize >= bufYSize;
    const bool nearest = !extra || extra->eResampleAlg == GRIORA_NearestNeighbour;
    if (!resampling || !(nearest || smaller))
        return false;
    return xSize != bufXSize || ySize != bufYSize || int64_t{bufXSize} * bufYSize <= FEW_PIXELS;
}

Dataset::Request Dataset::RequestOf(int xOff, int yOff, int xSize, int ySize, int bufXSize, int bufYSize,
                                    const GDALRasterIOExtraArg *extra) const
{
    Request request{static_cast<double>(xOff), static_cast<double>(yOff), static_cast<double>(xSize),
                    static_cast<double>(ySize), bufXSize, bufYSize, m_reading.m_resampling};
    if (xSize == bufXSize && ySize == bufYSize)
        return request;
    if (extra && extra->bFloatingPointWindowValidity)
        request = {extra->dfXOff, extra->dfYOff, extra->dfXSize, extra->dfYSize, bufXSize, bufYSize};
    request.m_resampling = ResamplingOf(extra, m_reading.m_resampling).value_or(m_reading.m_resampling);
    return request;
}

CPLErr Dataset::IRasterIO(GDALRWFlag flag, int xOff, int yOff, int xSize, int ySize, void *data, int bufXSize,
                          int bufYSize, GDALDataType bufType, int bandCount, BandMap bandMap, GSpacing pixelSpace,
                          GSpacing lineSpace, GSpacing bandSpace, GDALRasterIOExtraArg *extra)
{
    const bool same = xSize == bufXSize && ySize == bufYSize;
    const bool most = same && 2 * bandCount > nBands;
    if (flag != GF_Read || !m_view || !(most || IsDirect(xSize, ySize, bufXSize, bufYSize, extra)))
        return GDALPamDataset::IRasterIO(flag, xOff, yOff, xSize, ySize, data, bufXSize, bufYSize, bufType, bandCount,
                                         bandMap, pixelSpace, lineSpace, bandSpace, extra);
    const Request request = RequestOf(xOff, yOff, xSize, ySize, bufXSize, bufYSize, extra);
    std::vector<int> planes;
    for (int i = 0; i < bandCount; ++i)
        planes.push_back(bandMap[i] - 1);
    const Sink sink{static_cast<GByte *>(data), bufType, pixelSpace, lineSpace, bandSpace};
    return Guarded(CE_Failure,
                   [&]
                   {
                       if (!CopyRemembered(request, planes, sink))
                           EvaluateTo(request, planes, sink, extra);
                       return CE_None;
                   });
}

void Dataset::Evaluate(const Request &request, const std::vector<int> &planes, int firstRow, int rowCount,
                       const Target &target, const Reading &reading) const
{
    const Meta &meta = m_cube->GetMeta();
    const double width = static_cast<double>(meta.m_width);
    const double height = static_cast<double>(meta.m_height);
    const double scaleX = width / nRasterXSize;
    const double scaleY = height / nRasterYSize;
    const Span cols{request.m_xOff * scaleX, request.m_xSize * scaleX, request.m_bufXSize, width};
    const Span rows{request.m_yOff * scaleY, request.m_ySize * scaleY, request.m_bufYSize, height};
    const auto read = [&](const std::vector<double> &ys, const std::vector<double> &xs, const Target &part)
    { m_view->Read(ys, xs, planes, part, reading); };
    Resample(rows, cols, firstRow, rowCount, static_cast<int>(planes.size()), request.m_resampling, m_view->Fill(),
             reading.m_threads, read, target);
}

// Reads of some of the bands are evaluated for all and remembered: the next band costs nothing.
bool Dataset::CopyRemembered(const Request &request, const std::vector<int> &planes, const Sink &sink)
{
    const int64_t pixels = int64_t{request.m_bufXSize} * request.m_bufYSize;
    const bool together = !m_view->IsSeries() || pixels == 1;
    if (!together || static_cast<int>(planes.size()) == nBands || pixels * nBands > MEMORY_FLOATS)
        return false;
    std::lock_guard<std::mutex> lock(m_memoryMutex);
    if (m_memory.empty() || !(m_remembered == request))
    {
        m_memory.clear();
        std::vector<int> all(static_cast<size_t>(nBands));
        std::iota(all.begin(), all.end(), 0);
        std::vector<float> values(static_cast<size_t>(pixels * nBands));
        Evaluate(request, all, 0, request.m_bufYSize, {values.data(), request.m_bufXSize, 1, pixels}, m_reading);
        m_memory.swap(values);
        m_remembered = request;
    }
    for (size_t i = 0; i < planes.size(); ++i)
        for (int row = 0; row < request.m_bufYSize; ++row)
            GDALCopyWords(m_memory.data() + planes[i] * pixels + int64_t{row} * request.m_bufXSize, GDT_Float32,
                          static_cast<int>(sizeof(float)),
                          sink.m_data + static_cast<GSpacing>(i) * sink.m_bandSpace + row * sink.m_lineSpace,
                          sink.m_type, static_cast<int>(sink.m_pixelSpace), request.m_bufXSize);
    return true;
}

void Dataset::EvaluateTo(const Request &request, const std::vector<int> &planes, const Sink &sink,
                         GDALRasterIOExtraArg *extra)
{
    const int64_t planeCount = static_cast<int64_t>(planes.size());
    const int64_t rowFloats = std::max<int64_t>(1, int64_t{request.m_bufXSize} * planeCount);
    const int most = static_cast<int>(std::clamp<int64_t>(STRIP_FLOATS / rowFloats, 1, request.m_bufYSize));
    constexpr GSpacing SIZE = sizeof(float);
    const bool straight = sink.m_type == GDT_Float32 && sink.m_pixelSpace % SIZE == 0 && sink.m_lineSpace % SIZE == 0 &&
                          sink.m_bandSpace % SIZE == 0 && reinterpret_cast<uintptr_t>(sink.m_data) % SIZE == 0;
    std::vector<float> strip;
    for (int row = 0; row < request.m_bufYSize; row += most)
    {
        const int count = std::min(most, request.m_bufYSize - row);
        GByte *const at = sink.m_data + row * sink.m_lineSpace;
        if (straight)
        {
            Evaluate(request, planes, row, count,
                     {reinterpret_cast<float *>(at), sink.m_lineSpace / SIZE, sink.m_pixelSpace / SIZE,
                      sink.m_bandSpace / SIZE}, m_reading);
        }
        else
        {
            const int64_t pixels = int64_t{count} * request.m_bufXSize;
            strip.resize(static_cast<size_t>(pixels * planeCount));
            Evaluate(request, planes, row, count, {strip.data(), request.m_bufXSize, 1, pixels}, m_reading);
            for (int64_t plane = 0; plane < planeCount; ++plane)
                for (int i = 0; i < count; ++i)
                    GDALCopyWords(strip.data() + plane * pixels + int64_t{i} * request.m_bufXSize, GDT_Float32,
                                  static_cast<int>(SIZE), at + plane * sink.m_bandSpace + i * sink.m_lineSpace,
                                  sink.m_type, static_cast<int>(sink.m_pixelSpace), request.m_bufXSize);
        }
        if (extra && extra->pfnProgress &&
            !extra->pfnProgress(static_cast<double>(row + count) / request.m_bufYSize, "", extra->pProgressData))
            Fail("%s: the read was interrupted", m_cube->Path().c_str());
    }
}

CPLErr Dataset::ReadBlock(int band, int blockX, int blockY, void *image)
{
    int width = 0;
    int height = 0;
    GetRasterBand(band)->GetBlockSize(&width, &height);
    const int x = blockX * width;
    const int y = blockY * height;
    const int cols = std::min(width, nRasterXSize - x);
    const int rows = std::min(height, nRasterYSize - y);
    const size_t blockFloats = static_cast<size_t>(width) * static_cast<size_t>(height);
    const Request request{static_cast<double>(x), static_cast<double>(y), static_cast<double>(cols),
                          static_cast<double>(rows), cols, rows, m_reading.m_resampling};
    if (m_view->IsSeries() || nBands == 1)
    {
        std::fill_n(static_cast<float *>(image), blockFloats, 0.0F);
        Evaluate(request, {band - 1}, 0, rows, {static_cast<float *>(image), width, 1, 0}, m_reading);
        return CE_None;
    }
    std::vector<float> values(blockFloats * static_cast<size_t>(nBands));
    std::vector<int> planes(static_cast<size_t>(nBands));
    std::iota(planes.begin(), planes.end(), 0);
    Evaluate(request, planes, 0, rows, {values.data(), width, 1, static_cast<int64_t>(blockFloats)}, m_reading);
    for (int other = 1; other <= nBands; ++other)
    {
        const float *const block = values.data() + static_cast<size_t>(other - 1) * blockFloats;
        if (other == band)
        {
            std::copy_n(block, blockFloats, static_cast<float *>(image));
            continue;
        }
        GDALRasterBlock *cached = GetRasterBand(other)->TryGetLockedBlockRef(blockX, blockY);
        if (!cached)
        {
            cached = GetRasterBand(other)->GetLockedBlockRef(blockX, blockY, TRUE);
            if (!cached)
                return CE_Failure;
            std::copy_n(block, blockFloats, static_cast<float *>(cached->GetDataRef()));
        }
        cached->DropLock();
    }
    return CE_None;
}

}  // namespace gndc_driver
