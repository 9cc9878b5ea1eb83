"""The driver, built once for all its tests, and the GDAL programs of the system that load it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdal_gndc import driver
from gdal_gndc.driver.install import environment
from tests.conftest import Once

WORKER = Path(__file__).with_name("worker.py")
PYTHON = "/usr/bin/python3"
TIMEOUT = 120
SOURCES = Path(driver.__file__).parent
JOBS = "2"


@dataclass(frozen=True)
class Gdal:
    """Programs of the system's GDAL, in the environment of an installed driver."""

    folder: Path
    env: dict[str, str]

    def run(self, *command: str | Path, memory: int | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a program; ``memory`` bounds its address space in bytes."""

        def limit() -> None:
            if memory is not None:
                resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

        return subprocess.run(
            [str(part) for part in command],
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            preexec_fn=limit,
            check=False,
        )

    def info(self, name: str, *options: str) -> dict[str, Any]:
        """What ``gdalinfo -json`` says."""
        done = self.run("gdalinfo", "-json", *options, name)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def reads(self, jobs: list[dict[str, Any]], tmp_path: Path) -> list[np.ndarray]:
        """Arrays (bands, rows, columns) that osgeo.gdal reads; see worker.py."""
        out = tmp_path / "reads.npz"
        done = subprocess.run(
            [PYTHON, str(WORKER), str(out)],
            input=json.dumps(jobs),
            env=self.env,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        with np.load(out) as arrays:
            return [arrays[f"a{i}"] for i in range(len(jobs))]


@pytest.fixture(scope="session")
def gdal(driver_folder: Path) -> Gdal:
    """Programs that find the driver of these sources."""
    # Python comes by PYTHONPATH to programs that need none: the driver must do without
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GDAL_", "PYTHON"))}
    env["GDAL_DRIVER_PATH"] = environment(driver_folder)["GDAL_DRIVER_PATH"]
    return Gdal(driver_folder, env)


@pytest.fixture(scope="session")
def osgeo(gdal: Gdal) -> Gdal:
    """The same, where the system's Python has osgeo.gdal."""
    if gdal.run(PYTHON, "-c", "import osgeo.gdal, numpy").returncode:
        pytest.skip(f"{PYTHON} has no osgeo.gdal (apt-get install python3-gdal)")
    return gdal


@pytest.fixture(scope="session")
def check(gdal: Gdal, once: Once) -> Path:
    """The program gndc_driver_check; GNDC_TEST_CHECK names one that was just built."""
    if built := os.environ.get("GNDC_TEST_CHECK"):
        return Path(built)
    return once("sanitised", _build_check) / "gndc_driver_check"


def _build_check(build: Path) -> None:
    options = ["-DGNDC_CHECK=ON", "-DGNDC_SANITIZE=ON", "-DCMAKE_BUILD_TYPE=RelWithDebInfo"]
    for command in (
        ["cmake", "-S", SOURCES, "-B", build, *options],
        ["cmake", "--build", build, "--target", "gndc_driver_check", "--parallel", JOBS],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def sanitised(check: Path, files: list[Path]) -> dict[str, str]:
    """What the program says of each file: its first error, or "ok"."""
    env = {
        **os.environ,
        "ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=0:max_allocation_size_mb=2048",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "GDAL_DRIVER_PATH": "disable",
        "GDAL_NUM_THREADS": "2",
    }

    def run(part: list[Path]) -> list[str]:
        done = subprocess.run([check, *part], env=env, capture_output=True, text=True, timeout=280, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout.splitlines()

    # two processes, each with every second file
    with ThreadPoolExecutor(2) as pool:
        lines = [line.split(": ", 1) for said in pool.map(run, (files[::2], files[1::2])) for line in said]
    return {Path(name).name: said for name, said in lines}
