from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.testing import assert_array_equal
from pyproj import Transformer

import gdal_gndc
from gdal_gndc.cli.vrt import main as gndc_vrt

CASES = Path(__file__).parents[1] / "cases"
Gndc = Callable[..., Result]


def rows_of(text: str) -> tuple[list[str], list[str], np.ndarray]:
    """Return the names, times and values of a CSV."""
    head, *rows = list(csv.reader(io.StringIO(text)))
    values = np.array([[float(cell) if cell else np.nan for cell in row[1:]] for row in rows], np.float32)
    return head, [row[0] for row in rows], values


def test_info(gndc: Gndc, cube: Path) -> None:
    result = gndc("info", cube)
    assert result.exit_code == 0
    for part in ["83 x 61", "EPSG:32633", "2020-01-03T10:30:00Z", "LAI", "m^2/m^2"]:
        assert part in result.output


def test_info_as_json(gndc: Gndc, cube: Path) -> None:
    found = json.loads(gndc("info", cube, "--json").output)
    assert found["shape"] == {"time": 7, "height": 61, "width": 83, "bands": 3}
    assert found["crs"] == "EPSG:32633"
    assert found["transform"] == [10, 0, 399960, 0, -10, 5300040]
    assert found["bytes"] == cube.stat().st_size
    assert found["times"][2] == "2020-03-07T10:29:00Z"
    assert [band["name"] for band in found["bands"]] == ["B2", "LAI", "T"]
    assert found["has_mask"] is False
    assert (found["chunks"], found["overlap"]) == (1, 0)


def test_info_of_several_chunks(gndc: Gndc) -> None:
    result = gndc("info", CASES / "tiles22_ov8_mask_res.gndc")
    assert "Chunks     4, overlap 8 pixels\n" in result.output
    assert "Mask       yes\n" in result.output


def test_info_shows_the_quality(gndc: Gndc, cube: Path) -> None:
    with zipfile.ZipFile(cube, "a") as archive:
        bands = [{"name": "B2", "rmse": 0.0125, "psnr": 41.5, "r2": 0.99}, {"name": "LAI", "rmse": None}, {}]
        archive.writestr("metrics.json", json.dumps({"bands": bands}))
    lines = gndc("info", cube).output.splitlines()
    assert lines[-4].split() == ["Band", "Unit", "RMSE", "PSNR", "R2"]
    assert lines[-3].split() == ["B2", "1", "0.0125", "41.5", "0.99"]
    assert lines[-2].split() == ["LAI", "m^2/m^2", "-", "-", "-"]


@pytest.mark.parametrize("name", ["sensors.gndc", "i16dec_log_dynamic.gndc", "tiles22_ov8_mask_res.gndc"])
def test_timeseries_gives_the_very_numbers(gndc: Gndc, name: str) -> None:
    result = gndc("timeseries", CASES / name, "--row", 31, "--col", 42)
    head, times, values = rows_of(result.output)
    with gdal_gndc.open(CASES / name) as dataset:
        assert head == ["time", *dataset.band_names]
        assert len(times) == dataset.n_timestamps
        assert_array_equal(values, dataset.pixel_series(31, 42))


def test_timeseries_to_a_file_by_band(gndc: Gndc, cube: Path, tmp_path: Path) -> None:
    out = tmp_path / "series.csv"
    result = gndc("timeseries", cube, "--row", 3, "--col", 4, "--bands", "T,1", "-o", out)
    assert (result.exit_code, result.output) == (0, "")
    head, _, values = rows_of(out.read_text())
    assert head == ["time", "T", "B2"]
    with gdal_gndc.open(cube) as dataset:
        assert_array_equal(values, dataset.pixel_series(3, 4, bands=[2, 0]))


def test_timeseries_outside(gndc: Gndc, cube: Path, tmp_path: Path) -> None:
    result = gndc("timeseries", cube, "--row", 61, "--col", 0, "-o", tmp_path / "x.csv")
    assert result.exit_code == 1
    assert "61" in result.stderr
    assert not (tmp_path / "x.csv").exists()


def test_a_band_that_does_not_exist(gndc: Gndc, cube: Path) -> None:
    result = gndc("timeseries", cube, "--row", 0, "--col", 0, "--bands", "B2,B99")
    assert result.exit_code == 2
    assert "no band 'B99'; expected 1 to 3 or one of B2, LAI, T" in result.stderr


def test_sample(gndc: Gndc, cube: Path) -> None:
    x, y = 399960 + 41.5 * 10, 5300040 - 30.5 * 10
    lon, lat = Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True).transform(x, y)
    with gdal_gndc.open(cube) as dataset:
        series, one = dataset.pixel_series(30, 41), dataset.series_at([[30, 41]], ["2020-02-01"])[0]
    _, times, values = rows_of(gndc("sample", cube, "--lon", lon, "--lat", lat).output)
    assert_array_equal(values, series)
    assert times[0] == "2020-01-03T10:30:00Z"
    result = gndc("sample", cube, "--lon", x, "--lat", y, "--crs", "EPSG:32633", "--timestamp", "2020-02-01")
    _, times, values = rows_of(result.output)
    assert times == ["2020-02-01T00:00:00Z"]
    assert_array_equal(values, one)
    result = gndc("sample", cube, "--lon", lon, "--lat", lat, "--timestamp", 2, "--bands", "LAI", "--json")
    assert json.loads(result.output) == [{"time": "2020-03-07T10:29:00Z", "LAI": float(series[2, 1])}]


