"""build_raster_catalog: GeoTIFFs and whatever else GDAL opens, by their headers."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd

from gdal_gndc.catalog.assembly import Failure, Header, build
from gdal_gndc.catalog.dates import times_of
from gdal_gndc.catalog.geocatalog import GeoCatalog
from gdal_gndc.catalog.options import need
from gdal_gndc.catalog.sources import expand, gdal_location
from gdal_gndc.remote import gdal_patience

NO_CRS = "the raster has no CRS"
SUFFIXES = (".tif", ".tiff", ".vrt", ".jp2", ".img")


def build_raster_catalog(
    files: Any,
    filename_regex: str | None = None,
    date_format: str = "%Y%m%d",
    target_crs: Any = None,
    target_resolution: float | None = None,
    *,
    previous: GeoCatalog | None = None,
    errors: str = "raise",
    workers: int | None = None,
    progress: bool = False,
) -> GeoCatalog:
    """A catalog of rasters from their headers.

    Parameters
    ----------
    files
        Paths, globs, directories, URLs; see `gdal_gndc.catalog.sources.expand`.
    filename_regex
        Searched for in each file name; its groups ``date``, or ``start`` and ``stop``, hold the time. None:
        the files are static.
    date_format
        How the groups are written. A date stands for as long as its finest directive: ``%Y%m`` for the month.
    target_crs
        CRS of the footprints. Default: that of the files if they share one, else EPSG:4326.
    target_resolution
        Pixel size, in units of the catalog's CRS, that samplers use by default.
    previous
        An earlier catalog of these files: those with the same size and modification time are not opened
        again.
    errors
        ``raise`` after all files are tried, or ``skip``: what failed is in ``catalog.report``.
    workers, progress
        How many files at once (default: one a CPU), and whether a bar shows.

    Raises
    ------
    FileFormatError
        With ``errors="raise"``, if any file cannot be read, has no CRS, or has no date where one is asked
        for.
    """
    rasterio = need("rasterio", "a catalog of rasters")
    del rasterio
    dates = None
    if filename_regex is not None:
        dates = partial(times_of, filename_regex=filename_regex, date_format=date_format)
    return build(
        expand(files, SUFFIXES),
        "raster",
        read_headers,
        dates=dates,
        target_crs=target_crs,
        target_resolution=target_resolution,
        previous=previous,
        errors=errors,
        workers=workers,
        progress=progress,
        locations=gdal_location,
    )


def read_headers(locations: list[str]) -> list[Header | Failure]:
    """One header, or the reason there is none, for each raster."""
    import rasterio

    options = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "CPL_VSIL_CURL_USE_HEAD": "NO"}
    options |= gdal_patience()
    with rasterio.Env(**options):
        headers = [_read(location) for location in locations]
    # The directory is not listed above, for speed; a CRS may yet lie in a sidecar file.
    bare = [k for k, h in enumerate(headers) if isinstance(h, Failure) and h.why == NO_CRS]
    if bare:
        with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="FALSE"):
            for k in bare:
                headers[k] = _read(locations[k])
    return headers


def _read(location: str) -> Header | Failure:
    import rasterio
    from rasterio.errors import RasterioError

    try:
        with rasterio.open(location) as source:
            if source.crs is None:
                return Failure(location, NO_CRS)
            names = source.descriptions
            if any(n is None for n in names):
                names = tuple(n or f"B{k}" for k, n in enumerate(names, 1))
            return Header(
                location,
                source.crs.wkt,
                tuple(source.transform)[:6],
                source.width,
                source.height,
                bands=source.count,
                band_names=names,
                dtype=source.dtypes[0],
                nodata=source.nodata,
                start=pd.NaT,
                stop=pd.NaT,
            )
    except (RasterioError, OSError, ValueError) as error:
        return Failure(location, str(error))
