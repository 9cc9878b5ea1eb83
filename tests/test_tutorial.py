"""A tutorial of the API that users of neural data cubes know, run with nothing changed but the import."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio

# What a tutorial for another implementation of the API says; the import is its first line.
TUTORIAL = """
import {package} as gndc

ds = gndc.open("cube.gndc")
print(ds)
print(ds.shape, ds.height, ds.width, ds.n_bands, ds.n_timestamps)
print(ds.crs, ds.transform, ds.bounds, ds.resolution)
print(ds.timestamps[0], ds.timestamps[-1])
print(ds.band_names, ds.band_wavelengths, ds.nodata, ds.has_mask, ds.has_residuals)

print(ds.meta["format"], sorted(ds.metrics())[:2])

first = ds.read(0)
assert np.array_equal(ds.read(-1), ds.read(ds.n_timestamps - 1))
by_date = ds.read("2018-06-30")
by_datetime = ds.read(datetime(2018, 6, 30))
assert first.shape == by_date.shape == (ds.height, ds.width, ds.n_bands)
assert np.array_equal(by_date, by_datetime)
assert ds.read(0, bands=[2, 6]).shape == (64, 64, 2)
assert ds.read(0, bands=["B04", "B08"]).shape == (64, 64, 2)
assert ds.read(0, window=(10, 20, 30, 15)).shape == (15, 30, 10)
assert ds.read(0, out_shape=(16, 16)).shape == (16, 16, 10)

between = ds.read_at_time("2018-06-17T12:00:00")
assert between.shape == (64, 64, 10)
min_x, min_y, max_x, max_y = ds.bounds
box = (min_x + 100, min_y + 100, min_x + 300, min_y + 200)
assert np.array_equal(ds.read(3, bbox=box), ds.read_region(box, t=3))
assert ds.read_at_time("2018-06-17T12:00:00", bands=[6], window=(10, 20, 30, 15)).shape == (15, 30, 1)
region = ds.read_region((min_x + 100, min_y + 100, min_x + 300, min_y + 200), t=3)
assert region.shape == (10, 20, 10)

values = ds.sample(3.0225, 50.8150, t="2018-06-30")
assert values.shape == (10,)
series = ds.sample(3.0225, 50.8150)
assert series.shape == (118, 10)
assert ds.pixel_series(30, 41).shape == (118, 10)
assert ds.series([[30, 41], [5, 6]]).shape == (2, 118, 10)

ndvi = ds.ndvi("2018-06-30", red_band=2, nir_band=6)
assert ndvi.shape == (64, 64) and 0 < np.nanmin(ndvi) < np.nanmax(ndvi) < 1.1
that_day = ds.read_at_time("2018-06-30")
assert np.array_equal(ndvi, gndc.compute_ndvi(that_day[..., 2], that_day[..., 6]))
evi, ndwi, ndmi = ds.evi("2018-06-30"), ds.ndwi("2018-06-30"), ds.ndmi("2018-06-30")
assert evi.shape == ndwi.shape == ndmi.shape == (64, 64)
assert np.array_equal(evi, gndc.compute_evi(red=that_day[..., 2], nir=that_day[..., 6], blue=that_day[..., 0]))
assert np.array_equal(ndwi, gndc.compute_ndwi(that_day[..., 1], that_day[..., 6]))
assert np.array_equal(ndmi, gndc.compute_ndmi(that_day[..., 6], that_day[..., 8]))

dx, dy = ds.gradient("2018-06-30")
assert dx.shape == dy.shape == (64, 64, 10)
assert np.array_equal(ds.gradient("2018-06-30", mode="dx"), dx)
assert np.array_equal(ds.gradient("2018-06-30", mode="dy"), dy)
slope = ds.gradient("2018-06-30", mode="mag")
direction = ds.gradient("2018-06-30", mode="dir")
assert slope.min() >= 0 and np.nanmax(np.abs(direction)) <= np.pi
velocity = ds.temporal_derivative("2018-06-30", order=1, red_idx=2, nir_idx=6)
acceleration = ds.temporal_derivative("2018-06-30", order=2, red_idx=2, nir_idx=6)
assert velocity.shape == acceleration.shape == (64, 64)

ds.to_tif("june.tif", "2018-06-30")
ds.to_tifs("tifs", progress=False)
with ds.to_rasterio("2018-06-30") as memory, memory.open() as raster:
    assert raster.read().shape == (10, 64, 64)
array = ds.to_numpy("2018-06-30")
assert np.array_equal(array, that_day)
if xarray:
    cube = ds.to_xarray()
    assert dict(cube.sizes) == {{"time": 118, "y": 64, "x": 64}}
    assert np.array_equal(cube["B08"].isel(time=3), ds.read(3)[..., 6])
    cube.close()
    days = ds.to_xarray(times=["2018-06-30", "2018-07-06"])
    assert days["B08"].shape == (2, 64, 64)
    days.close()
