"""Training all chunks of a cube: one after the other, in several processes, or on a Dask cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdal_gndc.encode.chunks import ChunkJob, Piece, chunk_boxes
from gdal_gndc.encode.cluster import Scheduler, train_on_cluster
from gdal_gndc.encode.memory import PROCESS, memory_text, peak_memory, run_memory, worker_count
from gdal_gndc.encode.progress import Bar, ChunkProgress
from gdal_gndc.encode.work_folder import Shelf
from gdal_gndc.encode.worker import Worker
from gdal_gndc.format.manifest import ChunkEntry

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset

_log = logging.getLogger(__name__)


@dataclass
class Schedule:
    """How the work is shared out.

    Parameters
    ----------
    workers
        Chunks at a time; by default one a core as memory allows.
    threads
        CPU threads for all of them; by default all cores of this process.
    memory
        Limit in bytes for all processes.
    scheduler
        Address of a Dask scheduler, or a ``distributed.Client``: chunks are trained there.
    progress
        Show a progress bar on stderr.

    Attributes
    ----------
    found
        Chunks that were there already.
    peak
        Largest memory of this process and those it started, together, in bytes.
    """

    workers: int | None = None
    threads: int | None = None
    memory: int | None = None
    scheduler: Scheduler | None = None
    progress: bool = True
    found: int = 0
    peak: int = 0

    def opened(self, path: Path) -> GNDCDataset:
        """Open a cube that was written, for no more threads and memory than these."""
        import gdal_gndc

        # the other half is for the values that are compared
        room = None if self.memory is None else max(0, self.memory - PROCESS) // 2
        return gdal_gndc.open(path, device="cpu", n_threads=self.threads or 0, cache_bytes=room)

    def train(self, job: ChunkJob, shelf: Shelf, entries: list[ChunkEntry] | None = None) -> list[Piece]:
        """Train the chunks that are not on the shelf yet, and return all.

        Parameters
        ----------
        job
            What is done for each.
        shelf
            Where finished chunks are kept.
        entries
            The chunks, by default those of the job's plan.

        Raises
        ------
        EncodeError
            If the limit of memory cannot be kept, or a process ends before its work is done. Finished chunks stay on
            the shelf.
        """
        plan, n_bands = job.plan, job.source.shape[3]
        entries = list(chunk_boxes(plan)) if entries is None else entries
        pieces: dict[str, Piece] = {}

        def keep(entry: ChunkEntry, blob: bytes | None) -> None:
            path = shelf.put(entry, blob)
            pieces[entry.file] = Piece(entry, path if blob is not None else None)
            bar.finish(entry.file, len(blob or b""))

        with Bar(len(entries), plan.steps, enabled=self.progress) as bar:
            for entry in entries:
                path = shelf.find(entry, n_bands)
                if path is not None:
                    size = path.stat().st_size
                    pieces[entry.file] = Piece(entry, path if size else None)
                    bar.found(size)
            self.found = len(pieces)
            left = [entry for entry in entries if entry.file not in pieces]
            if self.found:
                _log.info("%d of %d chunks were there already, in %s", self.found, len(entries), shelf.folder)
            self._train(job, left, bar, keep)
        self.peak = max(self.peak, peak_memory())
        return [pieces[entry.file] for entry in entries]

    def _train(self, job: ChunkJob, entries: list[ChunkEntry], bar: Bar, keep: Callable[..., None]) -> None:
        if self.scheduler is not None:
            train_on_cluster(replace(job, threads=self.threads or 1), entries, self.scheduler, keep)
            return
        cores = self.threads or core_count()
        # one GPU is best used by one chunk
        wanted = 1 if job.device == "cuda" and self.workers is None else self.workers
        count = worker_count(job.plan, n_chunks=len(entries), wanted=wanted, threads=cores, limit=self.memory)
        if os.name != "posix" or self.workers == 1 or count < 2:
            job = replace(job, threads=self.threads or 0)
            for entry in entries:
                keep(entry, job.run(entry, lambda progress, name=entry.file: bar.update(name, progress)))  # type: ignore[misc]
            return
        _log.info("%d processes, about %s at most", count, memory_text(run_memory(job.plan, count)))
        self._train_in_processes(replace(job, threads=max(1, cores // count)), entries, count, bar, keep)

    def _train_in_processes(
        self, job: ChunkJob, entries: list[ChunkEntry], count: int, bar: Bar, keep: Callable[..., None]
    ) -> None:
        waiting = iter(entries)
        peaks: dict[int, int] = {}
        workers: dict[Any, Worker] = {}
        try:
            for _ in range(count):
                worker = Worker(job)
                workers[worker.connection] = worker
                _next(worker, waiting)
            while any(worker.entry for worker in workers.values()):
                for connection in wait([c for c, worker in workers.items() if worker.entry]):
                    worker = workers[connection]
                    message = worker.receive()
                    assert worker.entry is not None
                    if isinstance(message, ChunkProgress):
                        bar.update(worker.entry.file, message)
                        continue
                    blob, peaks[id(worker)] = message
                    keep(worker.entry, blob)
                    _next(worker, waiting)
            self.peak = max(self.peak, peak_memory() + sum(peaks.values()))
        finally:
            for worker in workers.values():
                worker.stop()


def core_count() -> int:
    """Return the CPU cores that this process may use."""
    with suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _next(worker: Worker, waiting: Iterator[ChunkEntry]) -> None:
    worker.entry = None
    entry = next(waiting, None)
    if entry is not None:
        worker.begin(entry)
