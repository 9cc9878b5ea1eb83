"""Bytes at an offset: a local file, or an object behind an fsspec URL read by ranges."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import Any, Protocol

from gdal_gndc.errors import FileFormatError, GNDCError, StalledError
from gdal_gndc.remote import fsspec_options, may_pass, silence, timed_out

logger = logging.getLogger(__name__)

# Seconds before a server is asked once more.
_PAUSE = 1.0


class Source(Protocol):
    """A file that is read by ranges; safe to use from several threads."""

    path: str
    size: int

    def read(self, start: int, length: int) -> bytes:
        """Return the bytes ``start .. start + length``, fewer at the end of the file."""

    def close(self) -> None:
        """Let go of the file; further reads raise `GNDCError`."""


def open_source(path: str | os.PathLike[str], storage_options: dict[str, Any] | None = None) -> Source:
    """Open a local path, or a URL that fsspec knows (``https://``, ``s3://``, ``memory://`` ...).

    Raises
    ------
    OSError
        If the file cannot be opened (``FileNotFoundError`` if there is none, `StalledError` if its
        server says nothing).
    """
    name = os.fspath(path)
    if not isinstance(name, str):
        name = os.fsdecode(name)
    if is_url(name):
        return RemoteSource(name, storage_options)
    return LocalSource(name)


def is_url(name: str) -> bool:
    """Whether a path is for fsspec rather than the local file system."""
    return "://" in name or "::" in name


class LocalSource:
    """A local file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = Path(path).open("rb", buffering=0)  # noqa: SIM115
        self._lock = threading.Lock()
        self.size = self._file.seek(0, os.SEEK_END)

    def read(self, start: int, length: int) -> bytes:
        length = min(length, self.size - start)
        if length <= 0:
            return b""
        # One read may return less than asked for (2 GiB is the most on Linux).
        parts: list[bytes] = []
        while length:
            part = self._read_once(start, length)
            if not part:
                break
            parts.append(part)
            start, length = start + len(part), length - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read_once(self, start: int, length: int) -> bytes:
        # The lock also keeps close() from handing the descriptor's number to another file in mid-read.
        with self._lock:
            if self._file.closed:
                raise GNDCError(f"{self.path}: the container is closed")
            if hasattr(os, "pread"):  # no position that a forked process would share
                return os.pread(self._file.fileno(), length, start)
            self._file.seek(start)
            return self._file.read(length) or b""

    def close(self) -> None:
        with self._lock:
            self._file.close()


class RemoteSource:
    """An object of an fsspec file system, one range request a read; the end of the file is held.

    A server of HTTP is waited for as `gdal_gndc.remote.PATIENCE` says, and asked once more for what it did not send.
    """

    # The ZIP directory and, in small containers, everything else.
    TAIL = 64 << 10

    def __init__(self, url: str, storage_options: dict[str, Any] | None = None) -> None:
        import fsspec

        self.path = url
        self._closed = False
        try:
            self._fs, self._name = fsspec.core.url_to_fs(url, **fsspec_options(url, storage_options))
        except (ImportError, ValueError) as error:
            raise OSError(f"{url}: fsspec cannot open this URL: {error}") from error
        info = self._ask("its size", self._fs.info, self._name)
        size = info.get("size")
        if info.get("type") == "directory" or size is None:
            raise OSError(f"{url}: not a file whose size is known, so it cannot be read by ranges")
        self.size = int(size)
        start = max(self.size - self.TAIL, 0)
        # First byte held, and the bytes; replaced as one, so that other threads see both or neither.
        self._held = (start, b"")
        if self.size:
            data = self._fetch(start, self.size)
            if self._held[0] == start:
                self._held = (start, data)

    def read(self, start: int, length: int) -> bytes:
        if self._closed:
            raise GNDCError(f"{self.path}: the container is closed")
        end = min(start + length, self.size)
        if end <= start:
            return b""
        held_from, held = self._held
        if start >= held_from:
            return held[start - held_from : end - held_from]
        return self._fetch(start, end)

    def _fetch(self, start: int, end: int) -> bytes:
        logger.debug("%s: bytes %d to %d", self.path, start, end)
        wanted = f"bytes {start} to {end}"
        try:
            data = bytes(self._ask(wanted, self._fs.cat_file, self._name, start=start, end=end))
        except OSError as error:
            if not may_pass(error.__cause__ or error):
                raise
            logger.warning("%s, asking once more", error)
            time.sleep(_PAUSE)
            data = bytes(self._ask(wanted, self._fs.cat_file, self._name, start=start, end=end))
        if len(data) == end - start:
            return data
        if len(data) == self.size:
            # The server ignores ranges and sent everything: keep it rather than ask again.
            logger.warning("%s: no range requests on this server, the whole file was fetched", self.path)
            self._held = (0, data)
            return data[start:end]
        raise FileFormatError(f"bytes {start} to {end} were asked for, the server sent {len(data)}", path=self.path)

    def _ask(self, expected: str, function: Any, *args: Any, **options: Any) -> Any:
        started = time.monotonic()
        try:
            return function(*args, **options)
        except Exception as error:
            if timed_out(error):
                told = silence(time.monotonic() - started, expected)
                raise StalledError(f"{self.path}: {told}") from error
            if isinstance(error, OSError | GNDCError):
                raise
            # File systems raise errors of their own HTTP or cloud library; callers should know one kind.
            raise OSError(f"{self.path}: cannot be read: {error}") from error

    def close(self) -> None:
        self._closed = True
        self._held = (self.size, b"")
