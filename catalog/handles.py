"""Open rasters of this process and thread, and reading several of them at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from gdal_gndc.catalog.gather import available_cpus
from gdal_gndc.raster_handles import LIMIT, close_all, dataset

__all__ = ["LIMIT", "close_all", "dataset", "ordered"]

T = TypeVar("T")
R = TypeVar("R")


def ordered(function: Callable[[T], R], items: Iterable[T], workers: int | None = None) -> Iterator[R]:
    """``function`` of each item in order, a few ahead in threads; never more than twice ``workers`` results
    wait."""
    count = workers or min(8, 2 * available_cpus())
    todo = list(items)
    if count <= 1 or len(todo) <= 1:
        # The caller's own thread keeps its handles from call to call.
        yield from map(function, todo)
        return
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(min(count, len(todo))) as pool:
        try:
            for item in todo:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= 2 * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
