from __future__ import annotations

import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from gdal_gndc.errors import CoordinateError
from gdal_gndc.window import Rect, sample_positions, window_of, window_of_bbox

TO_CRS = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def test_none_is_the_whole_cube():
    assert window_of(None, 20, 30) == Rect(0, 0, 30, 20)


@pytest.mark.parametrize(
    "window", [(0, 0, 31, 20), (-1, 0, 5, 5), (0, 0, 0, 5), (25, 0, 6, 1), (0, 0, float("nan"), 2), (1, 2), "abcd"]
)
def test_windows_outside_are_refused(window):
    with pytest.raises(CoordinateError, match="window"):
        window_of(window, 20, 30)


def test_a_box_covers_the_pixels_it_touches():
    bbox = (500_015.0, 4_999_920.0, 500_040.0, 4_999_995.0)
    assert window_of_bbox(bbox, TO_CRS, 20, 30, snap=True) == Rect(1, 0, 3, 8)
    assert window_of_bbox(bbox, TO_CRS, 20, 30, snap=False) == pytest.approx((1.5, 0.5, 2.5, 7.5))


def test_a_box_is_cut_at_the_cube():
    assert window_of_bbox((0, 0, 1e7, 1e7), TO_CRS, 20, 30, snap=True) == Rect(0, 0, 30, 20)


@pytest.mark.parametrize("bbox", [(0, 0, 1, 1), (5, 0, 1, 1), (1, 2, 3)])
def test_boxes_elsewhere_are_refused(bbox):
    with pytest.raises(CoordinateError, match="bbox"):
        window_of_bbox(bbox, TO_CRS, 20, 30, snap=True)


@given(st.integers(0, 500), st.integers(1, 500))
def test_a_window_is_sampled_at_pixel_centres(offset, size):
    rows, cols = sample_positions(Rect(offset, 3, size, 2), None)
    assert rows.tolist() == [3.5, 4.5]
    assert cols.tolist() == [offset + i + 0.5 for i in range(size)]


@given(st.integers(1, 40), st.integers(1, 400))
def test_samples_lie_inside(n, size):
    rows, _ = sample_positions(Rect(0, 7, 1, size), (n, 1))
    assert len(rows) == n
    assert 7 < rows[0] <= rows[-1] < 7 + size


@pytest.mark.parametrize("shape", [(0, 3), (3,), ("a", 2)])
def test_bad_out_shapes_are_refused(shape):
    with pytest.raises(CoordinateError, match="out_shape"):
        sample_positions(Rect(0, 0, 5, 5), shape)
