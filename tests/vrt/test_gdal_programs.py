from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.testing import assert_array_equal

import gdal_gndc
from gdal_gndc.vrt.trust import VARIABLE
from gdal_gndc.vrt.writer import write_vrts

pytestmark = pytest.mark.system_gdal
CASES = Path(__file__).parents[1] / "cases"


def run(environment: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(argument) for argument in arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def pixels_of(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        return raster.read().transpose(1, 2, 0)


@pytest.mark.parametrize("t", [2, "2020-02-01"])
def test_gdal_translate(large: Path, tmp_path: Path, gdal_programs: dict[str, str], t: int | str) -> None:
    file = write_vrts(large, tmp_path / "vrts", times=[t])[0]
    with gdal_gndc.open(large) as dataset:
        moment = dataset.resolve_time(t)
        whole, window = dataset.read_moment(moment), dataset.read_moment(moment, window=(40, 50, 333, 222))
        small = dataset.read_moment(moment, out_shape=(61, 83))
    for options, expected in [
        ([], whole),
        (["-co", "INTERLEAVE=BAND", "-co", "TILED=YES"], whole),
        (["-srcwin", "40", "50", "333", "222"], window),
        (["-outsize", "83", "61"], small),
        (["-b", "3"], whole[..., 2:]),
    ]:
        out = tmp_path / "out.tif"
        result = run(gdal_programs, "gdal_translate", "-q", *options, file, out)
        assert (result.returncode, result.stderr) == (0, "")
        assert_array_equal(pixels_of(out), expected)
        with rasterio.open(out) as raster:
            assert raster.crs.to_epsg() == 32633
            assert np.isnan(raster.nodata)
            assert raster.tags()["TIFFTAG_DATETIME"] == moment.time.strftime("%Y:%m:%d %H:%M:%S")
            assert raster.descriptions[-1] == "T"
        out.unlink()


def test_gdal_translate_of_every_case(case: Path, tmp_path: Path, gdal_programs: dict[str, str]) -> None:
    files = write_vrts(case, tmp_path / "vrts", times=[-1])
    result = run(gdal_programs, "gdal_translate", "-q", files[0], tmp_path / "out.tif")
    assert (result.returncode, result.stderr) == (0, "")
    with gdal_gndc.open(case) as dataset:
        assert_array_equal(pixels_of(tmp_path / "out.tif"), dataset.read(-1))


def test_gdalinfo(large: Path, tmp_path: Path, gdal_programs: dict[str, str]) -> None:
    file = write_vrts(large, tmp_path, times=[2])[0]
    result = run(gdal_programs, "gdalinfo", "-json", "-checksum", file)
    assert result.returncode == 0, result.stderr
    info = json.loads(result.stdout)
    assert info["size"] == [830, 610]
    assert [band["description"] for band in info["bands"]] == ["B2", "LAI", "T"]
    assert all(band["checksum"] > 0 for band in info["bands"])


def test_without_trust_the_message_says_what_to_set(large: Path, tmp_path: Path, gdal_programs: dict[str, str]) -> None:
    file = write_vrts(large, tmp_path / "vrts", times=[0])[0]
    environment = {key: value for key, value in gdal_programs.items() if key != VARIABLE}
    result = run(environment, "gdal_translate", "-q", file, tmp_path / "out.tif")
    assert result.returncode == 1
    assert VARIABLE in result.stderr
    assert not (tmp_path / "out.tif").exists()


def test_a_damaged_cube_is_an_error_and_no_file(tmp_path: Path, gdal_programs: dict[str, str]) -> None:
    cube = tmp_path / "cube.gndc"
    shutil.copy(CASES / "basic_i8dec.gndc", cube)
    file = write_vrts(cube, tmp_path / "vrts", times=[0])[0]
    data = bytearray(cube.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(byte ^ 0x5A for byte in data[middle : middle + 64])
    cube.write_bytes(data)
    out = tmp_path / "out.tif"
    result = run(gdal_programs, "gdal_translate", "-q", file, out)
    assert result.returncode == 1
    assert str(cube) in result.stderr
    assert "gdal_gndc.errors" in result.stderr
    assert not out.exists()
