"""load_gndc: neural cubes evaluated on a slice's own grid, at any times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gdal_gndc.catalog.crs import as_crs, same_crs, transformer
from gdal_gndc.catalog.duck import AnyCatalog
from gdal_gndc.catalog.georeference import georeference
from gdal_gndc.catalog.geoslice import GeoSlice
from gdal_gndc.catalog.handles import ordered
from gdal_gndc.catalog.intervals import as_utc, utc_index
from gdal_gndc.catalog.load_raster import hits
from gdal_gndc.catalog.options import choose
from gdal_gndc.catalog.reducers import Reducer
from gdal_gndc.errors import TimeError

if TYPE_CHECKING:
    import xarray as xr

MERGES = ("first", "last", "min", "max", "mean", "median")
POINTS = 1 << 18


def load_gndc(
    catalog: AnyCatalog,
    where: GeoSlice,
    times: Any = None,
    bands: Sequence[int | str] | None = None,
    merge: str = "first",
    *,
    workers: int = 1,
) -> xr.DataArray:
    """The cubes that meet a slice, evaluated at its pixel centres and at ``times``.

    The field is evaluated exactly there, whatever the slice's resolution and CRS: in another CRS its pixel centres
    are transformed into the cube's. Nothing is resampled.

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
    CatalogError
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
        steps = np.flatnonzero(inside).tolist()
        times = [moments[step].to_pydatetime() for step in steps]
        crs = as_crs(cube.crs)
        if not same_crs(crs, where.crs):
            out[steps] = _at_centres(cube, where, crs, times, chosen)
            return out, labels, inside
        blocks = _blocks(where, cube.bounds)
        for step, moment in zip(steps, times, strict=True):
            for (rows, cols), box in blocks:
                shape = (rows.stop - rows.start, cols.stop - cols.start)
                part = cube.read_at_time(moment, bands=chosen, bbox=box, out_shape=shape)
                out[step][:, rows, cols] = np.moveaxis(part, -1, 0)
        return out, labels, inside


def _at_centres(cube: Any, where: GeoSlice, crs: Any, times: list[Any], bands: list[Any]) -> np.ndarray:
    """(T, C, H, W) float32: a cube of another CRS at the slice's pixel centres, NaN outside it."""
    x, y = np.meshgrid(where.x, where.y)
    east, north = transformer(where.crs, crs).transform(x.ravel(), y.ravel())
    to_pixels = ~cube.transform
    cols = to_pixels.a * east + to_pixels.b * north + to_pixels.c
    rows = to_pixels.d * east + to_pixels.e * north + to_pixels.f
    inside = np.flatnonzero((rows >= 0) & (rows < cube.height) & (cols >= 0) & (cols < cube.width))
    out = np.full((len(times), len(bands), x.size), np.nan, dtype=np.float32)
    for first in range(0, inside.size, POINTS):
        part = inside[first : first + POINTS]
        out[..., part] = np.moveaxis(cube.evaluate(rows[part], cols[part], times, bands), 0, -1)
    return out.reshape(len(times), len(bands), *where.shape)


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
