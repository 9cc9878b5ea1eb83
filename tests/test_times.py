from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdal_gndc.errors import GNDCError, TimeError
from gdal_gndc.times import (
    format_time,
    is_date_only,
    parse_duration,
    parse_time,
    time_range,
    to_seconds,
)

NOON = datetime(2024, 6, 15, 12, tzinfo=UTC)
DATETIMES = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31))


@pytest.mark.parametrize(
    "value",
    [
        "2024-06-15T12:00:00Z",
        "2024-06-15T12:00:00z",
        "2024-06-15t12:00:00Z",
        "2024-06-15 12:00:00",
        "2024-06-15T12:00",
        "2024-06-15T12",
        "  2024-06-15T12:00Z ",
        "2024-06-15T14:00:00+02:00",
        "2024-06-15T14:00:00+0200",
        "2024-06-15T14:00:00 +02",
        "2024-06-15T06:30:00-05:30",
        "2024-06-16T01:00:00+13:00",
        "20240615T120000Z",
        "20240615T12",
        "2024-06-15T12:00:00.000Z",
        "2024-06-15T12:00:00,000000000",
        datetime(2024, 6, 15, 12),
        datetime(2024, 6, 15, 14, tzinfo=timezone(timedelta(hours=2))),
        np.datetime64("2024-06-15T12"),
        np.datetime64("2024-06-15T12:00:00.000000000"),
    ],
)
def test_the_same_noon(value: object) -> None:
    parsed = parse_time(value)  # type: ignore[arg-type]
    assert parsed == NOON
    assert parsed.tzinfo is UTC
    assert type(parsed) is datetime


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-06-15", datetime(2024, 6, 15, tzinfo=UTC)),
        ("20240615", datetime(2024, 6, 15, tzinfo=UTC)),
        ("2024-06", datetime(2024, 6, 1, tzinfo=UTC)),
        (date(2024, 6, 15), datetime(2024, 6, 15, tzinfo=UTC)),
        (np.datetime64("2024-06"), datetime(2024, 6, 1, tzinfo=UTC)),
        ("2024-06-15T12:00:00.25", NOON + timedelta(milliseconds=250)),
        ("2024-06-15T12:00:00.123456789Z", NOON + timedelta(microseconds=123456)),
        ("0001-01-01", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_parts(value: object, expected: datetime) -> None:
    assert parse_time(value) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "now",
        "2024",
        "24-06-15",
        "2024-6-15",
        "2024-13-01",
        "2024-02-30",
        "2023-02-29",
        "2024-06-31T00:00Z",
        "2024-06-15T25:00",
        "2024-06-15T24:00",
        "2024-06-15T12:60",
        "2024-06-15T12:00:61",
        "2024-06-15X12:00",
        "2024-06-15T12:00+25:00",
        "2024-06-15T12:00+02:75",
        "2024-06-15T",
        "2024-06-15T12:00 CET",
        "0000-01-01",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:00:00-05:00",
        "2024/06/15",
        "15-06-2024",
        "1e9",
        "\u0662\u0660\u0662\u0664-06-15",
        np.datetime64("NaT"),
        np.datetime64("20000-01-01"),
        5,
        5.0,
        None,
        True,
    ],
)
def test_nonsense_is_named(value: object) -> None:
    with pytest.raises(TimeError) as caught:
        parse_time(value)  # type: ignore[arg-type]
    assert isinstance(caught.value, GNDCError) and isinstance(caught.value, ValueError)
    assert (repr(value) if not isinstance(value, str) else value) in str(caught.value) or repr(value) in str(
        caught.value
    )


def test_days_a_calendar_lacks_are_explained() -> None:
    with pytest.raises(TimeError, match=r"2021-02-30.*Gregorian calendar"):
        parse_time("2021-02-30T00:00:00Z")


@settings(deadline=None)
@given(DATETIMES, st.integers(-23 * 60, 23 * 60))
def test_text_round_trip(naive: datetime, minutes: int) -> None:
    value = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_time(value.isoformat()) == value
    assert parse_time(value) == value
    text = format_time(value)
    assert text.endswith("Z") and parse_time(text) == value
    assert ("." in text) == bool(value.microsecond)


