"""build_gndc_catalog: neural data cubes, a row a cube, continuous in time from its first to its last
observation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gdal_gndc.catalog.assembly import Failure, Header, build
from gdal_gndc.catalog.crs import as_crs
from gdal_gndc.catalog.geocatalog import GeoCatalog
from gdal_gndc.catalog.intervals import iso_duration, utc_index
from gdal_gndc.catalog.sources import expand
from gdal_gndc.errors import FileFormatError, GNDCError

SUFFIXES = (".gndc",)


def build_gndc_catalog(
    files: Any,
    target_crs: Any = None,
    target_resolution: float | None = None,
    *,
    previous: GeoCatalog | None = None,
    errors: str = "raise",
    workers: int | None = None,
    progress: bool = False,
) -> GeoCatalog:
    """A catalog of cubes; no field is evaluated.

    ``location`` is the path or URL of the cube. `gdal_gndc.catalog.locations.gdal_names` turns rows into
    strings that GDAL opens at one time. Parameters are those of `build_raster_catalog`; times are the cubes'
    own.
    """
    return build(
        expand(files, SUFFIXES),
        "gndc",
        _read_all,
        dates=None,
        target_crs=target_crs,
        target_resolution=target_resolution,
        previous=previous,
        errors=errors,
        workers=workers,
        progress=progress,
        processes=False,
        locations=_absolute,
    )


def _affine(transform: Any) -> tuple[float, ...]:
    if transform is None:
        raise FileFormatError("the cube has no transform")
    return tuple(float(v) for v in tuple(transform)[:6])


def _absolute(name: str) -> str:
    return name if "://" in name or name.startswith("/vsi") else str(Path(name).absolute())


def _read_all(locations: list[str]) -> list[Header | Failure]:
    return [_read(location) for location in locations]


def _read(location: str) -> Header | Failure:
    import gdal_gndc

    try:
        with gdal_gndc.open(location) as cube:
            steps, height, width, bands = cube.shape
            times = utc_index(list(cube.timestamps))
            step = None
            if len(times) > 1:
                step = iso_duration(pd.Timedelta(int(np.median(np.diff(np.sort(times.asi8)))), unit="us"))
            return Header(
                location,
                as_crs(cube.crs).to_wkt(),
                _affine(cube.transform),
                int(width),
                int(height),
                bands=int(bands),
                band_names=tuple(str(n) for n in cube.band_names),
                dtype="float32",
                nodata=float("nan"),
                n_timesteps=int(steps),
                time_resolution=step,
                start=times.min(),
                stop=times.max(),
            )
    except (GNDCError, OSError) as error:
        return Failure(location, str(error))
