"""build_xarray_catalog: netCDF, Zarr and GRIB archives, a row a file, times from the time coordinate."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from gdal_gndc.catalog.arrays import grid_of, open_dataset
from gdal_gndc.catalog.assembly import Failure, Header, build
from gdal_gndc.catalog.dates import times_of
from gdal_gndc.catalog.geocatalog import GeoCatalog
from gdal_gndc.catalog.intervals import iso_duration
from gdal_gndc.catalog.sources import expand
from gdal_gndc.errors import GNDCError

SUFFIXES = (".nc", ".nc4", ".zarr", ".grib", ".grib2", ".grb", ".h5")


def build_xarray_catalog(
    files: Any,
    variables: list[str] | None = None,
    filename_regex: str | None = None,
    date_format: str = "%Y%m%d",
    target_crs: Any = None,
    target_resolution: float | None = None,
    *,
    crs: Any = None,
    engine: str | None = None,
    previous: GeoCatalog | None = None,
    errors: str = "raise",
    workers: int | None = None,
    progress: bool = False,
) -> GeoCatalog:
    """A catalog of array files from their coordinates; no pixel is read.

    Parameters
    ----------
    variables
        Those to offer as bands. Default: all with both spatial dimensions.
    filename_regex, date_format
        For files without a time coordinate; see `build_raster_catalog`. Without either they are static.
    crs
        Of files that name none.
    engine
        The xarray engine; default: by the name's ending.

    Other parameters are those of `build_raster_catalog`. Longitudes of 0 to 360 degrees are footprints in
    -180 to 180.
    """
    dates = None
    if filename_regex is not None:
        dates = partial(times_of, filename_regex=filename_regex, date_format=date_format)
    return build(
        expand(files, SUFFIXES),
        "xarray",
        partial(_read_all, variables=variables, crs=crs, engine=engine),
        dates=dates,
        target_crs=target_crs,
        target_resolution=target_resolution,
        previous=previous,
        errors=errors,
        workers=workers,
        progress=progress,
        # The HDF5 library is not safe in a forked child once the parent has used it.
        processes=False,
    )


def _read_all(locations: list[str], *, variables: Any, crs: Any, engine: str | None) -> list[Header | Failure]:
    return [_read(location, variables, crs, engine) for location in locations]


def _read(location: str, variables: Any, crs: Any, engine: str | None) -> Header | Failure:
    try:
        with open_dataset(location, engine) as dataset:
            grid = grid_of(dataset, crs=crs, variables=variables, name=location)
            first = dataset[grid.variables[0]]
            fill = first.encoding.get("_FillValue", first.attrs.get("_FillValue"))
            times = grid.times
            dated = times is not None and len(times) > 0
            step = None
            if times is not None and len(times) > 1:
                step = iso_duration(pd.Timedelta(np.median(np.diff(np.sort(times.asi8))), unit="us"))
            return Header(
                location,
                grid.crs.to_wkt(),
                grid.transform,
                grid.width,
                grid.height,
                bands=len(grid.variables),
                band_names=grid.variables,
                dtype=str(first.dtype),
                nodata=None if fill is None else float(fill),
                n_timesteps=len(times) if times is not None else 1,
                time_resolution=step,
                start=times.min() if dated and times is not None else pd.NaT,
                stop=times.max() if dated and times is not None else pd.NaT,
            )
    except (GNDCError, KeyError, OSError) as error:
        return Failure(location, str(error))
