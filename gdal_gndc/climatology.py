"""What a day of the year is usually like in a cube, and how a moment differs from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import CoordinateError, TimeError
from gdal_gndc.indices import RatioIndex, bands_of, index_named
from gdal_gndc.time_axis import Moment, MomentLike
from gdal_gndc.times import TimeLike, parse_duration, parse_time

if TYPE_CHECKING:
    from gdal_gndc.dataset import Box, GNDCDataset
    from gdal_gndc.window import WindowLike

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Climatology:
    """Mean and standard deviation over the years, (H, W, C) float32 each, and which years there were.

    ``std`` is that of the yearly values (n - 1), NaN with less than two of them.
    """

    mean: Floats
    std: Floats
    years: tuple[int, ...]


def climatology(
    dataset: GNDCDataset,
    day: TimeLike,
    bands: int | str | Sequence[int | str] | None = None,
    *,
    index: str | RatioIndex | None = None,
    spread: str | timedelta | None = None,
    years: Sequence[int] | None = None,
    window: WindowLike | None = None,
    bbox: Box | None = None,
    out_shape: tuple[int, int] | None = None,
) -> Climatology:
    """Return the field at a day of the year, averaged over the years of the cube.

    The continuous reconstruction is evaluated at the same day and hour of every year that the cube's times hold; 29
    February is 28 February where there is none.

    Parameters
    ----------
    day
        Any time on that day; its year does not matter.
    bands
        By index or name, all by default; for ``index`` those it takes, in its order.
    index
        ``ndvi``, ``evi``, ``ndwi``, ``ndmi`` or a `RatioIndex` instead of bands: C is 1.
    spread
        Take the mean of five times from this much before to this much after as the value of a year.
    years
        The baseline; by default all years of the cube that hold the day.
    window, bbox, out_shape
        As `GNDCDataset.read`.

    Raises
    ------
    TimeError
        If no year of the cube holds this day.
    CoordinateError
        If a band, index or place is not there.
    """
    days = _days(dataset, parse_time(day), years)
    half = timedelta(0) if spread is None else parse_duration(spread)
    steps = [half * f for f in ((0.0,) if spread is None else (-1.0, -0.5, 0.0, 0.5, 1.0))]
    times = dataset.timestamps
    first, last = min(times), max(times)
    rows, cols = dataset.sample_grid(window, bbox, out_shape)
    yearly = []
    for date in days:
        inside = [date + step for step in steps if first <= date + step <= last]
        values = [_values(dataset, Moment(None, t), rows, cols, bands, index) for t in inside]
        yearly.append(np.mean(values, axis=0, dtype=np.float64))
    stack = np.stack(yearly)
    std = stack.std(axis=0, ddof=1) if len(days) > 1 else np.full(stack.shape[1:], np.nan)
    mean = stack.mean(axis=0)
    return Climatology(mean.astype(np.float32), std.astype(np.float32), tuple(date.year for date in days))


def anomaly(
    dataset: GNDCDataset,
    t: MomentLike = 0,
    bands: int | str | Sequence[int | str] | None = None,
    *,
    index: str | RatioIndex | None = None,
    standardised: bool = False,
    spread: str | timedelta | None = None,
    years: Sequence[int] | None = None,
    window: WindowLike | None = None,
    bbox: Box | None = None,
    out_shape: tuple[int, int] | None = None,
) -> Floats:
    """Return the field at a moment minus its `climatology` of that day: (H, W, C).

    Both are the continuous reconstruction, without residuals, so that like is compared with like. The moment's own
    year is part of the mean, unless ``years`` leaves it out. Parameters and errors are those of `climatology`.

    Parameters
    ----------
    standardised
        Divide by the standard deviation over the years; NaN where it is 0 or there are less than two.
    """
    moment = dataset.resolve_time(t)
    if moment.time is None:
        raise TimeError("the frames of this cube have no dates, so it has no days of the year")
    rows, cols = dataset.sample_grid(window, bbox, out_shape)
    usual = climatology(
        dataset,
        moment.time,
        bands,
        index=index,
        spread=spread,
        years=years,
        window=window,
        bbox=bbox,
        out_shape=out_shape,
    )
    here = _values(dataset, Moment(None, moment.time), rows, cols, bands, index)
    out = here - usual.mean
    if standardised:
        np.divide(out, usual.std, out=out, where=usual.std > 0)
        out[~(usual.std > 0)] = np.nan
    return np.asarray(out)


def _values(
    dataset: GNDCDataset,
    moment: Moment,
    rows: NDArray[np.float64],
    cols: NDArray[np.float64],
    bands: int | str | Sequence[int | str] | None,
    index: str | RatioIndex | None,
) -> Floats:
    from gdal_gndc.derivatives import grid_tangents

    if index is None:
        return np.asarray(grid_tangents(dataset, moment, rows, cols, dataset.band_list(bands), "")[0])
    formula = index_named(index)
    given = [bands] if isinstance(bands, int | str) else bands
    if given is not None and len(given) != len(formula.roles):
        raise CoordinateError(f"{len(given)} bands for {formula.name}, expected {', '.join(formula.roles)}")
    values = grid_tangents(dataset, moment, rows, cols, bands_of(dataset, formula, given), "")[0]
    return np.asarray(formula(np.moveaxis(values, -1, 0)))[..., None]


def _days(dataset: GNDCDataset, day: datetime, years: Sequence[int] | None = None) -> list[datetime]:
    times = dataset.timestamps
    if not times:
        raise TimeError("the frames of this cube have no dates, so it has no days of the year")
    first, last = min(times), max(times)
    found = []
    for year in range(first.year, last.year + 1):
        leap = day.month == 2 and day.day == 29 and not _is_leap(year)
        date = day.replace(year=year, day=28) if leap else day.replace(year=year)
        if first <= date <= last and (years is None or year in years):
            found.append(date)
    if not found:
        among = "" if years is None else f" among {', '.join(str(y) for y in years)}"
        raise TimeError(f"no year of the cube's times, {first} to {last},{among} holds the {day:%d %B}")
    return found


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
