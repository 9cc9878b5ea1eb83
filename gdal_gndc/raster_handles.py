"""Open rasters, kept per process and thread: a forked child or another thread never shares a GDAL handle."""

from __future__ import annotations

import io
import logging
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from gdal_gndc.errors import FileFormatError
from gdal_gndc.remote import fsspec_options, gave_up, gdal_patience, reason, silence

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

LIMIT = 32
# What rasterio hands to GDAL itself; other URLs are read through fsspec.
_GDAL_SCHEMES = frozenset(("file", "ftp", "http", "https", "s3", "gs", "gcs", "az", "oss", "zip", "tar", "gzip"))
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


class _Store(threading.local):
    def __init__(self) -> None:
        self.process = os.getpid()
        self.open: OrderedDict[tuple[str, int | None, int], DatasetReader] = OrderedDict()


_store = _Store()


def dataset(location: str, overview: int | None = None) -> DatasetReader:
    """Return the open raster of this process and thread; the least recently used beyond 32 are closed.

    Parameters
    ----------
    location
        What rasterio opens, or a URL of any fsspec file system.
    overview
        Index of an overview to open instead of the full raster.

    Raises
    ------
    FileFormatError
        If GDAL cannot open it.
    """
    if _store.process != os.getpid():
        # Handles from before a fork belong to the parent: forget them without closing.
        _store.process = os.getpid()
        _store.open = OrderedDict()
    key = (location, overview, _changed(location))
    found = _store.open.get(key)
    if found is not None:
        _store.open.move_to_end(key)
        return found
    import rasterio

    started = time.monotonic()
    try:
        found = _open(location, {} if overview is None else {"overview_level": overview})
    except (rasterio.errors.RasterioError, OSError, ValueError) as error:
        why = silence() if _remote(location) and gave_up(time.monotonic() - started) else reason(error)
        raise FileFormatError(f"GDAL cannot open it: {why}", path=location) from error
    _store.open[key] = found
    while len(_store.open) > LIMIT:
        _, oldest = _store.open.popitem(last=False)
        oldest.close()
    return found


def reading(location: str, read: Callable[[DatasetReader], _T]) -> _T:
    """Read from an open raster; of a remote one that fails once more, from a server that may do better now.

    Parameters
    ----------
    location
        As for `dataset`.
    read
        What to do with it.

    Raises
    ------
    FileFormatError
        If GDAL cannot open or read it.
    """
    from rasterio.errors import RasterioError

    for last in (not _remote(location), True):
        source = dataset(location)
        started = time.monotonic()
        try:
            return read(source)
        except RasterioError as error:
            stalled = _remote(location) and gave_up(time.monotonic() - started)
            why = silence() if stalled else reason(error)
            _forget(location)
            if last:
                raise FileFormatError(why, path=location) from error
            _log.warning("%s: %s; trying once more", location, why)
    raise AssertionError


def _forget(location: str) -> None:
    """Close a raster; and of a remote one let go what came: GDAL would take half an answer for the whole."""
    for key in [key for key in _store.open if key[0] == location]:
        _store.open.pop(key).close()
    if not _remote(location):
        return
    import rasterio
    from rasterio._path import _parse_path, _vsi_path

    try:
        # GDAL forgets a file whose name stands there when it closes it; its head is still there to open it
        with rasterio.Env(CPL_VSIL_CURL_NON_CACHED=_vsi_path(_parse_path(location)), **gdal_patience()):
            rasterio.open(location).close()
    except (rasterio.errors.RasterioError, OSError, ValueError):
        return


def _remote(location: str) -> bool:
    """Whether GDAL reads it from a server."""
    url = _URL.match(location)
    return "/vsicurl" in location or (url is not None and url[1].lower() in ("http", "https", "s3", "gs", "az", "oss"))


def close_all() -> None:
    """Close the rasters that this thread holds open."""
    while _store.open:
        _, handle = _store.open.popitem()
        handle.close()


def _open(location: str, options: dict[str, Any]) -> DatasetReader:
    import rasterio

    # /vsicurl/http://... and GNDC:"http://..." are no URLs
    url = _URL.match(location)
    if not url and not location.startswith("/vsi"):
        return rasterio.open(location, **options)
    if not url or url[1].lower().rpartition("+")[2] in _GDAL_SCHEMES:
        with rasterio.Env(**gdal_patience()):
            return rasterio.open(location, **options)
    import fsspec

    system, path = fsspec.core.url_to_fs(location, **fsspec_options(location))
    try:
        return rasterio.open(path, opener=_own_files if system.protocol == "memory" else system, **options)
    except rasterio.errors.RasterioError:
        if not system.exists(path):
            raise FileNotFoundError("no such file") from None
        raise


def _own_files(path: str, mode: str = "rb") -> io.BytesIO:
    """Open a file of fsspec's memory as one of its own: fsspec gives the same object, with one position, to all that
    open it, and rasterio crashes when it closes two of them."""
    import fsspec

    return io.BytesIO(fsspec.filesystem("memory").cat_file(path))


def _changed(location: str) -> int:
    """When a local file last changed, so that a rewritten one is opened anew; 0 for others."""
    try:
        return os.stat(location).st_mtime_ns  # noqa: PTH116 - twice as fast as Path.stat, and called for every read
    except (OSError, ValueError):
        return 0
