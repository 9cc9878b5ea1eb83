"""Smaller rasters as means: the open option RESAMPLING, and what a call asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdal_gndc
from tests.conftest import CASES
from tests.driver.conftest import PYTHON, Gdal
from tests.driver.containers import enlarged

CUBE = CASES / "basic_i8dec.gndc"
MASKED = CASES / "i16dec_log_dynamic.gndc"
T = 3


def fine(path: Path, window: tuple[float, float, float, float], shape: tuple[int, int]) -> np.ndarray:
    with gdal_gndc.open(path) as dataset:
        return np.moveaxis(dataset.read(T, window=window, out_shape=shape), -1, 0).astype(np.float64)


@pytest.mark.parametrize("path", [CUBE, MASKED], ids=["plain", "masked"])
@pytest.mark.parametrize("by", ["dataset", "band"])
def test_average(osgeo: Gdal, tmp_path: Path, path: Path, by: str) -> None:
    """The option and the call's own argument are the SDK's averaged read, bit for bit."""
    cases: list[tuple[tuple[int, int, int, int], tuple[int, int]]] = [
        ((0, 0, 80, 60), (10, 20)),  # columns, rows
        ((3, 1, 80, 60), (33, 25)),
        ((0, 0, 83, 61), (83, 20)),
        ((0, 0, 83, 61), (2, 1)),  # more than 16 pixels a cell
    ]
    jobs: list[dict[str, Any]] = []
    for window, size in cases:
        job = {"name": f"GNDC:{path}:t={T}", "window": window, "size": size, "by": by}
        jobs += [{**job, "options": {"RESAMPLING": "AVERAGE"}}, {**job, "resample": "Average"}, job]
    arrays = osgeo.reads(jobs, tmp_path)
    with gdal_gndc.open(path) as dataset:
        for (window, (cols, rows)), i in zip(cases, range(0, len(arrays), 3), strict=True):
            expected = dataset.read(T, window=window, out_shape=(rows, cols), resampling="average")
            for got in arrays[i : i + 2]:
                np.testing.assert_array_equal(np.moveaxis(got, 0, -1), expected)
            # nearest is something else, or nothing was averaged
            assert np.nanmax(np.abs(arrays[i + 2] - arrays[i])) > 1e-4


def test_average_of_what_no_chunk_covers(osgeo: Gdal, tmp_path: Path) -> None:
    """Its fill counts for nothing, as in the SDK."""
    for name in ("tiles22_missing", "ov8_block33_missing_fill"):
        path = CASES / f"{name}.gndc"
        job: dict[str, Any] = {"name": f"GNDC:{path}:t={T}", "size": [20, 15], "resample": "Average"}
        (got,) = osgeo.reads([job], tmp_path)
        with gdal_gndc.open(path) as dataset:
            expected = dataset.read(T, out_shape=(15, 20), resampling="average")
        np.testing.assert_array_equal(np.moveaxis(got, 0, -1), expected)


def test_bilinear(osgeo: Gdal, tmp_path: Path) -> None:
    """A tent over the pixel and half of its neighbours, each way."""
    job: dict[str, Any] = {"name": f"GNDC:{CUBE}:t={T}", "window": [8, 12, 40, 32], "size": [10, 8]}
    jobs = [{**job, "options": {"RESAMPLING": "BILINEAR"}}, {**job, "resample": "Bilinear"}]
    first, second = osgeo.reads(jobs, tmp_path)
    np.testing.assert_array_equal(first, second)
    # pixels of 4 x 4, so samples are the cube's own; with the margins of 2
    values = fine(CUBE, (6, 10, 44, 36), (36, 44))
    weights = 1 - np.abs((np.arange(-2, 6) + 0.5) / 4 - 0.5)
    expected = np.empty((3, 8, 10))
    for row in range(8):
        for col in range(10):
            part = values[:, 4 * row : 4 * row + 8, 4 * col : 4 * col + 8]
            expected[:, row, col] = np.einsum("bij,i,j->b", part, weights, weights) / weights.sum() ** 2
    np.testing.assert_allclose(first, expected, rtol=2e-6, atol=1e-6)


def test_overviews_are_means_too(osgeo: Gdal, tmp_path: Path) -> None:
    path = enlarged(tmp_path / "large.gndc", 300, 600)
    job = {"name": f"GNDC:{path}:t={T}", "overview": 0, "options": {"RESAMPLING": "AVERAGE"}}
    small = {"name": f"GNDC:{path}:t={T}", "size": [300, 150], "resample": "Average"}
    (got, same) = osgeo.reads([job, small], tmp_path)
    np.testing.assert_array_equal(got, same)
    means = fine(path, (0, 0, 600, 300), (300, 600)).reshape(3, 150, 2, 300, 2).mean((2, 4))
    np.testing.assert_allclose(got, means, rtol=2e-6, atol=1e-6)


def test_other_methods_are_gdals_own(osgeo: Gdal, tmp_path: Path) -> None:
    """Of the full raster, as GDAL resamples any other format."""
    copy = tmp_path / "copy.tif"
    assert osgeo.run("gdal_translate", "-q", f"GNDC:{CUBE}:t={T}", copy).returncode == 0
    jobs = [
        {"name": name, "size": size, "resample": method}
        for name in (f"GNDC:{CUBE}:t={T}", str(copy))
        for method, size in (("Cubic", [20, 15]), ("Lanczos", [20, 15]), ("Bilinear", [166, 122]), ("Mode", [20, 15]))
    ]
    arrays = osgeo.reads(jobs, tmp_path)
    for ours, theirs in zip(arrays[:4], arrays[4:], strict=True):
        np.testing.assert_array_equal(ours, theirs)


INTERRUPTED = """
import sys
from osgeo import gdal
gdal.UseExceptions()
seen = []
def stop(done, message, data):
    seen.append(done)
    return 0 if done > 0.3 else 1
dataset = gdal.Open(sys.argv[1])
try:
    dataset.ReadRaster(callback=stop, buf_type=gdal.GDT_Float64)
except RuntimeError as error:
    print(len(seen), seen[-1] < 1, error)
"""


def test_progress_and_interruption(osgeo: Gdal, tmp_path: Path) -> None:
    """GDAL's progress function is told of a long read, and stops it."""
    path = enlarged(tmp_path / "long.gndc", 3000, 1500)
    done = osgeo.run(PYTHON, "-c", INTERRUPTED, f"GNDC:{path}:t={T}")
    assert done.returncode == 0, done.stderr
    count, early, *said = done.stdout.split(maxsplit=2)
    assert int(count) >= 1
    assert early == "True"
    assert "interrupted" in said[0]
