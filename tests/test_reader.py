"""The low-level reader: one chunk by itself."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

import gdal_gndc
from gdal_gndc.errors import CoordinateError, DeviceError, FileFormatError, GNDCError
from tests.conftest import CASES

ONE = CASES / "i8_all_residual_perframe.gndc"
MANY = CASES / "tiles22_ov8_mask_res.gndc"


@pytest.fixture
def reader():
    with gdal_gndc.GNDCReader() as found:
        yield found


def test_one_chunk_is_the_cube(reader):
    assert reader.load(ONE) is reader
    with gdal_gndc.open(ONE) as dataset:
        assert reader.shape == dataset.shape
        for t in (0, 3, -1):
            np.testing.assert_array_equal(reader.reconstruct_single_frame(t), dataset.read(t))
        part = reader.reconstruct_window(2, (5, 4, 11, 9), [1])
        np.testing.assert_array_equal(part, dataset.read(2, [1], window=(5, 4, 11, 9)))
        series = reader.reconstruct_pixel_series(7, 12)
        assert series.shape == (7, 2)
        np.testing.assert_array_equal(series[4], dataset.read(4)[7, 12])
        for mode in ("dx", "dy", "mag", "dir"):
            t_norm = float(reader.dataset_meta["t_norms"][3])
            found = reader.compute_spatial_derivatives(t_norm, mode)
            np.testing.assert_array_equal(found, dataset.gradient(3, mode))
        dx, dy = reader.compute_spatial_derivatives(t_norm)
        np.testing.assert_array_equal(np.stack([dx, dy]), dataset.gradient(3))


def test_what_a_chunk_says_of_itself(reader):
    meta = reader.load(ONE).dataset_meta
    t, _, _, bands = meta["shape"]
    assert meta["t_norms"].shape == (t,)
    assert meta["t_norms"].dtype == np.float32
    assert (meta["t_norms"][0], meta["t_norms"][-1]) == (0, 1)
    assert (np.diff(meta["t_norms"]) > 0).all()
    assert meta["data_range"].shape == (bands, 2)
    assert (meta["data_range"][:, 1] > meta["data_range"][:, 0]).all()
    assert len(meta["timestamps"]) == t
    assert meta["stored"] == meta["bounds"]
    with gdal_gndc.open(ONE) as dataset:
        assert meta["transform"] == tuple(dataset.transform)[:6]
        assert meta["band_names"] == dataset.band_names


def test_a_time_between_frames(reader):
    reader.load(ONE)
    t_norms = reader.dataset_meta["t_norms"]
    np.testing.assert_array_equal(reader.reconstruct_at(t_norms[2]), reader.reconstruct_single_frame(2))
    between = reader.reconstruct_at(0.5 * float(t_norms[2] + t_norms[3]))
    assert between.shape == reader.shape[1:]
    assert (between != reader.reconstruct_single_frame(2)).any()


def test_a_chunk_of_many_is_not_blended(reader):
    reader.load(MANY, chunk=3)
    meta = reader.dataset_meta
    t0, _, y0, y1, x0, x1 = meta["bounds"]
    _, _, s0, _, s1, _ = meta["stored"]
    assert (s0, s1) == (y0 - 8, x0 - 8)
    with gdal_gndc.open(MANY) as dataset:
        a, _, c, _, e, f = tuple(dataset.transform)[:6]
        assert meta["transform"] == (a, 0, c + a * s1, 0, e, f + e * s0)
        # the lower right corner belongs to this chunk alone
        expected = dataset.read(t0 + 1, window=(x1 - 10, y1 - 10, 10, 10))
        np.testing.assert_array_equal(reader.reconstruct_single_frame(1)[-10:, -10:], expected)
        # in the halo the cube is blended, the chunk is not
        assert (reader.reconstruct_single_frame(1)[8, 8] != dataset.read(t0 + 1)[y0 - 0, x0 - 0]).any()


def test_every_frame_as_a_geotiff(reader, tmp_path):
    files = reader.load(ONE).reconstruct_and_save_all(tmp_path / "out")
    assert [file.name for file in files][:2] == ["frame_0000.tif", "frame_0001.tif"]
    assert sorted((tmp_path / "out").iterdir()) == files
    assert len(files) == reader.shape[0]
    with rasterio.open(files[2]) as raster:
        np.testing.assert_array_equal(np.moveaxis(raster.read(), 0, -1), reader.reconstruct_single_frame(2))
        assert tuple(raster.transform)[:6] == reader.dataset_meta["transform"]
        assert list(raster.descriptions) == reader.dataset_meta["band_names"]
        assert raster.tags()["time"] == reader.dataset_meta["timestamps"][2]
        assert raster.crs.to_epsg() == 32633


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_other_backends_agree(backend):
    if backend == "torch":
        pytest.importorskip("torch")
    with gdal_gndc.GNDCReader() as a, gdal_gndc.GNDCReader(backend=backend, device="cpu") as b:
        frame = a.load(ONE).reconstruct_single_frame(1)
        other = b.load(ONE).reconstruct_single_frame(1)
    np.testing.assert_allclose(other, frame, rtol=1e-4, atol=1e-3)


def test_reset_and_load_again(reader):
    reader.load(ONE)
    reader.reset()
    with pytest.raises(GNDCError, match="no file is loaded"):
        reader.reconstruct_single_frame(0)
    assert reader.load(MANY).shape[0] > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: r.reconstruct_single_frame(99), "frame 99 of a chunk of 7 frames"),
        (lambda r: r.reconstruct_window(0, (80, 0, 10, 10)), "reaches outside"),
        (lambda r: r.reconstruct_pixel_series(61, 0), "outside the chunk of 61 rows"),
        (lambda r: r.reconstruct_at(1.5), "normalised time 1.5"),
        (lambda r: r.compute_spatial_derivatives(0.5, "up"), "gradient mode 'up'"),
        (lambda r: r.load(ONE, chunk=4), "no chunk 4, expected 0 to 0"),
    ],
)
def test_what_is_not_there_is_refused(reader, call, message):
    reader.load(ONE)
    with pytest.raises(CoordinateError, match=message):
        call(reader)


def test_errors_of_opening(reader):
    with pytest.raises(FileNotFoundError):
        reader.load("absent.gndc")
    with pytest.raises(FileFormatError):
        reader.load(CASES / "bad_meta_json.gndc")
    with pytest.raises(DeviceError):
        gdal_gndc.GNDCReader(backend="fast").load(ONE)
