// What changed its type between GDAL 3.6 and 3.13.
#pragma once

#include "gdal_priv.h"
#include "gdal_version.h"

#if GDAL_VERSION_NUM >= GDAL_COMPUTE_VERSION(3, 12, 0)
using GeoTransformOut = GDALGeoTransform &;
#define GEO_TRANSFORM_CONST const
#else
using GeoTransformOut = double *;
#define GEO_TRANSFORM_CONST
#endif
#define GET_GEO_TRANSFORM GetGeoTransform

#if GDAL_VERSION_NUM >= GDAL_COMPUTE_VERSION(3, 13, 0)
using CreationOptions = CSLConstList;
#else
using CreationOptions = char **;
#endif

#if GDAL_VERSION_NUM >= GDAL_COMPUTE_VERSION(3, 10, 0)
using BandMap = BANDMAP_TYPE;
#else
using BandMap = int *;
#endif
