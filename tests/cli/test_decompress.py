from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import Result
from numpy.testing import assert_array_equal

import gdal_gndc

Gndc = Callable[..., Result]


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_every_observation(gndc: Gndc, cube: Path, tmp_path: Path) -> None:
    out = tmp_path / "tifs"
    result = gndc("decompress", "-i", cube, "-o", out)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.output == f"7 GeoTIFFs in {out}\n"
    with gdal_gndc.open(cube) as dataset:
        assert names(out) == [f"cube_{time:%Y%m%d}.tif" for time in dataset.timestamps]
        for frame, name in enumerate(names(out)):
            with rasterio.open(out / name) as raster:
                assert raster.driver == "GTiff"
                assert_array_equal(raster.read().transpose(1, 2, 0), dataset.read(frame))
                assert raster.crs == dataset.crs
                assert raster.transform == dataset.transform
                assert np.isnan(raster.nodata)
                assert raster.descriptions == ("B2", "LAI", "T")
                assert raster.tags()["TIFFTAG_DATETIME"] == f"{dataset.timestamps[frame]:%Y:%m:%d %H:%M:%S}"


def test_a_regular_series_of_some_bands(gndc: Gndc, cube: Path, tmp_path: Path) -> None:
    out = tmp_path / "tifs"
    period = ["--start", "2020-02-01", "--end", "2020-02-25"]
    result = gndc("decompress", "-i", cube, "-o", out, *period, "--interval", 12, "--bands", "T")
    assert result.exit_code == 0
    assert names(out) == ["cube_20200201.tif", "cube_20200213.tif", "cube_20200225.tif"]
    with gdal_gndc.open(cube) as dataset, rasterio.open(out / "cube_20200213.tif") as raster:
        assert_array_equal(raster.read(1), dataset.read_at_time("2020-02-13", bands="T")[..., 0])
        assert raster.tags()["observed"] == "NO"


def test_a_period(gndc: Gndc, cube: Path, tmp_path: Path) -> None:
    gndc("decompress", "-i", cube, "-o", tmp_path / "t", "--start", "2020-01-19", "--end", "2020-03-07")
    assert names(tmp_path / "t") == ["cube_20200119.tif", "cube_20200307.tif"]


def test_cog(gndc: Gndc, cube: Path, tmp_path: Path) -> None:
    result = gndc("decompress", "-i", cube, "-o", tmp_path / "t", "--format", "cog", "--end", "2020-01-04")
    assert result.exit_code == 0
    assert names(tmp_path / "t") == ["cube_20200103.tif"]
    with gdal_gndc.open(cube) as dataset, rasterio.open(tmp_path / "t" / "cube_20200103.tif") as raster:
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert_array_equal(raster.read().transpose(1, 2, 0), dataset.read(0))
        assert raster.descriptions == ("B2", "LAI", "T")


def stamps(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}


def test_goes_on_where_it_stopped(gndc: Gndc, cube: Path, tmp_path: Path) -> None:
    out = tmp_path / "tifs"
    gndc("decompress", "-i", cube, "-o", out)
    before = stamps(out)
    (out / "cube_20200307.tif").unlink()
    (out / "cube_20200630.tif").write_bytes(b"half a file")
    assert gndc("decompress", "-i", cube, "-o", out).exit_code == 0
    after = stamps(out)
    written = {name for name in after if before[name] != after[name]}
    assert written == {"cube_20200307.tif", "cube_20200630.tif"}
    # Other bands, another format or another version of the cube are not what is there.
    gndc("decompress", "-i", cube, "-o", out, "--bands", "1")
    assert not set(after.values()) & set(stamps(out).values())
    before = stamps(out)
    gndc("decompress", "-i", cube, "-o", out, "--bands", "1", "--overwrite", "--end", "2020-01-04")
    assert {name for name, at in stamps(out).items() if before[name] != at} == {"cube_20200103.tif"}


def test_another_version_of_the_cube_is_written_anew(gndc: Gndc, cube: Path, tmp_path: Path) -> None:
    out = tmp_path / "tifs"
    gndc("decompress", "-i", cube, "-o", out)
    cube.write_bytes((Path(__file__).parents[1] / "cases" / "layout_f32_edges.gndc").read_bytes())
    gndc("decompress", "-i", cube, "-o", out)
    with gdal_gndc.open(cube) as dataset, rasterio.open(out / "cube_20200103.tif") as raster:
        assert_array_equal(raster.read().transpose(1, 2, 0), dataset.read(0))


@pytest.mark.parametrize("kind", ["tif", "cog"])
def test_a_damaged_cube_leaves_no_file(gndc: Gndc, damaged: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "tifs"
    result = gndc("decompress", "-i", damaged, "-o", out, "--format", kind)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"gndc: {damaged}")
    assert names(out) == []


