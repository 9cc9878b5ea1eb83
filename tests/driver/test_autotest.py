"""The driver as GDAL tests its own: a script for osgeo.gdal, one function a behaviour, run in one process.

The expected values are those of the format's cases, which an independent decoder wrote.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import CASES
from tests.driver.conftest import PYTHON, Gdal

SCRIPT = Path(__file__).with_name("autotest.py")


@pytest.fixture(scope="module")
def results(osgeo: Gdal, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each function of the script returned or raised."""
    done = osgeo.run(PYTHON, SCRIPT, CASES, tmp_path_factory.mktemp("autotest"))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def names() -> list[str]:
    return [line[4:].split("(")[0] for line in SCRIPT.read_text().splitlines() if line.startswith("def gndc_")]


@pytest.mark.parametrize("name", names())
def test_gdal_way(results: dict[str, Any], name: str) -> None:
    assert results[name] == "success"


def test_checksum(results: dict[str, Any]) -> None:
    """Checksums are those of any number of threads, and there are pixels behind them."""
    found = results["checksums"]
    expected = np.load(CASES / "basic_i8dec.npz")[found["call"]]
    assert len(set(found["sums"])) == 3
    assert found["mean"] == pytest.approx(expected.mean((0, 1), dtype=np.float64).tolist(), rel=1e-4)
