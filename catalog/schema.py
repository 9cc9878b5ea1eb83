"""What a row is: the columns of a catalog, their types and defaults, and the migration of older files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from gdal_gndc.catalog.columns import frame_of
from gdal_gndc.catalog.intervals import INTERVAL_DTYPE, interval_index
from gdal_gndc.errors import FileFormatError, TimeError

if TYPE_CHECKING:
    import geopandas as gpd

SCHEMA_VERSION = 1
NAMES = pd.ArrowDtype(pa.list_(pa.string()))
NUMBERS = pd.ArrowDtype(pa.list_(pa.float64()))

# Column, dtype, value where a row does not say.
COLUMNS: dict[str, tuple[Any, Any]] = {
    "location": ("str", None),
    "backend": ("str", "raster"),
    "bands": ("int32", 0),
    "band_names": (NAMES, None),
    "dtype": ("str", None),
    "res_x": ("float64", np.nan),
    "res_y": ("float64", np.nan),
    "native_crs": ("str", None),
    "width": ("int32", 0),
    "height": ("int32", 0),
    "transform": (NUMBERS, None),
    "nodata": ("float64", np.nan),
    "n_timesteps": ("int32", 1),
    "time_resolution": ("str", None),
    "size": ("int64", 0),
    "mtime": ("datetime64[us, UTC]", None),
    "static": ("bool", False),
}
BACKENDS = ("raster", "xarray", "vector", "gndc")


def normalise(gdf: gpd.GeoDataFrame, *, name: str = "catalog") -> gpd.GeoDataFrame:
    """A frame with every column, type and index a catalog relies on, or an error that names the first bad
    row.

    Parameters
    ----------
    gdf
        Footprints with a CRS; a ``location`` column; times as an IntervalIndex, as columns ``start`` and
        ``stop``, or none with ``static`` True. Other columns are kept as they are.

    Raises
    ------
    FileFormatError
        For missing geometries, locations or CRS, or unknown backends.
    TimeError
        For rows without a time that are not static, or half a time.
    """
    import geopandas as gpd

    if not isinstance(gdf, gpd.GeoDataFrame):
        raise FileFormatError(f"a catalog is made from a GeoDataFrame, found {type(gdf).__name__}", path=name)
    if gdf.crs is None:
        raise FileFormatError("the footprints have no CRS", path=name)
    geometry = np.asarray(gdf.geometry.array, dtype=object)
    missing = np.flatnonzero(np.asarray(gdf.geometry.isna() | gdf.geometry.is_empty))
    if missing.size:
        raise FileFormatError(f"{missing.size} rows have no footprint, the first is row {missing[0]}", path=name)
    columns = {str(c): gdf[c].array for c in gdf.columns if c != gdf.geometry.name}
    index = _time_index(gdf, columns)
    if "location" not in columns:
        raise FileFormatError("there is no column 'location'", path=name)
    fields: dict[str, Any] = {}
    for column, (dtype, default) in COLUMNS.items():
        fields[column] = _typed(columns.pop(column, None), dtype, default, len(gdf), f"{name}: column {column!r}")
    nowhere = np.flatnonzero(pd.isna(fields["location"]))
    if nowhere.size:
        raise FileFormatError(f"{nowhere.size} rows have no location, the first is row {nowhere[0]}", path=name)
    unknown = sorted(set(pd.unique(fields["backend"])) - set(BACKENDS))
    if unknown:
        raise FileFormatError(f"unknown backends {unknown}; expected some of {list(BACKENDS)}", path=name)
    static = np.asarray(fields["static"], dtype=bool)
    undated = np.asarray(index.isna())
    lost = np.flatnonzero(undated & ~static)
    if lost.size:
        row = int(lost[0])
        where = fields["location"][row]
        raise TimeError(f"{name}: {lost.size} rows have no time, the first is {where!r}; mark them static or date them")
    dated = np.flatnonzero(~undated & static)
    if dated.size:
        raise TimeError(f"{name}: {dated.size} static rows have a time, the first is row {dated[0]}")
    return frame_of({**fields, **columns}, geometry, gdf.crs, index)


def empty(crs: Any = "EPSG:4326") -> gpd.GeoDataFrame:
    """A catalog frame with no rows."""
    import geopandas as gpd

    frame = gpd.GeoDataFrame({"location": pd.array([], dtype="str")}, geometry=[], crs=crs)
    frame.index = interval_index([], [])
    return normalise(frame)


def _time_index(gdf: gpd.GeoDataFrame, columns: dict[str, Any]) -> pd.IntervalIndex:
    if isinstance(gdf.index, pd.IntervalIndex):
        index = gdf.index
        if str(index.dtype) == INTERVAL_DTYPE:
            return index.rename("datetime")
        if index.closed != "both" and len(index):
            raise TimeError(f"the intervals are closed on the {index.closed}; a catalog's are closed on both sides")
        return interval_index(index.left, index.right)
    if "start" in columns and "stop" in columns:
        return interval_index(columns.pop("start"), columns.pop("stop"))
    if "datetime" in columns:
        moments = columns.pop("datetime")
        return interval_index(moments, moments)
    blank = pd.DatetimeIndex([pd.NaT] * len(gdf), dtype="datetime64[us, UTC]")
    return interval_index(blank, blank)


def _typed(values: Any, dtype: Any, default: Any, rows: int, what: str) -> Any:
    if values is None:
        if isinstance(dtype, pd.ArrowDtype):
            return pd.array(pa.nulls(rows, dtype.pyarrow_dtype), dtype=dtype)
        return pd.Series(default, index=range(rows), dtype=dtype).array
    if str(getattr(values, "dtype", "")) == str(dtype):
        return values
    if isinstance(dtype, pd.ArrowDtype):
        if isinstance(values.dtype, pd.ArrowDtype):
            return values.astype(dtype)
        return pd.array(pa.array(list(values), dtype.pyarrow_dtype, from_pandas=True), dtype=dtype)
    series = pd.Series(values)
    if default is not None and series.isna().any():
        series = series.fillna(default)
    try:
        if dtype == "datetime64[us, UTC]":
            return pd.to_datetime(series, utc=True).dt.as_unit("us").array
        return series.astype(dtype).array
    except (ValueError, TypeError) as error:
        raise FileFormatError(f"values do not fit {dtype}: {error}", path=what) from error


def _from_version_0(table: pa.Table) -> pa.Table:
    """Version 0, plain GeoParquet made by hand: no version column; times perhaps in one ``datetime``
    column."""
    if "start" not in table.column_names and "datetime" in table.column_names:
        table = table.append_column("start", table["datetime"]).append_column("stop", table["datetime"])
        table = table.drop_columns(["datetime"])
    return table


# A file of version n is brought to n + 1 by MIGRATIONS[n], which maps a table to a table; a reader applies
# them in turn.
MIGRATIONS: dict[int, Callable[[pa.Table], pa.Table]] = {0: _from_version_0}


def migrate(table: pa.Table, version: int, *, name: str) -> pa.Table:
    """A table of an older version brought up to date.

    Raises
    ------
    FileFormatError
        For a version newer than this package, or one without a migration path.
    """
    if version > SCHEMA_VERSION:
        raise FileFormatError(f"schema version {version} is newer than {SCHEMA_VERSION}, which is read here", path=name)
    for step in range(version, SCHEMA_VERSION):
        if step not in MIGRATIONS:
            raise FileFormatError(f"no migration from schema version {step}", path=name)
        table = MIGRATIONS[step](table)
    return table
