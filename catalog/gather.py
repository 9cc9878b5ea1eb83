"""Headers of many files at once: batches over processes or threads, progress, failures kept instead of
thrown."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from gdal_gndc.catalog.options import choose, need
from gdal_gndc.errors import FileFormatError

log = logging.getLogger(__name__)

BATCH = 64
MANY = 400

Reader = Callable[[list[str]], list[Any]]


@dataclass
class BuildReport:
    """What a build did: files seen, headers read, rows kept from before, and failures by file."""

    files: int = 0
    read: int = 0
    reused: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.files} files: {self.read} read, {self.reused} unchanged, {len(self.failed)} failed"

    def settle(self, errors: str) -> None:
        """Raise for failures, or log them, as the builder's ``errors`` says."""
        choose("errors", errors, ("raise", "skip"))
        if not self.failed:
            return
        first = [f"{path}: {why}" for path, why in list(self.failed.items())[:3]]
        text = f"{len(self.failed)} of {self.files} files cannot be catalogued: " + "; ".join(first)
        if errors == "raise":
            raise FileFormatError(text)
        log.warning("%s", text)


def gather(
    names: Sequence[str], reader: Reader, *, workers: int | None, progress: bool, processes: bool = True
) -> list[Any]:
    """``reader`` over batches of names, results in order.

    Processes are forked where the platform can and there are many files, since opening a file holds the
    interpreter lock; threads otherwise.

    Parameters
    ----------
    workers
        How many at once; default: one a CPU this process may use.
    """
    count = workers or available_cpus()
    batches = [list(names[k : k + BATCH]) for k in range(0, len(names), BATCH)]
    results: list[Any] = []
    with ProgressBar(len(names), progress) as step:
        for part in _run(reader, batches, count, processes and len(names) >= MANY):
            results.extend(part)
            step(len(part))
    return results


def available_cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run(reader: Reader, batches: list[list[str]], count: int, processes: bool) -> Iterator[list[Any]]:
    if count <= 1 or len(batches) <= 1:
        yield from map(reader, batches)
        return
    pool: Executor
    if processes and sys.platform.startswith("linux"):
        pool = ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("fork"))
    else:
        pool = ThreadPoolExecutor(count)
    with warnings.catch_warnings():
        # The readers touch no lock that another thread of the parent may hold.
        warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
        with pool:
            yield from pool.map(reader, batches)


class ProgressBar:
    """A progress bar if one is wanted, as a context that yields the function to advance it."""

    def __init__(self, total: int, show: bool) -> None:
        self._bar = need("tqdm", "a progress bar").tqdm(total=total, unit="file") if show else None

    def __enter__(self) -> Callable[[int], Any]:
        return self._bar.update if self._bar is not None else lambda _: None

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
