"""build_vector_catalog: GeoPackages, GeoJSON, shapefiles, GeoParquet, by their extent."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyproj

from gdal_gndc.catalog.assembly import Failure, Header, build
from gdal_gndc.catalog.crs import as_crs
from gdal_gndc.catalog.dates import times_of
from gdal_gndc.catalog.geocatalog import GeoCatalog
from gdal_gndc.catalog.options import need
from gdal_gndc.catalog.sources import expand, gdal_location
from gdal_gndc.errors import GNDCError

SUFFIXES = (".gpkg", ".geojson", ".json", ".shp", ".fgb", ".parquet")


def build_vector_catalog(
    files: Any,
    filename_regex: str | None = None,
    date_format: str = "%Y%m%d",
    target_crs: Any = None,
    target_resolution: float | None = None,
    *,
    layer: str | None = None,
    previous: GeoCatalog | None = None,
    errors: str = "raise",
    workers: int | None = None,
    progress: bool = False,
) -> GeoCatalog:
    """A catalog of vector files: the footprint is the extent, ``band_names`` are the fields, ``width`` is 0.

    Parameters are those of `build_raster_catalog`; ``layer`` names one layer of files with several. Files
    without a date are static.
    """
    dates = None
    if filename_regex is not None:
        dates = partial(times_of, filename_regex=filename_regex, date_format=date_format)
    return build(
        expand(files, SUFFIXES),
        "vector",
        partial(_read_all, layer=layer),
        dates=dates,
        target_crs=target_crs,
        target_resolution=target_resolution,
        previous=previous,
        errors=errors,
        workers=workers,
        progress=progress,
        locations=gdal_location,
        processes=False,
    )


def _read_all(locations: list[str], *, layer: str | None) -> list[Header | Failure]:
    return [_read(location, layer) for location in locations]


def _read(location: str, layer: str | None) -> Header | Failure:
    try:
        crs, box, fields = _parquet(location) if location.endswith(".parquet") else _ogr(location, layer)
    except (GNDCError, OSError, ValueError, RuntimeError, KeyError) as error:
        return Failure(location, str(error))
    if crs is None:
        return Failure(location, "the layer has no CRS")
    if box is None or not np.isfinite(box).all():
        return Failure(location, "the layer has no features, so no extent")
    west, south, east, north = box
    extent = (west, south, east, north)
    return Header(location, crs, None, 0, 0, extent, len(fields), fields, start=pd.NaT, stop=pd.NaT)


def _ogr(location: str, layer: str | None) -> tuple[str | None, Any, tuple[str, ...]]:
    pyogrio = need("pyogrio", "a catalog of vector files")
    info = pyogrio.read_info(location, layer=layer, force_total_bounds=True)
    crs = info["crs"]
    return as_crs(crs).to_wkt() if crs else None, info["total_bounds"], tuple(map(str, info["fields"]))


def _parquet(location: str) -> tuple[str | None, Any, tuple[str, ...]]:
    import json

    import pyarrow.parquet as pq

    file_schema = pq.read_schema(location)
    geo = json.loads((file_schema.metadata or {})[b"geo"])
    column = geo["columns"][geo["primary_column"]]
    crs = pyproj.CRS.from_json_dict(column["crs"]) if column.get("crs") else as_crs("OGC:CRS84")
    fields = tuple(n for n in file_schema.names if n != geo["primary_column"] and not re.match("^bbox$", n))
    return crs.to_wkt(), column.get("bbox"), fields