def test_sample_shows_no_data_as_empty_and_null(gndc: Gndc) -> None:
    place = ["--lon", 400000, "--lat", 5300000, "--crs", "EPSG:32633", "--timestamp", 0]
    result = gndc("sample", CASES / "sensors.gndc", *place)
    assert result.output.splitlines()[1].endswith(",")
    result = gndc("sample", CASES / "sensors.gndc", *place, "--json")
    assert json.loads(result.output)[0]["T"] is None


def test_vrt(gndc: Gndc, cube: Path, tmp_path: Path) -> None:
    out = tmp_path / "vrts"
    result = gndc("vrt", cube, "-o", out, "-t", "2020-03-07", "-t", 0, "--bands", "T,B2", "--block-size", "64x32")
    assert result.exit_code == 0
    assert result.output == f"2 VRTs and index.json in {out}\n"
    text = (out / "cube_20200307.vrt").read_text()
    assert text == gdal_gndc.vrt(cube, 2, bands=["T", "B2"], block_size=(64, 32))


def test_gndc_vrt_is_the_same_command(cube: Path, tmp_path: Path) -> None:
    options = ["--every", "30d", "--start", "2020-02-01", "--end", "2020-04-15", "--json"]
    result = CliRunner().invoke(gndc_vrt, [str(cube), "-o", str(tmp_path / "v"), *options])
    assert result.exit_code == 0, result.stderr
    names = [Path(file).name for file in json.loads(result.output)]
    assert names == ["cube_20200201.vrt", "cube_20200302.vrt", "cube_20200401.vrt"]


def test_vrt_as_one_file(gndc: Gndc, cube: Path, tmp_path: Path) -> None:
    out = tmp_path / "one.vrt"
    result = gndc("vrt", cube, "-t", "2020-02-01", "--bands", "2", "-o", out)
    assert (result.exit_code, result.output) == (0, f"{out}\n")
    assert out.read_text() == gdal_gndc.vrt(cube, "2020-02-01", bands=[1])
    for options in ([], ["-t", "0", "-t", "1"], ["-t", "0", "--stac"]):
        refused = gndc("vrt", cube, *options, "-o", tmp_path / "two.vrt")
        assert refused.exit_code == 2
        assert "expected a folder" in refused.stderr
    assert [path.name for path in tmp_path.iterdir() if path != cube] == ["one.vrt"]


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["-t", "2020-02-01", "--every", "5d"], 2, "not both"),
        (["--block-size", "0"], 2, "not a size"),
        (["--block-size", "12y"], 2, "not a size"),
        (["-t", "2031-01-01"], 1, "outside the cube's times"),
        (["--every", "often"], 1, "often"),
        (["--template", "none.vrt"], 1, "no VRT template none.vrt"),
    ],
)
def test_vrt_errors(gndc: Gndc, cube: Path, tmp_path: Path, options: list[str], code: int, says: str) -> None:
    result = gndc("vrt", cube, "-o", tmp_path / "v", *options)
    assert result.exit_code == code
    assert says in result.stderr
    assert not (tmp_path / "v").exists()


def test_vrt_of_a_part_at_another_resolution_and_crs(gndc: Gndc, cube: Path, tmp_path: Path) -> None:
    options = ["-t", "0", "--bbox", 400000, 5299600, 400600, 5300000, "--resolution", "5,20", "--bands", "T"]
    assert gndc("vrt", cube, "-o", tmp_path / "a", *options).exit_code == 0
    box, resolution = (400000.0, 5299600.0, 400600.0, 5300000.0), (5.0, 20.0)
    text = (tmp_path / "a" / "cube_20200103.vrt").read_text()
    assert text == gdal_gndc.vrt(cube, 0, bands=["T"], bbox=box, resolution=resolution)
    assert gndc("vrt", cube, "-o", tmp_path / "b", "-t", 0, "--crs", "EPSG:3857", "--overviews").exit_code == 0
    text = (tmp_path / "b" / "cube_20200103.vrt").read_text()
    assert text == gdal_gndc.vrt(cube, 0, crs="EPSG:3857", overviews=True)


def test_vrt_of_a_product_with_a_series(gndc: Gndc, cube: Path, tmp_path: Path) -> None:
    options = ["--product", "ndvi", "--product-bands", "T,2", "--series", "--start", "2020-06-01", "--json"]
    result = gndc("vrt", cube, "-o", tmp_path / "v", *options)
    assert result.exit_code == 0, result.stderr
    assert [Path(file).name for file in json.loads(result.output)] == [
        "cube_ndvi_20200630.vrt", "cube_ndvi_20200901.vrt", "cube_ndvi_20201228.vrt", "cube_ndvi_series.vrt",
    ]  # fmt: skip
    text = (tmp_path / "v" / "cube_ndvi_20200630.vrt").read_text()
    assert text == gdal_gndc.vrt(cube, "2020-06-30", product="ndvi", product_bands=["T", "LAI"])


def test_vrt_of_several_cubes_is_a_mosaic(gndc: Gndc, cube: Path, tmp_path: Path) -> None:
    result = gndc("vrt", cube, cube, "-o", tmp_path / "v", "-t", "2020-02-01")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "v" / "mosaic_20200201.vrt").is_file()
    assert gndc("vrt", cube, cube, "-o", tmp_path / "w").exit_code == 1
    assert gndc("vrt", cube, cube, "-o", tmp_path / "w", "-t", "2020-02-01", "--series").exit_code == 2
    assert gndc("vrt", cube, "-o", tmp_path / "w", "--resolution", "-3").exit_code == 2
