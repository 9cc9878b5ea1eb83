"""Files that fuzzing found, and every invalid case: an error that says something, in little memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import gdal_gndc
from gdal_gndc.errors import GNDCError
from tests.conftest import CASES, INVALID

FOUND = sorted((Path(__file__).parent / "regressions").glob("*.gndc"))
# beyond what reading a small valid file has taken
MOST_MB = 32

_READ = """
import re, sys
from pathlib import Path
import numpy, rasterio, pyproj
import gdal_gndc
from gdal_gndc.errors import GNDCError
with gdal_gndc.open(sys.argv[1]) as dataset:
    dataset.read(0)
# not ru_maxrss, which a process inherits
peak = lambda: int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
for name in sys.argv[2:]:
    said = ""
    try:
        with gdal_gndc.open(name) as dataset:
            t, h, w, c = dataset.shape
            if h * w * c < 10_000_000:
                dataset.read(0), dataset.read(t - 1), dataset.pixel_series(0, 0)
            else:
                dataset.read(0, [0], (0, 0, 8, 8))
    except GNDCError as error:
        said = str(error)
    print(name, bool(said), (peak() - before) // 1024, sep="\\t")
"""


def test_what_was_found_is_refused():
    assert FOUND
    for path in FOUND:
        with pytest.raises(GNDCError) as error, gdal_gndc.open(path) as dataset:
            dataset.read(0)
        assert path.name in str(error.value)


def test_a_reference_system_that_is_none():
    """The pixels can be read and the dataset shown; what asks for the reference system is told."""
    path = Path(__file__).parent / "regressions" / "reference_system" / "epsg_not_a_number.gndc"
    with gdal_gndc.open(path) as dataset:
        assert dataset.read(0).shape == (61, 83, 1)
        assert "83x61" in repr(dataset)
        with pytest.raises(GNDCError, match="crs cannot be read"):
            _ = dataset.crs


def test_invalid_files_are_refused_within_the_memory_they_justify():
    """One process reads them all: its peak shows the worst of them."""
    files = [*(CASES / entry["file"] for entry in INVALID), *FOUND]
    done = subprocess.run(
        [sys.executable, "-c", _READ, CASES / "basic_i8dec.gndc", *files],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(rows) == len(files)
    assert [name for name, said, _ in rows if said != "True"] == []
    assert max(int(mb) for *_, mb in rows) <= MOST_MB, rows
