"""The single-file layout of versions 0.4 to 0.8, from before the ZIP container: read as a cube of one chunk."""

from __future__ import annotations

import struct
from typing import Any

from gdal_gndc.errors import FileFormatError
from gdal_gndc.format.chunk import Chunk
from gdal_gndc.format.compression import Buffer, zstd_compress, zstd_exact
from gdal_gndc.format.container import Container
from gdal_gndc.format.document import Document, dump_json, shown
from gdal_gndc.format.legacy_residual import LegacyResiduals
from gdal_gndc.format.manifest import ChunkEntry, Manifest
from gdal_gndc.format.mask import Mask
from gdal_gndc.format.meta import Meta
from gdal_gndc.format.residual import Residuals, Shape
from gdal_gndc.format.source import Source

ENTRY = "header"
VERSIONS = ("0.4", "0.5", "0.6", "0.7", "0.8")

_LENGTH = struct.Struct("<I")
_MASK = struct.Struct("<B3i")
_MAX_HEADER = 64 << 20
_STATIC, _DYNAMIC = 0, 1


def looks_legacy(head: bytes) -> bool:
    """Whether the first bytes of a file are a length and the beginning of a JSON object."""
    return len(head) >= 6 and head[:2] != b"PK" and head[4:].lstrip(b" \t\r\n")[:1] == b"{"


class LegacyContainer(Container):
    """A file of the old layout with the interface of a container of one chunk.

    Versions from 0.9 on are containers. What the layout does not say is taken as in those.
    """

    def __init__(self, source: Source, storage_options: dict[str, Any] | None = None) -> None:
        self.path = source.path
        self._source = source
        self._storage_options = storage_options
        self.entries = (ENTRY,)
        self._infos = {}
        header = self._section(0, ENTRY, _MAX_HEADER)
        self._header = Document.parse(header, path=self.path, entry=ENTRY)
        self._body = _LENGTH.size + len(header)
        self._version: str = self._header.string("version", "0.4")
        if not self._version.startswith(VERSIONS) or self._version[3:4].isdigit():
            self._header.fail(f"version {shown(self._version)} of a single-file layout, expected 0.4 to 0.8")
        about = self._header.child("dataset_meta")
        self.meta = _meta_of(about, self.path)
        t, h, w, _ = self.meta.shape
        self.manifest = Manifest((ChunkEntry((0, 0, 0), (0, t), (0, h), (0, w), ENTRY),))

    def read_chunk(self, chunk: ChunkEntry) -> Chunk:
        """Read the sections behind the header; they are still compressed."""
        names = ["weights", "mask"] + ["residuals"] * self._header.boolean("has_residuals", False)
        sections, at = [], self._body
        for name in names:
            section = self._section(at, name, self._source.size)
            sections.append(section)
            at += _LENGTH.size + len(section)
        if at != self._source.size:
            raise self._fail(f"{self._source.size - at} bytes after the last section, expected none", names[-1])
        return LegacyChunk.of(self._header, self._version, self.meta, sections)

    def sidecar(self, name: str) -> dict[str, Any] | None:
        """Return None: the layout has no entries."""
        return None

    def __repr__(self) -> str:
        return f"<LegacyContainer {self.path!r} (version {self._version})>"

    def _section(self, at: int, name: str, most: int) -> bytes:
        head = self._source.read(at, _LENGTH.size)
        if len(head) < _LENGTH.size:
            raise self._fail(f"the file ends at byte {at + len(head)}, expected the length of this section", name)
        (length,) = _LENGTH.unpack(head)
        left = self._source.size - at - _LENGTH.size
        if length > min(left, most):
            raise self._fail(f"it declares {length} bytes, expected at most the {min(left, most)} there are", name)
        return self._source.read(at + _LENGTH.size, length)


