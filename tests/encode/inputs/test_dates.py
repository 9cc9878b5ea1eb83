from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from gdal_gndc.encode.inputs.dates import compile_regex, date_by_regex, date_in_name, date_in_tags
from gdal_gndc.errors import EncodeError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("s2_flanders_20180613.tif", datetime(2018, 6, 13)),
        ("/a/20190101/LC08_2018-06-13_B4.tif", datetime(2018, 6, 13)),
        ("x_2018_06_13.tif", datetime(2018, 6, 13)),
        ("S2A_MSIL2A_20180601T105031_N0208_20180601T135015.tif", datetime(2018, 6, 1, 10, 50, 31)),
        ("era5_20190301T0600.tif", datetime(2019, 3, 1, 6)),
        ("MOD13Q1.A2018164.h12v10.tif", datetime(2018, 6, 13)),
        ("monthly_2018-06.tif", datetime(2018, 6, 1)),
        ("tile_123456789.tif", None),
        ("scene_20181399.tif", None),
        ("B04.tif", None),
    ],
)
def test_names(name: str, expected: datetime | None) -> None:
    found = date_in_name(name)
    assert found == (None if expected is None else expected.replace(tzinfo=UTC))


def test_first_valid_date_of_a_name_counts() -> None:
    assert date_in_name("v20181399_20180613.tif") == datetime(2018, 6, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"TIFFTAG_DATETIME": "2018:06:13 10:50:31"}, datetime(2018, 6, 13, 10, 50, 31)),
        ({"ACQUISITION_DATE": "2018-06-13", "TIFFTAG_DATETIME": "2020:01:01 00:00:00"}, datetime(2018, 6, 13)),
        ({"ACQUISITIONDATETIME": "2018-06-13T10:50:31+02:00"}, datetime(2018, 6, 13, 8, 50, 31)),
        ({"TIFFTAG_DATETIME": "yesterday"}, None),
        ({}, None),
    ],
)
def test_tags(tags: dict[str, str], expected: datetime | None) -> None:
    found = date_in_tags(tags)
    assert found == (None if expected is None else expected.replace(tzinfo=UTC))


def test_regex_with_named_groups_and_with_one_group() -> None:
    named = re.compile(r"d(?P<day>\d\d)m(?P<month>\d\d)y(?P<year>\d{4})")
    assert date_by_regex("x/d13m06y2018.tif", named) == datetime(2018, 6, 13, tzinfo=UTC)
    assert date_by_regex("acq-2018-06-13.tif", re.compile(r"acq-(.{10})")) == datetime(2018, 6, 13, tzinfo=UTC)
    assert date_by_regex("nothing.tif", named) is None


def test_regex_that_finds_no_date_says_what_it_found() -> None:
    with pytest.raises(EncodeError, match="d99m06y2018"):
        date_by_regex("d99m06y2018.tif", re.compile(r"d(?P<day>\d\d)m(?P<month>\d\d)y(?P<year>\d{4})"))
    with pytest.raises(EncodeError, match="'abc'"):
        date_by_regex("abc.tif", re.compile("(abc)"))


def test_bad_regex() -> None:
    with pytest.raises(EncodeError, match="not a regular expression"):
        compile_regex("(")
    assert compile_regex(None) is None