def test_wrong_options(gndc: Gndc, cube: Path, tmp_path: Path) -> None:
    out = tmp_path / "tifs"
    assert gndc("decompress", "-i", cube, "-o", out, "--interval", 0).exit_code == 2
    assert gndc("decompress", "-i", cube, "-o", out, "--format", "png").exit_code == 2
    assert gndc("decompress", "-i", cube, "-o", out, "--start", "2029-01-01").exit_code == 1
    assert not out.exists()


@pytest.mark.parametrize(("name", "kind"), [("a.nc", []), ("a.zarr", []), ("a", ["--format", "zarr"])])
def test_one_file_of_all_times(gndc: Gndc, cube: Path, tmp_path: Path, name: str, kind: list[str]) -> None:
    xarray = pytest.importorskip("xarray")
    out = tmp_path / "out" / name
    out.parent.mkdir()
    options = ["--start", "2020-02-01", "--end", "2020-02-25", "--interval", "12d", "--bands", "T,B2", *kind]
    result = gndc("decompress", "-i", cube, "-o", out, *options)
    assert (result.exit_code, result.output) == (0, f"{out}\n")
    assert list(out.parent.iterdir()) == [out]
    engine = "h5netcdf" if name == "a.nc" else "zarr"
    with gdal_gndc.open(cube) as dataset, xarray.open_dataset(out, engine=engine) as data:
        assert set(data.data_vars) == {"T", "B2"}
        assert data.sizes["time"] == 3
        assert_array_equal(data["T"][1], dataset.read_at_time("2020-02-13", bands="T")[..., 0])
    result = gndc("decompress", "-i", cube, "-o", out, *options)
    assert result.exit_code == 1
    assert result.stderr == f"gndc: {out}: it is there already; --overwrite replaces it\n"
    assert gndc("decompress", "-i", cube, "-o", out, *options, "--overwrite").exit_code == 0


def test_integers_of_a_part(gndc: Gndc, cube: Path, tmp_path: Path) -> None:
    out = tmp_path / "tifs"
    box = ["--bbox", 400000, 5299600, 400600, 5300000, "--resolution", "20,10"]
    options = ["--dtype", "int16", "--scale", "0.001,0.01", "--offset", "0.5", "--bands", "B2,T", "--end", "2020-01-04"]
    result = gndc("decompress", "-i", cube, "-o", out, *box, *options, "--compress", "zstd", "--nodata", -1, "--json")
    assert result.exit_code == 0, result.output
    (file,) = json.loads(result.output)
    with gdal_gndc.open(cube) as dataset, rasterio.open(file) as raster:
        assert tuple(raster.bounds) == (400000, 5299600, 400600, 5300000)
        assert (raster.res, raster.dtypes, raster.nodata) == ((20, 10), ("int16", "int16"), -1)
        assert (raster.scales, raster.offsets) == ((0.001, 0.01), (0.5, 0.5))
        assert raster.profile["compress"] == "zstd"
        expected = dataset.read(0, ["B2", "T"], bbox=tuple(raster.bounds), out_shape=raster.shape)
        for band, scale in enumerate(raster.scales):
            held = raster.read(band + 1) * scale + 0.5
            low, high = (n * scale + 0.5 for n in (-32768, 32767))
            assert np.abs(held - np.clip(expected[..., band], low, high)).max() <= scale * 0.5001 + 1e-6


@pytest.mark.parametrize(("option", "factors"), [("--overviews", [2]), ("--no-overviews", [])])
def test_overviews(gndc: Gndc, cube: Path, tmp_path: Path, option: str, factors: list[int]) -> None:
    fine = ["--bbox", 400000, 5299400, 400600, 5300000, "--resolution", 1, "--bands", "T", "--end", "2020-01-04"]
    for kind in ("tif", "cog"):
        result = gndc("decompress", "-i", cube, "-o", tmp_path / kind, "--format", kind, *fine, option, "--json")
        assert result.exit_code == 0, result.output
        with rasterio.open(json.loads(result.output)[0]) as raster:
            assert max(raster.shape) == 600
            assert raster.overviews(1)[:1] == factors


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["-o", "a.nc", "--overviews"], 2, "are for GeoTIFFs, not for nc"),
        (["-o", "a.zarr", "--compress", "zstd"], 2, "are for GeoTIFFs, not for zarr"),
        (["-o", "t", "--scale", "big"], 2, "'big' is not a number"),
        (["-o", "t", "--resolution", "1,2,3"], 2, "expected 10 or 10,20"),
        (["-o", "t", "--interval", "often"], 2, "not a duration"),
        (["-o", "t", "--scale", "0.1"], 1, "scale and offset are for integer types"),
        (["-o", "t", "--jobs", "0"], 2, "--jobs"),
    ],
)
def test_options_that_do_not_go_together(
    gndc: Gndc, cube: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], code: int, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = gndc("decompress", "-i", cube, *options)
    assert result.exit_code == code
    assert says in result.stderr
    assert names(tmp_path) == ["cube.gndc"]
