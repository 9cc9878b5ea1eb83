"""Atheris target: the Python reader on files of any kind.

    python tests/fuzz/python_reader.py CORPUS -max_total_time=30

An input is a ``.gndc`` file. Mutations change the bytes of one entry, or of one section of a chunk below its
compression, and put the archive together again, so that they reach what lies behind checksums; one in eight changes the
file as it is. A file must open and read, or raise an error of this package that says something, within the memory that
it justifies.
"""

from __future__ import annotations

import inspect
import io
import random
import struct
import sys
import zipfile
from pathlib import Path

import atheris
import zstandard

import gdal_gndc.dataset
import gdal_gndc.format.container
from gdal_gndc.errors import GNDCError

FILE = Path("/dev/shm" if Path("/dev/shm").is_dir() else "/tmp") / "gndc_fuzz.gndc"
MOST = 2_000_000


def instrument() -> None:
    """Count coverage of what reads files; editable installations have loaders that atheris' import hook misses."""
    rooms = ("gdal_gndc.format.", "gdal_gndc.chunk_model", "gdal_gndc.cube", "gdal_gndc.times", "gdal_gndc.time_axis")
    for name, module in list(sys.modules.items()):
        if not name.startswith(rooms):
            continue
        for owner in (module, *(c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == name)):
            for member in list(vars(owner).values()):
                function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
                if inspect.isfunction(function) and function.__module__ == name:
                    atheris.instrument_func(function)


def read_all(path: Path) -> None:
    """Open a file and read a little of everything; only errors of the package may come out."""
    try:
        with gdal_gndc.open(path, n_threads=1) as dataset:
            t, h, w, _ = dataset.shape
            for frame in {0, t - 1}:
                dataset.read(frame, [0], (max(0, w - 20), max(0, h - 3), min(w, 20), min(h, 3)))
            dataset.read(t // 2, out_shape=(4, 5))
            if t < 1000:
                dataset.pixel_series(h // 2, w // 2)
            dataset.has_mask, dataset.has_residuals, dataset.metrics(), repr(dataset)
            if dataset.timestamps:
                dataset.read_at_time(dataset.timestamps[0], out_shape=(2, 2), resampling="average")
    except GNDCError as error:
        assert str(error)


def entries_of(data: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist() if info.file_size < MOST]


def archive_of(entries: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return out.getvalue()


def mutated_section(section: bytes) -> bytes:
    """A section changed as it is or, if it is a zstd frame, below its compression."""
    try:
        body = zstandard.ZstdDecompressor().stream_reader(section).read(MOST)
    except zstandard.ZstdError:
        return atheris.Mutate(section, len(section) + 64)
    return zstandard.ZstdCompressor(level=1).compress(atheris.Mutate(body, len(body) + 8))


def mutated_chunk(blob: bytes, chance: random.Random) -> bytes:
    sections, at = [], 0
    while at + 4 <= len(blob):
        (length,) = struct.unpack_from("<I", blob, at)
        sections.append(blob[at + 4 : at + 4 + length])
        at += 4 + length
    if not sections or chance.random() < 0.1:
        return atheris.Mutate(blob, len(blob) + 64)
    k = chance.randrange(len(sections))
    sections[k] = mutated_section(sections[k])
    return b"".join(struct.pack("<I", len(section)) + section for section in sections)


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    chance = random.Random(seed)
    try:
        entries = entries_of(data)
    except Exception:  # not an archive any more
        entries = []
    if not entries or chance.random() < 0.125:
        return atheris.Mutate(data, max_size)
    k = chance.randrange(len(entries))
    name, body = entries[k]
    changed = mutated_chunk(body, chance) if name.startswith("chunks/") else atheris.Mutate(body, len(body) + 64)
    entries[k] = name, changed
    try:
        return archive_of(entries)[:max_size]
    except (UnicodeError, ValueError, struct.error):
        return atheris.Mutate(data, max_size)


def test_one_input(data: bytes) -> None:
    FILE.write_bytes(data)
    read_all(FILE)


if __name__ == "__main__":
    instrument()
    atheris.Setup(sys.argv, test_one_input, custom_mutator=mutate)
    atheris.Fuzz()
