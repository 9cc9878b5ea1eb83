"""Which moment a user's t names."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdal_gndc.errors import CoordinateError, TimeError
from gdal_gndc.time_axis import Moment, TimeAxis

TIMES = [
    datetime(2024, 6, 1, 10, 30, tzinfo=UTC),
    datetime(2024, 6, 15, 10, 30, tzinfo=UTC),
    datetime(2024, 6, 15, 22, 0, tzinfo=UTC),
    datetime(2024, 7, 1, 0, 0, tzinfo=UTC),
]
AXIS = TimeAxis(TIMES, 4)


@pytest.mark.parametrize(
    ("t", "frame"),
    [
        (0, 0), (-1, 3), ("2", 2), (np.int64(1), 1),
        ("2024-06-15", 1), ("20240615", 1), (date(2024, 6, 15), 1),
        ("2024-06-15T22:00:00.9Z", 2), ("2024-06-15T12:30:00+02:00", 1), ("2024-06-15 10:30", 1),
        (np.datetime64("2024-07-01"), 3), (TIMES[2], 2),
    ],
)  # fmt: skip
def test_observed_moments(t, frame):
    assert AXIS.moment(t) == Moment(frame, TIMES[frame])


@pytest.mark.parametrize("t", ["2024-06-15T12:00Z", "2024-06-20", date(2024, 6, 20), "2024-06-15T10:30:02Z"])
def test_moments_in_between(t):
    moment = AXIS.moment(t)
    assert moment.frame is None
    assert TIMES[0] < moment.time < TIMES[-1]


@pytest.mark.parametrize("t", [4, -5, "4", "99"])
def test_frames_out_of_range(t):
    with pytest.raises(CoordinateError, match=r"0 to 3"):
        AXIS.moment(t)


@pytest.mark.parametrize("t", ["2024-05-31", "2024-07-01T00:00:02Z", datetime(1999, 1, 1, tzinfo=UTC)])
def test_times_out_of_range(t):
    with pytest.raises(TimeError, match="2024-06-01T10:30:00Z to 2024-07-01T00:00:00Z"):
        AXIS.moment(t)
    assert AXIS.moment(t, clamp=True).frame in (0, 3)


def test_nonsense_is_refused():
    with pytest.raises(TimeError, match="yesterday"):
        AXIS.moment("yesterday")


def test_dates_in_no_order():
    order = [2, 0, 3, 1]
    axis = TimeAxis([TIMES[i] for i in order], 4)
    assert not axis.ascends
    assert axis.moment("2024-06-15").frame == order.index(1)
    assert axis.nearest("2024-06-03").frame == order.index(0)


def test_frames_without_dates():
    axis = TimeAxis([], 1)
    assert axis.moment(0) == Moment(0, None)
    with pytest.raises(TimeError, match="no dates"):
        axis.moment("2024-06-15")


@given(st.integers(-3000, 60000))
def test_nearest_is_nearest(minutes):
    t = TIMES[0] + timedelta(minutes=minutes)
    frame = AXIS.nearest(t).frame
    assert abs(TIMES[frame] - t) == min(abs(x - t) for x in TIMES)
