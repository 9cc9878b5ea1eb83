"""Reads of grids coarser than the pixels, as single places and as means."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gdal_gndc
from gdal_gndc.errors import CoordinateError
from gdal_gndc.field.core import lib
from tests.conftest import CASES

NAMES = ("basic_i8dec", "tiles22_ov8_mask_res", "f16_block33_static", "i16dec_log_dynamic", "ov8_block33_missing_fill")


def means(pixels: np.ndarray, factor: int, fill: float) -> np.ndarray:
    """Means of factor x factor pixels, written from the rule: neither NaN nor the fill of absent chunks count."""
    h, w, c = (pixels.shape[0] // factor, pixels.shape[1] // factor, pixels.shape[2])
    cells = pixels.reshape(h, factor, w, factor, c).astype(np.float64)
    valid = ~np.isnan(cells) & (cells != np.float32(fill))
    total, count = np.where(valid, cells, 0.0).sum((1, 3)), valid.sum((1, 3))
    nothing = np.where(np.isnan(cells).any((1, 3)), np.nan, fill)
    return np.where(count > 0, total / np.maximum(count, 1), nothing).astype(np.float32)


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_whole_ratios_are_means_of_pixels(data):
    """Bit for bit: the places of an averaged read at a whole ratio are the pixels' centres."""
    name = data.draw(st.sampled_from(NAMES))
    factor = data.draw(st.sampled_from([2, 3, 4, 7, 16]))
    with gdal_gndc.open(CASES / f"{name}.gndc") as dataset:
        h = data.draw(st.integers(1, dataset.height // factor))
        w = data.draw(st.integers(1, dataset.width // factor))
        window = (dataset.width - w * factor, dataset.height - h * factor, w * factor, h * factor)
        bands = data.draw(st.lists(st.integers(0, dataset.n_bands - 1), min_size=1, max_size=3))
        got = dataset.read(2, bands, window, out_shape=(h, w), resampling="average")
        fill = dataset.meta.get("missing_fill")
        expected = means(dataset.read(2, bands, window), factor, np.nan if fill is None else fill)
    # a sum's order differs here, by less than a float32 of the result
    np.testing.assert_allclose(got, expected, rtol=3e-7, atol=1e-30)


def test_strips_do_not_show(monkeypatch):
    with gdal_gndc.open(CASES / "tiles22_ov8_mask_res.gndc") as dataset:
        whole = dataset.read(1, out_shape=(20, 17), resampling="average")
        monkeypatch.setattr("gdal_gndc.cube._STRIP_FLOATS", 1)
        np.testing.assert_array_equal(dataset.read(1, out_shape=(20, 17), resampling="average"), whole)


@pytest.mark.parametrize("shape", [None, (70, 100), (61, 83)])
def test_cells_of_at_most_a_pixel_are_read_as_they_were(shape):
    with gdal_gndc.open(CASES / "basic_i8dec.gndc") as dataset:
        plain = dataset.read(3, out_shape=shape)
        np.testing.assert_array_equal(dataset.read(3, out_shape=shape, resampling="average"), plain)
        at = "2020-02-01T00:00Z"
        got = dataset.read_at_time(at, out_shape=shape, resampling="average")
        np.testing.assert_array_equal(got, dataset.read_at_time(at, out_shape=shape))


def test_number_of_places():
    assert [lib.gndc_supersamples(s, 10) for s in (1.0, 10.0, 10.00000001, 10.1, 20.0, 25.0, 160.0, 1e9)] == [
        1, 1, 1, 2, 2, 3, 16, 16,
    ]  # fmt: skip


def test_averages_do_not_alias():
    """Over cells of some ten pixels the mean of single places is far off where that of means is not."""
    with gdal_gndc.open(CASES / "layout_f32_edges.gndc") as dataset:
        full = dataset.read(0).astype(np.float64)
        shape = (dataset.height // 8, dataset.width // 8)
        window = (0, 0, shape[1] * 8, shape[0] * 8)
        blocks = full[: shape[0] * 8, : shape[1] * 8].reshape(shape[0], 8, shape[1], 8, -1).mean((1, 3))
        single = dataset.read(0, window=window, out_shape=shape)
        mean = dataset.read(0, window=window, out_shape=shape, resampling="average")
    assert np.abs(mean - blocks).max() < 1e-3 * np.abs(single - blocks).max()


def test_other_resamplings_are_refused():
    with (
        gdal_gndc.open(CASES / "basic_i8dec.gndc") as dataset,
        pytest.raises(CoordinateError, match="'cubic', expected nearest or average"),
    ):
        dataset.read(0, resampling="cubic")
