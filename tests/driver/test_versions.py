"""One source for all GDALs: the driver against the headers of newer ones, and inside a wheel of rasterio.

``.ci/gdal-headers`` fetches the headers into build/gdal-headers; GNDC_TEST_WHEEL names a folder of headers that match
the GDAL of the installed rasterio, for a build and a run of minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gdal_gndc import driver
from tests.conftest import CASES

SOURCES = Path(driver.__file__).parent
HEADERS = Path(__file__).parents[2] / "build" / "gdal-headers"
# what derives from GDAL's classes, whose interface is what changes
FILES = ("coordinate", "cubearray", "dataset", "driver", "group", "maskband", "rasterband")
NEWER = ("3.10", "3.12", "3.13")


def compile_one(include: Path, name: str) -> str:
    command = ["c++", "-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
    paths = ["-isystem", include, "-I", SOURCES.parent / "native", SOURCES / "src" / f"{name}.cpp"]
    done = subprocess.run([*command, *paths], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr


@pytest.mark.parametrize("version", NEWER)
def test_newer_headers(version: str) -> None:
    found = sorted(HEADERS.glob(f"{version}.*/gdal_priv.h"))
    if not found:
        pytest.skip(f"no headers of GDAL {version} in {HEADERS}: .ci/gdal-headers fetches them")
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(lambda name: compile_one(found[-1].parent, name), FILES))
    assert "".join(said) == ""


WHEEL = """
import ctypes, sys, threading
import numpy as np
import rasterio
import gdal_gndc
from gdal_gndc.driver import wheel

cube = sys.argv[1]
wheel.load_driver(cube)
with gdal_gndc.open(cube) as dataset, rasterio.open(f"GNDC:{cube}:t=2") as raster:
    expected = raster.read()
    assert raster.driver == "GNDC"
    np.testing.assert_array_equal(expected, np.moveaxis(dataset.read(2), -1, 0))
    with rasterio.open(f"GNDC:{cube}:t=2:product=dx") as slope:
        np.testing.assert_array_equal(slope.read(), np.moveaxis(dataset.derivative(2, axis="x"), -1, 0))

# RFC 101: one handle, many threads
gdal = ctypes.CDLL(str(wheel.wheel_library()))
gdal.GDALOpenEx.restype = gdal.GDALGetRasterBand.restype = ctypes.c_void_p
gdal.GDALOpenEx.argtypes = [ctypes.c_char_p, ctypes.c_uint, *[ctypes.c_void_p] * 3]
gdal.GDALGetRasterBand.argtypes = [ctypes.c_void_p, ctypes.c_int]
gdal.GDALRasterIO.argtypes = [ctypes.c_void_p, *[ctypes.c_int] * 5, ctypes.c_void_p, *[ctypes.c_int] * 5]
gdal.GDALDatasetIsThreadSafe.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
gdal.GDALDatasetIsThreadSafe.restype = ctypes.c_bool
gdal.GDALClose.argtypes = [ctypes.c_void_p]
RASTER, VERBOSE, THREAD_SAFE, FLOAT32 = 0x2, 0x40, 0x800, 6
handle = gdal.GDALOpenEx(f"GNDC:{cube}:t=2".encode(), RASTER | VERBOSE | THREAD_SAFE, None, None, None)
assert gdal.GDALDatasetIsThreadSafe(handle, RASTER, None)
wrong = []

def work(seed):
    rng = np.random.default_rng(seed)
    for _ in range(40):
        x, y, w, h, band = (int(rng.integers(a, b)) for a, b in ((0, 60), (0, 40), (1, 20), (1, 20), (1, 3)))
        out = np.empty((h, w), np.float32)
        place = gdal.GDALGetRasterBand(handle, band)
        failed = gdal.GDALRasterIO(place, 0, x, y, w, h, out.ctypes.data, w, h, FLOAT32, 0, 0)
        if failed or not np.array_equal(out, expected[band - 1, y : y + h, x : x + w], equal_nan=True):
            wrong.append((seed, x, y, w, h, band))

threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert not wrong, wrong
assert gdal.GDALClose(handle) == 0
"""


def test_in_a_wheel_of_rasterio(tmp_path: Path) -> None:
    """The driver serves the unmodified wheel, and one handle serves many threads (RFC 101)."""
    include = os.environ.get("GNDC_TEST_WHEEL")
    if not include:
        pytest.skip("GNDC_TEST_WHEEL names no folder of headers for the GDAL of rasterio's wheel")
    env = {**os.environ, "XDG_DATA_HOME": str(tmp_path)}
    install = [sys.executable, "-m", "gdal_gndc.cli.main", "driver", "install", "--wheel", "--include", include]
    for command in (install, [sys.executable, "-c", WHEEL, str(CASES / "tiles22_ov8_mask_res.gndc")]):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
