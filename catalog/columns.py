"""Columns: the arrays behind a frame, from which a few rows become a frame of their own without pandas' detours."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from gdal_gndc.catalog.intervals import known_intervals

if TYPE_CHECKING:
    import geopandas as gpd

Column = np.ndarray | tuple[Any, pa.Array] | Any


class Columns:
    """A frame taken apart: one array a column, the footprints, the times.

    ``DataFrame.take`` and ``GeoDataFrame(...)`` spend milliseconds on a handful of rows; taking from the arrays and
    building the frame once spends a tenth of that.

    Parameters
    ----------
    frame
        A catalog frame, as `schema.normalise` makes it. It must not change afterwards.
    """

    def __init__(self, frame: gpd.GeoDataFrame) -> None:
        self.crs = frame.crs
        self.attributes: dict[str, Column] = {str(c): _apart(frame[c].array) for c in frame.columns if c != "geometry"}
        self.geometry: np.ndarray = np.asarray(frame.geometry.array, dtype=object)
        self.index: pd.IntervalIndex = frame.index

    @cached_property
    def ends(self) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex]:
        """Starts and stops."""
        return pd.DatetimeIndex(self.index.left), pd.DatetimeIndex(self.index.right)

    def ends_of(self, rows: np.ndarray) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex]:
        """Starts and stops of some rows."""
        left, right = self.ends
        return left.take(rows), right.take(rows)

    def gather(self, rows: np.ndarray) -> dict[str, Any]:
        """The attributes of some rows, (len(rows),) each."""
        places = pa.array(rows)
        return {name: _take(column, rows, places) for name, column in self.attributes.items()}

    def take(self, rows: np.ndarray) -> gpd.GeoDataFrame:
        """Some rows as a catalog frame."""
        return frame_of(self.gather(rows), self.geometry[rows], self.crs, known_intervals(*self.ends_of(rows)))


def frame_of(columns: dict[str, Any], geometry: np.ndarray, crs: Any, index: pd.Index) -> gpd.GeoDataFrame:
    """Arrays as a catalog frame, neither checked nor copied."""
    import geopandas as gpd
    from geopandas.array import GeometryArray
    from pandas.api.internals import create_dataframe_from_blocks

    arrays = [*columns.values(), GeometryArray(geometry, crs=crs)]
    blocks = [(_block(array), np.array([place])) for place, array in enumerate(arrays)]
    plain = create_dataframe_from_blocks(blocks, index=index, columns=_names(*columns, "geometry"))
    # GeoDataFrame(...) looks for geometries among the columns, copies and compares CRSs; here all of it is known.
    frame = gpd.GeoDataFrame._from_mgr(plain._mgr, axes=plain.axes)
    frame._geometry_column_name = "geometry"
    return frame


@lru_cache(64)
def _names(*names: str) -> pd.Index:
    return pd.Index(names)


def _block(array: Any) -> Any:
    """A column as pandas stores it: plain arrays and times as (1, N)."""
    if isinstance(array, pd.Index | pd.Series):
        array = array.array
    if isinstance(array, pd.arrays.NumpyExtensionArray):
        array = array.to_numpy()
    if isinstance(array, np.ndarray | pd.arrays.DatetimeArray | pd.arrays.TimedeltaArray):
        return array.reshape(1, -1)
    return array


def _apart(array: Any) -> Column:
    """A column as numpy's or Arrow's array where it is one, with what makes pandas' of the latter."""
    if isinstance(array, pd.arrays.NumpyExtensionArray):
        return array.to_numpy()
    if isinstance(array, pd.arrays.ArrowStringArray | pd.arrays.ArrowExtensionArray):
        plain = pa.array(array)
        if isinstance(plain, pa.ChunkedArray):
            plain = plain.combine_chunks()
        return type(array), array.dtype, plain
    return array


def _take(column: Column, rows: np.ndarray, places: pa.Array) -> Any:
    if not isinstance(column, tuple):
        return column.take(rows)
    kind, dtype, plain = column
    taken = plain.take(places)
    return kind(taken, dtype=dtype) if kind is pd.arrays.ArrowStringArray else kind(taken)
