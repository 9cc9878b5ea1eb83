from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.testing import assert_array_equal

import gdal_gndc
from gdal_gndc.errors import CoordinateError, FileFormatError, GNDCError, TimeError
from gdal_gndc.vrt.trust import SWITCH, VARIABLE

CASES = Path(__file__).parents[1] / "cases"


def test_a_connection_string(large: Path) -> None:
    with gdal_gndc.open(large) as dataset:
        expected = dataset.read(2)
    for name in [f'GNDC:"{large}":t=2020-03-07', f"GNDC:{large}:t=2", f"gndc:{large}:T=2020-03-07T10:29:00Z"]:
        with gdal_gndc.open_raster(name) as raster:
            assert isinstance(raster, rasterio.io.DatasetReader)
            assert_array_equal(raster.read().transpose(1, 2, 0), expected)


def test_a_path_and_a_time(large: Path) -> None:
    with gdal_gndc.open(large) as dataset, gdal_gndc.open_raster(large, "2020-02-01", bands=["T"]) as raster:
        assert_array_equal(raster.read(1), dataset.read_at_time("2020-02-01", bands="T")[..., 0])


def test_a_cube_of_one_date_needs_no_time() -> None:
    path = CASES / "notemporal_t1_block.gndc"
    with gdal_gndc.open(path) as dataset, gdal_gndc.open_raster(f"GNDC:{path}") as raster:
        assert_array_equal(raster.read().transpose(1, 2, 0), dataset.read(0))


def test_one_band_over_time(spectral: Path) -> None:
    with gdal_gndc.open(spectral) as dataset:
        series = [dataset.read(i, bands="B04")[30, 41, 0] for i in range(7)]
        middle = dataset.read_at_time("2020-03-02", bands="B04")[..., 0]
    for band in ("B04", "2"):
        with gdal_gndc.open_raster(f"GNDC:{spectral}:band={band}") as raster:
            assert raster.count == 7
            assert_array_equal(raster.read()[:, 30, 41], series)
    with gdal_gndc.open_raster(f"GNDC:{spectral}:band=B04:every=P30D:start=2020-02-01:end=2020-04-01") as raster:
        assert raster.count == 3
        assert_array_equal(raster.read(2), middle)


def test_products(spectral: Path) -> None:
    with gdal_gndc.open(spectral) as dataset:
        with gdal_gndc.open_raster(f"GNDC:{spectral}:t=3:product=ndvi") as raster:
            assert_array_equal(raster.read(1), dataset.ndvi(3))
        with gdal_gndc.open_raster(f"GNDC:{spectral}:band=B08:t=3:product=dt") as raster:
            assert_array_equal(raster.read(1), dataset.derivative(3, "B08", "t")[..., 0])
        with gdal_gndc.open_raster(f"GNDC:{spectral}:product=ndvi:every=P30D") as raster:
            assert_array_equal(raster.read(1), dataset.ndvi(0))