@settings(deadline=None)
@given(st.datetimes(datetime(1840, 1, 1), datetime(2100, 1, 1)))
def test_seconds_are_exact_to_the_microsecond(naive: datetime) -> None:
    value = naive.replace(tzinfo=UTC)
    # microseconds since 1970 are integers that a double holds for a span of 285 years
    assert round(to_seconds(value) * 1e6) == (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert to_seconds(naive) == to_seconds(value)


def test_seconds() -> None:
    assert to_seconds(datetime(1970, 1, 2, tzinfo=UTC)) == 86400.0
    assert to_seconds(datetime(1969, 12, 31, 23, 59, 59, 500000, tzinfo=UTC)) == -0.5
    assert to_seconds(datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == 0.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P5D", timedelta(days=5)),
        ("P2W", timedelta(weeks=2)),
        ("PT12H", timedelta(hours=12)),
        ("PT30M", timedelta(minutes=30)),
        ("P1DT6H30M15S", timedelta(days=1, hours=6, minutes=30, seconds=15)),
        ("PT0.5S", timedelta(milliseconds=500)),
        ("P1,5D", timedelta(hours=36)),
        ("5d", timedelta(days=5)),
        ("5D", timedelta(days=5)),
        ("12h", timedelta(hours=12)),
        ("30min", timedelta(minutes=30)),
        ("30m", timedelta(minutes=30)),
        ("90 s", timedelta(seconds=90)),
        ("2w", timedelta(weeks=2)),
        ("1.5 days", timedelta(hours=36)),
        (timedelta(days=3), timedelta(days=3)),
        (np.timedelta64(3, "D"), timedelta(days=3)),
    ],
)
def test_durations(text: object, expected: timedelta) -> None:
    assert parse_duration(text) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["P1M", "P1Y", "P1Y2M3D", "1M", "3 months", "1mo", "2y", "1Y", "1MS", "1Q"])
def test_calendar_durations_are_refused(text: str) -> None:
    with pytest.raises(TimeError, match="months or years"):
        parse_duration(text)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "P",
        "PT",
        "P5",
        "5",
        "d",
        "-5d",
        "P-5D",
        "5 fortnights",
        "P5DT",
        "0d",
        "PT0S",
        "1e5d",
        "999999999999d",
        timedelta(0),
        timedelta(days=-1),
        np.timedelta64("NaT"),
        np.timedelta64(1, "M"),
        np.timedelta64(5),
        5,
        None,
    ],
)
def test_wrong_durations(value: object) -> None:
    with pytest.raises(TimeError) as caught:
        parse_duration(value)  # type: ignore[arg-type]
    assert repr(value) in str(caught.value)


def test_ranges() -> None:
    days = time_range("2024-01-01", "2024-01-10", "P3D")
    assert [d.day for d in days] == [1, 4, 7, 10]
    assert time_range("2024-01-01", "2024-01-09", "3d")[-1].day == 7
    assert time_range(NOON, NOON, timedelta(days=1)) == [NOON]
    with pytest.raises(TimeError, match="before the start"):
        time_range("2024-01-02", "2024-01-01", "1d")
    with pytest.raises(TimeError, match="at most"):
        time_range("2000-01-01", "2024-01-01", "1s")


@settings(deadline=None)
@given(DATETIMES, st.integers(1, 10**9), st.integers(0, 50))
def test_range_steps(naive: datetime, milliseconds: int, count: int) -> None:
    start, step = naive.replace(year=2000, tzinfo=UTC), timedelta(milliseconds=milliseconds)
    found = time_range(start, start + count * step + step / 2, step)
    assert found == [start + i * step for i in range(count + 1)]


def test_date_only() -> None:
    assert all(map(is_date_only, ["2024-06-15", "20240615", " 2024-06-15 ", "2024-06"]))
    assert not any(map(is_date_only, ["2024-06-15T00:00", "2024-06-15 12:00Z", "2024", "x", ""]))
