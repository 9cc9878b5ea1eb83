// Reads everything that the files of its command line show through the driver linked into it. Run under sanitisers: what
// is wrong with a file must be said in an error and never be met by a crash. Prints "ok" or the first error a file.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "cpl_error.h"
#include "cpl_string.h"
#include "gdal_priv.h"

extern "C" void GDALRegister_GNDC();

namespace
{

constexpr int SMALL = 17;
constexpr GUInt64 MOST_VALUES = 50000000;

void ReadAll(GDALDataset &dataset)
{
    const int width = dataset.GetRasterXSize();
    const int height = dataset.GetRasterYSize();
    const int bands = dataset.GetRasterCount();
    if (bands == 0 || static_cast<double>(width) * height * bands > static_cast<double>(MOST_VALUES))
        return;
    dataset.GetSpatialRef();
    CSLDestroy(dataset.GetFileList());
    std::vector<float> values(static_cast<size_t>(width) * static_cast<size_t>(height) * static_cast<size_t>(bands));
    // pixel interleaved, whole
    const GSpacing size = sizeof(float);
    if (dataset.RasterIO(GF_Read, 0, 0, width, height, values.data(), width, height, GDT_Float32, bands, nullptr,
                         size * bands, size * bands * width, size, nullptr) != CE_None)
        return;
    // block by block
    for (int band = 1; band <= bands; ++band)
    {
        GDALRasterBand *const raster = dataset.GetRasterBand(band);
        raster->GetNoDataValue();
        raster->GetUnitType();
        if (raster->RasterIO(GF_Read, 0, 0, width, height, values.data(), width, height, GDT_Float32, 0, 0, nullptr) !=
            CE_None)
            return;
    }
    // the mask, smaller and as it is
    GDALRasterBand *const mask = dataset.GetRasterBand(1)->GetMaskBand();
    std::vector<GByte> valid(static_cast<size_t>(width) * static_cast<size_t>(height));
    for (const int size : {SMALL, 0})
        if (mask->RasterIO(GF_Read, 0, 0, width, height, valid.data(), size ? size : width, size ? size : height, GDT_Byte,
                           0, 0, nullptr) != CE_None)
            return;
    // decimated to integers, a window, one pixel
    std::vector<GInt16> integers(SMALL * SMALL);
    for (int band = bands; band >= 1; --band)
    {
        GDALRasterBand *const raster = dataset.GetRasterBand(band);
        if (raster->RasterIO(GF_Read, 0, 0, width, height, integers.data(), SMALL, SMALL, GDT_Int16, 0, 0, nullptr) !=
                CE_None ||
            raster->RasterIO(GF_Read, width / 2, height / 2, width - width / 2, height - height / 2, integers.data(), 3, 5,
                             GDT_Int16, 0, 0, nullptr) != CE_None ||
            raster->RasterIO(GF_Read, width - 1, height - 1, 1, 1, integers.data(), 1, 1, GDT_Int16, 0, 0, nullptr) !=
                CE_None)
            return;
    }
}

void Open(const std::string &name, const char *option = nullptr)
{
    const char *const options[] = {option, nullptr};
    GDALDatasetUniquePtr dataset(GDALDataset::Open(name.c_str(), GDAL_OF_RASTER | GDAL_OF_VERBOSE_ERROR, nullptr, options));
    if (dataset)
        ReadAll(*dataset);
}

void OpenArrays(const std::string &file)
{
    GDALDatasetUniquePtr dataset(GDALDataset::Open(file.c_str(), GDAL_OF_MULTIDIM_RASTER | GDAL_OF_VERBOSE_ERROR));
    const std::shared_ptr<GDALGroup> group = dataset ? dataset->GetRootGroup() : nullptr;
    dataset.reset();
    if (!group)
        return;
    for (const std::string &name : group->GetMDArrayNames())
    {
        const std::shared_ptr<GDALMDArray> array = group->OpenMDArray(name);
        if (array->GetTotalElementsCount() > MOST_VALUES)
            return;
        std::vector<double> values(array->GetTotalElementsCount());
        std::vector<GUInt64> start;
        std::vector<size_t> count;
        std::vector<GInt64> step;
        for (const auto &dimension : array->GetDimensions())
        {
            dimension->GetIndexingVariable();
            start.push_back(dimension->GetSize() - 1);
            count.push_back(static_cast<size_t>(dimension->GetSize()));
            step.push_back(-1);
        }
        // all of it backwards, then one pixel of all times
        array->Read(start.data(), count.data(), step.data(), nullptr, GDALExtendedDataType::Create(GDT_Float64),
                    values.data());
        for (size_t i = 1; i < count.size(); ++i)
            count[i] = 1;
        array->Read(start.data(), count.data(), step.data(), nullptr, GDALExtendedDataType::Create(GDT_Int16),
                    values.data());
        array->GetAttributes();
    }
}

void Check(const std::string &file)
{
    GDALDatasetUniquePtr dataset(GDALDataset::Open(file.c_str(), GDAL_OF_RASTER | GDAL_OF_VERBOSE_ERROR));
    if (!dataset)
        return;
    ReadAll(*dataset);
    const CPLStringList subdatasets(CSLDuplicate(dataset->GetMetadata("SUBDATASETS")), TRUE);
    for (int i = 0; i < subdatasets.Count(); i += 2)
        Open(CPLString(subdatasets[i]).substr(CPLString(subdatasets[i]).find('=') + 1));
    const char *const start = dataset->GetMetadataItem("time_start");
    const char *const end = dataset->GetMetadataItem("time_end");
    if (start && end)
        Open("GNDC:\"" + file + "\":t=" + std::string(start).substr(0, 4) + "-12-27T01:02:03.5Z");
    OpenArrays(file);
    // what all files hold, then what some or all must refuse
    for (const char *key : {":t=0", ":t=-1", ":band=1", ":t=1900-01-01", ":every=P30D", ":band=1:every=P30D",
                            ":product=ndvi", ":t=0:product=evi", ":t=0:product=dx", ":t=0:product=dt",
                            ":band=1:product=dy", ":t=x", ":band=nothing", ":t=", ":nothing=1"})
        Open("GNDC:\"" + file + "\"" + key);
    for (const char *option : {"MASK=BAND", "MASK=NONE", "RESAMPLING=AVERAGE", "RESAMPLING=BILINEAR", "RESAMPLING=X"})
        Open("GNDC:\"" + file + "\":t=0", option);
}

std::string firstError;

void CPL_STDCALL Remember(CPLErr level, CPLErrorNum, const char *message)
{
    if (level >= CE_Failure && firstError.empty())
        firstError = message;
}

}  // namespace

int main(int count, char **arguments)
{
    GDALAllRegister();
    GDALRegister_GNDC();
    GDALRegister_GNDC();
    CPLSetErrorHandler(Remember);
    for (int i = 1; i < count; ++i)
    {
        firstError.clear();
        Check(arguments[i]);
        std::printf("%s: %s\n", arguments[i], firstError.empty() ? "ok" : firstError.c_str());
        std::fflush(stdout);
    }
    GDALDestroyDriverManager();
    return EXIT_SUCCESS;
}
