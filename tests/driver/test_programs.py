"""GDAL's own programs on a real cube, each compared with the pixels of the SDK."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

import gdal_gndc
from gdal_gndc.vrt.writer import write_vrts
from tests.driver.conftest import Gdal

T = "2018-06-30"


@pytest.fixture(scope="module")
def frame(real_cube: Path) -> np.ndarray:
    """(C, H, W) at T."""
    with gdal_gndc.open(real_cube) as dataset:
        return np.moveaxis(dataset.read(T), -1, 0)


@pytest.fixture(scope="module")
def reference(real_cube: Path, frame: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SDK's pixels at T as a GeoTIFF, for what resamples them."""
    path = tmp_path_factory.mktemp("reference") / "reference.tif"
    with gdal_gndc.open(real_cube) as dataset:
        profile = {
            "driver": "GTiff", "dtype": "float32", "count": dataset.n_bands, "width": dataset.width,
            "height": dataset.height, "crs": dataset.crs, "transform": dataset.transform, "nodata": float("nan"),
        }  # fmt: skip
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(frame)
    return path


def run(gdal: Gdal, *command: str | Path, **env: str) -> str:
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"{command[0]} is not installed (apt-get install gdal-bin python3-gdal)")
    done = gdal.run(*command, **env)
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr
    return done.stdout


