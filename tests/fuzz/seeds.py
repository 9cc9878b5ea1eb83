"""Seeds for the fuzzers: the conformance cases, as they are and taken apart as `driver_reader.cpp` describes."""

from __future__ import annotations

import struct
import sys
import zipfile
from pathlib import Path

import zstandard

CASES = Path(__file__).parents[1] / "cases"
NAME, PLAIN, SIZED, COMPRESSED = range(4)


def part(kind: int, data: bytes) -> bytes:
    return struct.pack("<BI", kind, len(data)) + data


def unpacked(frame: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(frame)


def sections(blob: bytes) -> list[bytes]:
    found, at = [], 0
    while at + 4 <= len(blob):
        (length,) = struct.unpack_from("<I", blob, at)
        found.append(blob[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def chunk_parts(blob: bytes) -> bytes:
    """The parts of a chunk. A mask's own length stands before it, uncompressed, so that it can be left as it is."""
    header, weights, mask, *residuals = sections(blob)
    out = part(SIZED, header) + part(COMPRESSED, unpacked(weights)) + part(SIZED, mask)
    return out + b"".join(part(SIZED, residual) for residual in residuals)


def taken_apart(path: Path) -> bytes:
    out = b""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            data = archive.read(name)
            out += part(NAME, name.encode())
            out += chunk_parts(data) if name.startswith("chunks/") else part(PLAIN, data)
    return out


def main(folder: Path) -> None:
    for kind in ("files", "parts"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for path in sorted(CASES.glob("*.gndc")):
        if "bomb" in path.name:
            continue
        (folder / "files" / path.name).write_bytes(path.read_bytes())
        if path.name.startswith("bad_"):
            continue
        (folder / "parts" / path.stem).write_bytes(taken_apart(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
