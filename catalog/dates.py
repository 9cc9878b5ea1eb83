"""Times from file names: named groups of a regular expression, read with a strptime format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gdal_gndc.catalog.intervals import TICK
from gdal_gndc.errors import CatalogError

# The finest directive of a format says how long the period is that a name stands for.
_LENGTHS: tuple[tuple[str, str], ...] = (
    ("fST", "instant"),
    ("M", "minute"),
    ("HI", "hour"),
    ("djDxF", "day"),
    ("UWV", "week"),
    ("mbBh", "month"),
)
_OFFSETS: dict[str, Any] = {
    "instant": pd.Timedelta(0),
    "minute": pd.Timedelta(minutes=1),
    "hour": pd.Timedelta(hours=1),
    "day": pd.Timedelta(days=1),
    "week": pd.Timedelta(weeks=1),
    "month": pd.DateOffset(months=1),
    "year": pd.DateOffset(years=1),
}


def period_of(date_format: str) -> str:
    """The period that a date written in a format stands for: instant, minute, hour, day, week, month or
    year."""
    directives = re.findall(r"%-?([A-Za-z])", date_format)
    if not directives:
        raise CatalogError(f"date_format={date_format!r} has no directive such as %Y")
    return next((name for letters, name in _LENGTHS if set(letters) & set(directives)), "year")


def times_of(
    names: Sequence[str], filename_regex: str, date_format: str
) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex, dict[int, str]]:
    """Starts and stops of files by their names, and what is wrong with those that have none.

    The expression is searched for in the last part of each path. Its group ``date`` gives a period as long as
    the format's finest directive; ``start`` and ``stop`` give both ends, the stop inclusive.

    Raises
    ------
    CatalogError
        If the expression is not valid or has neither group.
    """
    try:
        pattern = re.compile(filename_regex)
    except re.error as error:
        raise CatalogError(f"filename_regex={filename_regex!r} is not a regular expression: {error}") from error
    groups = set(pattern.groupindex)
    if "date" not in groups and not {"start", "stop"} <= groups:
        raise CatalogError(f"filename_regex={filename_regex!r} needs a group 'date', or 'start' and 'stop'")
    first, last = ("date", "date") if "date" in groups else ("start", "stop")
    base = [n.rstrip("/").rpartition("/")[2] for n in names]
    matches = [pattern.search(b) for b in base]
    offset = _OFFSETS[period_of(date_format)]

    def read(group: str) -> pd.Series:
        texts = pd.Series([m.group(group) if m else None for m in matches], dtype="object")
        return pd.to_datetime(texts, format=date_format, errors="coerce", utc=True).dt.as_unit("us")

    starts = read(first)
    stops = starts if last == first else read(last)
    if offset != pd.Timedelta(0):
        stops = (stops + offset - TICK).dt.as_unit("us")
    problems = {
        row: f"the name does not match {filename_regex!r}" if matches[row] is None else f"no date in {date_format!r}"
        for row in np.flatnonzero(np.asarray(starts.isna() | stops.isna())).tolist()
    }
    return pd.DatetimeIndex(starts), pd.DatetimeIndex(stops), problems
