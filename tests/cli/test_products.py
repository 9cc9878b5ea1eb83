"""gndc ndvi and gndc derivative."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

import gdal_gndc


def _read(path):
    with rasterio.open(path) as raster:
        assert np.isnan(raster.nodata)
        return np.moveaxis(raster.read(), 0, -1), raster.descriptions, raster.tags(), raster.profile


def test_ndvi_of_a_date(gndc, cube, tmp_path):
    out = tmp_path / "ndvi.tif"
    result = gndc("ndvi", cube, "-t", "2020-03-07", "--bands", "B2,LAI", "-o", out)
    assert result.exit_code == 0, result.output
    values, names, tags, profile = _read(out)
    with gdal_gndc.open(cube) as dataset:
        np.testing.assert_array_equal(values[..., 0], dataset.ndvi("2020-03-07", "B2", "LAI"))
        assert (profile["crs"], profile["transform"]) == (dataset.crs, dataset.transform)
    assert names == ("ndvi",)
    assert tags["TIFFTAG_DATETIME"] == "2020:03:07 10:29:00"
    assert tags["time"] == "2020-03-07T10:29:00Z"


def test_another_index_between_dates(gndc, cube, tmp_path):
    out = tmp_path / "evi.tif"
    assert gndc("ndvi", cube, "--index", "evi", "-t", "2020-02-10", "--bands", "1,2,3", "-o", out).exit_code == 0
    values, names, _, _ = _read(out)
    with gdal_gndc.open(cube) as dataset:
        np.testing.assert_array_equal(values[..., 0], dataset.evi("2020-02-10", 0, 1, 2))
    assert names == ("evi",)


@pytest.mark.parametrize("mode", ["dx", "dy", "mag", "dir", "dt"])
def test_derivatives_of_bands(gndc, cube, tmp_path, mode):
    out = tmp_path / "d.tif"
    assert gndc("derivative", cube, "--mode", mode, "-t", "3", "--bands", "T,1", "-o", out).exit_code == 0
    values, names, _, _ = _read(out)
    with gdal_gndc.open(cube) as dataset:
        bands = ["T", "B2"]
        expected = dataset.derivative(3, bands) if mode == "dt" else dataset.gradient(3, mode, bands)
    np.testing.assert_array_equal(values, expected)
    assert names == (f"T_{mode}", f"B2_{mode}")


def test_a_slope_per_metre(gndc, sst_cube, tmp_path):
    out = tmp_path / "d.tif"
    assert gndc("derivative", sst_cube, "--metric", "-t", "2022-06-16", "-o", out).exit_code == 0
    values, _, tags, _ = _read(out)
    with gdal_gndc.open(sst_cube) as dataset:
        np.testing.assert_array_equal(values, dataset.gradient("2022-06-16", "mag", metric=True))
    assert tags["TIFFTAG_IMAGEDESCRIPTION"] == "slope, per metre"


def test_derivatives_of_an_index(gndc, cube, tmp_path):
    for order, mode in ((1, "velocity"), (2, "acceleration")):
        out = tmp_path / f"{mode}.tif"
        result = gndc("derivative", cube, "--mode", mode, "-t", "2", "--bands", "1,2", "-o", out)
        assert result.exit_code == 0, result.output
        values, names, _, _ = _read(out)
        with gdal_gndc.open(cube) as dataset:
            np.testing.assert_array_equal(values[..., 0], dataset.temporal_derivative(2, order, 0, 1))
        assert names == (f"ndvi_{mode}",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ndvi"], "needs a red band"),
        (["ndvi", "--bands", "1"], "1 bands for ndvi, expected red,nir"),
        (["ndvi", "--bands", "1,2", "-t", "1999-01-01"], "outside the cube's times"),
        (["derivative", "--mode", "velocity"], "needs a red band"),
    ],
)
def test_errors_are_one_line_and_leave_no_file(gndc, cube, tmp_path, arguments, message):
    name, *rest = arguments
    out = tmp_path / "out" / "x.tif"
    out.parent.mkdir()
    result = gndc(name, cube, "-o", out, *rest)
    assert result.exit_code == 1
    assert message in result.output
    assert result.output.count("\n") == 1
    assert not list(out.parent.iterdir())
