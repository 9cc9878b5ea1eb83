"""The container: a ZIP archive of JSON documents and chunk blobs (specification 3)."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections import Counter
from types import TracebackType
from typing import Any, Self

from gdal_gndc.errors import FileFormatError, GNDCError
from gdal_gndc.format import manifest as manifest_json
from gdal_gndc.format import meta as meta_json
from gdal_gndc.format.chunk import Chunk
from gdal_gndc.format.document import Document, shown
from gdal_gndc.format.manifest import ChunkEntry, Manifest
from gdal_gndc.format.meta import Meta
from gdal_gndc.format.metrics import ENTRY as METRICS
from gdal_gndc.format.metrics import unpacked
from gdal_gndc.format.source import Source, open_source
from gdal_gndc.format.writer import ContainerWriter

__all__ = ["Container", "ContainerWriter", "identify"]

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_MAGIC = b"PK\x03\x04"
# Deflate expands at most 1032 times, and JSON needs far less than this.
_DEFLATE_RATIO = 1032
_MAX_JSON = 256 << 20
# A directory of a million entries is a quarter of this.
_MAX_DIRECTORY = 256 << 20
# Both JSON documents come in one request if they lie this close together.
_TOGETHER = 1 << 20


class Container:
    """An open container, for reading. Use `Container.open`; reads are safe from several threads.

    Attributes
    ----------
    path
        As the user named it.
    meta, manifest
        The two documents, checked against each other.
    entries
        Names of all entries, in the order of the ZIP directory.
    """

    def __init__(self, source: Source, storage_options: dict[str, Any] | None = None) -> None:
        self.path = source.path
        self._source = source
        self._storage_options = storage_options
        infos = _read_directory(source)
        self.entries = tuple(info.filename for info in infos)
        self._counts = Counter(self.entries)
        self._infos = {info.filename: info for info in infos}
        documents = self._read_together(meta_json.ENTRY, manifest_json.ENTRY)
        self.meta = Meta.from_json(documents[0], self.path)
        self.manifest = Manifest.from_json(documents[1], shape=self.meta.shape, path=self.path)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, storage_options: dict[str, Any] | None = None) -> Container:
        """Open a container, or a single file of the layout before 0.9.

        Parameters
        ----------
        path
            A local path, or a URL for fsspec; of a URL only the ranges that are needed are fetched.
        storage_options
            Options for the fsspec file system.

        Raises
        ------
        OSError
            If the file cannot be opened (``FileNotFoundError`` if there is none).
        FileFormatError
            If it is not a v0.9 container.
        """
        from gdal_gndc.format.legacy import LegacyContainer, looks_legacy

        source = open_source(path, storage_options)
        try:
            try:
                return cls(source, storage_options)
            except FileFormatError:
                if not looks_legacy(source.read(0, 16)):
                    raise
            return LegacyContainer(source, storage_options)
        except BaseException:
            source.close()
            raise

    def read(self, entry: str) -> bytes:
        """Return the bytes of an entry, which is looked up by its exact name in the ZIP directory.

        Raises
        ------
        FileFormatError
            If there is no such entry or it is damaged; sizes are checked before anything is allocated.
        """
        info = self._info(entry)
        start, end = self._span(info)
        return self._unpack(info, self._source.read(start, end - start))

    def read_chunk(self, chunk: ChunkEntry) -> Chunk:
        """Read and check the blob of a chunk; its sections are still compressed."""
        if chunk.file not in self._infos:
            raise FileFormatError(
                f"listed in manifest.json, but the container has no such entry among {len(self.entries)}",
                path=self.path,
                entry=shown(chunk.file)[1:-1],
            )
        blob = self.read(chunk.file)
        return Chunk.from_bytes(blob, n_bands=self.meta.shape[3], path=self.path, entry=chunk.file)

    def sidecar(self, name: str) -> dict[str, Any] | None:
        """Return an optional JSON entry (``metrics.json``, ``provenance.json``), None if it is not there."""
        if name not in self._infos:
            return None
        return Document.parse(self._read_json(name), path=self.path, entry=name).members

    def metrics(self) -> dict[str, Any] | None:
        """Return what ``metrics.json`` tells, see `gdal_gndc.format.metrics.unpacked`; None if it is not there."""
        found = self.sidecar(METRICS)
        return None if found is None else unpacked(found, self.meta.band_names, self._source.size)

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.path, self._storage_options)

    def __repr__(self) -> str:
        return f"<Container {self.path!r} ({len(self.manifest.chunks)} chunks)>"

    def _fail(self, problem: str, entry: str) -> FileFormatError:
        return FileFormatError(problem, path=self.path, entry=entry)

    def _info(self, entry: str) -> zipfile.ZipInfo:
        info = self._infos.get(entry)
        if info is None:
            raise self._fail(f"no such entry in the container, which has {len(self.entries)}", entry)
        if self._counts[entry] > 1:
            raise self._fail(f"the container has {self._counts[entry]} entries of this name, expected 1", entry)
        if info.flag_bits & 1:
            raise self._fail("the entry is encrypted, which is not supported", entry)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise self._fail(f"ZIP compression method {info.compress_type}, expected 0 (stored) or 8", entry)
        packed, size, offset = info.compress_size, info.file_size, info.header_offset
        whole = self._source.size
        if offset < 0 or offset + _LOCAL_HEADER.size > whole:
            raise self._fail(f"the ZIP directory puts it at byte {offset} of a file of {whole} bytes", entry)
        if packed > whole - offset - _LOCAL_HEADER.size:
            raise self._fail(f"the ZIP directory declares {packed} bytes, the file has {whole}", entry)
        stored = info.compress_type == zipfile.ZIP_STORED
        if (size != packed) if stored else (size > packed * _DEFLATE_RATIO + 64):
            raise self._fail(f"the ZIP directory declares {packed} bytes packed, {size} unpacked", entry)
        return info

    def _span(self, info: zipfile.ZipInfo) -> tuple[int, int]:
        """Return the range that holds an entry with its header, in one request."""
        start = info.header_offset
        # The header's own name and extra field may be longer than the directory's, rarely by much.
        length = _LOCAL_HEADER.size + len(info.orig_filename.encode()) + len(info.extra) + 64 + info.compress_size
        return start, min(start + length, self._source.size)

    def _unpack(self, info: zipfile.ZipInfo, data: bytes) -> bytes:
        entry = info.filename
        if len(data) < _LOCAL_HEADER.size or data[:4] != _MAGIC:
            raise self._fail(f"no ZIP header at byte {info.header_offset}, where the directory puts it", entry)
        header = _LOCAL_HEADER.unpack_from(data)
        flags, name_len, extra_len = header[2], header[9], header[10]
        begin = _LOCAL_HEADER.size + name_len + extra_len
        if begin + info.compress_size > len(data):
            data = self._source.read(info.header_offset, begin + info.compress_size)
        name = data[_LOCAL_HEADER.size : _LOCAL_HEADER.size + name_len].decode(
            "utf-8" if flags & 0x800 else "cp437", "replace"
        )
        if name != info.orig_filename:
            raise self._fail(f"the ZIP directory and the header disagree about the name, found {shown(name)}", entry)
        body = memoryview(data)[begin : begin + info.compress_size]
        if len(body) != info.compress_size:
            raise self._fail(f"the file ends after {len(body)} of {info.compress_size} bytes", entry)
        content = self._inflate(info, body) if info.compress_type == zipfile.ZIP_DEFLATED else bytes(body)
        if zlib.crc32(content) != info.CRC:
            raise self._fail(f"the checksum is {zlib.crc32(content):08x}, expected {info.CRC:08x}", entry)
        return content

    def _inflate(self, info: zipfile.ZipInfo, body: memoryview) -> bytes:
        decoder = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            content = decoder.decompress(body, info.file_size + 1)
        except zlib.error as error:
            raise self._fail(f"the deflated entry is damaged: {error}", info.filename) from error
        if len(content) != info.file_size:
            more = "more" if len(content) > info.file_size else f"{len(content)} bytes"
            raise self._fail(f"the deflated entry holds {more}, expected {info.file_size} bytes", info.filename)
        return content

    def _read_json(self, entry: str) -> bytes:
        if (size := self._info(entry).file_size) > _MAX_JSON:
            raise self._fail(f"a JSON document of {size} bytes, expected at most {_MAX_JSON}", entry)
        return self.read(entry)

    def _read_together(self, *names: str) -> list[bytes]:
        for name in names:
            if name not in self._infos:
                raise FileFormatError(f"not a GNDC container: it has no entry {name}", path=self.path, entry=name)
        infos = [self._info(name) for name in names]
        spans = [self._span(info) for info in infos]
        first, last = min(a for a, _ in spans), max(b for _, b in spans)
        if last - first > _TOGETHER:
            return [self._read_json(name) for name in names]
        data = self._source.read(first, last - first)
        return [self._unpack(info, data[a - first : b - first]) for info, (a, b) in zip(infos, spans, strict=True)]


def identify(path_or_bytes: str | os.PathLike[str] | bytes | bytearray | memoryview) -> bool:
    """Whether a file looks like a container: a ZIP archive with an entry ``meta.json``.

    Bytes may be a whole file or its beginning, in which case ``meta.json`` must be among the first entries.
    Never raises for files that are absent or damaged.
    """
    try:
        if not isinstance(path_or_bytes, bytes | bytearray | memoryview):
            source = open_source(path_or_bytes)
            try:
                return source.read(0, 4) == _MAGIC and any(
                    info.filename == meta_json.ENTRY for info in _read_directory(source)
                )
            finally:
                source.close()
        data = bytes(path_or_bytes)
        if data[:4] != _MAGIC:
            return False
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                return meta_json.ENTRY in archive.NameToInfo
        except zipfile.BadZipFile:
            # The name stands at a fixed place of its header, wherever that one is.
            name = meta_json.ENTRY.encode()
            at = data.find(name)
            while at >= 0:
                if at >= _LOCAL_HEADER.size and data[at - _LOCAL_HEADER.size :][:4] == _MAGIC:
                    return True
                at = data.find(name, at + 1)
            return False
    except (OSError, GNDCError):
        return False


class _DirectoryFile(io.RawIOBase):
    """The file object that `zipfile` reads the directory through."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._source.size}[whence]
        if base + offset < 0:
            raise OSError("negative seek")
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        left = max(self._source.size - self._at, 0)
        length = left if size is None or size < 0 else min(size, left)
        if length > _MAX_DIRECTORY:
            raise zipfile.BadZipFile(f"a directory of {length} bytes, expected at most {_MAX_DIRECTORY}")
        data = self._source.read(self._at, length)
        self._at += len(data)
        return data


def _read_directory(source: Source) -> list[zipfile.ZipInfo]:
    if source.size == 0:
        raise FileFormatError("the file is empty, expected a ZIP archive", path=source.path)
    try:
        with zipfile.ZipFile(_DirectoryFile(source)) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, UnicodeDecodeError) as error:
        raise FileFormatError(f"not a ZIP archive, or a damaged one: {error}", path=source.path) from error
    except OSError as error:
        if str(error) != "negative seek":
            raise
        raise FileFormatError("not a ZIP archive, or a damaged one: bad directory offset", path=source.path) from error


def _reopen(path: str, storage_options: dict[str, Any] | None) -> Container:
    return Container.open(path, storage_options=storage_options)
