"""Times: ISO 8601 text, datetimes and seconds, all in UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import numpy as np

from gdal_gndc.errors import TimeError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Anything `parse_time` takes.
TimeLike = str | datetime | date | np.datetime64

_DATE = r"(?P<year>\d{4})-(?P<month>\d{2})(?:-(?P<day>\d{2}))?|(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})"
_CLOCK = r"(?P<hour>\d{2})(?::?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?)?"
_ZONE = r"(?P<zone>[Zz]|[+-]\d{2}(?::?\d{2})?)"
_TIME = re.compile(rf"(?:{_DATE})(?:[Tt ]{_CLOCK}\s?{_ZONE}?)?", re.ASCII)
_NUMBER = r"(\d+(?:[.,]\d+)?)"
_ISO_DURATION = re.compile(
    rf"P(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?=\d)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?",
    re.ASCII,
)
_SHORT_DURATION = re.compile(rf"{_NUMBER}\s*([A-Za-z]+)", re.ASCII)
_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "min": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_UNIT_NAMES = {
    "w": "w", "week": "w", "weeks": "w",
    "d": "d", "day": "d", "days": "d",
    "h": "h", "hr": "h", "hour": "h", "hours": "h",
    "m": "min", "min": "min", "minute": "min", "minutes": "min",
    "s": "s", "sec": "s", "second": "s", "seconds": "s",
}  # fmt: skip
_CALENDAR_UNITS = {"mo", "mon", "month", "months", "ms", "me", "y", "ye", "ys", "yr", "year", "years", "q"}
_MAX_STEPS = 1_000_000


def parse_time(value: TimeLike) -> datetime:
    """Return a time as an aware datetime in UTC.

    Parameters
    ----------
    value
        ISO 8601 text (``2024-06-15``, ``2024-06-15T10:30:00Z``, ``2024-06-15 10:30+02:00``,
        ``20240615T103000``, ``2024-06``), a datetime, a date or a ``numpy.datetime64``. A date is its
        midnight, a month that of its first day; without a zone it is UTC. Digits beyond microseconds are
        dropped.

    Raises
    ------
    TimeError
        If the text is not ISO 8601, or names a date that the proleptic Gregorian calendar lacks.
    """
    if isinstance(value, str):
        return _parse_text(value)
    if isinstance(value, datetime):
        # pandas.NaT is a datetime by type, and differs from itself.
        if value != value:
            raise TimeError(f"{value!r} is not a time")
        plain = datetime(
            value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond,
            tzinfo=value.tzinfo, fold=value.fold,
        )  # fmt: skip
        return _to_utc(plain, str(value))
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, np.datetime64):
        plain = value.astype("datetime64[us]").item()
        if not isinstance(plain, datetime):
            raise TimeError(f"{value!r} is not a time between the years 1 and 9999")
        return plain.replace(tzinfo=UTC)
    raise TimeError(f"{value!r} is not a time: expected ISO 8601 text, a datetime, a date or a numpy.datetime64")


def _parse_text(text: str) -> datetime:
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise TimeError(f"{text!r} is not a time: expected ISO 8601 such as 2024-06-15 or 2024-06-15T10:30:00Z")
    part = match.groupdict()
    micro = ((part["fraction"] or "") + "000000")[:6]
    try:
        plain = datetime(
            int(part["year"] or part["y"]),
            int(part["month"] or part["m"]),
            int(part["day"] or part["d"] or 1),
            int(part["hour"] or 0),
            int(part["minute"] or 0),
            int(part["second"] or 0),
            int(micro),
        )
        zone = part["zone"]
        if zone and zone not in "Zz":
            digits = zone[1:].replace(":", "").ljust(4, "0")
            if int(digits[:2]) > 23 or int(digits[2:]) > 59:
                raise ValueError(f"no such zone {zone}")
            ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
            plain = plain - ahead if zone[0] == "+" else plain + ahead
    except (ValueError, OverflowError) as error:
        raise TimeError(f"{text!r} is not a time of the Gregorian calendar: {error}") from error
    return plain.replace(tzinfo=UTC)


def _to_utc(value: datetime, text: str) -> datetime:
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise TimeError(f"{text!r} lies outside the years 1 to 9999 in UTC") from error


def is_date_only(text: str) -> bool:
    """Whether text names a day (or month) without a time of day."""
    match = _TIME.fullmatch(text.strip())
    return match is not None and match["hour"] is None


def to_seconds(value: datetime) -> float:
    """Return the seconds since 1970-01-01T00:00:00Z, correctly rounded. A naive datetime is UTC."""
    return (_to_utc(value, str(value)) - EPOCH).total_seconds()


def format_time(value: datetime) -> str:
    """Return ISO 8601 text in UTC ending in Z, with microseconds only if there are any."""
    utc = _to_utc(value, str(value)).replace(tzinfo=None)
    return f"{utc.isoformat(timespec='microseconds' if utc.microsecond else 'seconds')}Z"


def short_time(value: datetime) -> str:
    """Return `format_time` without seconds where they are zero, as files have it: every byte of theirs counts."""
    text = format_time(value)
    return f"{text[:-4]}Z" if text.endswith(":00Z") else text


def parse_duration(value: str | timedelta | np.timedelta64) -> timedelta:
    """Return a positive duration of fixed length.

    Parameters
    ----------
    value
        ISO 8601 (``P5D``, ``P2W``, ``PT12H``, ``P1DT6H30M``), a number with a unit (``5d``, ``12h``,
        ``30min``, ``90s``, ``2w``), a timedelta or a ``numpy.timedelta64``.

    Raises
    ------
    TimeError
        If it is not such a duration, is not positive, or counts months or years, whose length varies.
    """
    if isinstance(value, np.timedelta64):
        fixed = np.datetime_data(value.dtype)[0] not in ("generic", "M", "Y")
        found = value.astype("timedelta64[us]").item() if fixed else None
        if not isinstance(found, timedelta):
            raise TimeError(f"{value!r} is not a duration of fixed length")
    elif isinstance(value, timedelta):
        found = value
    elif isinstance(value, str):
        try:
            found = _parse_duration_text(value.strip(), value)
        except OverflowError as error:
            raise TimeError(f"{value!r} is too long a duration") from error
    else:
        raise TimeError(f"{value!r} is not a duration: expected text such as P5D or 12h, or a timedelta")
    if found <= timedelta(0):
        raise TimeError(f"{value!r} is not a positive duration")
    return found


def _parse_duration_text(text: str, given: str) -> timedelta:
    calendar = f"{given!r} counts months or years, whose length varies: give days, such as P30D"
    if (match := _ISO_DURATION.fullmatch(text)) and any(match.groups()):
        years, months, *rest = match.groups()
        if years or months:
            raise TimeError(calendar)
        numbers = [float((number or "0").replace(",", ".")) for number in rest]
        return sum((n * unit for n, unit in zip(numbers, _UNITS.values(), strict=True)), timedelta(0))
    if match := _SHORT_DURATION.fullmatch(text):
        number, unit = match.groups()
        # Pandas and ISO write months with a capital M; only the small letter means minutes.
        if unit == "M" or unit.lower() in _CALENDAR_UNITS:
            raise TimeError(calendar)
        if name := _UNIT_NAMES.get(unit.lower()):
            return float(number.replace(",", ".")) * _UNITS[name]
    raise TimeError(f"{given!r} is not a duration: expected ISO 8601 such as P5D or PT12H, or 5d, 12h, 30min")


def time_range(start: TimeLike, end: TimeLike, step: str | timedelta | np.timedelta64) -> list[datetime]:
    """Return the times start, start + step, ... up to and including end.

    Raises
    ------
    TimeError
        If end is before start, the step is not a positive duration, or there are more than a million times.
    """
    first, last, stride = parse_time(start), parse_time(end), parse_duration(step)
    if last < first:
        raise TimeError(f"the end {format_time(last)} is before the start {format_time(first)}")
    count = (last - first) // stride + 1
    if count > _MAX_STEPS:
        raise TimeError(f"steps of {stride} make {count} times between {first} and {last}: at most {_MAX_STEPS}")
    return [first + i * stride for i in range(count)]
