"""load_gndc: neural cubes evaluated on a slice's own grid, at any times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gdal_gndc.catalog.crs import as_crs, same_crs
from gdal_gndc.catalog.geocatalog import GeoCatalog
from gdal_gndc.catalog.georeference import georeference
from gdal_gndc.catalog.geoslice import GeoSlice
from gdal_gndc.catalog.handles import ordered
from gdal_gndc.catalog.intervals import as_utc, utc_index
from gdal_gndc.catalog.load_raster import hits
from gdal_gndc.catalog.options import choose, need
from gdal_gndc.catalog.reducers import Reducer
from gdal_gndc.errors import TimeError

if TYPE_CHECKING:
    import xarray as xr

MERGES = ("first", "last", "min", "max", "mean", "median")
OVERSAMPLING = 2.0


def load_gndc(
    catalog: GeoCatalog,
    where: GeoSlice,
    times: Any = None,
    bands: Sequence[int | str] | None = None,
    merge: str = "first",
    *,
    workers: int = 1,
) -> xr.DataArray:
    """The cubes that meet a slice, evaluated at its pixel centres and at ``times``.

    In the cube's own CRS the field is evaluated exactly at the slice's pixel centres, whatever its
    resolution. In another CRS it is evaluated in the cube's CRS at half the slice's pixel size and
    interpolated linearly.

    Parameters
    ----------
    times
        Moments (anything `as_utc` reads). Default: the observations of the cubes within the slice's interval.
        Cubes give the continuous reconstruction between observations.
    bands
        Names, or indices from 0 as in `gdal_gndc.open`; default: all of the first cube.
    merge
        How cubes that overlap become one: ``first`` (by start, then location), ``last``, ``min``, ``max``,
        ``mean``, ``median``.
    workers
        Cubes evaluated at once.

    Returns
    -------
    xarray.DataArray
        (time, band, y, x) float32 with CRS, transform and the coordinate ``valid``; NaN outside the cubes and
        where they are masked.

    Raises
    ------
    TimeError
        If there are no times, or no cube covers one of them.
    FileFormatError
        If no cube meets the slice, or rows of another backend do.
    """
    choose("merge", merge, MERGES)
    moments = None if times is None else utc_index([as_utc(t) for t in _listed(times)])
    if moments is not None:
        if not len(moments):
            raise TimeError("times is empty")
        where = replace(where, interval=(moments.min(), moments.max()))
    rows = hits(catalog, where, ("gndc",)).gdf
    locations = rows["location"].tolist()
    if moments is None:
        moments = _observations(locations, where)
    names = list(bands) if bands is not None else None

    def evaluate(location: str) -> tuple[np.ndarray, list[str], np.ndarray]:
        return _evaluate(location, where, moments, names)

    total = Reducer(merge)
    covered = np.zeros(len(moments), dtype=bool)
    labels: list[str] = []
    for data, found, inside in ordered(evaluate, locations, workers):
        labels = labels or found
        covered |= inside
        total.add(data, ~np.isnan(data))
    if not covered.all():
        lost = moments[int(np.flatnonzero(~covered)[0])]
        raise TimeError(f"no cube covers {lost}; the cubes span {rows.index.left.min()} to {rows.index.right.max()}")
    result = total.result()
    assert result is not None
    data, valid = result
    data[~valid] = np.nan
    return georeference(data.astype(np.float32, copy=False), valid, where, bands=labels, times=moments, nodata=np.nan)


def _listed(times: Any) -> list[Any]:
    if isinstance(times, (str, pd.Timestamp)) or not hasattr(times, "__iter__"):
        return [times]
    return list(times)


def _observations(locations: list[str], where: GeoSlice) -> pd.DatetimeIndex:
    import gdal_gndc

    stamps = utc_index([])
    for location in locations:
        with gdal_gndc.open(location) as cube:
            stamps = stamps.append(utc_index(list(cube.timestamps)))
    stamps = stamps.unique().sort_values()
    if where.interval is not None:
        stamps = stamps[(stamps >= where.interval.left) & (stamps <= where.interval.right)]
    if not len(stamps):
        raise TimeError(f"the cubes have no observation within {where.interval}; give times= for the reconstruction")
    return stamps


def _evaluate(
    location: str, where: GeoSlice, moments: pd.DatetimeIndex, bands: list[Any] | None
) -> tuple[np.ndarray, list[str], np.ndarray]:
    import gdal_gndc

    with gdal_gndc.open(location) as cube:
        known = [str(n) for n in cube.band_names]
        chosen = bands if bands is not None else known
        labels = [n if isinstance(n, str) else known[n] for n in chosen]
        out = np.full((len(moments), len(chosen), *where.shape), np.nan, dtype=np.float32)
        own = utc_index(list(cube.timestamps))
        inside = np.asarray((moments >= own.min()) & (moments <= own.max()))
        crs = as_crs(cube.crs)
        grid = where if same_crs(crs, where.crs) else _grid_in(where, crs)
        blocks = _blocks(grid, cube.bounds)
        for step in np.flatnonzero(inside).tolist():
            moment = moments[step].to_pydatetime()
            canvas = out[step] if grid is where else np.full((len(chosen), *grid.shape), np.nan, dtype=np.float32)
            for (rows, cols), box in blocks:
                shape = (rows.stop - rows.start, cols.stop - cols.start)
                part = cube.read_at_time(moment, bands=chosen, bbox=box, out_shape=shape)
                canvas[:, rows, cols] = np.moveaxis(part, -1, 0)
            if grid is not where:
                out[step] = _warp(canvas, grid, where)
        return out, labels, inside


def _grid_in(where: GeoSlice, crs: Any) -> GeoSlice:
    moved = where.to_crs(crs)
    assert moved.resolution is not None
    fine = (moved.resolution[0] / OVERSAMPLING, moved.resolution[1] / OVERSAMPLING)
    # Two pixels around give the interpolation its neighbours at the edge.
    return replace(moved, resolution=fine).buffer(4 * max(fine))


def _blocks(grid: GeoSlice, bounds: Any) -> list[tuple[tuple[slice, slice], tuple[float, float, float, float]]]:
    """Windows of the grid with the box whose cell centres are those of the window, all within the cube."""
    left, bottom, right, top = (float(v) for v in bounds)
    columns = _runs(grid.x, grid.transform.a, left, right)
    rows = _runs(grid.y, grid.transform.e, bottom, top)
    return [((r, c), (c_low, r_low, c_high, r_high)) for r, r_low, r_high in rows for c, c_low, c_high in columns]


def _runs(centres: np.ndarray, step: float, low: float, high: float) -> list[tuple[slice, float, float]]:
    """Runs of cells along an axis whose extent lies within [low, high].

    A cube cuts off what reaches outside, which would move the sample points: a cell whose centre is inside
    but whose edge is not becomes a run of its own, shrunk about its centre.
    """
    half = abs(step) / 2
    inside = np.flatnonzero((centres > low) & (centres < high))
    if not inside.size:
        return []
    whole = (centres[inside] - half >= low) & (centres[inside] + half <= high)
    runs = [_shrunk(k, centres, low, high, half) for k in inside[~whole].tolist()]
    full = inside[whole]
    if full.size:
        ends = centres[full[0]], centres[full[-1]]
        runs.append((slice(int(full[0]), int(full[-1]) + 1), float(min(ends) - half), float(max(ends) + half)))
    return runs


def _shrunk(k: int, centres: np.ndarray, low: float, high: float, half: float) -> tuple[slice, float, float]:
    reach = min(half, float(centres[k]) - low, high - float(centres[k]))
    return slice(k, k + 1), float(centres[k]) - reach, float(centres[k]) + reach


def _warp(canvas: np.ndarray, grid: GeoSlice, where: GeoSlice) -> np.ndarray:
    need("rasterio", "cubes in another CRS")
    from rasterio.enums import Resampling
    from rasterio.warp import reproject

    out = np.full((canvas.shape[0], *where.shape), np.nan, dtype=np.float32)
    reproject(
        canvas,
        out,
        src_transform=grid.transform,
        src_crs=grid.crs.to_wkt(),
        src_nodata=np.nan,
        dst_transform=where.transform,
        dst_crs=where.crs.to_wkt(),
        dst_nodata=np.nan,
        resampling=Resampling.bilinear,
    )
    return out
