from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gdal_gndc.encode.memory import chunk_memory, parse_memory, small_block_cache, worker_count
from gdal_gndc.encode.planner import make_plan
from gdal_gndc.errors import EncodeError

DATA = Path(__file__).parents[1] / "data"

_PROGRAM = """
import dataclasses, json, sys
from datetime import datetime, timedelta, timezone
import numpy as np
from gdal_gndc.encode.chunks import ChunkJob, chunk_boxes
from gdal_gndc.encode.inputs import Source
from gdal_gndc.encode.memory import chunk_memory, peak_memory
from gdal_gndc.encode.planner import make_plan
from gdal_gndc.format.meta import Band

@dataclasses.dataclass(frozen=True, kw_only=True)
class Waves(Source):
    names = ("waves",)

    def read_frame(self, k, rows, cols):
        y, x = np.mgrid[slice(*rows), slice(*cols)].astype(np.float32)
        return np.stack([np.sin(x / 9 + k), np.cos(y / 7)], axis=-1)

options = json.loads(sys.argv[1])
times = tuple(datetime(2020, 1, 1, tzinfo=timezone.utc) + timedelta(days=9 * k) for k in range(12))
source = Waves(
    times=times, height=1000, width=1000, bands=(Band("a"), Band("b")), crs=None, transform=None, dtype="float32"
)
plan = make_plan(source.shape, preset="fast", steps=25, **options)
entry = next(iter(chunk_boxes(plan)))
ChunkJob(source, plan, "cpu", 1).run(entry, lambda progress: None)
print(peak_memory(), chunk_memory(plan))
"""


@pytest.mark.parametrize("options", [{"chunk_size": 1000}, {"chunk_size": 300, "interpolate": True}], ids=str)
def test_the_estimate_is_a_little_above_the_peak(options: dict[str, object]) -> None:
    command = [sys.executable, "-c", _PROGRAM, json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    peak, estimate = map(int, done.stdout.split())
    assert 0.4 * estimate < peak < estimate


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
