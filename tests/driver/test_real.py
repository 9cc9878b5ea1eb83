"""A cube encoded from a real stack, on every road: the driver, the SDK, and VRTs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

import gdal_gndc
from tests.driver.conftest import Gdal

BETWEEN = "2018-01-02T03:04:05Z"


@pytest.mark.parametrize("t", ["2018-06-30", BETWEEN])
def test_three_roads(osgeo: Gdal, real_cube: Path, tmp_path: Path, t: str) -> None:
    name = f"GNDC:{real_cube}:t={t}"
    windows = [(0, 0, 64, 64), (5, 9, 40, 31), (63, 0, 1, 64)]
    jobs = [{"name": name, "window": window, "by": by} for window in windows for by in ("dataset", "band")]
    jobs += [{"name": name, "size": [21, 16], "by": by} for by in ("dataset", "band")]
    arrays = osgeo.reads(jobs, tmp_path)
    with gdal_gndc.open(real_cube) as dataset:
        expected = [dataset.read_at_time(t, window=window) for window in windows for _ in range(2)]
        expected += [dataset.read_at_time(t, out_shape=(16, 21))] * 2
        assert dataset.shape[1:3] == (64, 64)
    for got, want in zip(arrays, expected, strict=True):
        np.testing.assert_array_equal(np.moveaxis(got, 0, -1), want)
    with rasterio.open(gdal_gndc.vrt(real_cube, t=t)) as raster:
        np.testing.assert_array_equal(raster.read(), arrays[0])
        np.testing.assert_array_equal(raster.read(out_shape=(raster.count, 16, 21)), arrays[-1])


def test_lists_every_date(gdal: Gdal, real_cube: Path) -> None:
    info = gdal.info(str(real_cube))
    with gdal_gndc.open(real_cube) as dataset:
        assert len(info["metadata"]["SUBDATASETS"]) == 2 * dataset.n_timestamps
        assert info["metadata"][""]["bands"] == ",".join(dataset.band_names)


def test_statistics_are_those_of_the_encoder(gdal: Gdal, real_cube: Path) -> None:
    with gdal_gndc.open(real_cube) as dataset:
        metrics = dataset.metrics()
    assert metrics is not None
    bands = gdal.info(f"GNDC:{real_cube}:t=3")["bands"]
    for band, measured in zip(bands, metrics["bands"], strict=True):
        assert float(band["metadata"][""]["STATISTICS_MEAN"]) == pytest.approx(measured["mean"])


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9, 0.999])
def test_corrupted_copy(gdal: Gdal, real_cube: Path, tmp_path: Path, place: float) -> None:
    data = bytearray(real_cube.read_bytes())
    at = int(len(data) * place)
    data[at : at + 40] = bytes(b ^ 0x5A for b in data[at : at + 40])
    path, out = tmp_path / "bad.gndc", tmp_path / "out.tif"
    path.write_bytes(data)
    done = gdal.run("gdal_translate", f"GNDC:{path}:t=3", out)
    assert done.returncode == 1
    assert str(path) in done.stderr
    assert not out.exists()


def test_cut_copy(gdal: Gdal, real_cube: Path, tmp_path: Path) -> None:
    data = real_cube.read_bytes()
    path, out = tmp_path / "cut.gndc", tmp_path / "out.tif"
    for length in (0, 10, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        done = gdal.run("gdal_translate", f"GNDC:{path}:t=3", out)
        assert done.returncode == 1
        assert str(path) in done.stderr
        assert not out.exists()
