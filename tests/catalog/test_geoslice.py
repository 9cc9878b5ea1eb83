from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from gdal_gndc.catalog import GeoSlice
from gdal_gndc.errors import CoordinateError, TimeError
from tests.catalog.catalog_frames import PROPERTY


def slice_of(**changes: object) -> GeoSlice:
    base = GeoSlice((500000, 5600000, 500640, 5600320), "2024-06", 10, "EPSG:32631")
    return replace(base, **changes)


def test_shape_and_transform_follow_from_bounds_and_resolution() -> None:
    where = slice_of()
    assert where.shape == (32, 64)
    assert tuple(where.transform)[:6] == (10, 0, 500000, 0, -10, 5600320)
    assert where.x[0] == 500005
    assert where.y[0] == 5600315
    assert len(where.x) == 64


def test_bounds_are_kept_where_pixels_do_not_fit() -> None:
    where = slice_of(resolution=30)
    assert where.shape == (11, 21)
    t = where.transform
    assert t.c + t.a * 21 == pytest.approx(500640)
    assert t.f + t.e * 11 == pytest.approx(5600000)


@pytest.mark.parametrize(
    "bad",
    [
        {"bounds": (1, 0, 0, 1)},
        {"bounds": (0, 0, np.nan, 1)},
        {"bounds": (0, 0, 1)},
        {"resolution": 0},
        {"resolution": (10, np.inf)},
        {"crs": "no such system"},
        {"crs": None},
    ],
)
def test_nonsense_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(CoordinateError):
        slice_of(**bad)


def test_times_are_closed_utc_intervals() -> None:
    assert slice_of().interval == pd.Interval(
        pd.Timestamp("2024-06-01", tz="UTC"), pd.Timestamp("2024-06-30 23:59:59.999999", tz="UTC"), closed="both"
    )
    local = slice_of(interval=(pd.Timestamp("2024-06-01T02:00", tz="Europe/Rome"), "2024-06-02T00:00"))
    assert local.interval is not None
    assert local.interval.left == pd.Timestamp("2024-06-01", tz="UTC")
    with pytest.raises(TimeError):
        slice_of(interval=("2024-06-02", "2024-06-01"))
    with pytest.raises(TimeError):
        slice_of(interval="June")
    with pytest.raises(TimeError):
        slice_of(interval=(pd.NaT, "2024-06-01"))


def test_to_crs_holds_the_slice_though_its_edges_are_curved() -> None:
    wide = GeoSlice((0, 60, 40, 70), None, None, "EPSG:4326").to_crs("EPSG:3035")
    # The middle of the northern edge bulges beyond the corners.
    corners = GeoSlice((0, 70, 40, 70), None, None, "EPSG:4326")
    middle = GeoSlice((20, 60, 20, 60), None, None, "EPSG:4326").to_crs("EPSG:3035")
    assert wide.bounds[1] <= middle.bounds[1] + 1e-6
    assert corners.to_crs("EPSG:3035").bounds[3] <= wide.bounds[3] + 1e-6


def test_to_crs_keeps_the_pixel_area() -> None:
    moved = slice_of().to_crs("EPSG:3035")
    assert moved.resolution is not None
    assert moved.resolution[0] == pytest.approx(10, rel=0.01)
    assert moved.interval == slice_of().interval
    assert slice_of().to_crs("EPSG:32631").bounds == slice_of().bounds


def test_intersection() -> None:
    other = GeoSlice((500320, 5600000, 501000, 5600160), "2024-06-15", 10, "EPSG:32631")
    common = slice_of().intersection(other)
    assert common is not None
    assert common.bounds == (500320, 5600000, 500640, 5600160)
    assert common.interval == other.interval
    assert slice_of().intersection(replace(other, interval="2025")) is None
    assert slice_of().intersection(replace(other, bounds=(0, 0, 1, 1))) is None
    assert slice_of().intersection(replace(other, interval=None)) == replace(common, interval=slice_of().interval)


def test_buffer() -> None:
    grown = slice_of().buffer(100, time="1D")
    assert grown.bounds == (499900, 5599900, 500740, 5600420)
    assert grown.interval is not None
    assert grown.interval.left == pd.Timestamp("2024-05-31", tz="UTC")
    with pytest.raises(CoordinateError):
        slice_of().buffer(-1000)
    with pytest.raises(TimeError):
        slice_of(interval="2024-06-15").buffer(0, time="-2D")


@PROPERTY
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 20), st.integers(1, 20), st.integers(1, 20))
def test_split_covers_every_pixel_with_chips_of_one_shape(h: int, w: int, size: int, dy: int, dx: int) -> None:
    where = GeoSlice((0, 0, 10 * w, 10 * h), None, 10, "EPSG:32631")
    stride = (min(dy, size), min(dx, size))
    seen = np.zeros((h, w), dtype=int)
    shapes = set()
    for chip in where.split(size, stride):
        row, col = round((where.bounds[3] - chip.bounds[3]) / 10), round(chip.bounds[0] / 10)
        height, width = chip.shape
        shapes.add(chip.shape)
        seen[row : row + height, col : col + width] += 1
    assert seen.min() >= 1
    assert shapes == {(min(size, h), min(size, w))}


def test_split_refuses_gaps() -> None:
    with pytest.raises(CoordinateError):
        list(slice_of().split(4, 5))


def test_snap_grows_to_whole_pixels() -> None:
    ragged = slice_of(bounds=(500003, 5600001, 500638, 5600311))
    assert ragged.snap().bounds == (500000, 5600000, 500640, 5600320)
    assert slice_of().snap() == slice_of()


def test_value_semantics() -> None:
    assert slice_of() == slice_of()
    assert len({slice_of(), slice_of()}) == 1
    assert pickle.loads(pickle.dumps(slice_of())) == slice_of()
    assert "64" in repr(slice_of())
    assert shapely.equals(slice_of().polygon, shapely.box(*slice_of().bounds))


def test_a_query_slice_needs_no_grid_but_has_no_pixels() -> None:
    with pytest.raises(CoordinateError, match="resolution"):
        _ = slice_of(resolution=None).shape
    with pytest.raises(CoordinateError, match="area"):
        _ = slice_of(bounds=(0, 0, 0, 1)).shape
