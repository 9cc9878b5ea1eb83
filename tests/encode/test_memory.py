from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from gdal_gndc.encode.memory import chunk_memory, parse_memory, small_block_cache, worker_count
from gdal_gndc.encode.planner import make_plan
from gdal_gndc.errors import EncodeError

DATA = Path(__file__).parents[1] / "data"

_PROGRAM = """
import json, sys
from gdal_gndc.encode.chunks import ChunkJob, chunk_boxes
from gdal_gndc.encode.inputs import open_source
from gdal_gndc.encode.memory import chunk_memory, peak_memory
from gdal_gndc.encode.planner import make_plan

source = open_source(sys.argv[1])
plan = make_plan(source.shape, preset="fast", steps=3, **json.loads(sys.argv[2]))
ChunkJob(source, plan, "cpu", 1).run(next(iter(chunk_boxes(plan))), lambda progress: None)
print(peak_memory(), chunk_memory(plan))
"""


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 dates of 560 x 560 pixels and two bands, in tiles."""
    folder = tmp_path_factory.mktemp("waves")
    pixels = np.random.default_rng(0).integers(0, 3000, (2, 560, 560)).astype(np.int16)
    profile = {"driver": "GTiff", "width": 560, "height": 560, "count": 2, "dtype": "int16", "tiled": True,
               "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6), "crs": "EPSG:32631"}  # fmt: skip
    for k in range(12):
        with rasterio.open(folder / f"w_2020{k + 1:02}01.tif", "w", **profile) as out:
            out.write(pixels + np.int16(50 * k))
    return folder


@pytest.mark.parametrize("options", [{}, {"chunk_size": 500, "interpolate": True}], ids=str)
def test_the_estimate_is_a_little_above_the_peak(options: dict[str, object], waves: Path) -> None:
    command = [sys.executable, "-c", _PROGRAM, str(waves), json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    peak, estimate = map(int, done.stdout.split())
    assert 0.75 * estimate < peak < estimate


def test_a_limit_holds_or_says_what_the_least_is(waves: Path, tmp_path: Path) -> None:
    run = [sys.executable, "-m", "gdal_gndc.cli.main", "encode", str(waves), "-o", str(tmp_path / "a.gndc")]
    run += ["--preset", "fast", "--steps", "3", "--interpolate", "--json", "-q", "--overwrite", "--memory"]
    done = subprocess.run([*run, "280M"], capture_output=True, text=True, check=True, timeout=100)
    report = json.loads(done.stdout)
    assert 100e6 < report["memory"] <= 280e6
    assert math.prod(report["plan"]["chunk"]) < 12 * 560 * 560
    done = subprocess.run([*run, "50M"], capture_output=True, text=True, check=False, timeout=100)
    found = re.search(r"the limit of memory is 50 MB; .* takes about (\d+) MB", done.stderr)
    assert done.returncode == 1 and found, done.stderr
    assert 110 <= int(found[1]) < 240


def test_sizes_as_people_write_them() -> None:
    assert [parse_memory(text) for text in ("4G", "500 MB", "1.5GiB", "2000k", 7)] == [
        4 * 10**9, 500 * 10**6, 1536 * 2**20, 2_000_000, 7,
    ]  # fmt: skip
    for wrong in ("much", "-4G", "0", "4X"):
        with pytest.raises(EncodeError, match="expected a number of bytes"):
            parse_memory(wrong)


def test_workers_fit_into_the_limit() -> None:
    plan = make_plan((24, 2048, 2048, 4), preset="fast")
    need = chunk_memory(plan)

    def count(wanted: int | None = None, limit: int | None = None, threads: int = 8) -> int:
        return worker_count(plan, n_chunks=4, wanted=wanted, threads=threads, limit=limit)

    assert count(limit=100 * need) == 4 and count(limit=100 * need, threads=2) == 2
    assert count(limit=round(2.9 * need)) == 2 and count(limit=need) == 1
    assert count(wanted=3) == 3
    with pytest.raises(EncodeError, match="make chunks smaller"):
        count(limit=need // 2)
    with pytest.raises(EncodeError, match="3 chunks at a time take about"):
        count(wanted=3, limit=2 * need)
    with pytest.raises(EncodeError, match="0 workers"):
        count(wanted=0)


def test_gdal_keeps_few_blocks_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    from rasterio._env import get_gdal_config

    monkeypatch.delenv("GDAL_CACHEMAX", raising=False)
    before = get_gdal_config("GDAL_CACHEMAX")
    with small_block_cache():
        assert get_gdal_config("GDAL_CACHEMAX") == 64_000_000 != before
    assert get_gdal_config("GDAL_CACHEMAX") == before
    monkeypatch.setenv("GDAL_CACHEMAX", "512")
    with small_block_cache():
        assert get_gdal_config("GDAL_CACHEMAX") == before
