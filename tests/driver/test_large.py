"""A raster of several blocks: blocks, overviews, warps and threads give the pixels of the SDK."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdal_gndc
from tests.driver.conftest import PYTHON, Gdal
from tests.driver.containers import enlarged

HEIGHT, WIDTH = 610, 830
T = "2020-04-05T06:07:08Z"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return enlarged(tmp_path_factory.mktemp("large") / "large.gndc", HEIGHT, WIDTH)


@pytest.fixture(scope="module")
def frame(large: Path) -> np.ndarray:
    """(C, H, W) of the SDK at T."""
    with gdal_gndc.open(large) as dataset:
        return np.moveaxis(dataset.read_at_time(T), -1, 0)


def decimated(large: Path, window: tuple[int, int, int, int], shape: tuple[int, int]) -> np.ndarray:
    with gdal_gndc.open(large) as dataset:
        return np.moveaxis(dataset.read_at_time(T, window=window, out_shape=shape), -1, 0)


@pytest.mark.parametrize("by", ["dataset", "band"])
@pytest.mark.parametrize("bands", [[1, 2, 3], [3, 1], [2], [1, 1, 3, 2]])
def test_windows_of_blocks(
    osgeo: Gdal, large: Path, frame: np.ndarray, tmp_path: Path, by: str, bands: list[int]
) -> None:
    windows = [(0, 0, WIDTH, HEIGHT), (200, 250, 120, 10), (255, 0, 2, HEIGHT), (829, 609, 1, 1), (300, 300, 5, 5)]
    jobs: list[dict[str, Any]] = [
        {"name": f"GNDC:{large}:t={T}", "by": by, "bands": bands, "window": window} for window in windows
    ]
    picked = frame[[band - 1 for band in bands]]
    for (x, y, w, h), got in zip(windows, osgeo.reads(jobs, tmp_path), strict=True):
        np.testing.assert_array_equal(got, picked[:, y : y + h, x : x + w])


@pytest.mark.parametrize("by", ["dataset", "band"])
@pytest.mark.parametrize(("window", "size"), [
    ((0, 0, WIDTH, HEIGHT), (83, 61)),
    ((0, 0, WIDTH, HEIGHT), (7, 300)),
    ((100, 90, 333, 444), (50, 50)),
    ((100, 90, 33, 44), (100, 70)),
])  # fmt: skip
def test_decimated(
    osgeo: Gdal, large: Path, tmp_path: Path, by: str, window: tuple[int, int, int, int], size: tuple[int, int]
) -> None:
    job = {"name": f"GNDC:{large}:t={T}", "by": by, "window": window, "size": size}
    (got,) = osgeo.reads([job], tmp_path)
    np.testing.assert_array_equal(got, decimated(large, window, size[::-1]))


def test_types(osgeo: Gdal, large: Path, frame: np.ndarray, tmp_path: Path) -> None:
    """Other types are GDAL's conversion of the values: rounded, clamped."""
    name = f"GNDC:{large}:t={T}"
    jobs = [{"name": name, "dtype": dtype, "by": by} for dtype in ("float64", "int16") for by in ("dataset", "band")]
    arrays = osgeo.reads(jobs, tmp_path)
    for array in arrays[:2]:
        np.testing.assert_array_equal(array, frame.astype(np.float64))
    for array in arrays[2:]:
        np.testing.assert_array_equal(array, np.trunc(frame + np.copysign(0.5, frame)).astype(np.int16))


def test_overviews(gdal: Gdal, osgeo: Gdal, large: Path, tmp_path: Path) -> None:
    """Powers of two while a side has 256 pixels, evaluated at their own centres."""
    band = gdal.info(f"GNDC:{large}:t={T}")["bands"][0]
    assert [level["size"] for level in band["overviews"]] == [[415, 305]]
    (got,) = osgeo.reads([{"name": f"GNDC:{large}:t={T}", "overview": 0}], tmp_path)
    expected = decimated(large, (0, 0, WIDTH, HEIGHT), (305, 415))
    # read by blocks of 256 columns, whose first each starts to follow the field anew
    np.testing.assert_array_equal(got[..., :256], expected[..., :256])
    for band, wanted in zip(got, expected, strict=True):
        assert np.abs(band - wanted).max() <= 3e-6 * np.ptp(wanted)


