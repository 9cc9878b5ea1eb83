from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.testing import assert_array_equal

import gdal_gndc
from gdal_gndc.errors import CoordinateError, TimeError
from gdal_gndc.vrt.mosaic import mosaic_vrt, write_mosaics

T = "2020-03-07"


def moved(cube: Path, target: Path, x: float = 0.0, y: float = 0.0, years: int = 0, crs: str = "EPSG:32633") -> Path:
    """Write a cube again at another place and time."""
    with zipfile.ZipFile(cube) as source, zipfile.ZipFile(target, "w") as out:
        for name in source.namelist():
            data = source.read(name)
            if name == "meta.json":
                meta = json.loads(data)
                meta["crs"] = crs
                meta["transform"]["c"] += x
                meta["transform"]["f"] += y
                text = json.dumps(meta)
                data = (text.replace("2020-", f"{2020 + years}-") if years else text).encode()
            out.writestr(name, data)
    return target


def test_two_cubes_on_one_grid(large: Path, tmp_path: Path) -> None:
    other = moved(large, tmp_path / "b.gndc", 5000, -1000)
    with gdal_gndc.open(large) as dataset:
        values = dataset.read_at_time(T).transpose(2, 0, 1)
    expected = np.full((3, 710, 1330), np.nan, np.float32)
    expected[:, :610, :830] = values
    expected[:, 100:, 500:] = values
    with rasterio.open(mosaic_vrt([large, other], T)) as raster:
        assert raster.crs.to_epsg() == 32633
        assert raster.descriptions == ("B2", "LAI", "T")
        assert raster.transform.to_gdal() == (399960, 10, 0, 5300040, 0, -10)
        assert raster.tags()["time"] == "2020-03-07T10:29:00Z"
        assert_array_equal(raster.read(), expected)


def test_the_place_of_the_first_need_not_be_the_corner(large: Path, tmp_path: Path) -> None:
    other = moved(large, tmp_path / "b.gndc", -5000, 1000)
    with (
        gdal_gndc.open(large) as dataset,
        rasterio.open(mosaic_vrt([large, other], T, bands=["T"])) as raster,
    ):
        values = dataset.read_at_time(T, bands="T")[..., 0]
        assert raster.transform.to_gdal() == (394960, 10, 0, 5301040, 0, -10)
        assert raster.shape == (710, 1330)
        assert_array_equal(raster.read(1)[:610, :830], values)


def test_a_cube_on_another_grid_is_warped(large: Path, tmp_path: Path) -> None:
    other = moved(large, tmp_path / "b.gndc", 8303, 0)
    with rasterio.open(mosaic_vrt([large, other], T)) as raster:
        assert raster.shape == (610, 1661)
        values = raster.read()
    with gdal_gndc.open(large) as dataset:
        assert_array_equal(values[:, :, :830], dataset.read_at_time(T).transpose(2, 0, 1))
    assert np.isfinite(values[:, 1:-1, 832:-2]).all()


def test_a_cube_of_another_zone_is_warped(large: Path, tmp_path: Path) -> None:
    other = moved(large, tmp_path / "b.gndc", crs="EPSG:32632", x=447000)
    with rasterio.open(mosaic_vrt([large, other], T)) as raster:
        assert raster.crs.to_epsg() == 32633
        assert raster.res == (10, 10)
        assert np.isfinite(raster.read(1)).any()


def test_cubes_that_do_not_cover_the_time_are_left_out(large: Path, tmp_path: Path) -> None:
    later = moved(large, tmp_path / "b.gndc", 8300, 0, years=2)
    with rasterio.open(mosaic_vrt([later, large], T)) as raster:
        assert raster.shape == (610, 830)
    with pytest.raises(TimeError, match="outside the cube's times"):
        mosaic_vrt([later, large], "2031-01-01")


def test_errors(large: Path, tmp_path: Path) -> None:
    with pytest.raises(TimeError):
        mosaic_vrt([large, large], 0)
    one = Path(__file__).parents[1] / "cases" / "i16dec_log_dynamic.gndc"
    with pytest.raises(CoordinateError, match="3 and 4 bands"):
        mosaic_vrt([large, one], T)
    with pytest.raises(TimeError, match="say which times"):
        write_mosaics([large, large], tmp_path / "out")
    with pytest.raises(TimeError, match="not both"):
        write_mosaics([large, large], tmp_path / "out", times=[T], every="5d")
    assert not (tmp_path / "out").exists()


def test_files(large: Path, tmp_path: Path) -> None:
    other = moved(large, tmp_path / "b.gndc", 8300, 0)
    files = write_mosaics([large, other], tmp_path / "m", every="30d", start="2020-02-01", end="2020-03-15")
    assert [file.name for file in files] == ["mosaic_20200201.vrt", "mosaic_20200302.vrt"]
    index = json.loads((tmp_path / "m" / "index.json").read_text())
    assert index["cubes"] == [str(large), str(other)]
    assert [entry["file"] for entry in index["rasters"]] == ["mosaic_20200201.vrt", "mosaic_20200302.vrt"]
    assert files[0].read_text() == mosaic_vrt([large, other], "2020-02-01")
    files = write_mosaics([large, other], tmp_path / "m", times=["2020-03-07", "2020-02-01T06:00"])
    assert [file.name for file in files] == ["mosaic_20200201T060000Z.vrt", "mosaic_20200307T000000Z.vrt"]
