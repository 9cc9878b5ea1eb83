"""Seeds for the fuzzers: the conformance cases, as they are and taken apart as `driver_reader.cpp` describes.

None of the cases has residuals in band, a value for every pixel before the outliers; two seeds more have.
"""

from __future__ import annotations

import json
import lzma
import random
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


def in_band(path: Path, target: Path, codec: str) -> None:
    """The case again with an in-band stream: int16 before the outliers with zstd, int8 without any with lzma."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        t, h, w, c = json.loads(old.read("meta.json"))["shape"]
        noise = random.Random(1).choices(range(4), k=t * h * w * c)
        both = codec == "zstd"
        if both:
            body = zstandard.ZstdCompressor(1).compress(struct.pack(f"<{len(noise)}h", *noise))
        else:
            body = lzma.compress(bytes(noise), preset=0)
        for name in old.namelist():
            data = old.read(name)
            if name.startswith("chunks/"):
                parts = sections(data)
                header = json.loads(parts[0])
                header["residual_info"].update(main_codec=codec, scale=0.015625, dtype="int16" if both else "int8")
                parts[0] = json.dumps(header).encode()
                parts[3] = struct.pack("<I", len(body)) + body + (parts[3][4:] if both else b"\0")
                data = b"".join(struct.pack("<I", len(part)) + part for part in parts)
            new.writestr(name, data)


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
    for codec in ("zstd", "lzma"):
        path = folder / "files" / f"in_band_{codec}.gndc"
        in_band(CASES / "i16_all_residual_native.gndc", path, codec)
        (folder / "parts" / path.stem).write_bytes(taken_apart(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
