"""The compiled core, and what calling it from numpy needs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc._core import ffi, lib
from gdal_gndc.errors import FileFormatError

__all__ = ["check", "ffi", "lib", "message_buffer", "pointer", "set_threads", "text"]


def pointer(kind: str, array: NDArray[Any]) -> Any:
    """Return a C pointer ``kind *`` to the first element of an array, which the caller keeps alive."""
    if array.flags.c_contiguous and kind != "void":  # much the faster way, which matters to reads of single pixels
        return ffi.from_buffer(kind + "[]", array)
    return ffi.cast(kind + " *", array.ctypes.data)


def message_buffer() -> Any:
    """Return a buffer for one message of the core."""
    return ffi.new("char[]", lib.GNDC_MESSAGE)


def text(message: Any) -> str:
    """Return what the core wrote into a `message_buffer`."""
    return str(ffi.string(message).decode("utf-8", "replace"))


def check(status: int, message: Any, *, path: str | None = None, entry: str | None = None) -> None:
    """Raise what a status of the core means.

    Raises
    ------
    FileFormatError
        If the core refused what the file holds.
    MemoryError
        If it could not allocate.
    """
    if status == lib.GNDC_OK:
        return
    said = text(message)
    if status == lib.GNDC_ERR_MEMORY:
        raise MemoryError(said or "not enough memory")
    raise FileFormatError(said, path=path, entry=entry)


def set_threads(n_threads: int) -> None:
    """Set how many threads reads use by default; 0 for all cores of this process."""
    lib.gndc_set_threads(int(np.clip(n_threads, 0, 4096)))
