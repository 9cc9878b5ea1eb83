"""What several rooms' tests share: the conformance cases, real stacks, and a real cube."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

TESTS = Path(__file__).parent
CASES = TESTS / "cases"
DATA = TESTS / "data"


@dataclass(frozen=True)
class Case:
    """A valid container with arrays that an independent decoder returned for it."""

    name: str
    path: Path
    shape: tuple[int, int, int, int]
    span: np.ndarray
    calls: dict[str, dict[str, Any]]
    use_log: bool = False

    def expected(self, call: str) -> np.ndarray:
        return _arrays(self.path.with_suffix(".npz"))[call]

    def check(self, got: np.ndarray, call: str, tolerance: float = 1e-4) -> None:
        """NaN where and only where expected, and within ``tolerance`` of the band's span."""
        expected = self.expected(call)
        bands = self.calls[call].get("bands")
        span = self.span if bands is None else self.span[bands]
        assert got.shape == expected.shape
        assert got.dtype == np.float32
        np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
        error = np.abs(got - expected) / span
        assert np.nanmax(error, initial=0.0) <= tolerance


@lru_cache
def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return dict(arrays)


def _use_log(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return bool(json.loads(archive.read("meta.json")).get("use_log"))


def _load() -> tuple[list[Case], list[dict[str, str]]]:
    listing = json.loads((CASES / "cases.json").read_text())
    valid = [
        Case(
            c["name"],
            CASES / c["file"],
            tuple(c["shape"]),
            np.array(c["band_span"]),
            c["arrays"],
            _use_log(CASES / c["file"]),
        )
        for c in listing["cases"]
    ]
    return valid, listing["invalid"]


VALID, INVALID = _load()


@pytest.fixture(params=VALID, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(params=INVALID, ids=lambda entry: entry["file"].removesuffix(".gndc"))
def invalid(request: pytest.FixtureRequest) -> Path:
    return CASES / request.param["file"]


@pytest.fixture(scope="session")
def stacks() -> Path:
    """Folder of the real satellite stacks."""
    return DATA


@pytest.fixture(scope="session")
def real_cube(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cube encoded from a real stack, trained just long enough to be a picture of it."""
    import gdal_gndc

    path = tmp_path_factory.mktemp("cube") / "flanders.gndc"
    gdal_gndc.encode(sorted((DATA / "s2_flanders").glob("*.tif")), path, steps=1500, seed=1, progress=False)
    return path


@pytest.fixture(scope="session")
def modis_cube(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six years of vegetation in Mato Grosso, every 16 days; bands blue, red, nir, mir, evi, ndvi."""
    import gdal_gndc

    path = tmp_path_factory.mktemp("modis") / "matogrosso.gndc"
    gdal_gndc.encode(sorted((DATA / "modis_mt_vi").glob("*.tif")), path, steps=1200, seed=1, progress=False)
    return path


@pytest.fixture(scope="session")
def sst_cube(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year of monthly sea surface temperature off Cape Hatteras, in degrees, with land masked."""
    import gdal_gndc

    path = tmp_path_factory.mktemp("sst") / "gulfstream.gndc"
    gdal_gndc.encode(sorted((DATA / "sst_gulfstream").glob("*.tif")), path, steps=500, seed=1, progress=False)
    return path


@pytest.fixture(scope="session")
def peer_python() -> str:
    """A Python with the reference decoder, named by GNDC_PEER_PYTHON; comparisons with it are optional."""
    python = os.environ.get("GNDC_PEER_PYTHON")
    if not python:
        pytest.skip("GNDC_PEER_PYTHON names no Python with pygndc 1.0.14 to compare with")
    found = subprocess.run([python, "-c", "import pygndc"], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"{python} has no pygndc: {found.stderr.strip().splitlines()[-1]}")
    return python
