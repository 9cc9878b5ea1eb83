"""What a user of an open cube relies on."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.windows import Window

import gdal_gndc
from gdal_gndc.errors import CoordinateError, DeviceError, GNDCError, TimeError
from tests.conftest import CASES

BLENDED = CASES / "tiles22_ov8_mask_res.gndc"


@pytest.fixture
def cube():
    with gdal_gndc.open(CASES / "basic_i8dec.gndc") as dataset:
        yield dataset


def close(got, expected):
    """Equal but for float32 rounding: other grids and series take another path to the same values."""
    span = np.nanmax(expected, axis=tuple(range(expected.ndim - 1))) - np.nanmin(
        expected, axis=tuple(range(expected.ndim - 1))
    )
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    assert np.nanmax(np.abs(got - expected) / np.maximum(span, 1e-6)) < 1e-5


def test_properties(cube):
    assert cube.shape == (7, 61, 83, 3)
    assert (cube.n_timestamps, cube.height, cube.width, cube.n_bands) == cube.shape
    assert cube.crs == CRS.from_epsg(32633)
    assert cube.transform[:6] == (10, 0, 399960, 0, -10, 5300040)
    assert cube.bounds == (399960, 5300040 - 610, 399960 + 830, 5300040)
    assert cube.resolution == (10, 10)
    assert cube.timestamps[0] == datetime(2020, 1, 3, 10, 30, tzinfo=UTC)
    assert cube.band_names == ["B2", "LAI", "T"]
    assert cube.band_wavelengths == [490.0, None, None]
    assert np.isnan(cube.nodata)
    assert not cube.has_mask
    assert not cube.has_residuals
    assert cube.meta["dtype"] == "int16"
    assert cube.metrics() is None
    assert repr(cube) == "<GNDCDataset 'basic_i8dec.gndc' (T=7, 83x61, 3 bands) EPSG:32633>"


def test_mask_and_residuals_are_reported():
    with gdal_gndc.open(BLENDED) as dataset:
        assert dataset.has_mask
        assert dataset.has_residuals


def test_read_takes_the_nearest_observation(cube):
    np.testing.assert_array_equal(cube.read("2020-01-12"), cube.read(1))
    np.testing.assert_array_equal(cube.read(cube.timestamps[3]), cube.read(3))
    np.testing.assert_array_equal(cube.read("1990-01-01"), cube.read(0))


def test_read_at_time_is_continuous(cube):
    at = cube.read_at_time("2020-01-12T00:00Z")
    assert not np.array_equal(at, cube.read(1))
    np.testing.assert_array_equal(cube.read_at_time("2020-03-07"), cube.read(2))
    with pytest.raises(TimeError, match="outside the cube's times"):
        cube.read_at_time("2021-06-01")


def test_times_outside_are_clamped_when_asked(cube):
    for late in ("2021-06-01", datetime(2100, 1, 1, tzinfo=UTC)):
        np.testing.assert_array_equal(cube.read_at_time(late, extrapolate="clamp"), cube.read(6))
    np.testing.assert_array_equal(cube.read_at_time("1990-01-01T12:00Z", extrapolate="clamp"), cube.read(0))
    at = (399960 + 412, 5300040 - 309)
    first, last = cube.sample(*at, crs=32633)[[0, -1]]
    np.testing.assert_allclose(cube.sample(*at, "1990-01-01", crs=32633, extrapolate="clamp"), first, rtol=1e-5)
    series = cube.series_at([[30, 41]], ["1990-01-01", "2100-01-01"], extrapolate="clamp")[0]
    np.testing.assert_allclose(series, [first, last], rtol=1e-5)
    inside = "2020-02-01T00:00Z"
    np.testing.assert_array_equal(cube.read_at_time(inside, extrapolate="clamp"), cube.read_at_time(inside))
    for refused in (
        lambda: cube.sample(*at, "1990-01-01", crs=32633),
        lambda: cube.series_at([[30, 41]], ["2100-01-01"]),
        lambda: cube.read_at_time(inside, extrapolate="linear"),
    ):
        with pytest.raises(TimeError):
            refused()


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_a_window_is_a_crop(data):
    name = data.draw(st.sampled_from(["tiles22_ov8_mask_res", "f16_block33_static", "i16dec_log_dynamic"]))
    with gdal_gndc.open(CASES / f"{name}.gndc") as dataset:
        col = data.draw(st.integers(0, dataset.width - 1))
        row = data.draw(st.integers(0, dataset.height - 1))
        w = data.draw(st.integers(1, dataset.width - col))
        h = data.draw(st.integers(1, dataset.height - row))
        bands = data.draw(st.lists(st.integers(0, dataset.n_bands - 1), min_size=1, max_size=4))
        full = dataset.read(2)[row : row + h, col : col + w][..., bands]
        np.testing.assert_array_equal(dataset.read(2, bands, window=(col, row, w, h)), full)


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_decimation_is_sampling(data):
    """Odd factors put every sample on a pixel's centre."""
    name = data.draw(st.sampled_from(["tiles22_ov8_mask_res", "f16_block33_static", "basic_i8dec"]))
    factor = data.draw(st.sampled_from([1, 3, 5]))
    with gdal_gndc.open(CASES / f"{name}.gndc") as dataset:
        h, w = dataset.height // factor, dataset.width // factor
        small = dataset.read(1, window=(0, 0, w * factor, h * factor), out_shape=(h, w))
        middle = factor // 2
        full = dataset.read(1)[middle : h * factor : factor, middle : w * factor : factor]
    close(small, full)


