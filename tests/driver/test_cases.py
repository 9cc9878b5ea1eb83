"""The driver against the conformance cases: pixels within tolerance, and damaged files refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdal_gndc
from tests.conftest import Case
from tests.driver.conftest import Gdal

MEMORY = 3 << 30


def job_of(case: Case, call: dict[str, Any]) -> dict[str, Any]:
    job: dict[str, Any] = {"name": f'GNDC:"{case.path}":t={call["time"]}'}
    if "window" in call:
        job["window"] = call["window"]
    if "rowcol" in call:
        row, col = call["rowcol"]
        job["window"] = [col, row, 1, 1]
    if "bands" in call:
        job["bands"] = [b + 1 for b in call["bands"]]
    return job


@pytest.mark.parametrize("by", ["dataset", "band"])
def test_reads(osgeo: Gdal, case: Case, by: str, tmp_path: Path) -> None:
    calls = {name: call for name, call in case.calls.items() if call["call"] in ("read", "interpolate")}
    assert len(calls) > 3
    arrays = osgeo.reads([{**job_of(case, call), "by": by} for call in calls.values()], tmp_path)
    for (name, call), array in zip(calls.items(), arrays, strict=True):
        got = array[:, 0, 0] if "rowcol" in call else np.moveaxis(array, 0, -1)
        case.check(np.ascontiguousarray(got), name)


def test_equals_sdk(osgeo: Gdal, case: Case, tmp_path: Path) -> None:
    """Bit for bit: whole, windowed, decimated and enlarged, observed and continuous."""
    t, h, w, _ = case.shape
    with gdal_gndc.open(case.path) as dataset:
        times: list[Any] = sorted({0, t // 2, t - 1})
        if t > 1:
            times.append("2020-02-10T03:04:05Z")
        jobs, expected = [], []
        for time in times:
            read = dataset.read if isinstance(time, int) else dataset.read_at_time
            name = f"GNDC:{case.path}:t={time}"
            for by in ("dataset", "band"):
                jobs += [
                    {"name": name, "by": by},
                    {"name": name, "by": by, "window": [11, 7, 40, 23]},
                    {"name": name, "by": by, "size": [w // 3, h // 4]},
                    {"name": name, "by": by, "window": [5, 9, 31, 17], "size": [7, 40]},
                    {"name": name, "by": by, "window": [w - 1, h - 1, 1, 1]},
                ]
                expected += [
                    read(time),
                    read(time, window=(11, 7, 40, 23)),
                    read(time, out_shape=(h // 4, w // 3)),
                    read(time, window=(5, 9, 31, 17), out_shape=(40, 7)),
                    read(time, window=(w - 1, h - 1, 1, 1)),
                ]
    for job, got, want in zip(jobs, osgeo.reads(jobs, tmp_path), expected, strict=True):
        np.testing.assert_array_equal(np.moveaxis(got, 0, -1), want, err_msg=str(job), strict=True)


def test_invalid(gdal: Gdal, invalid: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.tif"
    done = gdal.run("gdal_translate", f"GNDC:{invalid}:t=0", out, memory=MEMORY)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    assert errors, done.stderr
    assert invalid.name in errors[0]
    assert not out.exists()


def test_invalid_as_file(gdal: Gdal, invalid: Path, tmp_path: Path) -> None:
    """By its plain name a damaged file is refused too, by this driver or by all."""
    out = tmp_path / "out.tif"
    done = gdal.run("gdal_translate", "-oo", "T=0", invalid, out, memory=MEMORY)
    assert done.returncode == 1
    assert invalid.name in done.stderr
    assert not out.exists()
