"""Dates to the network's time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.field.core import lib
from gdal_gndc.times import to_seconds


@dataclass(frozen=True)
class Timeline:
    """Times of the frames, and the times that the network knows as 0 and 1.

    Attributes
    ----------
    start, end
        ``train_time_range``. It reaches beyond the last frame when the frames take up a part of the axis only.
    normalised
        (T,) float32, as a decoder computes them from the dates.
    """

    start: datetime
    end: datetime
    normalised: NDArray[np.float32]

    @classmethod
    def of(cls, times: Sequence[datetime], span: float = 1.0) -> Timeline:
        """Lay the frames, in ascending order, over the first ``span`` of the axis."""
        start, last = times[0], times[-1]
        whole = (last - start).total_seconds() / span
        end = last if span >= 1.0 else start + timedelta(seconds=float(np.ceil(whole)))
        begin, finish = to_seconds(start), to_seconds(end)
        normalised = [lib.gndc_normalise_time(to_seconds(t), begin, finish) for t in times]
        return cls(start, end, np.array(normalised, np.float32))
