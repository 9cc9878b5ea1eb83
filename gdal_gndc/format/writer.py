"""Writing a container: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
import threading
import zipfile
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from gdal_gndc.errors import EncodeError
from gdal_gndc.format import manifest as manifest_json
from gdal_gndc.format import meta as meta_json
from gdal_gndc.format.compression import Buffer
from gdal_gndc.format.document import shown
from gdal_gndc.format.manifest import Manifest
from gdal_gndc.format.meta import Meta

# Chunks wait here until the manifest is known; bigger cubes wait on disk.
_SPOOL = 64 << 20
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)


class ContainerWriter:
    """Writes a container beside its destination and moves it there when it is complete.

    The ZIP is stored, its first entries are ``meta.json`` and ``manifest.json``, then come the chunks in
    the order of the manifest and the sidecars by name: the same content gives the same bytes. As a context
    manager it closes at the end of the block; an exception there, ``KeyboardInterrupt`` included, removes
    what was written and leaves a file that was at ``path`` before as it was. Chunks may be added from
    several threads.

    Parameters
    ----------
    path
        Local destination; its directory must exist.
    meta, manifest
        The two documents; sizes of chunks that the manifest leaves open are filled in.
    """

    def __init__(self, path: str | os.PathLike[str], meta: Meta, manifest: Manifest) -> None:
        self.path = os.fspath(path)
        self.meta = meta
        self.manifest = manifest
        self._places: dict[str, tuple[int, int]] = {}
        self._sidecars: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._done = False
        # A link stays a link: what it points to is replaced.
        self._target = Path(self.path).resolve()
        self._temporary = self._target.with_name(f".{self._target.name}.{secrets.token_hex(6)}.part")
        self._file: IO[bytes] = self._temporary.open("xb+")
        try:
            self._spool = tempfile.SpooledTemporaryFile(max_size=_SPOOL, dir=str(self._target.parent))  # noqa: SIM115
        except BaseException:
            self._file.close()
            self._temporary.unlink()
            raise

    def add_chunk(self, entry_name: str, blob: Buffer) -> None:
        """Add the blob of a chunk under the name by which the manifest lists it."""
        with self._lock:
            self._check_name(entry_name)
            start = self._spool.seek(0, os.SEEK_END)
            self._spool.write(blob)
            self._places[entry_name] = (start, len(blob))

    def add_sidecar(self, name: str, data: Buffer) -> None:
        """Add an optional entry (``metrics.json``, ``provenance.json``, ``preview.png``)."""
        with self._lock:
            self._check_name(name)
            self._sidecars[name] = bytes(data)

    def close(self) -> None:
        """Complete the container and move it to its destination.

        Raises
        ------
        EncodeError
            If manifest and chunks disagree; nothing is left behind then.
        """
        if self._done:
            return
        try:
            self._write(self._checked())
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._temporary.replace(self._target)
        except BaseException:
            self.abort()
            raise
        self._done = True
        self._spool.close()
        _sync_folder(self._target.parent)

    def abort(self) -> None:
        """Drop everything; the destination stays as it was."""
        if self._done:
            return
        self._done = True
        self._spool.close()
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        # A writer that was given up without a word must not leave its file behind.
        if not getattr(self, "_done", True) and hasattr(self, "_spool"):
            self.abort()

    def _check_name(self, name: str) -> None:
        if self._done:
            raise EncodeError(f"{self.path}: the writer is closed")
        parts = name.split("/")
        if not name.isprintable() or "\\" in name or any(part in ("", ".", "..") for part in parts):
            raise EncodeError(f"{self.path}: {shown(name)} is not a name for an entry")
        if name in (meta_json.ENTRY, manifest_json.ENTRY) or name in self._places or name in self._sidecars:
            raise EncodeError(f"{self.path}: there is an entry {shown(name)} already")

    def _checked(self) -> Manifest:
        files = [chunk.file for chunk in self.manifest.chunks]
        if len(set(files)) != len(files):
            raise EncodeError(f"{self.path}: the manifest lists a chunk twice")
        if set(files) != set(self._places):
            stray = sorted(set(files) ^ set(self._places))[0]
            said = "in the manifest but not added" if stray in files else "added but not in the manifest"
            raise EncodeError(f"{self.path}: {stray} was {said}")
        chunks = []
        for chunk in self.manifest.chunks:
            size = self._places[chunk.file][1]
            if chunk.size_bytes not in (None, size):
                raise EncodeError(f"{self.path}: {chunk.file} has {size} bytes, the manifest says {chunk.size_bytes}")
            chunks.append(replace(chunk, size_bytes=size))
        return replace(self.manifest, chunks=tuple(chunks))

    def _write(self, manifest: Manifest) -> None:
        # What a reader would refuse must not be written; reading the documents back finds it.
        documents = self.meta.to_json(), manifest.to_json()
        Meta.from_json(documents[0], self.path)
        Manifest.from_json(documents[1], shape=self.meta.shape, path=self.path)
        with zipfile.ZipFile(self._file, "w", zipfile.ZIP_STORED) as archive:
            _put(archive, meta_json.ENTRY, documents[0])
            _put(archive, manifest_json.ENTRY, documents[1])
            for chunk in manifest.chunks:
                start, length = self._places[chunk.file]
                self._spool.seek(start)
                _put(archive, chunk.file, self._spool.read(length))
            for name in sorted(self._sidecars):
                _put(archive, name, self._sidecars[name])


def _put(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, _TIMESTAMP)
    # The same on every system: made on Unix, a plain file that everybody may read.
    info.create_system = 3
    info.external_attr = 0o100644 << 16
    archive.writestr(info, data, zipfile.ZIP_STORED)


def _sync_folder(folder: Path) -> None:
    """Make the new name durable, where the system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
