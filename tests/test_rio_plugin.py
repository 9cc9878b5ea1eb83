from __future__ import annotations

import shutil
from pathlib import Path

import click
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner, Result
from numpy.testing import assert_array_equal

import gdal_gndc
from gdal_gndc.rio_plugin import gndc

CASES = Path(__file__).parent / "cases"


@pytest.fixture
def cube(tmp_path: Path) -> Path:
    return Path(shutil.copy(CASES / "basic_i8dec.gndc", tmp_path / "cube.gndc"))


def rio(*arguments: object) -> Result:
    return CliRunner().invoke(gndc, [str(argument) for argument in arguments])


def test_help() -> None:
    result = rio("--help")
    assert result.exit_code == 0
    for name in ("info", "vrt", "sample", "clip"):
        assert f"\n  {name} " in result.output
    assert "timeseries" not in result.output
    assert "Example: rio gndc clip" in rio("clip", "--help").output


@pytest.mark.parametrize("arguments", [["info", "none.gndc"], ["clip", "none.gndc", "x.tif", "-t", "0"]])
def test_errors_below_rios_own_group(arguments: list[str]) -> None:
    rio_itself = click.Group("rio", commands=[gndc])
    result = CliRunner().invoke(rio_itself, ["gndc", *arguments])
    assert result.exit_code == 1
    assert result.stderr == "gndc: none.gndc: No such file or directory\n"


def test_info(cube: Path) -> None:
    assert "83 x 61" in rio("info", cube).output


def test_clip_a_part(cube: Path, tmp_path: Path) -> None:
    out = tmp_path / "part.tif"
    box = (400003.0, 5299600.0, 400600.0, 5299997.0)
    result = rio("clip", cube, out, "-t", "2020-02-01", "--bounds", " ".join(map(str, box)), "--bands", "T,1")
    assert (result.exit_code, result.stderr) == (0, "")
    with gdal_gndc.open(cube) as dataset, rasterio.open(out) as raster:
        expected = dataset.read_at_time("2020-02-01", bands=[2, 0], bbox=box)
        assert raster.driver == "GTiff"
        assert_array_equal(raster.read().transpose(1, 2, 0), expected)
        assert raster.descriptions == ("T", "B2")
        assert raster.bounds == (400000, 5299600, 400600, 5300000)
        assert np.isnan(raster.nodata)
        assert raster.tags()["time"] == "2020-02-01T00:00:00Z"


def test_clip_to_another_grid(cube: Path, tmp_path: Path) -> None:
    assert rio("clip", cube, tmp_path / "a.tif", "-t", 0, "--dst-crs", "EPSG:4326", "--res", 5).exit_code == 0
    with rasterio.open(tmp_path / "a.tif") as raster:
        assert raster.crs.to_epsg() == 4326


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["-t", "2031-01-01"], 1, "outside the cube's times"),
        (["-t", "0", "--bounds", "1 2 3"], 2, "not 'left bottom right top'"),
        (["-t", "0", "--bounds", "0 0 1 1"], 1, "does not touch"),
        (["-t", "0", "--bands", "X"], 2, "no band 'X'"),
        ([], 2, "--time"),
    ],
)
def test_errors(cube: Path, tmp_path: Path, options: list[str], code: int, says: str) -> None:
    result = rio("clip", cube, tmp_path / "x.tif", *options)
    assert result.exit_code == code
    assert says in result.stderr
    assert not (tmp_path / "x.tif").exists()


def test_a_file_that_is_there_stays(cube: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.tif"
    out.write_bytes(b"precious")
    assert rio("clip", cube, out, "-t", 0).exit_code == 2
    assert out.read_bytes() == b"precious"
    assert rio("clip", cube, out, "-t", 0, "--overwrite").exit_code == 0
    assert out.read_bytes() != b"precious"


def test_a_damaged_cube(cube: Path, tmp_path: Path) -> None:
    data = bytearray(cube.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(byte ^ 0x5A for byte in data[middle : middle + 64])
    cube.write_bytes(data)
    result = rio("clip", cube, tmp_path / "x.tif", "-t", 0)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"gndc: {cube}: chunks/")
    assert [file.name for file in tmp_path.iterdir()] == ["cube.gndc"]
