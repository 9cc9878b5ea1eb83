"""Open rasters, kept per process and thread: a forked child or another thread never shares a GDAL handle."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from gdal_gndc.catalog.gather import available_cpus
from gdal_gndc.catalog.options import need
from gdal_gndc.errors import FileFormatError

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

LIMIT = 32

T = TypeVar("T")
R = TypeVar("R")


class _Store(threading.local):
    def __init__(self) -> None:
        self.process = os.getpid()
        self.open: OrderedDict[tuple[str, int | None, int], DatasetReader] = OrderedDict()


_store = _Store()


def dataset(location: str, overview: int | None = None) -> DatasetReader:
    """The open raster of this process and thread; the least recently used beyond 32 are closed.

    Parameters
    ----------
    overview
        Index of an overview to open instead of the full raster.

    Raises
    ------
    FileFormatError
        If GDAL cannot open it.
    """
    rasterio = need("rasterio", "loading rasters")
    if _store.process != os.getpid():
        # Handles from before a fork belong to the parent: forget them without closing.
        _store.process = os.getpid()
        _store.open = OrderedDict()
    key = (location, overview, _changed(location))
    found = _store.open.get(key)
    if found is not None:
        _store.open.move_to_end(key)
        return found
    try:
        found = rasterio.open(location) if overview is None else rasterio.open(location, overview_level=overview)
    except rasterio.errors.RasterioError as error:
        raise FileFormatError(f"GDAL cannot open it: {error}", path=location) from error
    _store.open[key] = found
    while len(_store.open) > LIMIT:
        _, oldest = _store.open.popitem(last=False)
        oldest.close()
    return found


def _changed(location: str) -> int:
    """When a local file last changed, so that a rewritten one is opened anew; 0 for others."""
    try:
        return os.stat(location).st_mtime_ns  # noqa: PTH116 - twice as fast as Path.stat, and called for every read
    except (OSError, ValueError):
        return 0


def close_all() -> None:
    """Close the rasters that this thread holds open."""
    while _store.open:
        _, handle = _store.open.popitem()
        handle.close()


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
