"""netCDF, Zarr and xarray objects as sources."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from click.testing import CliRunner
from pyproj import CRS

import gdal_gndc
from gdal_gndc.cli.main import main
from gdal_gndc.encode.inputs import open_source
from gdal_gndc.encode.inputs.arrays import ArraySource
from gdal_gndc.errors import EncodeError


@pytest.fixture
def weather() -> xr.Dataset:
    """Two packed variables over UTM, south up, dates out of order, and one that is not on the grid."""
    rng = np.random.default_rng(0)
    times = pd.to_datetime(["2020-01-03T00:00", "2020-01-01T00:00", "2020-01-02T12:00"])
    attrs = {"grid_mapping": "spatial_ref"}
    data = xr.Dataset(
        {
            "red": (("time", "y", "x"), rng.random((3, 12, 16)).round(2), {**attrs, "units": "1", "wavelength": 665.0}),
            "nir": (("time", "y", "x"), rng.random((3, 12, 16)).round(2), {**attrs, "long_name": "near infrared"}),
            "station": ("n", np.arange(4.0)),
        },
        coords={
            "time": times,
            "y": 5599885.0 + 10 * np.arange(12),
            "x": 500005.0 + 10 * np.arange(16),
            "spatial_ref": ((), 0, CRS.from_epsg(32631).to_cf()),
        },
    )
    data["nir"][:, :, 4] = np.nan
    for name in ("red", "nir"):
        data[name].encoding = {"dtype": "int16", "scale_factor": 0.01, "add_offset": -1.0, "_FillValue": -9999}
        data[name].attrs.pop("grid_mapping")
        data[name].encoding["grid_mapping"] = "spatial_ref"
    return data


def check(source: Any, data: xr.Dataset) -> None:
    assert source.shape == (3, 12, 16, 2) and source.crs == "EPSG:32631" and source.dtype == "int16"
    assert source.transform == (10, 0, 500000, 0, -10, 5600000)
    assert [time.day for time in source.times] == [1, 2, 3]
    red, nir = source.bands
    assert (red.name, red.unit, red.center_wavelength) == ("red", "1", 665.0)
    assert (red.scale_factor, red.add_offset, red.fill_value) == (0.01, -1.0, -9999)
    assert nir.description == "near infrared"
    expected = np.stack([data[n].sortby("time").values[:, ::-1] for n in ("red", "nir")], axis=-1)
    np.testing.assert_allclose(source.read(), expected, atol=1e-6)
    np.testing.assert_allclose(source.read((1, 3), (2, 7), (4, 9)), expected[1:3, 2:7, 4:9], atol=1e-6)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source)).read(), source.read())


def test_netcdf(weather: xr.Dataset, tmp_path: Path) -> None:
    weather.to_netcdf(tmp_path / "w.nc")
    check(open_source(tmp_path / "w.nc"), weather)
    assert open_source(tmp_path, variables=["nir"]).shape[3] == 1
    with pytest.raises(EncodeError, match=r"w\.nc: has no variable 'blue', only red, nir"):
        open_source(tmp_path / "w.nc", variables=["blue"])


def test_one_netcdf_a_date_and_a_bad_one(weather: xr.Dataset, tmp_path: Path) -> None:
    for k in range(3):
        weather.isel(time=k).drop_vars("time").to_netcdf(tmp_path / f"w_{weather.time.values[k]!s:.10}.nc")
    (tmp_path / "w_2020-01-09.nc").write_bytes(b"nothing")
    with pytest.raises(EncodeError, match=r"w_2020-01-09\.nc"):
        open_source(str(tmp_path / "*.nc"))
    source = open_source(tmp_path, skip_bad=True)
    assert [time.day for time in source.times] == [1, 2, 3] and "w_2020-01-09.nc" in source.skipped[0]
    np.testing.assert_allclose(source.read()[..., 0], weather.red.sortby("time").values[:, ::-1], atol=1e-6)


def test_zarr(weather: xr.Dataset, tmp_path: Path) -> None:
    weather.to_zarr(tmp_path / "w.zarr", consolidated=False)
    # a store without consolidated metadata has no order of its own
    assert [band.name for band in open_source(tmp_path / "w.zarr").bands] == ["nir", "red"]
    check(open_source(tmp_path / "w.zarr", variables=["red", "nir"]), weather)


def test_objects(weather: xr.Dataset) -> None:
    check(open_source(weather), weather)
    packed = weather.drop_vars("station").copy(deep=True)
    for name in ("red", "nir"):
        packed[name].attrs |= {"_FillValue": -9999, "scale_factor": 0.01, "add_offset": -1.0}
        packed[name] = packed[name].copy(data=((weather[name] + 1) / 0.01).round().fillna(-9999).astype("int16"))
        packed[name].encoding = {"grid_mapping": "spatial_ref"}
    check(open_source(packed.chunk({"time": 1})), weather)
    array = weather[["red", "nir"]].to_dataarray("band")
    source = open_source(array.chunk({"y": 5}))
    assert [band.name for band in source.bands] == ["red", "nir"]
    np.testing.assert_allclose(source.read(), open_source(weather).read(), atol=1e-6)
    with pytest.raises(EncodeError, match="no time coordinate"):
        open_source(weather.isel(time=0).drop_vars("time"))
    with pytest.raises(EncodeError, match="names no CRS"):
        open_source(weather.drop_vars("spatial_ref"))
    assert open_source(weather.drop_vars("spatial_ref"), crs="EPSG:32631").crs == "EPSG:32631"
    with pytest.raises(EncodeError, match="same date"):
        open_source(xr.concat([weather[["red"]], weather[["red"]]], "time"))


def test_a_variable_masks(weather: xr.Dataset) -> None:
    weather["qa"] = xr.zeros_like(weather.red).astype("int16")
    weather["qa"][:, 2, 3] = 1 << 10
    source = open_source(weather, mask="band:qa", mask_preset="qa60")
    assert [band.name for band in source.bands] == ["red", "nir"]
    assert np.isnan(source.read()[:, 12 - 1 - 2, 3]).all() and np.isfinite(source.read()[:, 0, 0]).all()


def test_a_netcdf_becomes_a_cube(weather: xr.Dataset, tmp_path: Path, quick_options: Any) -> None:
    weather.to_netcdf(tmp_path / "w.nc")
    output = tmp_path / "x.gndc"
    arguments = [
        "encode",
        str(tmp_path / "w.nc"),
        "-o",
        str(output),
        "--variables",
        "nir",
        *quick_options(3, 12, 16, 1),
    ]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.stderr
    with gdal_gndc.open(output) as cube:
        assert cube.band_names == ["nir"] and cube.bands_meta[0].scale_factor == 0.01
        assert np.isnan(cube.read(0)[:, 4]).all() and cube.crs.to_epsg() == 32631
    assert isinstance(open_source(tmp_path / "w.nc"), ArraySource)


def as_rasters(data: xr.Dataset, write_raster: Any) -> list[Path]:
    stack = data[["red", "nir"]].sortby("time").to_array().values[:, :, ::-1].astype("float32")
    times = [f"{time:%Y%m%dT%H%M}" for time in pd.to_datetime(np.sort(data.time.values))]
    return [
        write_raster(f"r_{time}.tif", stack[:, k], names=("red", "nir"), nodata=np.nan) for k, time in enumerate(times)
    ]


@pytest.mark.parametrize("options", [
    {"crs": "EPSG:3035", "resolution": 7.0, "resampling": "nearest"},
    {"resolution": (20.0, 30.0), "bounds": (500013.0, 5599900.0, 500133.0, 5599990.0), "resampling": "bilinear"},
    {"crs": "EPSG:3035", "resolution": 25.0, "bounds": "union", "resampling": "cubic"},
    {"bounds": (499970.0, 5599900.0, 500030.0, 5600010.0)},
])  # fmt: skip
def test_arrays_are_aligned_as_rasters_are(weather: xr.Dataset, write_raster: Any, options: dict[str, Any]) -> None:
    source = open_source(weather, **options)
    expected = open_source(as_rasters(weather, write_raster), **options)
    assert source.grid == expected.grid and source.times == expected.times
    got, wanted = source.read(), expected.read()
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
    assert np.isfinite(wanted).mean() > 0.2
    np.testing.assert_allclose(got, wanted, atol=1e-6)
    (_, h, w, _) = source.shape
    window = pickle.loads(pickle.dumps(source)).read((1, 2), (h // 3, h - 1), (w // 2, w))
    np.testing.assert_array_equal(window, got[1:2, h // 3 : h - 1, w // 2 : w])


def test_align_alone_leaves_an_array_as_it_is(weather: xr.Dataset) -> None:
    assert isinstance(open_source(weather, align=True), ArraySource)
    bare = weather.drop_vars("spatial_ref")
    for name in ("red", "nir"):
        del bare[name].encoding["grid_mapping"]
    # of an array without a CRS it is the array's own
    assert open_source(bare, crs="EPSG:32631").grid == open_source(weather).grid


def test_a_mask_on_another_grid_is_warped_to_arrays_and_an_array_to_rasters(
    weather: xr.Dataset, write_raster: Any
) -> None:
    codes = np.zeros((1, 6, 8), "uint8")
    codes[0, 1, 2] = 9
    times = [f"{time:%Y%m%dT%H%M}" for time in pd.to_datetime(np.sort(weather.time.values))]
    grid = rasterio.Affine(20, 0, 500000, 0, -20, 5600000)
    coarse = [write_raster(f"q_{time}.tif", codes, transform=grid, nodata=0) for time in times]
    source = open_source(weather, mask=coarse, mask_values=[9], align=True)
    hidden = np.isnan(source.read()[..., 0])
    assert hidden[:, 2:4, 4:6].all() and hidden.sum() == 3 * 4
    with pytest.raises(EncodeError, match="the size of the mask is 8x6"):
        open_source(weather, mask=coarse, mask_values=[9])
    half = weather.isel(x=slice(None, None, 2), y=slice(None, None, 2))[["red"]]
    half["red"] = (half.red > 2).astype("uint8")
    half["red"][:, 0, 0] = 4
    half["red"].encoding = {"grid_mapping": "spatial_ref", "_FillValue": 0}
    rasters = as_rasters(weather, write_raster)
    hidden = np.isnan(open_source(rasters, mask=half, mask_bits=[2], align=True).read()[..., 0])
    assert hidden.sum() >= 3 and hidden[:, -1, 0].all() and not hidden[:, 3, 5].any()


def test_hundreds_of_files_are_not_all_open_at_once(tmp_path: Path, write_raster: Any, weather: xr.Dataset) -> None:
    """Of rasters and of netCDF; the limit of open files is less than their number."""
    raster = write_raster("one.tif")
    weather.isel(time=0)[["red"]].drop_vars("time").to_netcdf(tmp_path / "one.nc", engine="h5netcdf")
    for kind, count in (("tif", 185), ("nc", 185)):
        (tmp_path / kind).mkdir()
        for k in range(count):
            day = pd.Timestamp("2000-01-01") + pd.Timedelta(days=k)
            shutil.copyfile(raster.with_name(f"one.{kind}"), tmp_path / kind / f"a_{day:%Y%m%d}.{kind}")
    code = """
import resource, sys
import rasterio, rasterio.warp, xarray, h5netcdf, gdal_gndc.catalog
from gdal_gndc.encode.inputs import open_source
open_source(sys.argv[1] + "/one_20000101.tif").read()
resource.setrlimit(resource.RLIMIT_NOFILE, (180, 180))
for kind, count in (("tif", 185), ("nc", 185)):
    source = open_source(f"{sys.argv[1]}/{kind}")
    assert source.shape[0] == count
    assert source.read(rows=(0, 2), cols=(0, 2)).shape[0] == count
    assert kind == "tif" or all(part.red.variable._in_memory is False for part in source.parts)
"""
    shutil.copyfile(raster, tmp_path / "one_20000101.tif")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(tmp_path)], capture_output=True, text=True,
                          check=False, timeout=100)  # fmt: skip
    assert done.returncode == 0, done.stderr