def test_enlarging_is_continuous(cube):
    """Between pixel centres the cube is the field, not a staircase."""
    big = cube.read(2, window=(20, 20, 10, 10), out_shape=(30, 30))
    close(big[1::3, 1::3], cube.read(2, window=(20, 20, 10, 10)))
    assert np.unique(big[..., 0]).size > 850


def test_windows_of_rasterio_and_boxes(cube):
    expected = cube.read(0)[5:15, 3:23]
    np.testing.assert_array_equal(cube.read(0, window=Window(3, 5, 20, 10)), expected)
    left, top = 399960 + 30, 5300040 - 50
    bbox = (left, top - 100, left + 200, top)
    np.testing.assert_array_equal(cube.read_region(bbox), expected)
    np.testing.assert_array_equal(cube.read(bbox=bbox), expected)
    with pytest.raises(CoordinateError, match="exclude"):
        cube.read(window=(0, 0, 1, 1), bbox=bbox)


def test_bands_by_name(cube):
    np.testing.assert_array_equal(cube.read(0, ["T", "B2"]), cube.read(0)[..., [2, 0]])
    np.testing.assert_array_equal(cube.read(0, "LAI"), cube.read(0, 1))
    for band in ("B9", 3, -1):
        with pytest.raises(CoordinateError, match="no band"):
            cube.read(0, band)


