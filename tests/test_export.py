from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import gdal_gndc
from gdal_gndc import export, geotiff
from gdal_gndc.errors import CoordinateError, GNDCError
from gdal_gndc.packing import packing_of

CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize("name", ["tiles22_ov8_mask_res.gndc", "notemporal_t1_block.gndc", "sensors.gndc"])
def test_blocks_make_no_difference(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_BYTES", 1)
    monkeypatch.setattr(geotiff, "_TILE", 16)
    with gdal_gndc.open(CASES / name) as dataset:
        assert len(list(export.prepare(dataset)[0].blocks())) == 4 * 6
        path = export.to_tif(dataset, tmp_path / "x.tif", -1)
        with rasterio.open(path) as raster:
            assert raster.block_shapes[0] == (16, 16)
            assert_array_equal(raster.read().transpose(1, 2, 0), dataset.read(-1))


def test_a_file_in_memory() -> None:
    with (
        gdal_gndc.open(CASES / "basic_i8dec.gndc") as dataset,
        export.to_rasterio(dataset, "2020-02-01", bands=["T"]) as memory,
        memory.open() as raster,
    ):
        assert_array_equal(raster.read(1), dataset.read_at_time("2020-02-01", bands="T")[..., 0])
        assert raster.tags()["time"] == "2020-02-01T00:00:00Z"


def test_a_file_that_was_there_stays_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.tif"
    path.write_bytes(b"precious")
    with gdal_gndc.open(CASES / "basic_i8dec.gndc") as dataset:
        with pytest.raises(CoordinateError):
            export.to_tif(dataset, path, 99)
        with pytest.raises(GNDCError, match="format is 'png'"):
            export.to_tif(dataset, path, 0, format="png")  # type: ignore[arg-type]
        monkeypatch.setattr(dataset.cube, "read_grid", lambda *a, **k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export.to_tif(dataset, path, 0)
        with pytest.raises(ZeroDivisionError):
            export.to_tif(dataset, path, 0, format="cog")
    assert path.read_bytes() == b"precious"
    assert [file.name for file in tmp_path.iterdir()] == ["x.tif"]


def _stored(path: Path) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """The numbers (C, H, W), the values they mean with NaN for nodata, and the tags."""
    with rasterio.open(path) as raster:
        numbers = raster.read()
        scales, offsets = (np.reshape(a, (-1, 1, 1)) for a in (raster.scales, raster.offsets))
        missing = np.isnan(numbers) if np.isnan(raster.nodata) else numbers == raster.nodata
        return numbers, np.where(missing, np.nan, numbers * scales + offsets), raster.tags()


@pytest.mark.parametrize("kind", ["tif", "cog"])
@pytest.mark.parametrize(("dtype", "predictor"), [("float32", "3"), ("int16", "2"), ("uint16", "2"), ("uint8", "2")])
def test_what_a_file_says_of_itself(real_cube: Path, tmp_path: Path, kind: str, dtype: str, predictor: str) -> None:
    scale = {"float32": None, "uint8": 0.005}.get(dtype, 0.0001)
    with gdal_gndc.open(real_cube) as dataset:
        # large enough for tiles and overviews
        path = dataset.to_tif(
            tmp_path / "x.tif", "2018-06-30", bands=["B08", "B04"], resolution=1, dtype=dtype, scale=scale,
            format=kind, overviews=True,
        )  # fmt: skip
        expected = dataset.read("2018-06-30", bands=["B08", "B04"], out_shape=(640, 640))
        bounds, crs = dataset.bounds, dataset.crs
    numbers, values, tags = _stored(path)
    assert numbers.dtype == dtype
    with rasterio.open(path) as raster:
        assert (raster.crs, raster.bounds, raster.res) == (crs, bounds, (1, 1))
        assert raster.descriptions == ("B08", "B04")
        structure = raster.tags(ns="IMAGE_STRUCTURE")
        assert structure["COMPRESSION"] == "DEFLATE"
        assert structure.get("PREDICTOR", predictor) == predictor
        assert structure.get("LAYOUT") == ("COG" if kind == "cog" else None)
        assert raster.overviews(1)[0] == 2
        with rasterio.open(path, overview_level=0) as half:
            assert half.shape == (320, 320)
            mean = numbers.reshape(2, 320, 2, 320, 2).astype(float).mean(axis=(2, 4))
            assert np.abs(half.read() - mean).max() <= (0.51 if dtype != "float32" else 1e-5)
        assert raster.tags(ns="IMAGERY")["ACQUISITIONDATETIME"] == "2018-06-30 00:00:00"
    assert tags["TIFFTAG_DATETIME"] == "2018:06:30 00:00:00"
    assert (tags["time"], tags["observed"], tags["frame"]) == ("2018-06-30T00:00:00Z", "YES", "70")
    assert tags["TIFFTAG_SOFTWARE"] == f"gdal-gndc {gdal_gndc.__version__}"
    assert tags["GNDC_SOURCE"].startswith("flanders.gndc ")
    assert ("rounded to nearest, half to even" in tags.get("GNDC_ROUNDING", "")) == (dtype != "float32")
    inside = np.moveaxis(expected, -1, 0).astype(float)
    if dtype == "float32":
        np.testing.assert_allclose(values, inside, rtol=1e-4, atol=1e-6)
    else:
        ends = np.iinfo(dtype)
        low, high = (n * scale for n in ((ends.min + 1, ends.max) if ends.min else (0, ends.max - 1)))
        assert np.abs(values - np.clip(inside, low, high)).max() <= scale / 2 * (1 + 1e-4) + 1e-6


def test_integers_take_the_scale_of_the_sources(real_cube: Path, tmp_path: Path) -> None:
    with gdal_gndc.open(real_cube) as dataset:
        numbers, values, _ = _stored(dataset.to_tif(tmp_path / "x.tif", 3, dtype="int16"))
        assert np.abs(values - np.moveaxis(dataset.read(3), -1, 0)).max() <= 0.00005 * 1.001
        assert (numbers == np.rint(np.moveaxis(dataset.read(3), -1, 0).astype(float) / 0.0001)).all()


@given(
    st.lists(st.floats(-1e6, 1e6, width=32) | st.just(float("nan")), min_size=1, max_size=40),
    st.sampled_from(["uint8", "int16", "uint16", "int32", "uint32"]),
    st.floats(1e-4, 50),
    st.floats(-100, 100),
    st.sampled_from([None, 0, 7]),
)
@settings(deadline=None)
def test_rounding(values: list[float], dtype: str, scale: float, offset: float, nodata: int | None) -> None:
    packing = packing_of(None, [0], dtype, scale, offset, nodata)
    given_values = np.array(values, np.float32)
    stored = packing.pack(given_values, 0)
    assert stored.dtype == dtype
    missing = np.isnan(given_values)
    assert_array_equal(stored == packing.nodata, missing)
    ends = np.iinfo(dtype)
    exact = (given_values[~missing].astype(float) - offset) / scale
    found = stored[~missing].astype(float)
    within = (exact > ends.min + 1) & (exact < ends.max - 1)
    beside = np.abs(exact - packing.nodata) <= 1
    assert (np.abs(found - exact)[within & ~beside] <= 0.5).all()
    assert (np.abs(found - exact)[within] <= 1.5).all()
    assert (found[exact > ends.max] >= ends.max - 1).all()
    assert (found[exact < ends.min] <= ends.min + 1).all()


def test_halves_go_to_even() -> None:
    packing = packing_of(None, [0], "int16", 2.0)
    assert packing.pack(np.array([1, 3, 5, -1, -3], np.float32), 0).tolist() == [0, 2, 2, 0, -2]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"dtype": "int8"}, "dtype is 'int8'; expected one of float32, uint8"),
        ({"scale": 0.1}, "scale and offset are for integer types"),
        ({"dtype": "int16", "scale": [1, 2]}, "2 numbers for scale, expected one or one for each of 3 bands"),
        ({"dtype": "int16", "scale": -1}, "expected positive scales"),
        ({"dtype": "uint8", "scale": 1, "nodata": 300}, "nodata 300 is not a number of uint8, 0 to 255"),
        ({"compress": "jpeg"}, "compress is 'jpeg'"),
        ({"jobs": 0}, "jobs is 0"),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, options: dict[str, object], says: str) -> None:
    with gdal_gndc.open(CASES / "basic_i8dec.gndc") as dataset, pytest.raises(GNDCError, match=says):
        dataset.to_tifs(tmp_path / "t", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "t").exists()


