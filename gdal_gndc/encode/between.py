"""Teaching a field what lies between the dates: virtual frames from a smoother of each pixel's series.

A field that only sees the observed dates is free to do anything between them, and does: it interpolates worse than a
straight line. Frames in the gaps, made by a Whittaker smoother whose strength is cross-validated on the observed dates,
take that freedom away at little cost.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.encode.train import Samples
from gdal_gndc.errors import EncodeError
from gdal_gndc.field.core import lib, message_buffer, pointer, text

Floats = NDArray[np.float32]
STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
_OUTLIER = 5.0  # standard deviations, by the median of a series
# Fewer cannot be cross-validated.
FEWEST_DATES = 8
_SERIES = 20_000  # looked at to choose the strength
_STRIP = 2_000_000  # samples that are smoothed at a time


def smooth(values: Floats, times: NDArray[np.float64], strength: float) -> Floats:
    """Smooth series over irregular times.

    Parameters
    ----------
    values
        (T, ...) float32, NaN where there is no observation.
    times
        (T,) ascending.
    strength
        Weight of the squared second derivative, with the median gap as the unit of time.

    Returns
    -------
    ndarray
        Like ``values``; NaN before the first and after the last observation of a series.

    Raises
    ------
    EncodeError
        For fewer than three times, or times that do not ascend.
    """
    data = np.ascontiguousarray(values, np.float32)
    at = np.ascontiguousarray(times, np.float64)
    if at.shape != data.shape[:1]:
        raise EncodeError(f"{data.shape[0]} frames at {at.size} times")
    out = np.empty_like(data)
    message = message_buffer()
    n_series = int(np.prod(data.shape[1:], dtype=np.int64))
    status = lib.gndc_smooth(
        len(at), n_series, pointer("double", at), pointer("float", data), strength, pointer("float", out), message
    )
    if status != lib.GNDC_OK:
        raise EncodeError(text(message))
    return out


def without_outliers(values: Floats, times: NDArray[np.float64], strength: float = 3.0) -> Floats:
    """Drop what stands out of a series by far: clouds and shadows that no mask knew of.

    Parameters
    ----------
    values, times, strength
        As for `smooth`.

    Returns
    -------
    ndarray
        A copy, NaN where a value lies more than five standard deviations from the smoothed series; the deviation is
        1.4826 times the median absolute difference of that series (Rousseeuw and Croux 1993).
    """
    difference = np.abs(values - smooth(values, times, strength))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # series without any observation
        spread = 1.4826 * np.nanmedian(difference, axis=0)
    return np.where(difference > _OUTLIER * np.maximum(spread, 1e-6), np.float32(np.nan), values)


def left_out(n: int) -> NDArray[np.bool_]:
    """Mark every fourth of ``n`` dates, none of them the first or the last: those that others must tell."""
    held = np.zeros(n, bool)
    held[2:-1:4] = True
    return held


def _some_series(values: Floats) -> Floats:
    series = values.reshape(len(values), -1)
    return np.ascontiguousarray(series[:, :: max(1, series.shape[1] // _SERIES)])


def choose_strength(values: Floats, times: NDArray[np.float64]) -> tuple[float, float]:
    """Cross-validate the strength of `smooth`: leave every fourth date out and see how well it comes back.

    Parameters
    ----------
    values
        (T, H, W, C), T at least 8.
    times
        (T,) ascending.

    Returns
    -------
    strength, R2
        The best of `STRENGTHS` by absolute error, and the share of the variance of the dates left out that it
        explains, outliers left aside.
    """
    series = _some_series(values)
    held = left_out(len(times))
    known = np.where(held[:, np.newaxis], np.float32(np.nan), series)
    truth = series[held].astype(np.float64)
    errors = []
    for strength in STRENGTHS:
        found = smooth(known, times, strength)[held]
        errors.append((float(np.nanmean(np.abs(found - truth))), float(np.nanmean((found - truth) ** 2))))
    best = min(range(len(errors)), key=errors.__getitem__)
    return STRENGTHS[best], 1.0 - errors[best][1] / max(float(np.nanvar(truth)), 1e-30)


def with_virtual_frames(
    samples: Samples, times: NDArray[np.float64], *, per_gap: int = 3, weight: float = 0.5
) -> tuple[Samples, float]:
    """Add smoothed frames between the observed ones.

    Parameters
    ----------
    samples
        Observed frames, at least 8.
    times
        (T,) their times in seconds, ascending.
    per_gap
        Frames between two dates.
    weight
        Of a virtual frame in the loss.

    Returns
    -------
    samples, R2
        Frames in order of time; the size of the weights is shared among the observed samples only. And the score of
        `choose_strength`.
    """
    n = len(times)
    strength, score = choose_strength(without_outliers(_some_series(samples.values), times), times)
    steps = np.arange((n - 1) * (per_gap + 1) + 1)
    fine = np.interp(steps, np.arange(n) * (per_gap + 1), times)
    normalised = np.interp(steps, np.arange(n) * (per_gap + 1), samples.times).astype(np.float32)
    observed = steps % (per_gap + 1) == 0
    values = np.empty((len(fine), *samples.values.shape[1:]), np.float32)
    given, made = samples.values.reshape(n, -1), values.reshape(len(fine), -1)
    # some series at a time: all at once would take several times the memory of the frames themselves
    size = max(1, _STRIP // len(fine))
    for series in (slice(start, start + size) for start in range(0, given.shape[1], size)):
        own = np.ascontiguousarray(given[:, series])
        known = np.full((len(fine), own.shape[1]), np.nan, np.float32)
        known[observed] = without_outliers(own, times)
        # the median gap is per_gap + 1 times shorter now, and the penalty goes with its third power
        virtual = smooth(known, fine, strength * (per_gap + 1) ** 3)
        virtual[observed] = own
        made[:, series] = virtual
    weights = np.where(observed, 1.0, weight).astype(np.float32)
    n_observed = sum(int(np.isfinite(frame).sum()) for frame in samples.values)
    return Samples(values, np.clip(normalised, 0, 1), weights, n_observed), score
