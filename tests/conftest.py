"""What several rooms' tests share: the conformance cases, real stacks, and a real cube."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
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


Once = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Makes a folder of a name, and what a function puts into it, once for all processes that share a run."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder(name: str, fill: Callable[[Path], object]) -> Path:
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (shared / name).exists():
                beside = shared / f"{name}.part"
                shutil.rmtree(beside, ignore_errors=True)
                beside.mkdir()
                fill(beside)
                beside.rename(shared / name)
        return shared / name

    return folder


@pytest.fixture(scope="session")
def driver_folder(once: Once) -> Path:
    """The driver of these sources; GNDC_TEST_DRIVER names the folder of one that was just built."""
    from gdal_gndc.driver.install import FILE_NAME, install

    if shutil.which("gdalinfo") is None or shutil.which("gdal-config") is None:
        pytest.skip("the system has no gdalinfo or no libgdal-dev (apt-get install gdal-bin libgdal-dev)")
    built = os.environ.get("GNDC_TEST_DRIVER")
    folder = Path(built) if built else once("gdalplugins", install)
    assert any(folder.glob(f"*/{FILE_NAME}"))
    return folder


def _encoded(once: Once, stack: str, name: str, steps: int) -> Path:
    import gdal_gndc

    files = sorted((DATA / stack).glob("*.tif"))
    folder = once(stack, lambda at: gdal_gndc.encode(files, at / name, steps=steps, seed=1, progress=False))
    return folder / name


@pytest.fixture(scope="session")
def real_cube(once: Once) -> Path:
    """A cube encoded from a real stack, trained just long enough to be a picture of it."""
    return _encoded(once, "s2_flanders", "flanders.gndc", 1500)


@pytest.fixture(scope="session")
def modis_cube(once: Once) -> Path:
    """Six years of vegetation in Mato Grosso, every 16 days; bands blue, red, nir, mir, evi, ndvi."""
    return _encoded(once, "modis_mt_vi", "matogrosso.gndc", 1200)


@pytest.fixture(scope="session")
def sst_cube(once: Once) -> Path:
    """A year of monthly sea surface temperature off Cape Hatteras, in degrees, with land masked."""
    return _encoded(once, "sst_gulfstream", "gulfstream.gndc", 500)


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