def test_floats_without_a_source_scale_need_one(tmp_path: Path) -> None:
    with gdal_gndc.open(CASES / "basic_i8dec.gndc") as dataset:
        dataset.meta["dtype"] = "float32"
        with pytest.raises(GNDCError, match="dtype int16 needs scale="):
            dataset.to_tif(tmp_path / "x.tif", dtype="int16")


def test_a_part_at_another_resolution(real_cube: Path, tmp_path: Path) -> None:
    with gdal_gndc.open(real_cube) as dataset:
        left, _, _, top = dataset.bounds
        box = (left + 100, top - 200, left + 300, top - 100)
        path = dataset.to_tif(tmp_path / "x.tif", 3, bbox=box, bands=["B08"])
        with rasterio.open(path) as raster:
            assert tuple(raster.bounds) == box
            assert_array_equal(raster.read(1), dataset.read(3, "B08", bbox=box)[..., 0])
        path = dataset.to_tif(tmp_path / "y.tif", 3, bbox=box, resolution=(40, 20), bands=["B08"])
        with rasterio.open(path) as raster:
            assert (raster.shape, raster.res) == ((5, 5), (40, 20))
            expected = dataset.read(3, "B08", bbox=box, out_shape=(5, 5))[..., 0]
            np.testing.assert_allclose(raster.read(1), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["tif", "nc"])
