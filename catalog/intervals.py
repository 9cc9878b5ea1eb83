"""Times as closed UTC intervals: the one reading of dates, periods and pairs in the catalog.

Naive times are UTC. A date, month or year stands for all of it: ``"2024-06"`` is the interval from the first
to the last microsecond of June. The resolution is one microsecond.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import numpy as np
import pandas as pd

from gdal_gndc.errors import TimeError

UNIT = "us"
TICK = pd.Timedelta(1, unit="us")
INTERVAL_DTYPE = "interval[datetime64[us, UTC], both]"
STATIC_START = np.iinfo(np.int64).min + 1
STATIC_STOP = np.iinfo(np.int64).max

_REDUCED = re.compile(r"^\d{4}(-\d{2}(-\d{2})?)?$")
_PERIOD_OF_LENGTH = {4: "Y", 7: "M", 10: "D"}


def as_utc(moment: Any, *, end: bool = False) -> pd.Timestamp:
    """One moment as a UTC timestamp.

    Parameters
    ----------
    moment
        Timestamp, datetime, date, numpy.datetime64, pandas.Period or ISO 8601 text.
    end
        Whether a value coarser than an instant (a date, a month, a year) stands for its end.

    Raises
    ------
    TimeError
        If the value is missing or cannot be read as a time.
    """
    if isinstance(moment, str):
        text = moment.strip()
        if _REDUCED.match(text):
            moment = _period(text, _PERIOD_OF_LENGTH[len(text)])
        else:
            try:
                moment = dt.datetime.fromisoformat(text)
            except ValueError as error:
                raise TimeError(f"{moment!r} is not a time: expected ISO 8601 text or a datetime") from error
    elif isinstance(moment, dt.date) and not isinstance(moment, dt.datetime):
        moment = _period(moment, "D")
    if isinstance(moment, pd.Period):
        stamp = (moment + 1).start_time - TICK if end else moment.start_time
    else:
        try:
            stamp = pd.Timestamp(moment)
        except (ValueError, TypeError) as error:
            raise TimeError(f"{moment!r} is not a time: expected ISO 8601 text or a datetime") from error
    if stamp is pd.NaT or not isinstance(stamp, pd.Timestamp):
        raise TimeError("a time is missing (NaT): expected a time, or None for all times")
    stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    return stamp.as_unit(UNIT)


def _period(value: Any, freq: str) -> pd.Period:
    try:
        return pd.Period(value, freq=freq)
    except ValueError as error:
        raise TimeError(f"{value!r} is not a date") from error


def as_interval(value: Any) -> pd.Interval | None:
    """Anything that names a time span as a closed UTC interval; None stays None (all times).

    Accepts an interval, a moment, a period, text such as ``"2024-06"`` or ``"2024-06-01/2024-07-15"``, or a
    pair.
    Open intervals lose one microsecond at each open side.

    Raises
    ------
    TimeError
        If a time cannot be read or the span ends before it starts.
    """
    if value is None:
        return None
    if isinstance(value, pd.Interval):
        left, right = as_utc(value.left), as_utc(value.right)
        left = left if value.closed_left else left + TICK
        right = right if value.closed_right else right - TICK
    else:
        if isinstance(value, str) and "/" in value:
            value = tuple(value.split("/", 1))
        if isinstance(value, slice):
            value = (value.start, value.stop)
        first, last = value if isinstance(value, (tuple, list)) and len(value) == 2 else (value, value)
        left, right = as_utc(first), as_utc(last, end=True)
    if right < left:
        raise TimeError(f"the interval ends ({right}) before it starts ({left})")
    return pd.Interval(left, right, closed="both")


def interval_index(starts: Any, stops: Any) -> pd.IntervalIndex:
    """Starts and stops as the catalog's index: closed, UTC, microseconds, named ``datetime``; NaT for static
    rows."""
    left, right = utc_index(starts), utc_index(stops)
    if bool((left.isna() != right.isna()).any()):
        bad = int(np.flatnonzero(left.isna() != right.isna())[0])
        raise TimeError(f"row {bad}: one end of the interval is missing; give both, or neither for a static row")
    backwards = np.flatnonzero(np.asarray(right < left))
    if backwards.size:
        row = int(backwards[0])
        raise TimeError(f"row {row}: the interval ends ({right[row]}) before it starts ({left[row]})")
    return known_intervals(left, right)


def known_intervals(left: pd.DatetimeIndex, right: pd.DatetimeIndex) -> pd.IntervalIndex:
    """Such starts and stops as the index, unchecked: pandas' own way checks again, and takes as long for a few
    rows as a query."""
    ends = left.array, right.array
    dtype = pd.IntervalDtype(left.dtype, closed="both")
    return pd.IntervalIndex._simple_new(pd.arrays.IntervalArray._simple_new(*ends, dtype=dtype), name="datetime")


def utc_index(values: Any) -> pd.DatetimeIndex:
    """Many times as a UTC index of microseconds; naive ones are UTC."""
    try:
        index = pd.DatetimeIndex(values)
    except (ValueError, TypeError):
        try:
            index = pd.DatetimeIndex(pd.to_datetime(pd.Series(values), utc=True))
        except (ValueError, TypeError) as error:
            raise TimeError(f"times cannot be read: {error}") from error
    index = index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")
    return index.as_unit(UNIT)


def ticks(index: pd.IntervalIndex) -> tuple[np.ndarray, np.ndarray]:
    """Starts and stops as int64 microseconds; static rows span all of time."""
    left, right = pd.DatetimeIndex(index.left), pd.DatetimeIndex(index.right)
    start, stop = left.asi8.copy(), right.asi8.copy()
    missing = np.asarray(left.isna())
    start[missing] = STATIC_START
    stop[missing] = STATIC_STOP
    return start, stop


def tick(stamp: pd.Timestamp) -> int:
    """One UTC timestamp as int64 microseconds since 1970."""
    return int(stamp.as_unit(UNIT).value // 1000) if stamp.unit != UNIT else int(stamp.asm8.astype(np.int64))


def iso_duration(step: pd.Timedelta) -> str:
    """A step as an ISO 8601 duration in days, or hours, minutes and seconds below one day (``P16D``,
    ``PT1H``)."""
    seconds = step.total_seconds()
    if seconds and seconds % 86400 == 0:
        return f"P{int(seconds // 86400)}D"
    for size, letter in ((3600, "H"), (60, "M")):
        if seconds and seconds % size == 0:
            return f"PT{int(seconds // size)}{letter}"
    return f"PT{seconds:g}S"
