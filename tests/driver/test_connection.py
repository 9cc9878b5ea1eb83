"""Names of rasters: the GNDC: grammar, open options, times, bands, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import gdal_gndc
from tests.conftest import CASES
from tests.driver.conftest import Gdal

CUBE = CASES / "basic_i8dec.gndc"


def time_of(gdal: Gdal, name: str, *options: str) -> tuple[str, str]:
    metadata = gdal.info(name, *options)["metadata"][""]
    return metadata["time"], metadata["observed"]


@pytest.mark.parametrize(
    ("t", "time", "observed"),
    [
        ("0", "2020-01-03T10:30:00Z", "YES"),
        ("6", "2020-12-28T10:30:30Z", "YES"),
        ("-1", "2020-12-28T10:30:30Z", "YES"),
        ("2020-01-03T10:30:00Z", "2020-01-03T10:30:00Z", "YES"),
        ("2020-01-03T10:30:00.9Z", "2020-01-03T10:30:00Z", "YES"),
        ("2020-01-03T11:30:00+01:00", "2020-01-03T10:30:00Z", "YES"),
        ("2020-01-03 10:30", "2020-01-03T10:30:00Z", "YES"),
        ("20200119", "2020-01-19T10:32:10Z", "YES"),
        ("2020-01-19", "2020-01-19T10:32:10Z", "YES"),
        ("2020-01-20", "2020-01-20T00:00:00Z", "NO"),
        ("2020-03", "2020-03-01T00:00:00Z", "NO"),
        ("2020-01-19T10:32:12Z", "2020-01-19T10:32:12Z", "NO"),
        ("2020-01-19T10:32:12.5Z", "2020-01-19T10:32:12.500000Z", "NO"),
        ('"2020-01-20"', "2020-01-20T00:00:00Z", "NO"),
    ],
)
def test_times(gdal: Gdal, t: str, time: str, observed: str) -> None:
    assert time_of(gdal, f"GNDC:{CUBE}:t={t}") == (time, observed)
    if '"' not in t:
        assert time_of(gdal, str(CUBE), "-oo", f"T={t}") == (time, observed)
        with gdal_gndc.open(CUBE) as dataset:
            moment = dataset.resolve_time(t)
        assert moment.time is not None
        assert gdal_gndc.times.format_time(moment.time) == time
        assert (moment.frame is not None) == (observed == "YES")


NAMES = ["plain.gndc", "with space.gndc", 'quote".gndc', "back\\slash.gndc", "a:b.gndc", "ü.gndc"]


@pytest.mark.parametrize("name", NAMES)
def test_paths(gdal: Gdal, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    shutil.copy(CUBE, path)
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    for connection in (f"GNDC:{path}:t=1", f'GNDC:"{escaped}":t=1', f'gndc:"{escaped}":T=1'):
        assert time_of(gdal, connection)[0] == "2020-01-19T10:32:10Z"
    # what the container lists opens as it is
    subdatasets = gdal.info(str(path))["metadata"]["SUBDATASETS"]
    assert subdatasets["SUBDATASET_2_NAME"] == f'GNDC:"{escaped}":t=2020-01-19T10:32:10Z'
    assert time_of(gdal, subdatasets["SUBDATASET_2_NAME"])[0] == "2020-01-19T10:32:10Z"


def test_key_like_path_needs_quotes(gdal: Gdal, tmp_path: Path) -> None:
    path = tmp_path / "odd:t=5.gndc"
    shutil.copy(CUBE, path)
    assert time_of(gdal, f'GNDC:"{path}":t=1')[0] == "2020-01-19T10:32:10Z"
    assert gdal.run("gdalinfo", f"GNDC:{path}:t=1").returncode == 1


@pytest.mark.parametrize(
    ("suffix", "message"),
    [
        (":t=7", "frame from 0 to 6"),
        (":t=-8", "frame from 0 to 6"),
        (":t=99999999999999999999", "frame from 0 to 6"),
        (":t=2019-12-31", "2020-01-03T10:30:00Z to 2020-12-28T10:30:30Z"),
        (":t=2020-12-29", "2020-01-03T10:30:00Z to 2020-12-28T10:30:30Z"),
        (":t=2020-02-30", "is not a time"),
        (":t=yesterday", "is not a time"),
        (":t=2020-01-03T25:00:00Z", "is not a time"),
        (":t=", "no value"),
        (":t=0:t=1", "twice"),
        (":t=0:nothing=1", "the key nothing"),
        (":band=B9", "B2, LAI, T"),
        (":band=0", "1 to 3"),
        (":band=4", "1 to 3"),
        (":t=0:every=5d", "one of them"),
        (":t=0:end=2020-05-01", "one of them"),
        (":end=2019-05-01", "no observation"),
        (":start=soon", "is not a time"),
    ],
)
def test_refused(gdal: Gdal, suffix: str, message: str) -> None:
    done = gdal.run("gdalinfo", f"GNDC:{CUBE}{suffix}")
    assert done.returncode == 1
    assert message in done.stderr
    assert str(CUBE) in done.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("GNDC:", "no path"),
        ('GNDC:"', "not closed"),
        ('GNDC:"x', "not closed"),
        ('GNDC:"x"t=0', "after the closing quote"),
        ("GNDC:/no/such.gndc", "cannot be opened"),
        ("GNDC:/no/such.gndc:t=0", "cannot be opened"),
    ],
)
def test_no_such_name(gdal: Gdal, name: str, message: str) -> None:
    done = gdal.run("gdalinfo", name)
    assert done.returncode == 1
    assert message in done.stderr


def test_option_against_key(gdal: Gdal) -> None:
    assert time_of(gdal, f"GNDC:{CUBE}:t=1", "-oo", "T=1")[1] == "YES"
    done = gdal.run("gdalinfo", f"GNDC:{CUBE}:t=1", "-oo", "T=2")
    assert done.returncode == 1
    assert "t=1 and t=2" in done.stderr


def test_bands_over_time(osgeo: Gdal, tmp_path: Path) -> None:
    for band, index in (("LAI", 1), ("2", 1), ("b2", 0), ("T", 2)):
        info = osgeo.info(f"GNDC:{CUBE}:band={band}")
        assert len(info["bands"]) == 7
        assert info["bands"][1]["description"] == "2020-01-19T10:32:10Z"
        assert info["bands"][1]["metadata"][""]["time"] == "2020-01-19T10:32:10Z"
        jobs = [
            {"name": f"GNDC:{CUBE}:band={band}"},
            {"name": f"GNDC:{CUBE}:band={band}", "by": "band", "window": [50, 20, 3, 3]},
            {"name": f"GNDC:{CUBE}:band={band}", "by": "band", "window": [5, 40, 1, 1]},
        ]
        whole, window, pixel = osgeo.reads(jobs, tmp_path)
        with gdal_gndc.open(CUBE) as dataset:
            expected = np.stack([dataset.read(t)[..., index] for t in range(7)])
            series = dataset.pixel_series(40, 5)[:, index]
        np.testing.assert_array_equal(whole, expected)
        np.testing.assert_array_equal(window, expected[:, 20:23, 50:53])
        np.testing.assert_array_equal(pixel[:, 0, 0], series)


def test_location(gdal: Gdal) -> None:
    """gdallocationinfo prints a pixel's series."""
    done = gdal.run("gdallocationinfo", "-valonly", f"GNDC:{CUBE}:band=T", "12", "34")
    assert done.returncode == 0, done.stderr
    with gdal_gndc.open(CUBE) as dataset:
        expected = dataset.pixel_series(34, 12)[:, 2]
    np.testing.assert_allclose([float(line) for line in done.stdout.split()], expected, rtol=1e-6)


