"""Open rasters, kept per process and thread: a forked child or another thread never shares a GDAL handle."""

from __future__ import annotations

import io
import os
import re
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from gdal_gndc.errors import FileFormatError

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

LIMIT = 32
# What rasterio hands to GDAL itself; other URLs are read through fsspec.
_GDAL_SCHEMES = frozenset(("file", "ftp", "http", "https", "s3", "gs", "gcs", "az", "oss", "zip", "tar", "gzip"))
# Seconds: GDAL alone waits for ever for a server that takes a connection and says nothing.
PATIENCE = {"GDAL_HTTP_CONNECTTIMEOUT": "30", "GDAL_HTTP_LOW_SPEED_TIME": "60", "GDAL_HTTP_LOW_SPEED_LIMIT": "1"}

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

    try:
        found = _open(location, {} if overview is None else {"overview_level": overview})
    except (rasterio.errors.RasterioError, OSError, ValueError) as error:
        raise FileFormatError(f"GDAL cannot open it: {error}", path=location) from error
    _store.open[key] = found
    while len(_store.open) > LIMIT:
        _, oldest = _store.open.popitem(last=False)
        oldest.close()
    return found


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
        # the user's own settings win
        with rasterio.Env(**{name: value for name, value in PATIENCE.items() if name not in os.environ}):
            return rasterio.open(location, **options)
    import fsspec

    system, path = fsspec.core.url_to_fs(location)
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
