"""Catalogs: many files as one queryable index, and the way from it to pixels.

`GeoCatalog` is the index, `GeoSlice` the question; ``build_*`` make catalogs from files, ``load_*`` make
arrays from a slice, samplers make slices. Only geopandas, pyarrow and duckdb are needed for the index;
rasterio, xarray, zarr and torch are imported by the functions that use them. The torch datasets are in
`gdal_gndc.catalog.torch_data`.
"""

from __future__ import annotations

from gdal_gndc.catalog.build_gndc import build_gndc_catalog
from gdal_gndc.catalog.build_raster import build_raster_catalog
from gdal_gndc.catalog.build_stac import build_stac_catalog
from gdal_gndc.catalog.build_vector import build_vector_catalog
from gdal_gndc.catalog.build_xarray import build_xarray_catalog
from gdal_gndc.catalog.duck import DuckCatalog
from gdal_gndc.catalog.export_gti import to_gti
from gdal_gndc.catalog.export_stac import to_stac_geoparquet
from gdal_gndc.catalog.folds import spatial_block_folds
from gdal_gndc.catalog.gather import BuildReport
from gdal_gndc.catalog.geocatalog import GeoCatalog
from gdal_gndc.catalog.geoparquet import compact
from gdal_gndc.catalog.geoslice import GeoSlice
from gdal_gndc.catalog.grid_sampler import grid_sampler
from gdal_gndc.catalog.load_gndc import load_gndc
from gdal_gndc.catalog.load_raster import load_raster
from gdal_gndc.catalog.load_raster_timeseries import load_raster_timeseries
from gdal_gndc.catalog.load_vector import load_vector
from gdal_gndc.catalog.load_xarray import load_xarray
from gdal_gndc.catalog.locations import gdal_names
from gdal_gndc.catalog.open_catalog import open_catalog
from gdal_gndc.catalog.polygons import polygons_from_mask
from gdal_gndc.catalog.random_sampler import ChipSequence, random_sampler
from gdal_gndc.catalog.stitch import stitch
from gdal_gndc.catalog.temporal_pair_sampler import temporal_pair_sampler

__all__ = [
    "BuildReport",
    "ChipSequence",
    "DuckCatalog",
    "GeoCatalog",
    "GeoSlice",
    "build_gndc_catalog",
    "build_raster_catalog",
    "build_stac_catalog",
    "build_vector_catalog",
    "build_xarray_catalog",
    "compact",
    "gdal_names",
    "grid_sampler",
    "load_gndc",
    "load_raster",
    "load_raster_timeseries",
    "load_vector",
    "load_xarray",
    "open_catalog",
    "polygons_from_mask",
    "random_sampler",
    "spatial_block_folds",
    "stitch",
    "temporal_pair_sampler",
    "to_gti",
    "to_stac_geoparquet",
]