def test_times_outside_clamped(osgeo: Gdal, tmp_path: Path) -> None:
    jobs = [
        {"name": f"GNDC:{CUBE}:t={t}", "options": {"EXTRAPOLATE": "CLAMP"}}
        for t in ("1999-01-01", "2020-05-01", "2031-01-01")
    ]
    arrays = osgeo.reads(jobs, tmp_path)
    with gdal_gndc.open(CUBE) as dataset:
        for t, got in zip(("1999-01-01", "2020-05-01", "2031-01-01"), arrays, strict=True):
            expected = dataset.read_at_time(t, extrapolate="clamp")
            np.testing.assert_array_equal(np.moveaxis(got, 0, -1), expected)
    assert time_of(osgeo, str(CUBE), "-oo", "T=2031-01-01", "-oo", "EXTRAPOLATE=CLAMP") == (
        "2020-12-28T10:30:30Z",
        "YES",
    )


def test_precision(osgeo: Gdal, tmp_path: Path) -> None:
    name = f"GNDC:{CUBE}:t=2"
    jobs = [{"name": name, "options": {"PRECISION": precision}} for precision in ("FAST", "FLOAT32")]
    for precision, got in zip(("fast", "float32"), osgeo.reads(jobs, tmp_path), strict=True):
        with gdal_gndc.open(CUBE, precision=precision) as dataset:
            np.testing.assert_array_equal(np.moveaxis(got, 0, -1), dataset.read(2))
    done = osgeo.run("gdalinfo", name, "-oo", "PRECISION=HALF")
    assert "expected one of FLOAT32, FAST" in done.stderr