@pytest.mark.parametrize(
    ("ending", "kind", "says"),
    [
        ("", TimeError, "the cube has 7 dates; say which"),
        (":t=2031-01-01", TimeError, "outside the cube's times"),
        (":t=0:every=P5D", TimeError, "exclude each other"),
        (":band=B99", CoordinateError, "no band 'B99'"),
        (":band=9:t=0", CoordinateError, "no band '9'"),
        (":t=0:product=magic", CoordinateError, "magic"),
        (":time=0", FileFormatError, "unknown key 'time'"),
    ],
)
def test_errors(large: Path, ending: str, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        gdal_gndc.open_raster(f'GNDC:"{large}"{ending}')


def test_a_time_twice(large: Path) -> None:
    with pytest.raises(TimeError, match="given twice"):
        gdal_gndc.open_raster(f"GNDC:{large}:t=0", 1)


def test_a_damaged_cube_is_found_when_it_is_opened(tmp_path: Path) -> None:
    cube = tmp_path / "cube.gndc"
    data = bytearray((CASES / "basic_i8dec.gndc").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(byte ^ 0x5A for byte in data[middle : middle + 64])
    cube.write_bytes(data)
    with pytest.raises(FileFormatError) as caught:
        gdal_gndc.open_raster(cube, 0)
    assert caught.value.path == str(cube)


def test_a_refusal_is_an_error_and_never_nan(large: Path) -> None:
    with rasterio.Env(**{SWITCH: "NO"}):
        with pytest.raises(GNDCError, match="forbids Python pixel functions"):
            gdal_gndc.open_raster(large, 0)
        # What this guards from: GDAL itself refuses once, and then gives NaN without a word.
        with rasterio.open(gdal_gndc.vrt(large, 0)) as raster:
            with pytest.raises(rasterio.errors.RasterioIOError):
                raster.read(1)
            assert np.isnan(raster.read(1)).all()


def test_a_setting_after_opening_cannot_turn_reads_into_nan(large: Path) -> None:
    with gdal_gndc.open(large) as dataset:
        expected = dataset.read(0).transpose(2, 0, 1)
    with gdal_gndc.open_raster(large, 0) as raster, rasterio.Env(**{SWITCH: "NO", VARIABLE: "other"}):
        assert_array_equal(raster.read(), expected)
        assert_array_equal(raster.read(), expected)


def test_an_own_list_of_modules_is_kept(large: Path) -> None:
    with rasterio.Env(**{VARIABLE: "mine"}), gdal_gndc.open_raster(large, 0) as raster:
        assert np.isfinite(raster.read(1)).all()
        assert rasterio.env.getenv()[VARIABLE] == "mine,gdal_gndc.*"


def test_opener(large: Path) -> None:
    """rasterio's own way to open what GDAL does not know: by the string, or by the path of a cube of one date."""
    single = Path(__file__).parents[1] / "cases" / "notemporal_t1_block.gndc"
    with rasterio.open(f"GNDC:{large}:t=2020-02-01:band=LAI", opener=gdal_gndc.opener) as raster:
        assert (raster.driver, raster.count, raster.descriptions) == ("VRT", 1, ("LAI",))
        with gdal_gndc.open(large) as dataset:
            np.testing.assert_array_equal(raster.read(1), dataset.read_at_time("2020-02-01")[..., 1])
    with rasterio.open(str(single), opener=gdal_gndc.opener) as raster, gdal_gndc.open(single) as dataset:
        np.testing.assert_array_equal(raster.read(1), dataset.read(0)[..., 0])
    for name in ("other.tif", f"GNDC:{large}:t=0.msk"):
        with pytest.raises(FileNotFoundError):
            gdal_gndc.opener(name)
    with pytest.raises(TimeError):
        gdal_gndc.opener(str(large))


IMPORT = """
import sys, time
import numpy
started = time.process_time()
import gdal_gndc
took = time.process_time() - started
heavy = {"rasterio", "pyproj", "torch", "affine", "zstandard"}
print(took, *sorted({name.split(".")[0] for name in sys.modules} & heavy))
"""


def test_import_is_cheap() -> None:
    """Programs that start a Python for a pixel function wait for this: 50 ms beyond numpy at most."""
    runs = [
        subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(5)
    ]
    assert all(run[1:] == [] for run in runs), runs
    assert min(float(run[0]) for run in runs) < 0.05


def test_derivatives_and_indices_without_a_time(large: Path, spectral: Path) -> None:
    """As the driver: an index of all observations is one raster, a derivative needs a time or a band."""
    with gdal_gndc.open_raster(f"GNDC:{spectral}:product=ndvi") as raster:
        assert raster.count == 7
    with pytest.raises(TimeError):
        gdal_gndc.open_raster(f"GNDC:{large}:product=dx")
    with gdal_gndc.open_raster(f"GNDC:{large}:band=LAI:product=dt") as raster:
        assert raster.count == 7
