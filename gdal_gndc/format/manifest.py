"""``manifest.json``: which chunks there are and what part of the cube each one holds (specification 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gdal_gndc.format.compression import Buffer
from gdal_gndc.format.document import INT64_MAX, Document, dump_json, is_integer, shown, with_unknown

INT32_MAX = 2**31 - 1
ENTRY = "manifest.json"

Bounds = tuple[int, int]
Extent = tuple[Bounds, Bounds, Bounds]


@dataclass(frozen=True)
class ChunkEntry:
    """One chunk: half-open index ranges of the cube (without halo), and the entry that holds its model."""

    id: tuple[int, ...]
    time: Bounds
    y: Bounds
    x: Bounds
    file: str
    size_bytes: int | None = None
    metrics: dict[str, Any] | None = field(default=None, hash=False)


@dataclass(frozen=True)
class Manifest:
    """The chunk index.

    Attributes
    ----------
    chunks
        The chunks that exist, in the file's order. Their ids need not be unique; their ``file`` names them.
    overlap, t_overlap
        Halo of every chunk, in pixels (y, x) and in frames.
    missing
        Why chunks are missing, for people to read.
    """

    chunks: tuple[ChunkEntry, ...]
    overlap: int = 0
    t_overlap: int = 0
    missing: tuple[dict[str, Any], ...] = field(default=(), hash=False)
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(
        cls,
        data: Buffer,
        *,
        shape: Sequence[int],
        path: str | None = None,
        entry: str = ENTRY,
    ) -> Manifest:
        """Read a manifest.

        Parameters
        ----------
        data
            The entry.
        shape
            (T, H, W, C) of the cube, which bounds every chunk.

        Raises
        ------
        FileFormatError
            If it is not a v0.9 manifest, or bounds are empty, reversed or outside the cube.
        """
        document = Document.parse(memoryview(data), path=path, entry=entry)
        document.check_format()
        chunks = document.array("chunks")
        return cls(
            chunks=tuple(
                _read_chunk(item, i, shape, document)
                for i, item in enumerate(document.children("chunks") if chunks else [])
            ),
            overlap=document.integer("overlap", 0, low=0, high=INT32_MAX),
            t_overlap=document.integer("t_overlap", 0, low=0, high=INT32_MAX),
            missing=tuple(item.members for item in document.children("missing")),
            raw=document.members,
        )

    def stored_extent(self, chunk: ChunkEntry, shape: Sequence[int]) -> Extent:
        """Return the (time, y, x) ranges a chunk stores: its bounds and the halos, clamped to ``shape``."""

        def widen(bounds: Bounds, halo: int, size: int) -> Bounds:
            return max(bounds[0] - halo, 0), min(bounds[1] + halo, size)

        return (
            widen(chunk.time, self.t_overlap, shape[0]),
            widen(chunk.y, self.overlap, shape[1]),
            widen(chunk.x, self.overlap, shape[2]),
        )

    def to_json(self) -> bytes:
        """Return the entry; unknown keys that were read are kept, ``chunk_grid`` is computed anew."""
        members: dict[str, Any] = {
            "format": "gndc",
            "version": self.raw.get("version", "0.9"),
        }
        # The summary of the grid says something where there is more than one chunk.
        if len(self.chunks) > 1 or "chunk_grid" in self.raw:
            members["chunk_grid"] = self._chunk_grid()
        if self.overlap or "overlap" in self.raw:
            members["overlap"] = self.overlap
        if self.t_overlap:
            members["t_overlap"] = self.t_overlap
        members["chunks"] = [_write_chunk(chunk) for chunk in self.chunks]
        if self.missing or "missing" in self.raw:
            members["missing"] = [dict(item) for item in self.missing]
        return dump_json(with_unknown(members, self.raw, ("overlap", "t_overlap")))

    def _chunk_grid(self) -> dict[str, Any]:
        grid: dict[str, Any] = {}
        for axis in ("time", "y", "x"):
            ranges = sorted({getattr(chunk, axis) for chunk in self.chunks})
            size = ranges[0][1] - ranges[0][0] if ranges else 0
            last = len(ranges) - 1
            # Regular: back to back, of one size, the last one perhaps smaller.
            regular = bool(ranges) and all(
                a == ranges[0][0] + i * size and (b - a == size or (i == last and b - a < size))
                for i, (a, b) in enumerate(ranges)
            )
            grid[axis] = {"n": len(ranges), "regular": regular}
            if regular:
                grid[axis]["size"] = size
        return grid


def _read_chunk(item: Document, index: int, shape: Sequence[int], top: Document) -> ChunkEntry:
    where = f"chunks[{index}]"
    file = item.string("file")
    if not file:
        item.wrong("file", "the name of an entry")
    bounds = item.child("bounds") if item.has("bounds") else Document({}, path=top.path, entry=top.entry)
    sizes = {"time": shape[0], "y": shape[1], "x": shape[2], "band": shape[3]}
    for axis in bounds.members:
        if axis not in sizes:
            item.fail(f"{where}.bounds names the axis {shown(axis)}, expected {', '.join(sizes)}")
    ranges = {axis: _read_bounds(bounds, axis, size, where) for axis, size in sizes.items()}
    if ranges["band"] != (0, shape[3]):
        item.fail(f"{where}.bounds.band is {list(ranges['band'])}, expected all {shape[3]} bands")
    identity = item.get("id")
    if identity is not None and not (isinstance(identity, list) and all(is_integer(i) for i in identity)):
        item.wrong("id", "an array of integers")
    metrics = item.child("metrics").members if item.has("metrics") else None
    return ChunkEntry(
        id=tuple(identity or ()),
        time=ranges["time"],
        y=ranges["y"],
        x=ranges["x"],
        file=file,
        size_bytes=item.integer("size_bytes", None, low=0, high=INT64_MAX),
        metrics=metrics,
    )


def _read_bounds(bounds: Document, axis: str, size: int, where: str) -> Bounds:
    if not bounds.has(axis):
        return 0, size
    value = bounds.get(axis)
    if not (isinstance(value, list) and len(value) == 2 and all(is_integer(v) for v in value)):
        bounds.fail(f"{where}.bounds.{axis} is {shown(value)}, expected two integers [start, end)")
    start, end = value
    if start < 0:
        bounds.fail(f"{where}.bounds.{axis} {shown(value)} is negative")
    if end <= start:
        bounds.fail(f"{where}.bounds.{axis} {shown(value)} is empty or reversed, expected start < end")
    if end > size:
        bounds.fail(f"{where}.bounds.{axis} {shown(value)} is outside the cube, expected at most {size}")
    return start, end


def _write_chunk(chunk: ChunkEntry) -> dict[str, Any]:
    members: dict[str, Any] = {
        "id": list(chunk.id),
        "bounds": {"time": list(chunk.time), "y": list(chunk.y), "x": list(chunk.x)},
        "file": chunk.file,
    }
    if chunk.size_bytes is not None:
        members["size_bytes"] = chunk.size_bytes
    if chunk.metrics is not None:
        members["metrics"] = chunk.metrics
    return members