def test_translate_outsize(gdal: Gdal, osgeo: Gdal, large: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tif"
    done = gdal.run("gdal_translate", "-outsize", "100", "0", "-b", "3", "-b", "1", f"GNDC:{large}:t={T}", out)
    assert done.returncode == 0, done.stderr
    (got,) = osgeo.reads([{"name": str(out)}], tmp_path)
    np.testing.assert_array_equal(got, decimated(large, (0, 0, WIDTH, HEIGHT), got.shape[1:])[[2, 0]])


def test_warp(gdal: Gdal, osgeo: Gdal, large: Path, frame: np.ndarray, tmp_path: Path) -> None:
    """The same grid comes back as it is; half the resolution takes the overview, which lies on that grid."""
    same, half = tmp_path / "same.tif", tmp_path / "half.tif"
    for out, options in ((same, []), (half, ["-tr", "20", "20"])):
        done = gdal.run("gdalwarp", "-r", "near", "-t_srs", "EPSG:32633", *options, f"GNDC:{large}:t={T}", out)
        assert done.returncode == 0, done.stderr
    got, reduced = osgeo.reads([{"name": str(same)}, {"name": str(half)}], tmp_path)
    np.testing.assert_array_equal(got, frame)
    np.testing.assert_array_equal(reduced, decimated(large, (0, 0, WIDTH, HEIGHT), (305, 415)))


def test_web_mercator(gdal: Gdal, large: Path, frame: np.ndarray, tmp_path: Path) -> None:
    """A warp of the raster is the warp of its GeoTIFF copy, pixel by pixel."""
    copy = tmp_path / "copy.tif"
    assert gdal.run("gdal_translate", f"GNDC:{large}:t={T}", copy).returncode == 0
    sums = []
    for i, source in enumerate((f"GNDC:{large}:t={T}", copy)):
        out = tmp_path / f"{i}.tif"
        options = ["-ovr", "NONE", "-r", "bilinear", "-t_srs", "EPSG:3857"]
        assert gdal.run("gdalwarp", *options, source, out).returncode == 0
        info = gdal.info(str(out), "-checksum")
        sums.append((info["size"], [band["checksum"] for band in info["bands"]]))
    assert sums[0] == sums[1]


def test_mosaic(gdal: Gdal, osgeo: Gdal, large: Path, frame: np.ndarray, tmp_path: Path) -> None:
    """gdalbuildvrt -separate of two dates, and gdal_calc.py of two bands."""
    vrt = tmp_path / "two.vrt"
    names = [f"GNDC:{large}:t={T}", f"GNDC:{large}:t=0"]
    assert gdal.run("gdalbuildvrt", "-separate", vrt, *names).returncode == 0
    (got,) = osgeo.reads([{"name": str(vrt)}], tmp_path)
    np.testing.assert_array_equal(got[0], frame[0])
    out = tmp_path / "calc.tif"
    done = gdal.run(
        "gdal_calc.py", "--quiet", "-A", names[0], "--A_band=2", "-B", names[0], "--B_band=3",
        "--calc=(A-B)/(A+B)", f"--outfile={out}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (got,) = osgeo.reads([{"name": str(out)}], tmp_path)
    np.testing.assert_allclose(got[0], (frame[1] - frame[2]) / (frame[1] + frame[2]), rtol=1e-6)


THREADS = """
import sys, threading
import numpy as np
from osgeo import gdal
gdal.UseExceptions()
name = sys.argv[1]
expected = gdal.Open(name).ReadAsArray()
shared = gdal.Open(name)
lock = threading.Lock()
wrong = []
def own(seed):
    rng = np.random.default_rng(seed)
    dataset = gdal.Open(name)
    for _ in range(12):
        x, y = int(rng.integers(0, 700)), int(rng.integers(0, 500))
        w, h = int(rng.integers(1, 130)), int(rng.integers(1, 110))
        whole = dataset.ReadAsArray(x, y, w, h)
        one = dataset.GetRasterBand(1 + seed % 3).ReadAsArray(x, y, w, h)
        with lock:  # a handle serves one thread at a time
            again = shared.ReadAsArray(x, y, w, h)
        if not (np.array_equal(whole, expected[:, y:y+h, x:x+w]) and np.array_equal(one, whole[seed % 3])
                and np.array_equal(whole, again)):
            wrong.append((seed, x, y, w, h))
threads = [threading.Thread(target=own, args=(i,)) for i in range(6)]
[t.start() for t in threads]
[t.join() for t in threads]
assert not wrong, wrong
"""


@pytest.mark.parametrize("cache", ["536870912", "1"])
def test_threads(osgeo: Gdal, large: Path, cache: str) -> None:
    """Many handles at once share a cube, whether its chunks stay in the cache or not."""
    done = osgeo.run(PYTHON, "-c", THREADS, f"GNDC:{large}:t={T}", GNDC_CACHE_BYTES=cache)
    assert done.returncode == 0, done.stderr


def test_thread_counts_agree(gdal: Gdal, large: Path) -> None:
    sums = {
        gdal.run("gdalinfo", "-checksum", "-oo", f"NUM_THREADS={n}", f"GNDC:{large}:t={T}").stdout.split("Checksum")[1]
        for n in ("1", "2", "7", "ALL_CPUS")
    }
    assert len(sums) == 1


def test_rewritten_file_is_read_anew(osgeo: Gdal, large: Path, tmp_path: Path) -> None:
    """A cube is shared between handles of a process only while the file is unchanged."""
    import os
    import shutil

    path = tmp_path / "changing.gndc"
    shutil.copy(large, path)
    other = enlarged(tmp_path / "other.gndc", 61, 83)
    os.utime(other, (1, 1))
    code = (
        "import shutil, sys; from osgeo import gdal; gdal.UseExceptions()\n"
        "first = gdal.Open(sys.argv[1]); size = first.RasterXSize\n"
        "shutil.copy2(sys.argv[3], sys.argv[2]); second = gdal.Open(sys.argv[1]); second.ReadAsArray()\n"
        "print(size, second.RasterXSize)\n"
    )
    done = osgeo.run(PYTHON, "-c", code, f"GNDC:{path}:t=0", path, other)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["830", "83"]
