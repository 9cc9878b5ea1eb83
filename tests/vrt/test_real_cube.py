"""A cube encoded from a real stack: the VRT road gives the very pixels of the dataset."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.testing import assert_array_equal
from rasterio.windows import Window

import gdal_gndc
from gdal_gndc.vrt.writer import series_vrt, write_vrts

TIMES = ["2018-06-30", "2018-07-01T12:00:00Z", 0, -1]


@pytest.mark.parametrize("t", TIMES)
def test_pixels(real_cube: Path, t: int | str) -> None:
    with gdal_gndc.open(real_cube) as dataset, rasterio.open(gdal_gndc.vrt(real_cube, t)) as raster:
        bands = dataset.n_bands
        assert raster.descriptions == tuple(dataset.band_names)
        assert_array_equal(raster.read().transpose(1, 2, 0), dataset.read_at_time(t))
        window = (5, 9, 40, 31)
        part = raster.read(window=Window(*window)).transpose(1, 2, 0)
        assert_array_equal(part, dataset.read_at_time(t, window=window))
        small = raster.read(out_shape=(bands, 17, 23)).transpose(1, 2, 0)
        assert_array_equal(small, dataset.read_at_time(t, out_shape=(17, 23)))
        zoomed = raster.read(window=Window(*window), out_shape=(bands, 62, 80)).transpose(1, 2, 0)
        assert_array_equal(zoomed, dataset.read_at_time(t, window=window, out_shape=(62, 80)))


def test_statistics_are_those_of_the_encoder(real_cube: Path) -> None:
    with gdal_gndc.open(real_cube) as dataset, rasterio.open(gdal_gndc.vrt(real_cube, 0)) as raster:
        metrics = dataset.metrics()
        assert metrics is not None
        for i, band in enumerate(metrics["bands"], 1):
            tags = raster.tags(i)
            assert float(tags["STATISTICS_MINIMUM"]) == band["min"]
            assert float(tags["STATISTICS_MEAN"]) == band["mean"]
            assert float(tags["STATISTICS_STDDEV"]) == band["stddev"]


def test_products_and_true_colour(real_cube: Path) -> None:
    with gdal_gndc.open(real_cube) as dataset:
        with rasterio.open(gdal_gndc.vrt(real_cube, "2018-06-30", product="ndvi")) as raster:
            assert_array_equal(raster.read(1), dataset.ndvi("2018-06-30"))
        with rasterio.open(series_vrt(real_cube, product="ndvi")) as raster:
            assert raster.count == dataset.n_timestamps
    with rasterio.open(gdal_gndc.vrt(real_cube, "2018-06-30", template="rgb8")) as raster:
        picture = raster.read()
        assert picture.dtype == np.uint8
        assert len(np.unique(picture)) > 20


@pytest.mark.system_gdal
@pytest.mark.parametrize("t", TIMES[:2])
def test_gdal_translate(real_cube: Path, tmp_path: Path, gdal_programs: dict[str, str], t: int | str) -> None:
    file = write_vrts(real_cube, tmp_path / "vrts", times=[t])[0]
    out = tmp_path / "out.tif"
    with gdal_gndc.open(real_cube) as dataset:
        whole, small = dataset.read_at_time(t), dataset.read_at_time(t, out_shape=(21, 32))
    for options, expected in [([], whole), (["-outsize", "32", "21"], small)]:
        command = ["gdal_translate", "-q", *options, str(file), str(out)]
        result = subprocess.run(command, env=gdal_programs, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr) == (0, "")
        with rasterio.open(out) as raster:
            assert_array_equal(raster.read().transpose(1, 2, 0), expected)


def test_one_vrt_a_date(real_cube: Path, tmp_path: Path) -> None:
    files = write_vrts(real_cube, tmp_path)
    with gdal_gndc.open(real_cube) as dataset:
        assert len(files) == dataset.n_timestamps
        assert files[0].name == f"flanders_{dataset.timestamps[0]:%Y%m%d}.vrt"
    assert len(json.loads((tmp_path / "index.json").read_text())["rasters"]) == len(files)
