"""to_vector: footprints and plain columns for any program that reads vector files."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from gdal_gndc.catalog.duck import AnyCatalog
from gdal_gndc.catalog.options import need
from gdal_gndc.errors import FileFormatError


def to_vector(catalog: AnyCatalog, path: str | Path) -> None:
    """Write a catalog in the vector format of the name's ending (``.gpkg``, ``.geojson``, ``.fgb``).

    Times are columns ``start`` and ``stop`` in ISO 8601; lists are text with commas.

    Raises
    ------
    FileFormatError
        If the format is not known or cannot be written.
    """
    need("pyogrio", "writing vector files")
    gdf = catalog.gdf
    left, right = pd.DatetimeIndex(gdf.index.left), pd.DatetimeIndex(gdf.index.right)
    columns = {
        "start": left.strftime("%Y-%m-%dT%H:%M:%S.%fZ").tolist(),
        "stop": right.strftime("%Y-%m-%dT%H:%M:%S.%fZ").tolist(),
    }
    for name in gdf.columns.drop("geometry"):
        values = gdf[name]
        if isinstance(values.dtype, pd.ArrowDtype):
            joined = ["" if v is None or v is pd.NA else ",".join(map(str, v)) for v in values]
            columns[str(name)] = joined
        else:
            columns[str(name)] = values.tolist() if values.dtype == object else values.to_numpy()
    frame = gpd.GeoDataFrame(columns, geometry=np.asarray(gdf.geometry.array, dtype=object), crs=gdf.crs)
    try:
        frame.to_file(path, engine="pyogrio")
    except (ValueError, RuntimeError) as error:
        raise FileFormatError(f"cannot be written: {error}", path=str(path)) from error
