"""Where finished chunks wait until the cube is complete."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import logging
import os
import pickle
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np

from gdal_gndc.errors import EncodeError, FileFormatError
from gdal_gndc.format.chunk import Chunk
from gdal_gndc.format.manifest import ChunkEntry

_log = logging.getLogger(__name__)

_NO_DATA = ".none"


class WorkFolder:
    """The folder ``.NAME.work`` beside an output ``NAME``: finished chunks, and the output until it is verified.

    Chunks of different commands lie in different subfolders, named by what the command asks for; see `digest`. A run
    that is interrupted or killed leaves its finished chunks, and the same command finds them. One run at a time uses
    the folder.

    Parameters
    ----------
    target
        The output.

    Raises
    ------
    EncodeError
        On entering, if another process is at work on the same output.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.root = target.with_name(f".{target.name}.work")
        self._lock: IO[bytes] | None = None
        self._done = False

    @property
    def beside(self) -> Path:
        """Where the output is written before it is moved to its place."""
        return self.root / self.target.name

    def shelf(self, key: str) -> Shelf:
        """Return the place for the chunks of one command."""
        return Shelf(self.root / key)

    def clear(self) -> None:
        """Drop the chunks of earlier runs."""
        for item in self.root.iterdir():
            if item.is_dir():
                shutil.rmtree(item)

    def complete(self) -> None:
        """Move what is at `beside` to its place, and remove the folder."""
        self.beside.replace(self.target)
        self._done = True

    def __enter__(self) -> Self:
        self.root.mkdir(exist_ok=True)
        self._lock = (self.root / "lock").open("wb")
        if not _locked(self._lock):
            self._lock.close()
            raise EncodeError(f"{self.target}: another process is at work on this file, in {self.root}")
        self._sweep()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._lock is not None
        with self._lock:
            if self._done:
                shutil.rmtree(self.root, ignore_errors=True)
                return
            self._sweep()
            with suppress(OSError):
                (self.root / "lock").unlink()
            with suppress(OSError):
                self.root.rmdir()  # stays where there are chunks

    def _sweep(self) -> None:
        """Remove all but finished chunks."""
        for item in list(self.root.iterdir()):
            if item.is_dir():
                for left in item.glob(".*"):
                    left.unlink(missing_ok=True)
                with suppress(OSError):
                    item.rmdir()
            elif item.name != "lock":
                item.unlink(missing_ok=True)


class Shelf:
    """The finished chunks of one command; each file is whole or not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, entry: ChunkEntry, n_bands: int) -> Path | None:
        """Return the file of a finished chunk, empty if the chunk has no data; None if it is still to be done."""
        path = self._path(entry)
        if (nothing := path.with_suffix(_NO_DATA)).exists():
            return nothing
        if not path.exists():
            return None
        try:
            Chunk.from_bytes(path.read_bytes(), n_bands=n_bands)
        except FileFormatError as error:
            _log.warning("%s: is damaged and will be made again: %s", path, error)
            path.unlink()
            return None
        return path

    def put(self, entry: ChunkEntry, blob: bytes | None) -> Path:
        """Keep a chunk, durably; None for one that has no data."""
        path = self._path(entry)
        if blob is None:
            path = path.with_suffix(_NO_DATA)
        beside = path.with_name(f".{path.name}")
        with told(self.folder):
            self.folder.mkdir(exist_ok=True)
            try:
                with beside.open("wb") as file:
                    file.write(blob or b"")
                    file.flush()
                    os.fsync(file.fileno())
                beside.replace(path)
            finally:
                beside.unlink(missing_ok=True)
        return path

    def _path(self, entry: ChunkEntry) -> Path:
        return self.folder / Path(entry.file).name


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Say what to do when the disk is full.

    Raises
    ------
    EncodeError
        Instead of an ``OSError`` for want of space.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise EncodeError(
            f"{folder}: {error.strerror}; finished chunks are kept there, and the same command goes on from them"
        ) from error


def digest(*parts: Any) -> str:
    """Name what a command asks for, by the content of its parts.

    Dataclasses count by their members, arrays by their bytes, and a string that names a file also by that file's size
    and time of change, so that chunks of a source that has changed are not taken for those of the new one.
    """
    from gdal_gndc import __version__

    known = hashlib.sha256(__version__.encode())
    for part in parts:
        _feed(known, part)
    return known.hexdigest()[:16]


def _feed(known: Any, value: Any) -> None:
    known.update(f"|{type(value).__qualname__}:".encode())
    if isinstance(value, str | os.PathLike):
        text = os.fspath(value)
        known.update(str(text).encode("utf-8", "surrogatepass"))
        with suppress(OSError, ValueError):
            found = Path(text).stat()
            known.update(f"{found.st_size},{found.st_mtime_ns}".encode())
    elif value is None or isinstance(value, bool | int | float | bytes | datetime):
        known.update(repr(value).encode())
    elif isinstance(value, np.ndarray) and value.dtype != object:
        known.update(f"{value.dtype.str}{value.shape}".encode())
        known.update(np.ascontiguousarray(value).tobytes())
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            known.update(field.name.encode())
            _feed(known, getattr(value, field.name))
    elif isinstance(value, list | tuple):
        for item in value:
            _feed(known, item)
    elif isinstance(value, dict):
        for key, item in value.items():
            _feed(known, key)
            _feed(known, item)
    else:
        known.update(pickle.dumps(value, protocol=4))


def _locked(file: IO[bytes]) -> bool:
    """Lock a file for this process; True where the system has no locks."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        _log.debug("no lock on %s: %s", file.name, error)
    return True
