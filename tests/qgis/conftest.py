"""PyQGIS of the system, without a screen, with the driver of these sources."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdal_gndc.driver.install import environment
from gdal_gndc.driver.python_folder import make_python_folder
from gdal_gndc.vrt.trust import MODULES, VARIABLE

WORKER = Path(__file__).with_name("worker.py")
PYTHON = "/usr/bin/python3"
TIMEOUT = 120


@dataclass(frozen=True)
class Qgis:
    """A process that has QGIS; the environment in which its GDAL finds the driver, and what VRTs need beside it."""

    env: dict[str, str]
    vrt: dict[str, str]

    def run(self, task: str, tmp_path: Path, *, env: dict[str, str] | None = None, **given: Any) -> Any:
        """Do a task of worker.py; arrays that it answers with come from a file."""
        out = tmp_path / f"{task}.npz"
        done = subprocess.run(
            [PYTHON, str(WORKER), task, str(out)],
            input=json.dumps(given, default=str),
            env=self.env | (env or {}),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        with np.load(out) as arrays:
            answer = json.loads(str(arrays["answer"]))
            answer["images"] = {name: arrays[name] for name in arrays.files if name != "answer"}
        return answer


@pytest.fixture(scope="session")
def qgis(driver_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Qgis:
    """Skipped only where Debian's python3-qgis is not installed, which `make test` does."""
    home = tmp_path_factory.mktemp("qgis_home")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GDAL_", "PYTHON", "QGIS_"))}
    env |= {"QT_QPA_PLATFORM": "offscreen", "HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    if (
        not Path(PYTHON).exists()
        or subprocess.run([PYTHON, "-c", "import qgis.core"], env=env, capture_output=True, check=False).returncode
    ):
        pytest.skip(f"{PYTHON} has no PyQGIS (apt-get install python3-qgis)")
    links = make_python_folder(home / "python")
    return Qgis(
        env | {"GDAL_DRIVER_PATH": environment(driver_folder)["GDAL_DRIVER_PATH"]},
        {VARIABLE: MODULES, "PYTHONPATH": str(links)},
    )


@pytest.fixture
def as_shown() -> Callable[..., np.ndarray]:
    """The 8-bit picture (H, W, C) of values (H, W, C) stretched to (low, high) limits of each band."""

    def picture(values: np.ndarray, limits: Any) -> np.ndarray:
        low, high = np.asarray(limits, np.float64).T
        return np.clip((values - low) / (high - low) * 255, 0, 255)

    return picture
