#include "rasterband.h"

#include <algorithm>
#include <limits>

#include "failure.h"
#include "times.h"

namespace gndc_driver
{

namespace
{

constexpr int LARGEST_BLOCK = 256;
constexpr int SMALLEST_BLOCK = 16;
constexpr int64_t MOST_BLOCK_FLOATS = 16 << 20;  // of all bands together, which one evaluation serves
constexpr double NANOMETRES_PER_MICROMETRE = 1000.0;

int BlockSize(int64_t bands)
{
    int size = LARGEST_BLOCK;
    while (size > SMALLEST_BLOCK && size * size * bands > MOST_BLOCK_FLOATS)
        size /= 2;
    return size;
}

GDALColorInterp ColourOf(const std::string &commonName)
{
    if (commonName == "red")
        return GCI_RedBand;
    if (commonName == "green")
        return GCI_GreenBand;
    if (commonName == "blue")
        return GCI_BlueBand;
#if GDAL_VERSION_NUM >= GDAL_COMPUTE_VERSION(3, 10, 0)
    if (commonName == "pan")
        return GCI_PanBand;
    if (commonName == "coastal")
        return GCI_CoastalBand;
    if (commonName.rfind("rededge", 0) == 0)
        return GCI_RedEdgeBand;
    if (commonName.rfind("nir", 0) == 0)
        return GCI_NIRBand;
    if (commonName.rfind("swir", 0) == 0)
        return GCI_SWIRBand;
    if (commonName.rfind("lwir", 0) == 0)
        return GCI_TIRBand;
#endif
    return GCI_Undefined;
}

}  // namespace

RasterBand::RasterBand(Dataset &dataset, int number) : m_dataset(dataset)
{
    poDS = &dataset;
    nBand = number;
    nRasterXSize = dataset.GetRasterXSize();
    nRasterYSize = dataset.GetRasterYSize();
    eDataType = GDT_Float32;
    // the setters of GDALMajorObject: those of PAM would have the file's .aux.xml written
    const View &view = dataset.GetView();
    const int block = BlockSize(view.IsSeries() ? 1 : view.PlaneCount());
    nBlockXSize = std::min(block, nRasterXSize);
    nBlockYSize = std::min(block, nRasterYSize);
    const bool dated = !view.GetCube()->GetMeta().m_times.empty();
    const Band *band = view.BandOf(number - 1);
    const std::optional<Derivative> &derivative = view.GetDerivative();
    const std::string name =
        band ? band->m_name + (derivative ? " " + derivative->Name() : "") : view.GetProduct()->Name();
    GDALMajorObject::SetDescription(name.c_str());
    if (view.IsSeries() && dated)
    {
        const std::string time = FormatTime(view.MomentOf(number - 1).m_micros);
        GDALMajorObject::SetDescription(time.c_str());
        GDALMajorObject::SetMetadataItem("band", name.c_str());
        GDALMajorObject::SetMetadataItem("time", time.c_str());
        GDALMajorObject::SetMetadataItem("observed", view.MomentOf(number - 1).m_index >= 0 ? "YES" : "NO");
    }
    if (!band)
        GDALMajorObject::SetMetadataItem("description", view.GetProduct()->LongName().c_str());
    else if (derivative)
        m_unit = derivative->UnitOf(band->m_unit, dataset.GetSpatialRef());
    else
        Describe(*band);
    if (band && !derivative && !view.IsSeries())
        m_colour = ColourOf(band->m_commonName);
}

void RasterBand::Describe(const Band &band)
{
    m_unit = band.m_unit;
    if (!band.m_description.empty())
        GDALMajorObject::SetMetadataItem("description", band.m_description.c_str());
    if (!band.m_commonName.empty())
        GDALMajorObject::SetMetadataItem("common_name", band.m_commonName.c_str());
    if (band.m_wavelength)
    {
        GDALMajorObject::SetMetadataItem("CENTRAL_WAVELENGTH", CPLSPrintf("%.15g", *band.m_wavelength));
        GDALMajorObject::SetMetadataItem("CENTRAL_WAVELENGTH_UM",
                                         CPLSPrintf("%.15g", *band.m_wavelength / NANOMETRES_PER_MICROMETRE), "IMAGERY");
    }
}

double RasterBand::GetNoDataValue(int *success)
{
    int set = FALSE;
    const double value = GDALPamRasterBand::GetNoDataValue(&set);
    if (success)
        *success = set || !m_dataset.MaskOfBands();
    return set ? value : std::numeric_limits<double>::quiet_NaN();
}

const char *RasterBand::GetUnitType()
{
    const char *unit = GDALPamRasterBand::GetUnitType();
    return unit && unit[0] ? unit : m_unit.c_str();
}

GDALColorInterp RasterBand::GetColorInterpretation()
{
    const GDALColorInterp colour = GDALPamRasterBand::GetColorInterpretation();
    return colour != GCI_Undefined ? colour : m_colour;
}

int RasterBand::GetMaskFlags()
{
    return m_dataset.MaskOfBands() ? GMF_PER_DATASET : GDALPamRasterBand::GetMaskFlags();
}

GDALRasterBand *RasterBand::GetMaskBand()
{
    return m_dataset.MaskOfBands() ? m_dataset.MaskOfBands() : GDALPamRasterBand::GetMaskBand();
}

int RasterBand::GetOverviewCount()
{
    return static_cast<int>(m_dataset.Overviews().size());
}

GDALRasterBand *RasterBand::GetOverview(int index)
{
    if (index < 0 || index >= GetOverviewCount())
        return nullptr;
    return m_dataset.Overviews()[static_cast<size_t>(index)]->GetRasterBand(nBand);
}

CPLErr RasterBand::IReadBlock(int blockX, int blockY, void *image)
{
    return Guarded(CE_Failure, [&] { return m_dataset.ReadBlock(nBand, blockX, blockY, image); });
}

CPLErr RasterBand::IRasterIO(GDALRWFlag flag, int xOff, int yOff, int xSize, int ySize, void *data, int bufXSize,
                             int bufYSize, GDALDataType bufType, GSpacing pixelSpace, GSpacing lineSpace,
                             GDALRasterIOExtraArg *extra)
{
    if (flag == GF_Read && m_dataset.IsDirect(xSize, ySize, bufXSize, bufYSize, extra))
    {
        int band = nBand;
        return m_dataset.IRasterIO(flag, xOff, yOff, xSize, ySize, data, bufXSize, bufYSize, bufType, 1, &band,
                                   pixelSpace, lineSpace, 0, extra);
    }
    return GDALPamRasterBand::IRasterIO(flag, xOff, yOff, xSize, ySize, data, bufXSize, bufYSize, bufType, pixelSpace,
                                        lineSpace, extra);
}

}  // namespace gndc_driver
