"""product=dx, dy, dt: exact derivatives, those of the SDK and of VRTs bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdal_gndc
from gdal_gndc.errors import TimeError
from tests.conftest import CASES, Case
from tests.driver.conftest import Gdal
from tests.driver.containers import rewritten

CUBE = CASES / "basic_i8dec.gndc"
MASKED = CASES / "i16dec_log_dynamic.gndc"
BETWEEN = "2020-05-01T01:02:03Z"
AXES = ("x", "y", "t")


def derivative(path: Path, t: int | str, axis: str, **options: Any) -> np.ndarray:
    with gdal_gndc.open(path) as dataset:
        return np.moveaxis(dataset.derivative(t, axis=axis, **options), -1, 0)


def test_equals_sdk_and_vrt(osgeo: Gdal, case: Case, tmp_path: Path) -> None:
    """At an observation and between two, whole, in a window, and smaller."""
    window, small = (13, 7, 41, 30), (20, 27)
    times: list[int | str] = [case.shape[0] - 1, *([BETWEEN] if case.shape[0] > 1 else [])]
    jobs: list[dict[str, Any]] = []
    expected = []
    for t in times:
        for axis in AXES:
            name = f"GNDC:{case.path}:t={t}:product=d{axis}"
            jobs += [
                {"name": name},
                {"name": name, "window": window, "by": "band"},
                {"name": name, "size": small[::-1]},
            ]
            expected += [
                derivative(case.path, t, axis),
                derivative(case.path, t, axis, window=window),
                derivative(case.path, t, axis, out_shape=small),
            ]
    for job, got, want in zip(jobs, osgeo.reads(jobs, tmp_path), expected, strict=True):
        np.testing.assert_array_equal(got, want, err_msg=str(job))
    assert any(np.nanmax(np.abs(want), initial=0.0) > 0 for want in expected)
    with gdal_gndc.open_raster(jobs[0]["name"]) as raster:
        np.testing.assert_array_equal(raster.read(), expected[0])


@pytest.mark.parametrize(
    "transform",
    [
        {"a": 8.0, "b": 3.0, "c": 4e5, "d": 2.0, "e": -9.0, "f": 5.3e6},
        {"a": 20.0, "b": 0.0, "c": 0.0, "d": 0.0, "e": 5.0, "f": 0.0},
        None,
    ],
)  # fmt: skip
def test_any_transform(osgeo: Gdal, tmp_path: Path, transform: dict[str, float] | None) -> None:
    path = rewritten(CUBE, tmp_path / "cube.gndc", meta={"transform": transform})
    jobs = [{"name": f"GNDC:{path}:t=2:product=d{axis}"} for axis in AXES]
    for axis, got in zip(AXES, osgeo.reads(jobs, tmp_path), strict=True):
        np.testing.assert_array_equal(got, derivative(path, 2, axis))


def test_one_band(gdal: Gdal, osgeo: Gdal, tmp_path: Path) -> None:
    """At a time, and over all of them; each where a name is tried in both ways."""
    info = gdal.info(f"GNDC:{CUBE}:band=LAI:product=dt")
    assert [band["description"] for band in info["bands"]][1] == "2020-01-19T10:32:10Z"
    assert info["bands"][0]["metadata"][""]["band"] == "LAI dt"
    jobs = [
        {"name": f"GNDC:{CUBE}:band=LAI:product=dt"},
        {"name": f"GNDC:{CUBE}:band=LAI:product=dt", "window": [40, 50, 1, 1]},
        {"name": f"GNDC:{CUBE}:t=3:band=LAI:product=dy"},
        {"name": str(CUBE), "options": {"T": "3", "BANDS": "T,B2", "PRODUCT": "DX"}},
        {"name": f"GNDC:{CUBE}:t=3:band=LAI"},
    ]
    series, pixel, one, two, plain = osgeo.reads(jobs, tmp_path)
    expected = np.stack([derivative(CUBE, t, "t", bands="LAI")[0] for t in range(7)])
    np.testing.assert_array_equal(series, expected)
    np.testing.assert_array_equal(pixel[:, 0, 0], expected[:, 50, 40])
    np.testing.assert_array_equal(one, derivative(CUBE, 3, "y", bands="LAI"))
    np.testing.assert_array_equal(two, derivative(CUBE, 3, "x", bands=["T", "B2"]))
    with gdal_gndc.open(CUBE) as dataset:
        np.testing.assert_array_equal(plain[0], dataset.read(3, bands="LAI")[..., 0])
    for job, expected_of in zip(jobs, (series, None, one, None, plain), strict=True):
        if expected_of is not None:
            with gdal_gndc.open_raster(job["name"]) as raster:
                np.testing.assert_array_equal(raster.read(), expected_of)


def test_description(gdal: Gdal, tmp_path: Path) -> None:
    bands = gdal.info(f"GNDC:{CUBE}:t=0:product=dx")["bands"]
    assert [(band["description"], band["unit"]) for band in bands] == [
        ("B2 dx", "1/metre"),
        ("LAI dx", "m^2/m^2/metre"),
        ("T dx", "K/metre"),
    ]
    assert {band["colorInterpretation"] for band in bands} == {"Undefined"}
    with gdal_gndc.open_raster(f"GNDC:{CUBE}:t=0:product=dx") as raster:
        assert list(raster.units) == [band["unit"] for band in bands]
        assert list(raster.descriptions) == [band["description"] for band in bands]
    geographic = rewritten(CUBE, tmp_path / "geographic.gndc", meta={"crs": "EPSG:4326"})
    units = [gdal.info(f"GNDC:{geographic}:t=0:product={p}")["bands"][2]["unit"] for p in ("dy", "dt")]
    assert units == ["K/degree", "K/day"]
    # without a time, the times are listed
    subdatasets = gdal.info(f"GNDC:{CUBE}:product=dx")["metadata"]["SUBDATASETS"]
    assert subdatasets["SUBDATASET_2_NAME"] == f'GNDC:"{CUBE}":t=2020-01-19T10:32:10Z:product=dx'
    assert gdal.info(subdatasets["SUBDATASET_2_NAME"])["bands"][0]["description"] == "B2 dx"


def test_statistics_are_not_those_of_the_values(gdal: Gdal, tmp_path: Path) -> None:
    numbers = [{"min": 0.0, "max": 1.0, "mean": 0.25, "stddev": 0.5}] * 3
    path = rewritten(CUBE, tmp_path / "stats.gndc", metrics_json={"bands": numbers})
    for name, there in ((f"GNDC:{path}:t=1", True), (f"GNDC:{path}:t=1:product=dx", False)):
        metadata = gdal.info(name)["bands"][0]["metadata"].get("", {})
        assert ("STATISTICS_MEAN" in metadata) == there


def test_no_dates_no_derivative_by_time(gdal: Gdal, tmp_path: Path) -> None:
    source = CASES / "notemporal_t1_block.gndc"
    path = rewritten(source, tmp_path / "undated.gndc", meta={"time": None})
    with gdal_gndc.open(path) as dataset:
        assert not dataset.timestamps
        with pytest.raises(TimeError):
            dataset.derivative(0, axis="t")
    done = gdal.run("gdal_translate", f"GNDC:{path}:t=0:product=dt", tmp_path / "out.tif")
    assert done.returncode == 1
    assert "no derivative by time" in done.stderr


def test_masks(gdal: Gdal, osgeo: Gdal, tmp_path: Path) -> None:
    """MASK=BAND moves nodata from the values to a mask band; MASK=NONE drops it."""
    with gdal_gndc.open(MASKED) as dataset:
        t = next(t for t in range(dataset.n_timestamps) if np.isnan(dataset.read(t)).any())
        expected = np.moveaxis(dataset.read(t), -1, 0)
    name = f"GNDC:{MASKED}:t={t}"
    jobs = [{"name": name, "options": {"MASK": mask}} for mask in ("NODATA", "BAND", "NONE")]
    nodata, band, none = osgeo.reads(jobs, tmp_path)
    np.testing.assert_array_equal(nodata, expected)
    np.testing.assert_array_equal(band, none)
    assert np.isfinite(band).all()
    there = ~np.isnan(expected)
    np.testing.assert_array_equal(band[there], expected[there])
    first = gdal.info(name, "-oo", "MASK=BAND")["bands"][0]
    assert first["mask"]["flags"] == ["PER_DATASET"]
    assert "noDataValue" not in first
    assert gdal.info(name)["bands"][0].get("mask", {}).get("flags", ["NODATA"]) == ["NODATA"]
    for options in ([], ["-outsize", "31", "23"], ["-srcwin", "5", "6", "40", "30"]):
        out = tmp_path / "mask.tif"
        done = gdal.run("gdal_translate", "-q", *options, "-oo", "MASK=BAND", "-b", "mask", name, out)
        assert done.returncode == 0, done.stderr
        (got,) = osgeo.reads([{"name": str(out)}], tmp_path)
        with gdal_gndc.open(MASKED) as dataset:
            read = {"out_shape": (23, 31)} if "-outsize" in options else {}
            read = {"window": (5, 6, 40, 30)} if "-srcwin" in options else read
            valid = ~np.isnan(dataset.read(t, **read)).all(-1)
        np.testing.assert_array_equal(got[0] == 255, valid)
