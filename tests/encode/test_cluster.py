"""Chunks on a Dask cluster."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gdal_gndc.errors import EncodeError
from tests.encode.quick import encode

OPTIONS: dict[str, Any] = {"steps": 500, "chunk_size": 20}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as made:
        yield made


def test_a_cluster_gives_the_same_bytes_even_if_a_worker_dies(cluster: Any, tmp_path: Path) -> None:
    files = sorted((Path(__file__).parents[1] / "data" / "modis_mt_vi").glob("*.tif"))[:6]
    encode(files, tmp_path / "serial.gndc", workers=1, **OPTIONS)
    killed = []

    def kill_one() -> None:
        # as soon as the first chunk is there, others are under way on both workers
        while not list(tmp_path.glob(".cluster.gndc.work/*/t*")):
            time.sleep(0.01)
        pid = next(iter(cluster.workers.values())).pid
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)

    thread = threading.Thread(target=kill_one, daemon=True)
    thread.start()
    encode(files, tmp_path / "cluster.gndc", scheduler=cluster.scheduler_address, **OPTIONS)
    thread.join(10)
    assert killed
    assert (tmp_path / "cluster.gndc").read_bytes() == (tmp_path / "serial.gndc").read_bytes()


def test_no_scheduler_there(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    import dask

    file = next((Path(__file__).parents[1] / "data" / "modis_mt_vi").glob("*.tif"))
    short = dask.config.set({"distributed.comm.timeouts.connect": "1s"})
    with short, pytest.raises(EncodeError, match="no Dask scheduler answers there"):
        encode(file, tmp_path / "x.gndc", scheduler="tcp://127.0.0.1:9", **OPTIONS)
