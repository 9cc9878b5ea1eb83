"""Which moments of a cube a command is about, and what their files are called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from gdal_gndc.errors import CoordinateError, TimeError
from gdal_gndc.time_axis import Moment, MomentLike
from gdal_gndc.times import TimeLike, is_date_only, parse_time, time_range

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset


def select_moments(
    dataset: GNDCDataset,
    *,
    times: Iterable[MomentLike] | None = None,
    every: str | timedelta | None = None,
    start: TimeLike | None = None,
    end: TimeLike | None = None,
) -> list[Moment]:
    """Return the moments that time options select, in order of time and each once.

    Parameters
    ----------
    times
        Single moments, each resolved by ``dataset.resolve_time``.
    every
        Step of a regular series from ``start`` to ``end``, or the cube's first and last date.
    start, end
        First and last time, both included; an ``end`` that is only a date includes that day's observations.

    Without ``times`` and ``every`` it is the observations.

    Raises
    ------
    TimeError
        If the options contradict each other, name a time outside the cube, or select nothing.
    """
    if times is not None:
        if every is not None or start is not None or end is not None:
            raise TimeError("give single times, or every, start and end, not both")
        found = [dataset.resolve_time(t) for t in times]
    elif every is not None:
        stamps = dataset.timestamps
        if not stamps:
            raise TimeError("the cube has no dates, so there is no series at regular times")
        first = start if start is not None else min(stamps)
        last = end if end is not None else max(stamps)
        found = [dataset.resolve_time(moment) for moment in time_range(first, last, every)]
    else:
        found = [dataset.resolve_time(frame) for frame in range(dataset.n_timestamps)]
        if start is not None or end is not None:
            if not dataset.timestamps:
                raise TimeError("the cube has no dates to choose from by start and end")
            low = parse_time(start) if start is not None else datetime.min.replace(tzinfo=UTC)
            high = _last_instant(end) if end is not None else datetime.max.replace(tzinfo=UTC)
            found = [moment for moment in found if moment.time and low <= moment.time <= high]
    epoch = datetime.min.replace(tzinfo=UTC)
    unique = sorted(dict.fromkeys(found), key=lambda moment: (moment.time or epoch, moment.frame or 0))
    if not unique:
        raise TimeError("no date of the cube is selected")
    return unique


def moment_argument(dataset: GNDCDataset, moment: Moment) -> int | datetime:
    """Return what names a moment for later: its time where that is enough, else its frame."""
    if moment.frame is not None and (moment.time is None or dataset.resolve_time(moment.time).frame != moment.frame):
        return moment.frame
    assert moment.time is not None
    return moment.time


def file_names(stem: str, moments: Sequence[Moment], suffix: str) -> list[str]:
    """Return a file name a moment: its date if that tells all apart, else its time, else its frame too."""
    if any(moment.time is None for moment in moments):
        return [f"{stem}_f{moment.frame}{suffix}" for moment in moments]
    times = [moment.time for moment in moments if moment.time is not None]
    patterns = ["%Y%m%d", "%Y%m%dT%H%M%SZ", "%Y%m%dT%H%M%S.%fZ"]
    # A moment between observations is not "the" raster of its day.
    if any(m.frame is None and at.time() != time() for m, at in zip(moments, times, strict=True)):
        del patterns[0]
    stamps: list[str] = []
    for pattern in patterns:
        stamps = [at.strftime(pattern) for at in times]
        if len(set(stamps)) == len(stamps):
            return [f"{stem}_{stamp}{suffix}" for stamp in stamps]
    return [f"{stem}_{stamp}_f{m.frame}{suffix}" for stamp, m in zip(stamps, moments, strict=True)]


def band_indices(dataset: GNDCDataset, bands: Sequence[int | str] | None) -> list[int]:
    """Return 0-based indices of bands given by index or name; all bands for None.

    Raises
    ------
    CoordinateError
        If a band does not exist, or none is given.
    """
    count = dataset.n_bands
    if bands is None:
        return list(range(count))
    names = list(dataset.band_names)
    if not bands:
        raise CoordinateError("no band is selected")
    indices = []
    for band in bands:
        if isinstance(band, str):
            if band not in names:
                raise CoordinateError(f"no band {band!r} in the cube; expected one of {', '.join(names)}")
            indices.append(names.index(band))
        elif 0 <= band < count:
            indices.append(int(band))
        else:
            raise CoordinateError(f"no band of index {band} in the cube; expected 0 to {count - 1}")
    return indices


def _last_instant(end: TimeLike) -> datetime:
    last = parse_time(end)
    if (isinstance(end, str) and is_date_only(end)) or (isinstance(end, date) and not isinstance(end, datetime)):
        return last + timedelta(days=1) - timedelta(microseconds=1)
    return last
