"""load_raster_timeseries: the rasters of a slice along time, as they are or on regular steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gdal_gndc.catalog.duck import AnyCatalog
from gdal_gndc.catalog.georeference import georeference
from gdal_gndc.catalog.geoslice import GeoSlice
from gdal_gndc.catalog.load_raster import finish, hits, patches
from gdal_gndc.catalog.masks import QualityMask
from gdal_gndc.catalog.options import choose
from gdal_gndc.catalog.reducers import Reducer
from gdal_gndc.catalog.warp import Patch
from gdal_gndc.errors import TimeError

if TYPE_CHECKING:
    import xarray as xr

AGGREGATIONS = ("nearest", "mean", "median", "first", "last", "max", "min", "count")


def load_raster_timeseries(
    catalog: AnyCatalog,
    where: GeoSlice,
    bands: Sequence[int | str] | None = None,
    resampling: str = "nearest",
    merge: str = "first",
    *,
    t_step: Any = None,
    temporal_aggregation: str = "nearest",
    scaled: bool = False,
    mask_band: int | str | None = None,
    mask_bits: Sequence[int] | None = None,
    mask_values: Sequence[int] | None = None,
    qa: AnyCatalog | None = None,
    workers: int | None = None,
) -> xr.DataArray:
    """A slice as a stack: rasters of one time mosaicked by ``merge``, times aggregated into steps.

    Parameters
    ----------
    t_step
        Step length, anything pandas reads as a frequency (``"10D"``, ``"MS"``). Steps start at the slice's
        interval (else at the first raster). None: one step for each distinct start.
    temporal_aggregation
        How the times of one step become one: ``nearest`` takes, pixel by pixel, the valid value nearest to
        the middle of the step.

    Other parameters are those of `load_raster`.

    Returns
    -------
    xarray.DataArray
        (time, band, y, x) with CRS, transform and the coordinate ``valid``. ``time`` is the start of each
        step, UTC without zone. Steps without a raster are there, all invalid.

    Raises
    ------
    TimeError
        For static rows, which have no place on a time axis, or a step that cannot be read.
    """
    choose("temporal_aggregation", temporal_aggregation, AGGREGATIONS)
    mask = QualityMask.of(mask_band, mask_bits, mask_values, qa)
    rows = hits(catalog, where, ("raster",))
    if rows.gdf["static"].any():
        raise TimeError("static rows have no place in a time series; load them with load_raster")
    starts = pd.DatetimeIndex(rows.gdf.index.left)
    labels, step_of = _steps(starts, where, t_step)
    middle = _middles(labels, step_of, t_step)
    order = _order(starts, step_of, middle, temporal_aggregation)
    step_of, moments = step_of[order], starts.asi8[order]
    results: dict[int, tuple[np.ndarray, np.ndarray, float | None]] = {}
    method = "first" if temporal_aggregation == "nearest" else temporal_aggregation
    first: Patch | None = None
    step, moment = -1, 0
    inner, outer = Reducer(merge), Reducer(method)
    stream = patches(rows.take(order), where, bands, resampling, scaled, mask, workers)
    for patch, this_step, this_moment in zip(stream, step_of.tolist(), moments.tolist(), strict=True):
        first = first or patch
        if (this_step, this_moment) != (step, moment):
            _close_moment(inner, outer)
            inner = Reducer(merge)
        if this_step != step:
            if step >= 0:
                results[step] = finish(outer, first)
            outer = Reducer(method)
        step, moment = this_step, this_moment
        inner.add(patch.data, patch.valid)
    assert first is not None
    _close_moment(inner, outer)
    results[step] = finish(outer, first)
    data, valid, fill = _stack(results, len(labels))
    return georeference(data, valid, where, bands=first.names, times=labels, nodata=fill)


def _steps(starts: pd.DatetimeIndex, where: GeoSlice, t_step: Any) -> tuple[pd.DatetimeIndex, np.ndarray]:
    if t_step is None:
        labels = starts.unique().sort_values()
        return labels, labels.get_indexer(starts)
    first = where.interval.left if where.interval is not None else starts.min()
    last = where.interval.right if where.interval is not None else starts.max()
    try:
        offset = pd.tseries.frequencies.to_offset(t_step)
        anchored = offset is not None and not isinstance(offset, (pd.offsets.Tick, pd.offsets.Day))
        origin = first.normalize() if anchored else first
        labels = pd.date_range(origin, last, freq=offset).as_unit("us")
    except (ValueError, TypeError) as error:
        raise TimeError(f"t_step={t_step!r} is not a step: {error}") from error
    if not len(labels) or labels[0] > first:
        # Anchored steps (months) may begin inside the interval: what lies before belongs to the step begun
        # earlier.
        labels = labels.insert(0, offset.rollback(origin)).as_unit("us")
    return labels, np.clip(np.searchsorted(labels.asi8, starts.asi8, side="right") - 1, 0, None)


def _middles(labels: pd.DatetimeIndex, step_of: np.ndarray, t_step: Any) -> np.ndarray:
    if t_step is None:
        return np.asarray(labels.asi8[step_of])
    after = labels[-1] + pd.tseries.frequencies.to_offset(t_step)
    ends = np.asarray(labels.append(pd.DatetimeIndex([after])).as_unit("us").asi8)
    return np.asarray((ends[step_of] + ends[step_of + 1]) // 2)


def _order(starts: pd.DatetimeIndex, step_of: np.ndarray, middle: np.ndarray, aggregation: str) -> np.ndarray:
    """Rows by step, then by time or by distance to the step's middle; rows of one moment stay together."""
    when = starts.asi8
    if aggregation == "nearest":
        return np.asarray(np.lexsort((when, np.abs(when - middle), step_of)))
    return np.asarray(np.lexsort((when, step_of)))


def _close_moment(inner: Reducer, outer: Reducer) -> None:
    found = inner.result()
    if found is not None:
        outer.add(*found)


def _stack(
    results: dict[int, tuple[np.ndarray, np.ndarray, float | None]], steps: int
) -> tuple[np.ndarray, np.ndarray, float | None]:
    some, _, fill = next(iter(results.values()))
    kind = np.result_type(*(d.dtype for d, _, _ in results.values()))
    data = np.full((steps, *some.shape), 0 if fill is None else fill, dtype=kind)
    valid = np.zeros(data.shape, dtype=bool)
    for step, (values, known, _) in results.items():
        data[step], valid[step] = values, known
    return data, valid, fill
