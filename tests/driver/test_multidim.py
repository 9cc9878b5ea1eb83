"""Time series by name: every=, and the multidimensional view with what GDAL's programs make of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdal_gndc
from tests.conftest import CASES, Case
from tests.driver.conftest import PYTHON, Gdal
from tests.driver.containers import rewritten

CUBE = CASES / "basic_i8dec.gndc"
MEMORY = 3 << 30
EPOCH = np.datetime64("1970-01-01T00:00:00", "s")


def whole(path: Path) -> np.ndarray:
    """(T, H, W, C) of the observations."""
    with gdal_gndc.open(path) as dataset:
        return np.stack([dataset.read(t) for t in range(dataset.n_timestamps)])


def test_every(gdal: Gdal, osgeo: Gdal, tmp_path: Path) -> None:
    name = f"GNDC:{CUBE}:every=P60D:start=2020-02-01:end=2020-10-01"
    times = ["2020-02-01", "2020-04-01", "2020-05-31", "2020-07-30", "2020-09-28"]
    subdatasets = gdal.info(name)["metadata"]["SUBDATASETS"]
    assert len(subdatasets) == 10
    names = [subdatasets[f"SUBDATASET_{i + 1}_NAME"] for i in range(5)]
    assert names == [f'GNDC:"{CUBE}":t={time}T00:00:00Z' for time in times]
    assert (
        gdal.info(str(CUBE), "-oo", "EVERY=60d", "-oo", "START=2020-02-01", "-oo", "END=2020-10-01")["metadata"][
            "SUBDATASETS"
        ]
        == subdatasets
    )
    # times as bands
    info = gdal.info(f"{name}:band=LAI")
    assert [band["description"] for band in info["bands"]] == [f"{time}T00:00:00Z" for time in times]
    assert {band["metadata"][""]["observed"] for band in info["bands"]} == {"NO"}
    (bands,) = osgeo.reads([{"name": f"{name}:band=LAI"}], tmp_path)
    with gdal_gndc.open(CUBE) as dataset:
        expected = np.stack([dataset.read_at_time(time)[..., 1] for time in times])
    np.testing.assert_array_equal(bands, expected)


def test_every_meets_observations(gdal: Gdal) -> None:
    """From the first observation on by default, and an observed moment is the observation."""
    info = gdal.info(f"GNDC:{CUBE}:every=P400D:band=1")
    assert [band["metadata"][""]["observed"] for band in info["bands"]] == ["YES"]
    info = gdal.info(f"GNDC:{CUBE}:band=1:every=PT90S:start=2020-01-19T10:30:40Z:end=2020-01-19T10:34:00Z")
    assert [band["metadata"][""]["observed"] for band in info["bands"]] == ["NO", "YES", "NO"]


@pytest.mark.parametrize(
    ("suffix", "message"),
    [
        (":every=P1M", "positive duration"),
        (":every=P1Y", "positive duration"),
        (":every=0d", "positive duration"),
        (":every=", "no value"),
        (":every=5", "positive duration"),
        (":every=5d:t=0", "one of them"),
        (":every=5d:start=2020-05-01:end=2020-04-01", "before start"),
        (":every=5d:start=2019-05-01", "outside the cube"),
        (":every=5d:end=2021-05-01", "outside the cube"),
        (":every=1s", "more than 1000000 times"),
        (":every=30min:band=1:end=x", "is not a time"),
        (":every=5min:band=1", "no raster of"),
    ],
)
def test_every_refused(gdal: Gdal, suffix: str, message: str) -> None:
    done = gdal.run("gdalinfo", f"GNDC:{CUBE}{suffix}")
    assert done.returncode == 1
    assert message in done.stderr


def test_long_lists_are_cut_and_say_so(gdal: Gdal) -> None:
    metadata = gdal.info(f"GNDC:{CUBE}:every=PT1H")["metadata"]
    assert len(metadata["SUBDATASETS"]) == 10000
    assert "first 5000 of 8641 times" in metadata[""]["SUBDATASETS_NOTE"]


def test_arrays(osgeo: Gdal, case: Case, tmp_path: Path) -> None:
    """Every way to cut an array gives the pixels of the SDK: bit for bit where they are pixels side by side."""
    expected = whole(case.path)
    frames, height, width, _ = case.shape
    with gdal_gndc.open(case.path) as dataset:
        name = dataset.band_names[-1]
        # one pixel over several times is one series evaluation
        pixel = dataset.pixel_series(60, 82)[:, -1] if frames > 1 else expected[:, 60, 82, -1]
    file = f"GNDC:{case.path}"
    step = -2 if frames > 2 else 1
    jobs: list[dict[str, Any]] = [
        {"name": file, "array": name},
        {"name": file, "array": name, "start": [0, 50, 3], "count": [frames, 5, 20], "step": [1, -3, 4]},
        {"name": file, "array": name, "start": [frames - 1, 7, 80], "count": [min(frames, 3), 4, 9],
         "step": [step, 2, -5], "dtype": "float64"},
        {"name": file, "array": name, "start": [0, 60, 82], "count": [frames, 1, 1]},
        {"name": file, "array": name, "start": [0, 50, 82], "count": [frames, 20, 40], "step": [1, -1, -1]},
        {"name": file, "array": "values", "options": {"ARRAYS": "ONE"}},
    ]  # fmt: skip
    last = expected[..., -1]
    wanted = [
        last,
        last[:, 50:35:-3][:, :5, 3:83:4],
        last[::-1][:: -step if step < 0 else 1][:3, 7:15:2, 80:35:-5],
        pixel[:, None, None],
        last[:, 50:30:-1, 82:42:-1],
        expected,
    ]
    for job, got, want in zip(jobs, osgeo.reads(jobs, tmp_path), wanted, strict=True):
        assert got.shape == want.shape, job
        if "step" not in job or set(map(abs, job["step"])) == {1}:
            np.testing.assert_array_equal(got.astype(np.float32), want, err_msg=str(job))
        else:  # other spacings than the pixels' reach the same values on another path: float32 rounding
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * case.span[-1], err_msg=str(job))
    assert (height, width) == (61, 83)


def test_coordinates(osgeo: Gdal, tmp_path: Path) -> None:
    jobs = [{"name": str(CUBE), "array": axis, "dtype": "float64"} for axis in ("time", "y", "x")]
    time, y, x = osgeo.reads(jobs, tmp_path)
    with gdal_gndc.open(CUBE) as dataset:
        stamps = [np.datetime64(t.replace(tzinfo=None), "s") for t in dataset.timestamps]
        left, _, _, top = dataset.bounds
    np.testing.assert_array_equal(time, [(stamp - EPOCH).astype(float) for stamp in stamps])
    np.testing.assert_array_equal(x, left + 10.0 * (np.arange(83) + 0.5))
    np.testing.assert_array_equal(y, top - 10.0 * (np.arange(61) + 0.5))


def test_description(gdal: Gdal) -> None:
    done = gdal.run("gdalmdiminfo", CUBE)
    assert done.returncode == 0, done.stderr
    info = json.loads(done.stdout)
    assert [(d["name"], d["size"], d["type"]) for d in info["dimensions"]] == [
        ("time", 7, "TEMPORAL"),
        ("y", 61, "HORIZONTAL_Y"),
        ("x", 83, "HORIZONTAL_X"),
    ]
    arrays = info["arrays"]
    assert set(arrays) == {"time", "y", "x", "B2", "LAI", "T"}
    assert arrays["time"]["unit"] == "seconds since 1970-01-01 00:00:00"
    band = arrays["B2"]
    assert band["attributes"]["long_name"] == "Blue"
    assert band["attributes"]["center_wavelength"] == 490
    assert band["nodata_value"] == "NaN"
    assert band["block_size"] == [1, 61, 83]
    assert 'ID["EPSG",32633]' in band["srs"]["wkt"]
    assert band["srs"]["data_axis_to_srs_axis_mapping"] == [3, 2]
    assert arrays["T"]["unit"] == "K"


@pytest.mark.parametrize(("format_", "name"), [("netCDF", "out.nc"), ("Zarr", "out.zarr")])
def test_translated(gdal: Gdal, osgeo: Gdal, tmp_path: Path, format_: str, name: str) -> None:
    out = tmp_path / name
    done = gdal.run("gdalmdimtranslate", "-of", format_, CUBE, out)
    if "format" in done.stderr and "not" in done.stderr and "recognized" in done.stderr:
        pytest.skip(f"this GDAL has no {format_}")
    assert done.returncode == 0, done.stderr
    arrays = osgeo.reads([{"name": str(out), "array": band} for band in ("B2", "LAI", "T")], tmp_path)
    np.testing.assert_array_equal(np.stack(arrays, -1), whole(CUBE))


def test_view_as_classic_raster(osgeo: Gdal, tmp_path: Path) -> None:
    """Part of an array, at regular times."""
    name = f"GNDC:{CUBE}:every=P60D:start=2020-02-01"
    (got,) = osgeo.reads([{"name": name, "array": "LAI", "view": "[1,10:30,::2]"}], tmp_path)
    with gdal_gndc.open(CUBE) as dataset:
        expected = dataset.read_at_time("2020-04-01")[10:30, ::2, 1]
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-4)


def test_time_of_one_moment(osgeo: Gdal, tmp_path: Path) -> None:
    (got,) = osgeo.reads([{"name": f"GNDC:{CUBE}:t=2020-02-10", "array": "T"}], tmp_path)
    with gdal_gndc.open(CUBE) as dataset:
        np.testing.assert_array_equal(got[0], dataset.read_at_time("2020-02-10")[..., 2])


def test_refused(gdal: Gdal) -> None:
    for arguments, message in (
        ((f"GNDC:{CUBE}:band=1",), "expected none"),
        (("-oo", "ARRAYS=FEW", str(CUBE)), "BANDS or ONE"),
    ):
        done = gdal.run("gdalmdiminfo", *arguments)
        assert done.returncode == 1
        assert message in done.stderr


def test_damaged(osgeo: Gdal, invalid: Path) -> None:
    """A damaged file is refused when it is opened, or when its values are read."""
    code = (
        "import sys; from osgeo import gdal; gdal.UseExceptions()\n"
        "group = gdal.OpenEx(sys.argv[1], gdal.OF_MULTIDIM_RASTER | gdal.OF_VERBOSE_ERROR).GetRootGroup()\n"
        "names = set(group.GetMDArrayNames()) - {'time', 'y', 'x'}\n"
        "print([group.OpenMDArray(name).ReadAsArray().sum() for name in names])\n"
    )
    done = osgeo.run(PYTHON, "-c", code, f"GNDC:{invalid}", memory=MEMORY)
    assert done.returncode == 1
    assert invalid.name in done.stderr
    assert done.stdout == ""


STATISTICS = """
import json, sys
from osgeo import gdal
gdal.UseExceptions()
path, times = sys.argv[1:]
options = [] if times == "all" else [f"EVERY={times}"]
array = gdal.OpenEx(path, gdal.OF_MULTIDIM_RASTER, open_options=options).GetRootGroup().OpenMDArray("LAI")
known = array.GetStatistics(True, False)
computed = array.ComputeStatistics(False)
show = lambda s: None if s is None else [s.min, s.max, s.mean, s.std_dev, s.valid_count]
print(json.dumps([show(known), show(computed)]))
"""


def test_statistics_of_arrays(osgeo: Gdal, tmp_path: Path) -> None:
    """Approximate ones are the encoder's; computed ones are kept beside the file, with those of rasters."""
    numbers = [{"min": i - 1.0, "max": i + 1.0, "mean": i + 0.25, "stddev": 0.5} for i in range(3)]
    path = rewritten(CUBE, tmp_path / "stats.gndc", metrics_json={"bands": numbers})

    def statistics(times: str) -> list[list[float]]:
        done = osgeo.run(PYTHON, "-c", STATISTICS, path, times)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    values = whole(CUBE)[..., 1]
    expected = [values.min(), values.max(), values.mean(dtype=float), values.std(dtype=float), values.size]
    # of other times than the observations nothing is kept
    known, _ = statistics("P400D")
    assert known[:4] == [0.0, 2.0, 1.25, 0.5]
    assert not Path(f"{path}.aux.xml").exists()
    known, computed = statistics("all")
    assert known[:4] == [0.0, 2.0, 1.25, 0.5]
    np.testing.assert_allclose(computed, expected, rtol=1e-5)
    known, _ = statistics("all")
    np.testing.assert_allclose(known, expected, rtol=1e-5)
    assert len(osgeo.info(f"GNDC:{path}:t=1", "-stats")["bands"]) == 3
    known, _ = statistics("all")
    np.testing.assert_allclose(known, expected, rtol=1e-5)
