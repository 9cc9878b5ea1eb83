"""Chunks in several processes, and runs that are interrupted."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gdal_gndc.encode import work_folder
from gdal_gndc.encode.chunks import ChunkJob
from gdal_gndc.encode.inputs import open_rasters
from gdal_gndc.encode.planner import make_plan
from gdal_gndc.encode.schedule import Schedule
from gdal_gndc.encode.work_folder import Shelf, WorkFolder, digest
from gdal_gndc.errors import EncodeError
from tests.encode.quick import encode

CHUNKS: dict[str, Any] = {"chunk_size": 20}
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def files() -> list[Path]:
    return sorted((Path(__file__).parents[1] / "data" / "modis_mt_vi").glob("*.tif"))[:6]


@pytest.fixture(scope="module")
def serial(files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cube of four chunks, made one after the other by one thread."""
    path = tmp_path_factory.mktemp("serial") / "x.gndc"
    report = encode(files, path, workers=1, threads=1, **CHUNKS)
    assert report.plan.n_chunks == 4 and report.chunks_found == 0
    return path


def test_processes_give_the_same_bytes(serial: Path, files: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "x.gndc"
    report = encode(files, output, workers=3, threads=4, **CHUNKS)
    assert output.read_bytes() == serial.read_bytes()
    assert report.memory > 100_000_000
    assert [path.name for path in tmp_path.iterdir()] == ["x.gndc"]


def test_cubes_are_compared_within_the_limits(serial: Path) -> None:
    with Schedule(threads=1, memory=400_000_000).opened(serial) as cube:
        assert cube.cube.n_threads == 1
        assert all(cache.max_bytes < 200_000_000 for cache in cube.cache_info().values())


def _start(files: list[Path], output: Path, **options: Any) -> subprocess.Popen[bytes]:
    """Encode in a process of its own group, as a terminal would have it, and wait for its first finished chunk."""
    command = [sys.executable, "-m", "tests.encode.quick", str(output), json.dumps(CHUNKS | options)]
    process = subprocess.Popen([*command, *map(str, files)], cwd=ROOT, start_new_session=True, stderr=subprocess.PIPE)
    until = time.monotonic() + 60
    while not list(output.parent.glob(".*.work/*/t*")):
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.01)
    return process


def _end(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    assert process.stderr
    said = process.stderr.read().decode()  # to its end: workers, which share it, have ended too
    process.stderr.close()
    return process.wait(30), said


def test_a_killed_run_goes_on_to_the_same_bytes(serial: Path, files: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "x.gndc"
    # the last chunks take long enough to be killed in
    process = _start(files, output, workers=2, steps=400)
    process.kill()
    # reading to the end of the error stream waited for every process that holds it: the workers have ended too
    assert _end(process)[0] == -signal.SIGKILL
    assert not output.exists()
    finished = len(list(tmp_path.glob(".x.gndc.work/*/t*")))
    assert 0 < finished < 4
    # another command does not take them for its own
    assert encode(files, tmp_path / "y.gndc", workers=1, **CHUNKS).chunks_found == 0
    assert (tmp_path / "y.gndc").read_bytes() == serial.read_bytes()
    # the same does
    report = encode(files, output, workers=1, **CHUNKS, steps=400)
    assert report.chunks_found == finished
    encode(files, tmp_path / "z.gndc", workers=1, **CHUNKS, steps=400)
    assert output.read_bytes() == (tmp_path / "z.gndc").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.gndc", "y.gndc", "z.gndc"]


def test_ctrl_c_ends_all_processes_and_keeps_chunks(files: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "x.gndc"
    process = _start(files, output, workers=2, steps=400)
    os.killpg(process.pid, signal.SIGINT)
    code, said = _end(process)
    assert code == -signal.SIGINT or "KeyboardInterrupt" in said
    finished = list(tmp_path.glob(".x.gndc.work/*/*"))
    assert 0 < len(finished) < 4 and not output.exists()
    changed = encode(files, output, workers=1, **CHUNKS)
    assert changed.chunks_found == 0  # fewer steps: another command
    assert not (tmp_path / ".x.gndc.work").exists()


def test_a_full_disk_is_one_error_and_finished_chunks_stay(
    serial: Path, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "x.gndc"
    fsync = os.fsync

    def full(descriptor: int) -> None:
        if len(list(tmp_path.glob(".x.gndc.work/*/t*"))) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(work_folder.os, "fsync", full)
    with pytest.raises(EncodeError, match="No space left on device; finished chunks are kept there"):
        encode(files, output, workers=2, **CHUNKS)
    monkeypatch.undo()
    assert not output.exists()
    report = encode(files, output, workers=1, **CHUNKS)
    assert report.chunks_found == 3
    assert output.read_bytes() == serial.read_bytes()


def test_a_damaged_chunk_is_made_again(serial: Path, files: list[Path], tmp_path: Path) -> None:
    source = open_rasters(files)
    plan = make_plan(source.shape, preset="fast", steps=20, chunk_size=20)
    shelf = Shelf(tmp_path / "shelf")
    schedule = Schedule(workers=1, progress=False)
    pieces = schedule.train(ChunkJob(source, plan, "cpu", 1), shelf)
    path = pieces[2].path
    assert path
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    schedule.train(ChunkJob(source, plan, "cpu", 1), shelf)
    assert schedule.found == 3 and path.read_bytes() == whole


def test_errors_of_a_process_are_those_of_the_work(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = [tmp_path / path.name for path in files]
    for path, copy in zip(files, copies, strict=True):
        copy.write_bytes(path.read_bytes())
    source = open_rasters(copies)
    copies[3].write_bytes(b"no raster any more")
    plan = make_plan(source.shape, preset="fast", steps=20, chunk_size=20)
    with pytest.raises(EncodeError, match=f"{copies[3].name}: cannot be read"):
        Schedule(workers=2, progress=False).train(ChunkJob(source, plan, "cpu", 1), Shelf(tmp_path / "shelf"))


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    with WorkFolder(tmp_path / "x.gndc"):
        with pytest.raises(EncodeError, match="another process is at work"), WorkFolder(tmp_path / "x.gndc"):
            pass
        assert (tmp_path / ".x.gndc.work").is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_digest_tells_what_would_give_another_file(files: list[Path], tmp_path: Path) -> None:
    copies = [tmp_path / path.name for path in files]
    for path, copy in zip(files, copies, strict=True):
        copy.write_bytes(path.read_bytes())
    source = open_rasters(copies)
    plan = make_plan(source.shape)
    key = digest(source, plan, "cpu")
    assert key == digest(open_rasters(copies), make_plan(source.shape), "cpu")
    os.utime(copies[0], (0, 0))
    keys = {key, digest(source, plan, "cpu"), digest(source, make_plan(source.shape, seed=1), "cpu")}
    assert len(keys) == 3
