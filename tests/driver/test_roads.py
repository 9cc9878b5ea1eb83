"""Three roads to the same pixels, bit for bit: the driver, the VRT and Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

import gdal_gndc
from gdal_gndc.errors import GNDCError
from gdal_gndc.times import format_time
from tests.driver.conftest import Gdal

WHOLE, PART, SMALL = "whole", "windowed", "decimated"


def roads(gdal: Gdal, path: Path, times: list[int | str], tmp_path: Path) -> None:
    """Every time by every road, whole, windowed and decimated."""
    jobs, expected = [], []
    with gdal_gndc.open(path) as dataset:
        h, w = dataset.height, dataset.width
        window = (w // 5, h // 7, w // 2, h // 3)
        small = (max(1, h // 4), max(1, w // 3))
        for t in times:
            moment = dataset.resolve_time(t)
            jobs += [
                {"name": f"GNDC:{path}:t={t}"},
                {"name": f"GNDC:{path}:t={t}", "window": window},
                {"name": f"GNDC:{path}:t={t}", "size": (small[1], small[0])},
            ]
            reads = [{}, {"window": window}, {"out_shape": small}]
            arrays = [np.moveaxis(dataset.read_moment(moment, **options), -1, 0) for options in reads]
            expected += arrays
            with rasterio.open(gdal_gndc.vrt(path, t=t)) as vrt:
                by_vrt = [vrt.read(), vrt.read(window=Window(*window)), vrt.read(out_shape=(vrt.count, *small))]
            for kind, got, want in zip((WHOLE, PART, SMALL), by_vrt, arrays, strict=True):
                np.testing.assert_array_equal(got, want, err_msg=f"VRT, t={t}, {kind}")
    for job, got, want in zip(jobs, gdal.reads(jobs, tmp_path), expected, strict=True):
        np.testing.assert_array_equal(got, want, err_msg=f"driver, {job}")


def test_a_real_cube(gdal: Gdal, real_cube: Path, tmp_path: Path) -> None:
    roads(gdal, real_cube, [0, 57, "2018-06-30", "2018-07-04", "2018-01-01T06:00:00Z"], tmp_path)


def test_gdal_translate_of_both_kinds_of_date(gdal: Gdal, real_cube: Path, tmp_path: Path) -> None:
    with gdal_gndc.open(real_cube) as dataset:
        for date, observed in (("2018-06-30", True), ("2018-07-04", False)):
            out = tmp_path / f"{date}.tif"
            done = gdal.run("gdal_translate", "-q", f"GNDC:{real_cube}:t={date}", out)
            assert done.returncode == 0, done.stderr
            moment = dataset.resolve_time(date)
            assert (moment.frame is not None) == observed
            with rasterio.open(out) as raster:
                np.testing.assert_array_equal(raster.read(), np.moveaxis(dataset.read_moment(moment), -1, 0))
                assert list(raster.descriptions) == dataset.band_names
                assert np.isnan(raster.nodata)
                assert raster.crs == dataset.crs
                assert raster.transform == dataset.transform
                assert raster.tags()["time"] == format_time(moment.time)


def test_one_subdataset_a_date(gdal: Gdal, real_cube: Path) -> None:
    listed = gdal.info(str(real_cube))["metadata"]["SUBDATASETS"]
    with gdal_gndc.open(real_cube) as dataset:
        names = [listed[f"SUBDATASET_{i + 1}_NAME"] for i in range(dataset.n_timestamps)]
        assert len(listed) == 2 * dataset.n_timestamps
        assert all(format_time(t) in name for t, name in zip(dataset.timestamps, names, strict=True))


@pytest.mark.parametrize("where", [0.1, 0.6, 0.999])
def test_a_corrupted_copy_is_a_clear_error_on_every_road(
    gdal: Gdal, real_cube: Path, tmp_path: Path, where: float
) -> None:
    broken = tmp_path / "broken.gndc"
    data = bytearray(real_cube.read_bytes())
    at = int(len(data) * where)
    data[at : at + 64] = bytes(64)
    broken.write_bytes(data)
    with pytest.raises(GNDCError, match=r"broken\.gndc"), gdal_gndc.open(broken) as dataset:
        dataset.read(3)
    with pytest.raises((GNDCError, rasterio.errors.RasterioError)) as caught:  # noqa: SIM117
        with rasterio.open(gdal_gndc.vrt(real_cube, t=3).replace(str(real_cube), str(broken))) as vrt:
            vrt.read()
    assert "broken.gndc" in f"{caught.value} {caught.value.__cause__}"
    out = tmp_path / "out.tif"
    done = gdal.run("gdal_translate", f"GNDC:{broken}:t=3", out)
    assert done.returncode == 1
    assert "broken.gndc" in done.stderr
    assert not out.exists()


def test_the_system_rasterio_opens_it(gdal: Gdal, real_cube: Path, tmp_path: Path) -> None:
    if not Path("/usr/lib/python3/dist-packages/rasterio").is_dir():
        pytest.skip("Debian's python3-rasterio is not installed")
    code = (
        "import sys, numpy, rasterio\n"
        "with rasterio.open(f'GNDC:{sys.argv[1]}:t=2018-06-30') as r:\n"
        "    assert numpy.isnan(r.nodata) and r.crs.to_epsg() == 32631, (r.nodata, r.crs)\n"
        "    numpy.save(sys.argv[2], r.read())\n"
    )
    env = {"PYTHONPATH": ""}
    done = gdal.run("/usr/bin/python3", "-c", code, real_cube, tmp_path / "a.npy", **env)
    assert done.returncode == 0, done.stderr
    with gdal_gndc.open(real_cube) as dataset:
        expected = np.moveaxis(dataset.read("2018-06-30"), -1, 0)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), expected)


def test_cut_copy(gdal: Gdal, real_cube: Path, tmp_path: Path) -> None:
    data = real_cube.read_bytes()
    path, out = tmp_path / "cut.gndc", tmp_path / "out.tif"
    for length in (0, 10, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        done = gdal.run("gdal_translate", f"GNDC:{path}:t=3", out)
        assert done.returncode == 1
        assert str(path) in done.stderr
        assert not out.exists()


def test_statistics_are_those_of_the_encoder(gdal: Gdal, real_cube: Path) -> None:
    with gdal_gndc.open(real_cube) as dataset:
        metrics = dataset.metrics()
    assert metrics is not None
    bands = gdal.info(f"GNDC:{real_cube}:t=3")["bands"]
    for band, measured in zip(bands, metrics["bands"], strict=True):
        assert float(band["metadata"][""]["STATISTICS_MEAN"]) == pytest.approx(measured["mean"])