def test_means_of_coarse_pixels(real_cube: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(geotiff, "_TILE", 16)
    monkeypatch.setattr(export, "_BYTES", 1)
    with gdal_gndc.open(real_cube) as dataset:
        expected = dataset.read(3, "B08", window=(0, 0, 64, 64)).reshape(32, 2, 32, 2).mean(axis=(1, 3))
        if kind == "tif":
            path = dataset.to_tif(tmp_path / "x.tif", 3, bands=["B08"], resolution=20, resampling="average")
            with rasterio.open(path) as raster:
                assert raster.block_shapes == [(16, 16)]
                found = raster.read(1)
        else:
            xarray = pytest.importorskip("xarray")
            options = {"bands": ["B08"], "resolution": 20, "resampling": "average", "progress": False}
            path = dataset.to_netcdf(tmp_path / "x.nc", times=[3], **options)
            with xarray.open_dataset(path, engine="h5netcdf") as data:
                found = data["B08"].values[0]
        with pytest.raises(GNDCError, match="resampling is 'cubic'"):
            dataset.to_tif(tmp_path / "y.tif", resampling="cubic")  # type: ignore[arg-type]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_number_of_jobs_makes_no_difference(real_cube: Path, tmp_path: Path) -> None:
    with gdal_gndc.open(real_cube) as dataset:
        for jobs in (1, 5):
            files = dataset.to_tifs(tmp_path / str(jobs), end="2017-11-01", jobs=jobs, progress=False)
            assert len(files) == 14
        for file in files:
            one = (tmp_path / "1" / file.name).read_bytes()
            assert one == file.read_bytes()


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    import os

    left, fresh = tmp_path / ".basic_i8dec_20200103.0123abcd.tif", tmp_path / ".basic_i8dec_20200103.0123abce.tif"
    other = tmp_path / ".basic_i8dec_2020.0123abcd.tif"
    for file in (left, fresh, other):
        file.write_bytes(b"half")
    for file in (left, other):
        os.utime(file, (1, 1))
    with gdal_gndc.open(CASES / "basic_i8dec.gndc") as dataset:
        dataset.to_tifs(tmp_path, end=dataset.timestamps[0] + timedelta(days=1), progress=False)
    assert sorted(f.name for f in tmp_path.iterdir()) == sorted([fresh.name, other.name, "basic_i8dec_20200103.tif"])
