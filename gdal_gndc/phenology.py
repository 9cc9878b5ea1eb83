"""Phenology from the continuous curve of a cube: start, peak and end of a season at every pixel.

The curve of an index is evaluated with its exact derivative at regular times; between them stands the cubic Hermite
polynomial through both, whose crossings are found by bisection. All of it is vectorised over pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import CoordinateError, TimeError
from gdal_gndc.indices import BAND, RatioIndex, bands_of, index_named
from gdal_gndc.time_axis import Moment
from gdal_gndc.times import TimeLike, parse_duration, parse_time, time_range

if TYPE_CHECKING:
    from gdal_gndc.dataset import Box, GNDCDataset
    from gdal_gndc.window import WindowLike

Method = Literal["amplitude", "velocity"]
Doubles = NDArray[np.float64]
Times = NDArray[np.datetime64]

DAY = 86400.0
_BISECTIONS = 40
# samples of curves held at once
_SAMPLES = 1 << 22


@dataclass(frozen=True)
class Phenology:
    """One season at every pixel; arrays (H, W), NaT and NaN where there is none.

    Attributes
    ----------
    start, peak, end
        datetime64[s] in UTC.
    peak_value
        Of the index at its peak.
    base
        Mean of the lowest values before and after the peak.
    amplitude
        peak_value - base.
    integral
        Of the index from start to end, in value times days.
    """

    start: Times
    peak: Times
    end: Times
    peak_value: Doubles
    base: Doubles
    amplitude: Doubles
    integral: Doubles


def phenology(
    dataset: GNDCDataset,
    start: TimeLike | None = None,
    end: TimeLike | None = None,
    *,
    index: str | RatioIndex | None = "ndvi",
    bands: int | str | Sequence[int | str | None] | None = None,
    method: Method = "amplitude",
    threshold: float = 0.5,
    step: str | timedelta = "5d",
    smooth: str | timedelta | None = None,
    window: WindowLike | None = None,
    bbox: Box | None = None,
    out_shape: tuple[int, int] | None = None,
) -> Phenology:
    """Find the season of an index between two times: the one with its highest peak.

    Parameters
    ----------
    start, end
        The time to look at, one season; by default all of the cube's.
    index, bands
        As `GNDCDataset.temporal_derivative`; with ``index=None`` the curve is that of one band, such as a leaf area
        index.
    method
        ``amplitude``: start and end where the curve last rises, and first falls, through ``threshold`` of the way from
        the lowest value on that side to the peak (the seasonal amplitude of Jonsson and Eklundh 2004).
        ``velocity``: where it rises and falls fastest.
    threshold
        Above 0 and below 1.
    step
        Between the times at which the field is evaluated.
    smooth
        Standard deviation of a Gaussian that the curve is convolved with, for cubes whose clouds were not masked;
        its derivative is then that of the smooth curve. By default none.
    window, bbox, out_shape
        As `GNDCDataset.read`.

    Raises
    ------
    CoordinateError
        If a band or place is not in the cube, or ``method`` or ``threshold`` not one of these.
    TimeError
        If a time lies outside the cube's, or fewer than three steps fit between them.
    """
    if method not in ("amplitude", "velocity"):
        raise CoordinateError(f"method {method!r}, expected amplitude or velocity")
    if not 0 < threshold < 1:
        raise CoordinateError(f"threshold {threshold}, expected a number between 0 and 1")
    formula = BAND if index is None else index_named(index)
    given = [bands] if isinstance(bands, int | str) else bands
    if given is not None and len(given) != len(formula.roles):
        raise CoordinateError(f"{len(given)} bands for {formula.name}, expected {', '.join(formula.roles)}")
    chosen = bands_of(dataset, formula, given)
    moments, seconds = _times(dataset, start, end, step)
    days = (seconds - seconds[0]) / DAY
    kernels = None if smooth is None else _gaussian(days, parse_duration(smooth).total_seconds() / DAY)
    rows, cols = dataset.sample_grid(window, bbox, out_shape)
    out = np.empty((7, rows.size, cols.size))
    strip = max(1, _SAMPLES // (len(moments) * cols.size))
    for first in range(0, rows.size, strip):
        part = rows[first : first + strip]
        r, c = np.repeat(part, cols.size), np.tile(cols, part.size)
        values, rates = np.empty((2, len(moments), r.size))
        for k, moment in enumerate(moments):
            found, rate = (np.moveaxis(a, -1, 0) for a in dataset.cube.read_tangents(moment, r, c, chosen, "t"))
            values[k], rates[k] = formula(found), formula.rate(found, rate) * DAY
        if kernels is not None:
            values, rates = kernels[0] @ values, kernels[1] @ values
        out[:, first : first + part.size] = season(days, values, rates, method, threshold).reshape(
            7, part.size, cols.size
        )
    begin, top, finish = (_datetimes(seconds[0], day) for day in out[:3])
    return Phenology(begin, top, finish, *out[3:])


def season(days: Doubles, values: Doubles, rates: Doubles, method: Method, threshold: float) -> Doubles:
    """Find the season of curves.

    Parameters
    ----------
    days
        (K,) regular times.
    values, rates
        (K, N) values and derivatives per day.

    Returns
    -------
    ndarray
        (7, N): start, peak and end in days, peak value, base, amplitude, integral; NaN for a curve that has no
        maximum between the first time and the last, or a value that is NaN.
    """
    step = float(days[1] - days[0])
    n = values.shape[1]
    out = np.full((7, n), np.nan)
    # the derivative falls through zero: a maximum
    interval, curve = np.nonzero((rates[:-1] > 0) & (rates[1:] <= 0) & ~np.isnan(values).any(axis=0))
    if not curve.size:
        return out
    piece = _Piece.of(values, rates, step, interval, curve)
    place = piece.solve(lambda s: -piece.slope(s), np.zeros(curve.size), np.ones(curve.size))
    height = piece.value(place)
    # the highest of each curve
    order = np.lexsort((height, curve))
    last = order[np.flatnonzero(np.diff(curve[order], append=-1))]
    interval, curve = interval[last], curve[last]
    place, height = place[last], height[last]
    v, d = values[:, curve], rates[:, curve]
    out[1, curve], out[3, curve] = days[interval] + step * place, height
    left, low = _rise(v, d, step, interval, place, height, method, threshold)
    k = len(days) - 2 - interval
    right, low_after = _rise(v[::-1], -d[::-1], step, k, 1 - place, height, method, threshold)
    right = len(days) - 1 - right
    out[0, curve], out[2, curve] = days[0] + step * left, days[0] + step * right
    out[4, curve] = (low + low_after) / 2
    out[5, curve] = height - out[4, curve]
    out[6, curve] = _integral(v, d, step, right) - _integral(v, d, step, left)
    return out


@dataclass(frozen=True)
class _Piece:
    """Cubic Hermite polynomials on [0, 1], one an element: values and slopes (per step) at both ends."""

    v0: Doubles
    v1: Doubles
    m0: Doubles
    m1: Doubles

    @classmethod
    def of(cls, v: Doubles, d: Doubles, step: float, i: NDArray[np.intp], j: NDArray[np.intp]) -> _Piece:
        return cls(v[i, j], v[i + 1, j], d[i, j] * step, d[i + 1, j] * step)

    def value(self, s: Doubles) -> Doubles:
        a = 2 * (self.v0 - self.v1) + self.m0 + self.m1
        b = -3 * (self.v0 - self.v1) - 2 * self.m0 - self.m1
        return ((a * s + b) * s + self.m0) * s + self.v0

    def slope(self, s: Doubles) -> Doubles:
        a = 2 * (self.v0 - self.v1) + self.m0 + self.m1
        b = -3 * (self.v0 - self.v1) - 2 * self.m0 - self.m1
        return (3 * a * s + 2 * b) * s + self.m0

    def area(self, s: Doubles) -> Doubles:
        a = 2 * (self.v0 - self.v1) + self.m0 + self.m1
        b = -3 * (self.v0 - self.v1) - 2 * self.m0 - self.m1
        return (((a / 4 * s + b / 3) * s + self.m0 / 2) * s + self.v0) * s

    @staticmethod
    def solve(function: object, low: Doubles, high: Doubles) -> Doubles:
        """Bisect for where ``function`` rises through zero between ``low`` and ``high``."""
        assert callable(function)
        low, high = low.copy(), high.copy()
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            above = function(middle) >= 0
            high = np.where(above, middle, high)
            low = np.where(above, low, middle)
        return high


def _rise(
    v: Doubles,
    d: Doubles,
    step: float,
    interval: NDArray[np.intp],
    place: Doubles,
    height: Doubles,
    method: Method,
    threshold: float,
) -> tuple[Doubles, Doubles]:
    """Where curves rise to the peak at ``interval + place``, in steps, and the lowest value before it."""
    k = np.arange(len(v))[:, None]
    before = k <= interval
    low = np.where(before, v, np.inf).min(axis=0)
    j = np.arange(v.shape[1])
    if method == "velocity":
        return _fastest(v, d, step, interval), low
    level = low + threshold * (height - low)
    # the last sample below the level; the lowest one is, unless the curve is flat
    below = before & (v < level)
    at = len(v) - 1 - below[::-1].argmax(axis=0)
    none = ~below.any(axis=0)
    at = np.where(none, interval, at)
    piece = _Piece.of(v, d, step, at, j)
    end = np.where(at == interval, place, 1.0)
    found = at + piece.solve(lambda s: piece.value(s) - level, np.zeros(j.size), end)
    return np.where(none, np.nan, found), low


def _fastest(v: Doubles, d: Doubles, step: float, interval: NDArray[np.intp]) -> Doubles:
    """Where curves rise fastest up to the end of ``interval``, in steps: the slope of a piece is a parabola."""
    piece = _Piece(v[:-1], v[1:], d[:-1] * step, d[1:] * step)
    a = 2 * (piece.v0 - piece.v1) + piece.m0 + piece.m1
    b = -3 * (piece.v0 - piece.v1) - 2 * piece.m0 - piece.m1
    end = np.where(piece.m1 > piece.m0, 1.0, 0.0)
    top = np.where(a < 0, -b / np.where(a < 0, 3 * a, -1.0), end)
    place = np.where((top > 0) & (top < 1), top, end)
    slope = np.where(np.arange(len(v) - 1)[:, None] <= interval, piece.slope(place), -np.inf)
    at, j = slope.argmax(axis=0), np.arange(v.shape[1])
    return np.asarray(at + place[at, j])


def _integral(v: Doubles, d: Doubles, step: float, at: Doubles) -> Doubles:
    """Integral of curves from the first sample to ``at``, in steps from it."""
    whole = step * (v[:-1] + v[1:]) / 2 + step * step * (d[:-1] - d[1:]) / 12
    total = np.concatenate([np.zeros((1, v.shape[1])), np.cumsum(whole, axis=0)])
    known = np.nan_to_num(at)
    i = np.minimum(known.astype(np.intp), len(v) - 2)
    j = np.arange(v.shape[1])
    area = total[i, j] + step * _Piece.of(v, d, step, i, j).area(known - i)
    return np.where(np.isnan(at), np.nan, area)


def _times(
    dataset: GNDCDataset, start: TimeLike | None, end: TimeLike | None, step: str | timedelta
) -> tuple[list[Moment], Doubles]:
    observed = dataset.timestamps
    if not observed:
        raise TimeError("the frames of this cube have no dates, so it has no seasons")
    first = min(observed) if start is None else parse_time(start)
    last = max(observed) if end is None else parse_time(end)
    times = time_range(first, last, step)
    if len(times) < 4:
        raise TimeError(f"{len(times)} times of step {step} between {first} and {last}, expected at least 4")
    # not an observed frame, whose mask and sensor would decide
    moments = [Moment(None, dataset.resolve_time(t).time) for t in times]
    return moments, np.array([t.timestamp() for t in times])


def _gaussian(days: Doubles, sigma: float) -> tuple[Doubles, Doubles]:
    """(K, K) weights of a normalised Gaussian around each time, and their derivatives by that time."""
    away = days[:, None] - days
    weights = np.exp(-0.5 * (away / sigma) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    slopes = -away / sigma**2 * weights
    return weights, slopes - weights * slopes.sum(axis=1, keepdims=True)


def _datetimes(origin: float, days: Doubles) -> Times:
    known = np.isfinite(days)
    seconds = np.round(origin + np.where(known, days, 0.0) * DAY).astype(np.int64)
    return np.where(known, seconds.astype("datetime64[s]"), np.datetime64("NaT", "s"))
