#include "maskband.h"

#include <algorithm>
#include <cmath>

#include "failure.h"

namespace gndc_driver
{

namespace
{

constexpr GByte VALID = 255;

}  // namespace

MaskBand::MaskBand(Dataset &dataset) : m_dataset(dataset)
{
    // no dataset of its own: a mask is no band of it
    nRasterXSize = dataset.GetRasterXSize();
    nRasterYSize = dataset.GetRasterYSize();
    eDataType = GDT_Byte;
    dataset.GetRasterBand(1)->GetBlockSize(&nBlockXSize, &nBlockYSize);
}

CPLErr MaskBand::IReadBlock(int blockX, int blockY, void *image)
{
    const int x = blockX * nBlockXSize;
    const int y = blockY * nBlockYSize;
    const int cols = std::min(nBlockXSize, nRasterXSize - x);
    const int rows = std::min(nBlockYSize, nRasterYSize - y);
    return Guarded(CE_Failure,
                   [&]
                   {
                       GByte *const out = static_cast<GByte *>(image);
                       std::fill_n(out, static_cast<size_t>(nBlockXSize) * static_cast<size_t>(nBlockYSize), GByte{0});
                       m_dataset.ReadMask({static_cast<double>(x), static_cast<double>(y), static_cast<double>(cols),
                                           static_cast<double>(rows), cols, rows,
                                           m_dataset.GetReading().m_resampling},
                                          out, nBlockXSize);
                       return CE_None;
                   });
}

CPLErr MaskBand::IRasterIO(GDALRWFlag flag, int xOff, int yOff, int xSize, int ySize, void *data, int bufXSize,
                           int bufYSize, GDALDataType bufType, GSpacing pixelSpace, GSpacing lineSpace,
                           GDALRasterIOExtraArg *extra)
{
    if (flag != GF_Read || !m_dataset.IsDirect(xSize, ySize, bufXSize, bufYSize, extra))
        return GDALRasterBand::IRasterIO(flag, xOff, yOff, xSize, ySize, data, bufXSize, bufYSize, bufType, pixelSpace,
                                         lineSpace, extra);
    return Guarded(CE_Failure,
                   [&]
                   {
                       std::vector<GByte> mask(static_cast<size_t>(bufXSize) * static_cast<size_t>(bufYSize));
                       m_dataset.ReadMask(m_dataset.RequestOf(xOff, yOff, xSize, ySize, bufXSize, bufYSize, extra),
                                          mask.data(), bufXSize);
                       for (int row = 0; row < bufYSize; ++row)
                           GDALCopyWords(mask.data() + static_cast<size_t>(row) * static_cast<size_t>(bufXSize), GDT_Byte,
                                         1, static_cast<GByte *>(data) + row * lineSpace, bufType,
                                         static_cast<int>(pixelSpace), bufXSize);
                       return CE_None;
                   });
}

void Dataset::ReadMask(const Request &request, GByte *out, int stride) const
{
    Reading reading = m_reading;
    reading.m_mask = MaskMode::NODATA;
    const size_t cols = static_cast<size_t>(request.m_bufXSize);
    std::vector<int> planes;
    for (int i = 0; i < nBands; ++i)
        planes.push_back(i);
    const size_t count = planes.size();
    std::vector<float> values(cols * count);
    for (int row = 0; row < request.m_bufYSize; ++row)
    {
        Evaluate(request, planes, row, 1, {values.data(), 0, static_cast<int64_t>(count), 1}, reading);
        for (size_t col = 0; col < cols; ++col)
        {
            const float *const at = values.data() + col * count;
            if (std::any_of(at, at + count, [](float value) { return !std::isnan(value); }))
                out[static_cast<size_t>(row) * static_cast<size_t>(stride) + col] = VALID;
        }
    }
}

}  // namespace gndc_driver
