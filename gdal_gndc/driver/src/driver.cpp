// The entry point that GDAL looks for in gdal_GNDC.so.
#include "compat.h"
#include "dataset.h"

namespace
{

constexpr const char *NAME = "GNDC";

#ifndef GNDC_SOURCE_ID
#define GNDC_SOURCE_ID "unknown"
#endif

constexpr const char *OPEN_OPTIONS =
    "<OpenOptionList>"
    "<Option name='T' type='string' description='Frame index, or ISO 8601 date or time: an observation, or any moment "
    "between the first and the last'/>"
    "<Option name='BAND' type='string' description='Name or number of one band: without T its times become the bands'/>"
    "<Option name='BANDS' type='string' description='Names or numbers of the bands to show, separated by commas; with T'/>"
    "<Option name='PRODUCT' type='string' description='ndvi, evi, ndwi or ndmi, where the bands are known; without T its "
    "times become the bands. Or dx, dy (per unit of the reference system) or dt (per day): the derivative of every band'/>"
    "<Option name='EVERY' type='string' description='Step of regular times such as P5D or 12h, instead of the "
    "observations'/>"
    "<Option name='START' type='string' description='First of the times; by default the first observation'/>"
    "<Option name='END' type='string' description='Last of the times; by default the last observation'/>"
    "<Option name='ARRAYS' type='string-select' description='Multidimensional: an array a band over time, y, x, or one "
    "over time, y, x, band' default='BANDS'><Value>BANDS</Value><Value>ONE</Value></Option>"
    "<Option name='MASK' type='string-select' description='Where the file has no data: NaN; a mask band, with the "
    "values of the network below it; or nothing but these values' default='NODATA'><Value>NODATA</Value>"
    "<Value>BAND</Value><Value>NONE</Value></Option>"
    "<Option name='RESAMPLING' type='string-select' description='What a pixel of a smaller raster is: the field at its "
    "centre, or a mean over the pixel from a finer grid' default='NEAREST'><Value>NEAREST</Value><Value>AVERAGE</Value>"
    "<Value>BILINEAR</Value></Option>"
    "<Option name='EXTRAPOLATE' type='string-select' description='What a time of T outside the cube is: an error, or the "
    "nearest end' default='ERROR'><Value>ERROR</Value><Value>CLAMP</Value></Option>"
    "<Option name='PRECISION' type='string-select' description='Of the evaluation; FAST is 16-bit fixed point, where the "
    "processor has AVX512-VNNI' default='FLOAT32'><Value>FLOAT32</Value><Value>FAST</Value></Option>"
    "<Option name='NUM_THREADS' type='string' description='Threads of an evaluation, or ALL_CPUS' default='ALL_CPUS'/>"
    "</OpenOptionList>";

GDALDataset *CreateCopy(const char *name, GDALDataset *, int, CreationOptions, GDALProgressFunc, void *)
{
    CPLError(CE_Failure, CPLE_NotSupported,
             "%s: the GNDC driver only reads; a cube is written by training on a stack of rasters: "
             "gndc encode *.tif -o %s",
             name, name);
    return nullptr;
}

}  // namespace

extern "C" CPL_DLL void GDALRegister_GNDC();

extern "C" void GDALRegister_GNDC()
{
    if (!GDAL_CHECK_VERSION(NAME) || GDALGetDriverByName(NAME))
        return;
    auto driver = std::make_unique<GDALDriver>();
    driver->SetDescription(NAME);
    driver->SetMetadataItem(GDAL_DCAP_RASTER, "YES");
    driver->SetMetadataItem(GDAL_DCAP_MULTIDIM_RASTER, "YES");
    driver->SetMetadataItem(GDAL_DCAP_VIRTUALIO, "YES");
    driver->SetMetadataItem(GDAL_DMD_LONGNAME, "Neural data cube");
    driver->SetMetadataItem(GDAL_DMD_EXTENSION, "gndc");
    driver->SetMetadataItem(GDAL_DMD_EXTENSIONS, "gndc");
    driver->SetMetadataItem(GDAL_DMD_CONNECTION_PREFIX, "GNDC:");
    driver->SetMetadataItem(GDAL_DMD_SUBDATASETS, "YES");
    driver->SetMetadataItem(GDAL_DMD_OPENOPTIONLIST, OPEN_OPTIONS);
    driver->SetMetadataItem("GNDC_SOURCES", GNDC_SOURCE_ID);
    driver->pfnIdentify = gndc_driver::Dataset::Identify;
    driver->pfnOpen = gndc_driver::Dataset::Open;
    driver->pfnCreateCopy = CreateCopy;
    GetGDALDriverManager()->RegisterDriver(driver.release());
}
