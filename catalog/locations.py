"""gdal_names: the rows of a catalog as strings that GDAL opens at one time."""

from __future__ import annotations

from typing import Any

import pandas as pd

from gdal_gndc.catalog.duck import AnyCatalog
from gdal_gndc.catalog.intervals import as_utc
from gdal_gndc.catalog.options import choose


def gdal_names(catalog: AnyCatalog, time: Any = None, *, cubes: str = "driver") -> list[str]:
    """One string a row: files by their location, cubes at ``time``.

    Parameters
    ----------
    time
        For cubes: a moment, default the middle of each row's interval.
    cubes
        ``driver``: ``GNDC:"path":t=...``, for a GDAL with the GNDC driver. ``vrt``: the XML of a VRT with a
        Python pixel function, which every GDAL with Python opens.
    """
    choose("cubes", cubes, ("driver", "vrt"))
    gdf = catalog.gdf
    if time is None:
        middle = pd.DatetimeIndex(gdf.index.left) + (pd.DatetimeIndex(gdf.index.right) - gdf.index.left) / 2
        moments = list(middle)
    else:
        moments = [as_utc(time)] * len(gdf)
    rows = zip(gdf["location"], gdf["backend"] == "gndc", moments, strict=True)
    return [_cube(path, moment, cubes) if is_cube else path for path, is_cube, moment in rows]


def _cube(path: str, moment: pd.Timestamp, kind: str) -> str:
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    if kind == "driver":
        quoted = path.replace("\\", "\\\\").replace('"', '\\"')
        return f'GNDC:"{quoted}":t={text}'
    import gdal_gndc

    return str(gdal_gndc.vrt(path, t=text))
