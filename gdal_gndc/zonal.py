"""Statistics of a cube over polygons, each pixel weighted by the share of it that a polygon covers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import CoordinateError
from gdal_gndc.indices import RatioIndex, bands_of, index_named
from gdal_gndc.time_axis import Moment, MomentLike

if TYPE_CHECKING:
    import pandas as pd

    from gdal_gndc.dataset import GNDCDataset

Doubles = NDArray[np.float64]

_QUANTILE = re.compile(r"q(0|1|0?\.\d+)")
_STATISTICS = ("mean", "std", "min", "max", "sum", "count", "median")
# so few pixels are read as series, more as windows
_SERIES_PIXELS = 1024


def zonal_statistics(
    dataset: GNDCDataset,
    zones: Any,
    statistics: Sequence[str] = ("mean", "count"),
    *,
    times: Iterable[MomentLike] | None = None,
    bands: int | str | Sequence[int | str] | None = None,
    index: str | RatioIndex | None = None,
    id_column: str | None = None,
) -> pd.DataFrame:
    """Return statistics of bands over polygons and times.

    Parameters
    ----------
    zones
        A ``geopandas.GeoDataFrame`` or ``GeoSeries``, or a file that geopandas reads; in any CRS if it says which.
    statistics
        Of ``mean``, ``std``, ``min``, ``max``, ``sum``, ``count``, ``median`` and quantiles such as ``q0.9``. A pixel
        weighs the share of it that the polygon covers, as exactextract computes it; ``count`` is the sum of weights of
        pixels that have data, ``sum`` the weighted one, ``std`` the weighted one of the population. Quantiles are the
        smallest value at which the weights so far reach that share. ``min`` and ``max`` are of all pixels touched.
    times
        Any moments; all observations by default.
    bands
        By 0-based index or name; all by default. For ``index`` those it takes, in its order.
    index
        ``ndvi``, ``evi``, ``ndwi``, ``ndmi`` or a `gdal_gndc.indices.RatioIndex` instead of bands: the statistics of
        the index of each pixel.
    id_column
        Column of ``zones`` that names them; by default their index.

    Returns
    -------
    pandas.DataFrame
        A row for each zone, time and band, in this order: ``zone``, ``time`` (UTC, or the frame index in a cube
        without dates), ``band``, and a column a statistic, NaN where a zone has no data.

    Raises
    ------
    CoordinateError
        If a statistic, band or column is not known, the cube has no transform or a rotated one, or only one of cube
        and zones has a CRS.
    TimeError
        If a time lies outside the cube's.
    ModuleNotFoundError
        If geopandas or exactextract is not installed.
    """
    import pandas as pd

    for name in statistics:
        if name not in _STATISTICS and not _QUANTILE.fullmatch(name):
            known = ", ".join(_STATISTICS)
            raise CoordinateError(f"statistic {name!r}, expected one of {known} or a quantile like q0.9")
    frame = _zones(dataset, zones, id_column)
    formula = None if index is None else index_named(index)
    if formula is None:
        indices = dataset.band_list(bands)
        names = [dataset.band_names[b] for b in indices]
    else:
        given = [bands] if isinstance(bands, int | str) else bands
        if given is not None and len(given) != len(formula.roles):
            raise CoordinateError(f"{len(given)} bands for {formula.name}, expected {', '.join(formula.roles)}")
        indices, names = bands_of(dataset, formula, given), [formula.name]
    chosen: Iterable[MomentLike] = range(dataset.n_timestamps) if times is None else times
    moments = [dataset.resolve_time(t) for t in chosen]
    columns: dict[str, list[Doubles]] = {name: [] for name in statistics}
    for cells, weights in _coverage(dataset, frame):
        values = _pixels(dataset, cells, moments, indices)
        if formula is not None:
            values = formula(np.moveaxis(values, -1, 0))[..., None]
        for name in statistics:
            columns[name].append(_statistic(name, values, weights).ravel())
    undated = any(moment.time is None for moment in moments)
    stamps: Any = (
        pd.Index([moment.frame for moment in moments])
        if undated
        else pd.DatetimeIndex([moment.time for moment in moments], tz="UTC")
    )
    zone, time, band = (axis.ravel() for axis in np.indices((len(frame), len(moments), len(names))).astype(np.intp))
    table = pd.DataFrame({"zone": frame.index.take(zone), "time": stamps.take(time), "band": np.array(names)[band]})
    for name in statistics:
        table[name] = np.concatenate(columns[name]) if columns[name] else []
    return table


def _zones(dataset: GNDCDataset, zones: Any, id_column: str | None) -> Any:
    import geopandas

    frame = geopandas.read_file(zones) if isinstance(zones, str | os.PathLike) else zones
    if isinstance(frame, geopandas.GeoSeries):
        frame = geopandas.GeoDataFrame(geometry=frame)
    if id_column is not None:
        if id_column not in frame.columns:
            raise CoordinateError(f"no column {id_column!r} in the zones; expected one of {', '.join(frame.columns)}")
        frame = frame.set_index(id_column)
    if (frame.crs is None) != (dataset.crs is None):
        raise CoordinateError(f"the CRS of the zones is {frame.crs}, that of the cube {dataset.crs}")
    return frame if frame.crs is None else frame.to_crs(dataset.crs.to_wkt() if dataset.crs else None)


def _coverage(dataset: GNDCDataset, frame: Any) -> Iterable[tuple[NDArray[np.int64], Doubles]]:
    """Give the pixels (n, 2) rows and columns that each zone touches, and the share of each that it covers."""
    from exactextract import exact_extract
    from exactextract.raster import NumPyRasterSource

    transform = dataset.transform
    if transform is None or transform.b != 0 or transform.d != 0:
        raise CoordinateError("zones need a cube with a transform that is not rotated")
    left, bottom, right, top = dataset.bounds
    # only its grid is looked at
    nothing = np.broadcast_to(np.int8(0), (dataset.height, dataset.width))
    raster = NumPyRasterSource(nothing, xmin=left, ymin=bottom, xmax=right, ymax=top)
    features = [{"type": "Feature", "properties": {}, "geometry": g.__geo_interface__} for g in frame.geometry]
    for found in exact_extract(raster, features, ["cell_id", "coverage"]):
        properties = found["properties"]
        cells = np.atleast_1d(np.asarray(properties["cell_id"], np.int64))
        rows, cols = cells // dataset.width, cells % dataset.width
        # exactextract counts from the top left of the map, the cube from its first row and column
        if transform.e > 0:
            rows = dataset.height - 1 - rows
        if transform.a < 0:
            cols = dataset.width - 1 - cols
        yield np.stack([rows, cols], axis=1), np.atleast_1d(np.asarray(properties["coverage"], np.float64))


def _pixels(dataset: GNDCDataset, cells: NDArray[np.int64], moments: Sequence[Moment], bands: Sequence[int]) -> Doubles:
    """Values (n, T, C)."""
    n = len(cells)
    if n <= _SERIES_PIXELS:
        rows, cols = (np.ascontiguousarray(cells[:, i] + 0.5, np.float64) for i in (0, 1))
        return dataset.cube.read_series(moments, rows, cols, bands).astype(np.float64)
    (r0, c0), (r1, c1) = cells.min(axis=0), cells.max(axis=0) + 1
    window = (int(c0), int(r0), int(c1 - c0), int(r1 - r0))
    out = np.empty((n, len(moments), len(bands)))
    for k, moment in enumerate(moments):
        values = dataset.read_moment(moment, bands=list(bands), window=window)
        out[:, k] = values[cells[:, 0] - r0, cells[:, 1] - c0]
    return out


def _statistic(name: str, values: Doubles, weights: Doubles) -> Doubles:
    """One statistic of values (n, T, C) with weights (n,): (T, C)."""
    if not len(values):
        return np.full(values.shape[1:], 0.0 if name == "count" else np.nan)
    known = ~np.isnan(values)
    w = np.where(known, weights[:, None, None], 0.0)
    total = w.sum(axis=0)
    if name == "count":
        return np.asarray(total)
    zeroed = np.where(known, values, 0.0)
    weighted_sum = (w * zeroed).sum(axis=0)
    nothing = ~(total > 0)
    out: Any
    if name == "sum":
        out = weighted_sum
    elif name in ("mean", "std"):
        mean = weighted_sum / np.where(nothing, 1.0, total)
        spread = (w * (zeroed - mean) ** 2).sum(axis=0) / np.where(nothing, 1.0, total)
        out = mean if name == "mean" else np.sqrt(spread)
    elif name in ("min", "max"):
        far = np.inf if name == "min" else -np.inf
        pick = np.min if name == "min" else np.max
        out = pick(np.where(known & (w > 0), values, far), axis=0, initial=far)
    else:
        share = 0.5 if name == "median" else float(name[1:])
        order = np.argsort(np.where(known, values, np.inf), axis=0)
        reached = np.cumsum(np.take_along_axis(w, order, axis=0), axis=0) >= share * total * (1 - 1e-12)
        at = reached.argmax(axis=0)[None]
        out = np.take_along_axis(np.take_along_axis(values, order, axis=0), at, axis=0)[0]
    return np.where(nothing, np.nan, out)