def pixels(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        return raster.read()


def name(cube: Path) -> str:
    return f"GNDC:{cube}:t={T}"


def test_cog(gdal: Gdal, real_cube: Path, frame: np.ndarray, tmp_path: Path) -> None:
    out = tmp_path / "cog.tif"
    run(gdal, "gdal_translate", "-q", "-of", "COG", "-co", "COMPRESS=ZSTD", name(real_cube), out)
    assert gdal.info(str(out))["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"] == "COG"
    np.testing.assert_array_equal(pixels(out), frame)


def test_netcdf(gdal: Gdal, osgeo: Gdal, real_cube: Path, frame: np.ndarray, tmp_path: Path) -> None:
    out = tmp_path / "frame.nc"
    run(gdal, "gdal_translate", "-q", "-of", "netCDF", name(real_cube), out)
    bands = [f"NETCDF:{out}:Band{i + 1}" for i in range(len(frame))]
    arrays = osgeo.reads([{"name": band} for band in bands], tmp_path)
    np.testing.assert_array_equal(np.concatenate(arrays), frame)


def test_preview(gdal: Gdal, osgeo: Gdal, real_cube: Path, tmp_path: Path) -> None:
    """-outsize is evaluated at that size, -scale is GDAL's own arithmetic on it."""
    out = tmp_path / "preview.png"
    command = ["gdal_translate", "-q", "-of", "PNG", "-ot", "Byte", "-b", "3", "-b", "2", "-b", "1"]
    run(gdal, *command, "-outsize", "25", "21", "-scale", "0", "0.4", "1", "255", name(real_cube), out)
    (got,) = osgeo.reads([{"name": str(out)}], tmp_path)
    with gdal_gndc.open(real_cube) as dataset:
        small = np.moveaxis(dataset.read(T, out_shape=(21, 25), bands=[2, 1, 0]), -1, 0).astype(np.float64)
    expected = np.clip(small / 0.4 * 254 + 1, 0, 255)
    np.testing.assert_array_less(np.abs(got - expected), 0.5 + 1e-3)


@pytest.mark.parametrize(
    "options",
    [["-t_srs", "EPSG:3857", "-r", "bilinear"], ["-tr", "25", "25", "-r", "cubic"]],
    ids=["crs", "resolution"],
)
def test_warp(gdal: Gdal, real_cube: Path, reference: Path, tmp_path: Path, options: list[str]) -> None:
    """The warp of the cube is the warp of the SDK's pixels."""
    outs = [tmp_path / "cube.tif", tmp_path / "reference.tif"]
    for source, out in zip((name(real_cube), reference), outs, strict=True):
        run(gdal, "gdalwarp", "-q", *options, source, out)
    got, expected = map(pixels, outs)
    assert np.isfinite(got).mean() > 0.5
    np.testing.assert_array_equal(got, expected)


def test_warp_against_rasterio(gdal: Gdal, real_cube: Path, reference: Path, tmp_path: Path) -> None:
    """Another GDAL's warper, on the SDK's pixels, puts the same values at the same places."""
    out = tmp_path / "mercator.tif"
    run(gdal, "gdalwarp", "-q", "-t_srs", "EPSG:3857", "-r", "near", name(real_cube), out)
    with rasterio.open(out) as raster, rasterio.open(reference) as source:
        place = {"crs": raster.crs, "transform": raster.transform, "width": raster.width, "height": raster.height}
        with WarpedVRT(source, resampling=Resampling.nearest, **place) as vrt:
            got, expected = raster.read(), vrt.read()
    # pixels exactly between two may go either way
    assert (np.isclose(got, expected, equal_nan=True)).mean() > 0.99


def test_mosaic_of_two_cubes(gdal: Gdal, real_cube: Path, frame: np.ndarray, tmp_path: Path) -> None:
    """gdalbuildvrt of two cubes side by side, one moved by 32 columns."""
    from tests.driver.containers import rewritten

    with gdal_gndc.open(real_cube) as dataset:
        keys = "abcdef"
        moved = dict(zip(keys, tuple(dataset.transform)[:6], strict=True))
        moved["c"] += 32 * moved["a"]
        anchor = dataset.meta.get("pixel_anchor")
    assert anchor != "center"
    other = rewritten(real_cube, tmp_path / "other.gndc", meta={"transform": moved})
    vrt, out = tmp_path / "both.vrt", tmp_path / "both.tif"
    run(gdal, "gdalbuildvrt", "-q", vrt, name(real_cube), name(other))
    run(gdal, "gdal_translate", "-q", vrt, out)
    got = pixels(out)
    assert got.shape == (10, 64, 96)
    np.testing.assert_array_equal(got[..., :32], frame[..., :32])
    np.testing.assert_array_equal(got[..., 32:], frame)


def test_calc(gdal: Gdal, osgeo: Gdal, real_cube: Path, tmp_path: Path) -> None:
    out = tmp_path / "ndvi.tif"
    source = name(real_cube)
    with gdal_gndc.open(real_cube) as dataset:
        red, nir = (str(dataset.band_names.index(band) + 1) for band in ("B04", "B08"))
        expected = dataset.ndvi(T)
    bands = ["-A", source, f"--A_band={red}", "-B", source, f"--B_band={nir}"]
    run(gdal, "gdal_calc.py", "--quiet", *bands, "--calc=(B-A)/(B+A)", f"--outfile={out}")
    np.testing.assert_allclose(pixels(out)[0], expected, rtol=1e-6, atol=1e-7)


def test_places(gdal: Gdal, real_cube: Path, frame: np.ndarray) -> None:
    """gdaltransform takes pixels to places, gdallocationinfo back, to values and to a series."""
    done = gdal.run("bash", "-c", f"echo 42.5 26.5 | gdaltransform '{name(real_cube)}'")
    x, y = (float(word) for word in done.stdout.split()[:2])
    with gdal_gndc.open(real_cube) as dataset:
        left, _, _, top = dataset.bounds
        assert (x, y) == pytest.approx((left + 42.5 * dataset.transform.a, top + 26.5 * dataset.transform.e))
        series = dataset.pixel_series(26, 42)[:, dataset.band_names.index("B08")]
    values = run(gdal, "gdallocationinfo", "-valonly", "-geoloc", name(real_cube), str(x), str(y)).split()
    np.testing.assert_allclose([float(value) for value in values], frame[:, 26, 42], rtol=1e-6)
    printed = run(gdal, "gdallocationinfo", "-valonly", "-geoloc", f"GNDC:{real_cube}:band=B08", str(x), str(y))
    np.testing.assert_allclose([float(value) for value in printed.split()], series, rtol=1e-6)


def test_tiles(gdal: Gdal, osgeo: Gdal, real_cube: Path, reference: Path, tmp_path: Path) -> None:
    """gdal2tiles on one date: every tile is that of the SDK's pixels."""
    folders = [tmp_path / "cube", tmp_path / "reference"]
    for source, folder in zip((name(real_cube), str(reference)), folders, strict=True):
        byte = folder.with_suffix(".tif")
        command = [
            "gdal_translate",
            "-q",
            "-ot",
            "Byte",
            "-b",
            "3",
            "-b",
            "2",
            "-b",
            "1",
            "-scale",
            "0",
            "0.4",
            "1",
            "255",
        ]
        run(gdal, *command, "-a_nodata", "0", source, byte)
        run(gdal, "gdal2tiles.py", "-q", "-z", "13-14", "-w", "none", byte, folder)
    tiles = sorted(path.relative_to(folders[0]) for path in folders[0].rglob("*.png"))
    assert tiles
    assert tiles == sorted(path.relative_to(folders[1]) for path in folders[1].rglob("*.png"))
    jobs = [{"name": str(folder / tile)} for tile in tiles for folder in folders]
    arrays = osgeo.reads(jobs, tmp_path)
    for got, expected in zip(arrays[::2], arrays[1::2], strict=True):
        np.testing.assert_array_equal(got, expected)
    assert any((array[3] == 255).any() for array in arrays)


def test_index(gdal: Gdal, real_cube: Path, tmp_path: Path) -> None:
    """ogrinfo on the tile index: a polygon a date, where the SDK says the cube is."""
    files = write_vrts(real_cube, tmp_path / "vrts", times=[T, "2018-07-04"])
    index = tmp_path / "vrts" / "index.gti.gpkg"
    out = tmp_path / "index.json"
    said = run(gdal, "ogrinfo", "-ro", "-so", "-al", index)
    assert "Feature Count: 2" in said
    assert "Geometry: Polygon" in said
    run(gdal, "ogr2ogr", "-f", "GeoJSON", "-a_srs", "EPSG:32631", out, index)
    features = json.loads(out.read_text())["features"]
    with gdal_gndc.open(real_cube) as dataset:
        left, bottom, right, top = dataset.bounds
    for feature, file in zip(features, files, strict=True):
        assert feature["properties"]["location"] == str(file)
        xs, ys = zip(*feature["geometry"]["coordinates"][0], strict=True)
        assert (min(xs), min(ys), max(xs), max(ys)) == (left, bottom, right, top)
    assert [feature["properties"]["observed"] for feature in features] == [True, False]