ds.close()
with gndc.open("cube.gndc", device="cpu", backend="auto") as again:
    assert again.shape == (118, 64, 64, 10)

reader = gndc.GNDCReader(backend="auto", device="cpu")
reader.load("cube.gndc")
meta = reader.dataset_meta
assert len(meta["t_norms"]) == 118 and len(meta["data_range"]) == 10
frame = reader.reconstruct_single_frame(5)
assert frame.shape == (64, 64, 10)
assert reader.reconstruct_window(5, (0, 0, 8, 8)).shape == (8, 8, 10)
assert reader.reconstruct_pixel_series(30, 41).shape == (118, 10)
gx, gy = reader.compute_spatial_derivatives(0.5, mode="spatial")
assert gx.shape == gy.shape == (64, 64, 10)
reader.reconstruct_and_save_all("frames")
reader.reset()
"""


@pytest.fixture
def tutorial(real_cube, tmp_path, monkeypatch):
    (tmp_path / "cube.gndc").symlink_to(real_cube)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_tutorial_runs(tutorial, capsys):
    try:
        import xarray  # noqa: F401

        has_xarray = True
    except ModuleNotFoundError:
        has_xarray = False
    names = {"np": np, "datetime": datetime, "xarray": has_xarray}
    exec(compile(TUTORIAL.format(package="gdal_gndc"), "tutorial", "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "<GNDCDataset 'cube.gndc' (T=118, 64x64, 10 bands) EPSG:32631>"
    assert printed[1] == "(118, 64, 64, 10) 64 64 10 118"

    assert len(list(Path("tifs").glob("*.tif"))) == 118
    assert len(list(Path("frames").glob("*.tif"))) == 118
    with rasterio.open("june.tif") as raster:
        assert raster.descriptions[6] == "B08"
        assert raster.tags()["TIFFTAG_DATETIME"] == "2018:06:30 00:00:00"


def test_the_tutorials_commands_run(tutorial):
    """The command line that its users know, as it is written there."""
    from click.testing import CliRunner

    from gdal_gndc.cli.main import main

    def said(line):
        done = CliRunner().invoke(main, line.split())
        assert done.exit_code == 0, done.output
        return done.output

    assert "118" in said("info cube.gndc")
    assert json.loads(said("info cube.gndc --json"))["shape"]["time"] == 118
    said("decompress -i cube.gndc -o out --start 2018-06-01 --end 2018-07-01 --interval 15")
    assert len(list(Path("out").glob("*.tif"))) == 3
    said("ndvi cube.gndc -o ndvi.tif --time 2018-06-30")
    said("derivative cube.gndc --mode mag -o slope.tif")
    with rasterio.open("ndvi.tif") as ndvi, rasterio.open("slope.tif") as slope:
        assert (ndvi.count, slope.count) == (1, 10)
    assert len(said("sample cube.gndc --lon 3.0225 --lat 50.8150").splitlines()) == 119
    assert len(said("sample cube.gndc --lon 3.0225 --lat 50.8150 --timestamp 2018-06-30").splitlines()) == 2
    said("timeseries cube.gndc --row 30 --col 41 -o series.csv")
    assert len(Path("series.csv").read_text().splitlines()) == 119


def test_reading_needs_no_torch(tutorial):
    code = (
        "import sys; import gdal_gndc as gndc\n"
        "with gndc.open('cube.gndc') as ds:\n"
        "    ds.read(0); ds.ndvi(0); ds.gradient(0); ds.temporal_derivative(5); ds.pixel_series(1, 2)\n"
        "gndc.GNDCReader().load('cube.gndc').reset()\n"
        "heavy = {'torch', 'xarray', 'geopandas', 'matplotlib', 'scipy', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_is_light():
    code = (
        "import sys; import gdal_gndc\n"
        "heavy = {'torch', 'rasterio', 'xarray', 'geopandas', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_real_field_moves_as_its_derivatives_say(real_cube):
    """On a trained cube: the NDVI of some minutes later has grown by its velocity."""
    import gdal_gndc

    with gdal_gndc.open(real_cube) as ds:
        here = ds.ndvi("2018-05-01T00:00:00Z", 2, 6).astype(np.float64)
        later = ds.ndvi("2018-05-01T00:07:12Z", 2, 6)
        velocity = ds.temporal_derivative("2018-05-01T00:00:00Z")
        found = (later - here) * 200  # 7.2 minutes
        assert np.median(np.abs(found - velocity)) < 0.02 * np.std(velocity) + 1e-4
        assert np.corrcoef(found.ravel(), velocity.ravel())[0, 1] > 0.99
