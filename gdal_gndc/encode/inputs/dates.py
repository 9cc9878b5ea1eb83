"""Dates of a stack's files: from their names, their tags or a regular expression of the user's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gdal_gndc.errors import EncodeError, TimeError
from gdal_gndc.times import parse_time

if TYPE_CHECKING:
    from gdal_gndc.encode.inputs.look import Look

# Tags that hold an acquisition time, in the order of trust.
TAGS = ("ACQUISITIONDATETIME", "ACQUISITION_DATE", "TIFFTAG_DATETIME", "DATETIME", "datetime", "DATE", "date")

_CLOCK = r"(?:[T_-]?(?P<hour>[01]\d|2[0-3])[:h-]?(?P<minute>[0-5]\d)(?:[:m-]?(?P<second>[0-5]\d))?)?"
_NAMES = (
    # 20180613, 2018-06-13, 2018_06_13T105031
    re.compile(
        r"(?<!\d)(?P<year>19\d\d|20\d\d)(?P<sep>[-_.]?)(?P<month>0[1-9]|1[0-2])(?P=sep)"
        r"(?P<day>0[1-9]|[12]\d|3[01])" + _CLOCK + r"(?!\d)"
    ),
    # A2018164, 2018-164: year and day of the year
    re.compile(r"(?<!\d)(?P<year>19\d\d|20\d\d)[-_.]?(?P<yearday>[0-3]\d\d)(?!\d)"),
    # 2018-06
    re.compile(r"(?<!\d)(?P<year>19\d\d|20\d\d)[-_.](?P<month>0[1-9]|1[0-2])(?!\d)"),
)  # fmt: skip


def date_in_name(name: str) -> datetime | None:
    """Return the first date in a file's name, UTC, or None.

    Understood are ``20180613``, ``2018-06-13``, either with a time of day (``T105031``), the year with the day of
    the year (``A2018164``) and the month (``2018-06``).
    """
    stem = PurePosixPath(name.replace("\\", "/")).name
    for pattern in _NAMES:
        for match in pattern.finditer(stem):
            if found := _from_groups(match.groupdict()):
                return found
    return None


def date_by_regex(path: str, pattern: re.Pattern[str]) -> datetime | None:
    """Return the date that a user's regular expression finds in a path, or None if it does not match.

    The expression names groups ``year``, ``month`` and ``day`` (or ``yearday``), and optionally ``hour``, ``minute``
    and ``second``; or its only group, or the whole match, is a date in ISO 8601.
    """
    match = pattern.search(PurePosixPath(path.replace("\\", "/")).name) or pattern.search(path)
    if match is None:
        return None
    groups = match.groupdict()
    if "year" in groups:
        found = _from_groups(groups)
        if found is None:
            raise EncodeError(f"{path}: the date expression finds {match.group(0)!r}, which is not a date")
        return found
    text = match.group(1) if pattern.groups else match.group(0)
    try:
        return parse_time(text)
    except TimeError as error:
        raise EncodeError(f"{path}: the date expression finds {text!r}: {error}") from error


def date_in_tags(tags: Mapping[str, str]) -> datetime | None:
    """Return the date in a raster's tags, UTC, or None. TIFF writes ``2018:06:13 10:50:31``."""
    for name in TAGS:
        text = tags.get(name, "").strip()
        if not text:
            continue
        iso = re.sub(r"^(\d{4}):(\d{2}):(\d{2})", r"\1-\2-\3", text)
        try:
            return parse_time(iso)
        except TimeError:
            continue
    return None


def compile_regex(text: str | None) -> re.Pattern[str] | None:
    """Compile a user's date expression.

    Raises
    ------
    EncodeError
        If it is not a regular expression.
    """
    if text is None:
        return None
    try:
        return re.compile(text)
    except re.error as error:
        raise EncodeError(f"the date expression {text!r} is not a regular expression: {error}") from error


class DateFinder:
    """Finds the date of a raster: by a regular expression if there is one, else in its name, else in its tags.

    Parameters
    ----------
    date_regex
        See `date_by_regex`.

    Raises
    ------
    EncodeError
        If it is not a regular expression.
    """

    def __init__(self, date_regex: str | None) -> None:
        self._pattern = compile_regex(date_regex)

    def __call__(self, look: Look) -> datetime:
        """Return the date, UTC.

        Raises
        ------
        EncodeError
            If there is none.
        """
        if self._pattern:
            if when := date_by_regex(look.path, self._pattern):
                return when
            raise EncodeError(f"{look.path}: the date expression {self._pattern.pattern!r} does not match its name")
        if when := date_in_name(look.path) or date_in_tags(look.tags):
            return when
        raise EncodeError(f"{look.path}: no date in its name or its tags; give date_regex (--date-regex)")


def _from_groups(groups: Mapping[str, str | None]) -> datetime | None:
    def number(name: str, default: int) -> int:
        value = groups.get(name)
        return int(value) if value else default

    try:
        year = number("year", 0)
        clock = number("hour", 0), number("minute", 0), number("second", 0)
        if groups.get("yearday"):
            day = number("yearday", 0)
            if not 1 <= day <= 366:
                return None
            return datetime(year, 1, 1, *clock, tzinfo=UTC) + timedelta(days=day - 1)
        return datetime(year, number("month", 1), number("day", 1), *clock, tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
