"""Many pieces of work at a time, in threads, with a progress bar."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

from gdal_gndc.errors import GNDCError

T = TypeVar("T")

_MOST = 4


def job_count(jobs: int | None) -> int:
    """Return how many pieces are worked on at a time: as asked, or the number of CPUs but at most 4.

    Raises
    ------
    GNDCError
        If the number is not positive.
    """
    if jobs is None:
        return min(_MOST, os.cpu_count() or 1)
    if jobs < 1:
        raise GNDCError(f"jobs is {jobs}; expected a positive number")
    return jobs


def run_all(
    work: Callable[[T], object],
    items: Sequence[T],
    *,
    jobs: int | None = None,
    label: str,
    unit: str,
    progress: bool = True,
    done: int = 0,
) -> None:
    """Do work on every item. The first error ends all and is raised, once the pieces under way have ended.

    Parameters
    ----------
    progress
        Whether to show a bar on stderr, if that is a terminal.
    done
        How many were done before, for the bar.
    """
    from tqdm import tqdm

    count = job_count(jobs)
    hidden = None if progress else True
    bar = tqdm(total=len(items) + done, initial=done, desc=label, unit=unit, disable=hidden, leave=False)
    with bar, ThreadPoolExecutor(count) as pool:
        waiting: Iterable[T] = iter(items)
        running: set[Future[object]] = set()
        try:
            # only so many at once, so that an interrupted run has no queue to work off
            while True:
                running |= {pool.submit(work, item) for item in islice(waiting, count - len(running))}
                if not running:
                    break
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    future.result()
                    bar.update()
        except BaseException:
            for future in running:
                future.cancel()
            raise