class LegacyChunk(Chunk):
    """The chunk of such a file; mask and residuals as its version stores them."""

    version: str
    residual_header: Document | None

    @classmethod
    def of(cls, header: Document, version: str, meta: Meta, sections: list[bytes]) -> LegacyChunk:
        """Make the chunk of a header and the sections that follow it."""
        about = header.child("dataset_meta")
        config = {"spatial_dims": 3, "n_bands": meta.shape[3], **header.child("model_config").members}
        members: dict[str, Any] = {
            "model_config": config,
            "quantization_info": header.child("quantization_info").members,
            "train_data_range": _ranges(about, meta.shape[3]),
            "norm_mode": about.integer("norm_mode", low=0, high=3),
        }
        for key in ("local_planar_params", "local_xyz_params"):
            if about.has(key):
                members[key] = about.get(key)
        if meta.global_start is not None and meta.global_end is not None:
            members["train_time_range"] = {
                "start": about.string("global_start_date"),
                "end": about.string("global_end_date"),
            }
        document = Document(members, path=header.path, entry=header.entry)
        views = [memoryview(section) for section in sections]
        chunk = cls._from_parts(document, meta.shape[3], [memoryview(b""), *views[:2]])
        assert isinstance(chunk, LegacyChunk)
        extra = {
            "version": version,
            "residual_header": header.child("residual_info") if len(views) == 3 else None,
            "residual_bytes": views[2] if len(views) == 3 else b"",
            "t_norms": _t_norms(about, meta.shape[0]),
        }
        for key, value in extra.items():
            object.__setattr__(chunk, key, value)
        return chunk

    def mask(self, *, frames: int, height: int, width: int) -> Mask | None:
        """Read the mask; before 0.5 it is one zstd frame of all bitmaps, which is unpacked here."""
        data: Buffer = self.mask_bytes
        if self.version >= "0.5" or not len(data):
            return super().mask(frames=frames, height=height, width=width)
        size = (height * width + 7) // 8
        for kind, count, name in ((_STATIC, 1, "static"), (_DYNAMIC, frames, "dynamic")):
            try:
                body = memoryview(zstd_exact(data, _MASK.size + count * size, "mask", path=self.path, entry=self.entry))
            except FileFormatError:
                # of another length: a static mask is tried before a dynamic one
                if kind == _DYNAMIC:
                    raise
                continue
            found, *_, h, w = _MASK.unpack_from(body)
            if found not in (_STATIC, _DYNAMIC) or (found != kind and frames != 1) or (h, w) != (height, width):
                self._refuse(f"mask of type {found} and {h} x {w} pixels, expected {height} x {width}")
            starts = range(_MASK.size, len(body), size)
            parts = [zstd_compress(body[a : a + size], 1) for a in starts]
            return Mask(name, frames, height, width, parts, path=self.path, entry=self.entry)
        return None

    def residuals(self, *, shape: Shape) -> Residuals | None:
        """Read the residuals for the cube's (T, H, W, C)."""
        if self.residual_header is None:
            return None
        return LegacyResiduals(
            self.residual_bytes, self.residual_header, self.version, shape, path=self.path, entry=self.entry
        )

    def _refuse(self, problem: str) -> None:
        Document({}, path=self.path, entry=self.entry).fail(problem)


def _meta_of(about: Document, path: str) -> Meta:
    """The cube's description, held against the rules of the container by writing it as one."""
    shape = about.integers("shape")
    if len(shape) != 4:
        about.wrong("shape", "[T, H, W, C]")
    names, waves = about.array("band_names", []), about.array("band_wavelengths", [])
    bands: list[dict[str, Any]] = [{"name": name} for name in names]
    for band, wave in zip(bands, waves, strict=False):
        band["center_wavelength"] = wave
    members: dict[str, Any] = {
        "format": "gndc",
        "version": "0.9",
        "shape": list(shape),
        "use_log": about.boolean("use_log", False),
        "crs": about.string("crs", None),
        "transform": about.get("transform"),
    }
    if bands:
        members["bands"] = bands
    stamps = about.array("timestamps", [])
    time = {"values": stamps} if stamps else {}
    for key in ("global_start", "global_end"):
        if about.has(f"{key}_date"):
            time[key] = about.get(f"{key}_date")
    if time:
        members["time"] = time
    return Meta.from_json(dump_json(members), path, entry=ENTRY)


def _ranges(about: Document, n_bands: int) -> list[Any]:
    """One [min, max] serves all bands."""
    found = about.array("data_range")
    return found if found and isinstance(found[0], list) else [found] * n_bands


def _t_norms(about: Document, n_frames: int) -> tuple[float, ...]:
    if not about.has("t_norms"):
        return ()
    norms: tuple[float, ...] = about.numbers("t_norms")
    if len(norms) != n_frames or not all(0.0 <= t <= 1.0 for t in norms):
        about.wrong("t_norms", f"{n_frames} numbers from 0 to 1")
    return norms