def test_sample_reads_the_pixel_under_a_point(cube):
    from pyproj import Transformer

    to_lonlat = Transformer.from_crs(32633, 4326, always_xy=True)
    lon, lat = to_lonlat.transform(399960 + 10 * 41 + 2, 5300040 - 10 * 30 - 9)
    np.testing.assert_allclose(cube.sample(lon, lat, 2), cube.read(2)[30, 41], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(cube.sample(lon, lat), cube.pixel_series(30, 41))
    several = cube.sample([lon, lon], [lat, lat], "2020-02-01T00:00Z", bands=[1])
    assert several.shape == (2, 1)
    in_crs = cube.sample(399960 + 412, 5300040 - 309, 2, crs=32633)
    np.testing.assert_array_equal(in_crs, cube.sample(lon, lat, 2))
    with pytest.raises(CoordinateError, match="outside the cube"):
        cube.sample(0.0, 0.0)


def test_series_at_any_times(cube):
    times = ["2020-02-01T00:00Z", 3, "2020-08-01T12:00Z"]
    got = cube.series_at([[5, 6], [50, 80]], times)
    frames = np.stack([cube.read_at_time(t) for t in times])
    np.testing.assert_allclose(got, np.moveaxis(frames[:, [5, 50], [6, 80]], 0, 1), rtol=1e-5, atol=1e-5)


def test_the_field_is_evaluated_at_any_place_and_moment(cube):
    between = datetime(2020, 4, 11, 7, 5, tzinfo=UTC)
    rows, cols = np.array([0.5, 12.5, 60.5]), np.array([82.5, 7.5, 0.5])
    found = cube.evaluate(rows, cols, [2, between], ["T", "B2"])
    assert (found.shape, found.dtype) == ((3, 2, 2), np.float32)
    for step, frame in enumerate((cube.read(2), cube.read_at_time(between))):
        close(found[:, step], frame[rows.astype(int), cols.astype(int)][:, [2, 0]])
    # fractions: the centres of a grid three times as fine; one row with many columns
    fine = cube.read(2, bands=[1], window=(5, 6, 4, 1), out_shape=(3, 12))
    close(cube.evaluate(6 + 2.5 / 3, 5 + (np.arange(12) + 0.5) / 3, [2], 1)[:, 0], fine[2])
    for row, col in ((-0.1, 3), (61, 3), (3, 83), (np.nan, 3)):
        with pytest.raises(CoordinateError, match="outside the cube of 61 rows, 83 columns"):
            cube.evaluate([0.5, row], [0.5, col], [0])
    with pytest.raises(TimeError):
        cube.evaluate([0.5], [0.5], ["2031-01-01"])


@pytest.mark.parametrize("points", [[[0, 83]], [[-1, 0]], [[61, 0]], [[0.5, 1.0]], [1, 2]])
def test_points_outside_are_refused(cube, points):
    with pytest.raises(CoordinateError):
        cube.series(points)


def test_after_close(cube):
    cube.read(0)
    cube.close()
    cube.close()
    assert cube.closed
    assert "closed" in repr(cube)
    with pytest.raises(GNDCError, match="closed"):
        cube.read(0)


def test_pickle_reopens(cube):
    again = pickle.loads(pickle.dumps(cube))
    np.testing.assert_array_equal(again.read(1), cube.read(1))
    again.close()


def _read_in_child(dataset, queue):
    queue.put(float(np.nansum(dataset.read(1))))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_read(cube, method):
    expected = float(np.nansum(cube.read(1)))
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=_read_in_child, args=(cube, queue))
    child.start()
    assert queue.get(timeout=60) == expected
    child.join(60)
    assert child.exitcode == 0
    queue.close()
    queue.join_thread()


def test_threads_read_at_once():
    with gdal_gndc.open(BLENDED) as dataset:
        expected = [dataset.read(t) for t in range(7)]
    with gdal_gndc.open(BLENDED) as dataset, ThreadPoolExecutor(8) as pool:
        for t, frame in zip(list(range(7)) * 6, pool.map(dataset.read, list(range(7)) * 6), strict=True):
            np.testing.assert_array_equal(frame, expected[t])
        # four chunks, loaded once each although eight threads wanted them at once
        assert dataset.cache_info()["chunks"].misses == 4


def test_remote_files_by_fsspec(cube):
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe_file("/cubes/a.gndc", (CASES / "basic_i8dec.gndc").read_bytes())
    with gdal_gndc.open("memory://cubes/a.gndc") as remote:
        np.testing.assert_array_equal(remote.read(4), cube.read(4))


def test_missing_files_and_backends():
    with pytest.raises(FileNotFoundError):
        gdal_gndc.open("no/such/file.gndc")
    path = CASES / "basic_i8dec.gndc"
    for options in ({"backend": "tensorflow"}, {"device": "tpu"}, {"backend": "native", "device": "cuda"}):
        with pytest.raises(DeviceError):
            gdal_gndc.open(path, **options)


def test_importing_is_light():
    code = (
        "import sys, gdal_gndc\n"
        "heavy = {'torch', 'rasterio', 'xarray', 'geopandas', 'pandas', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
