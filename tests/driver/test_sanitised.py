"""The driver and the core under the address and undefined behaviour sanitisers, over all cases."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gdal_gndc import driver
from tests.conftest import CASES, INVALID, VALID
from tests.driver.conftest import Gdal

SOURCES = Path(driver.__file__).parent
JOBS = "2"


@pytest.fixture(scope="module")
def check(gdal: Gdal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program gndc_driver_check; GNDC_TEST_CHECK names one that was just built."""
    if built := os.environ.get("GNDC_TEST_CHECK"):
        return Path(built)
    build = tmp_path_factory.mktemp("sanitised")
    options = ["-DGNDC_CHECK=ON", "-DGNDC_SANITIZE=ON", "-DCMAKE_BUILD_TYPE=RelWithDebInfo"]
    for command in (
        ["cmake", "-S", SOURCES, "-B", build, *options],
        ["cmake", "--build", build, "--target", "gndc_driver_check", "--parallel", JOBS],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return build / "gndc_driver_check"


def run(check: Path, files: list[Path]) -> dict[str, str]:
    env = {
        **os.environ,
        "ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=0:max_allocation_size_mb=2048",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "GDAL_DRIVER_PATH": "disable",
        "GDAL_NUM_THREADS": "2",
    }
    done = subprocess.run([check, *files], env=env, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    lines = [line.split(": ", 1) for line in done.stdout.splitlines()]
    return {Path(name).name: said for name, said in lines}


def test_valid_cases(check: Path) -> None:
    said = run(check, [case.path for case in VALID])
    # the program ends each file with names that must be refused
    assert set(said) == {case.path.name for case in VALID}
    assert all("t=1900-01-01" in text for text in said.values()), said


def test_invalid_cases(check: Path) -> None:
    found = sorted((CASES.parent / "fuzz" / "regressions").glob("*.gndc"))
    said = run(check, [*(CASES / entry["file"] for entry in INVALID), *found])
    assert len(said) == len(INVALID) + len(found)
    assert "ok" not in said.values()


@pytest.mark.parametrize("seed", range(3))
def test_damaged_copies(check: Path, tmp_path: Path, seed: int) -> None:
    """Bytes changed at random, checksums mended: whatever they say is refused or read, never crashed on."""
    import random
    import zipfile

    chance = random.Random(seed)
    files = []
    for case in VALID:
        path = tmp_path / f"{case.name}.gndc"
        with zipfile.ZipFile(case.path) as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                data = bytearray(old.read(name))
                if name.endswith(".gndcc"):
                    for _ in range(chance.randint(0, 3)):
                        data[chance.randrange(len(data))] = chance.randrange(256)
                new.writestr(name, bytes(data))
        files.append(path)
    assert len(run(check, files)) == len(files)
