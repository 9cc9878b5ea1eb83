"""The time axis of a cube, and the moments a read can be for."""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import SupportsIndex

import numpy as np

from gdal_gndc.errors import CoordinateError, TimeError
from gdal_gndc.times import format_time, is_date_only, parse_time, to_seconds

# What a user may say: a frame index, ISO 8601 text (or an index as text), a datetime, date or numpy.datetime64.
MomentLike = SupportsIndex | str | datetime | date | np.datetime64

_SAME = timedelta(seconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Moment:
    """A time of the cube, and the frame observed then, if one was.

    ``frame`` is None for the continuous reconstruction between observations. ``time`` is aware UTC; None only for a
    cube whose frames have no dates.
    """

    frame: int | None
    time: datetime | None


class TimeAxis:
    """When the frames of a cube were observed.

    Parameters
    ----------
    times
        Aware UTC time of each frame, in any order; empty if the frames have no dates.
    n_frames
        Number of frames.
    """

    def __init__(self, times: Sequence[datetime], n_frames: int) -> None:
        self.times = tuple(times)
        self.n_frames = n_frames
        # float64 seconds since 1970, per frame
        self.seconds = np.array([to_seconds(t) for t in self.times], np.float64)
        self.order = sorted(range(len(self.times)), key=self.times.__getitem__)
        self._sorted = [self.times[i] for i in self.order]
        self.ascends = self.order == list(range(len(self.times)))

    def moment(self, t: MomentLike, *, clamp: bool = False) -> Moment:
        """Return the moment that ``t`` names; the meaning of ``t=`` in a ``GNDC:`` connection string.

        An integer (also as text) is a frame index, negative ones count from the end. A time within a second of an
        observation is that observation. A date without a clock is the first observation of that UTC day, if there
        is one. Any other time is the continuous reconstruction.

        Parameters
        ----------
        clamp
            Take a time outside the cube's range as the nearest end of it instead of refusing it.

        Raises
        ------
        CoordinateError
            If a frame index is out of range.
        TimeError
            If ``t`` is not a time, or lies outside the observed range.
        """
        if isinstance(t, str) and _is_index(t):
            t = int(t)
        if not isinstance(t, str | date | np.datetime64):
            return self._frame(operator.index(t))
        if not self.times:
            raise TimeError(f"{t}: the frames of this cube have no dates; name a frame by its index")
        time = parse_time(t)
        ordered = self._sorted
        i = bisect_left(ordered, time - _SAME)
        near = [k for k in range(i, min(i + 3, len(ordered))) if abs(ordered[k] - time) <= _SAME]
        if near:
            k = min(near, key=lambda k: abs(ordered[k] - time))
            return Moment(self.order[k], ordered[k])
        if (isinstance(t, str) and is_date_only(t)) or (isinstance(t, date) and not isinstance(t, datetime)):
            k = bisect_left(ordered, time)
            if k < len(ordered) and ordered[k] < time + _DAY:
                return Moment(self.order[k], ordered[k])
        first, last = ordered[0], ordered[-1]
        if first <= time <= last:
            return Moment(None, time)
        if not clamp:
            raise TimeError(
                f"{format_time(time)} is outside the cube's times, {format_time(first)} to {format_time(last)}"
            )
        return Moment(self.order[0], first) if time < first else Moment(self.order[-1], last)

    def nearest(self, t: MomentLike) -> Moment:
        """Return the observation nearest to ``t``, the earlier one on a tie; an index is itself.

        Raises
        ------
        CoordinateError, TimeError
            As `moment`, but no time is out of range.
        """
        moment = self.moment(t, clamp=True)
        if moment.frame is not None or moment.time is None:
            return moment
        k = bisect_left(self._sorted, moment.time)
        # a continuous moment lies strictly between two observations
        if moment.time - self._sorted[k - 1] <= self._sorted[k] - moment.time:
            k -= 1
        return Moment(self.order[k], self._sorted[k])

    def _frame(self, index: int) -> Moment:
        n = self.n_frames
        if not -n <= index < n:
            raise CoordinateError(f"frame {index} of a cube of {n} frames, expected 0 to {n - 1}")
        index %= n
        return Moment(index, self.times[index] if self.times else None)


def _is_index(text: str) -> bool:
    body = text.strip().removeprefix("-")
    # eight digits are a date, 20240615, as ISO 8601 writes it without hyphens
    return body.isascii() and body.isdigit() and len(body) != 8
