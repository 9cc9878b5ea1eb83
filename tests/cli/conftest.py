from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gdal_gndc.cli.main import main

CASES = Path(__file__).parents[1] / "cases"


@pytest.fixture
def cube(tmp_path: Path) -> Path:
    """A small cube of 7 dates, 61 x 83 pixels, 3 bands."""
    return Path(shutil.copy(CASES / "basic_i8dec.gndc", tmp_path / "cube.gndc"))


@pytest.fixture
def damaged(cube: Path) -> Path:
    """A cube whose container opens, but whose pixels cannot be read."""
    data = bytearray(cube.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(byte ^ 0x5A for byte in data[middle : middle + 64])
    broken = cube.with_name("damaged.gndc")
    broken.write_bytes(data)
    return broken


@pytest.fixture
def gndc() -> Callable[..., Result]:
    """Run ``gndc`` with arguments."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run
