from __future__ import annotations

import pickle
import struct
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gdal_gndc.errors import FileFormatError, GNDCError
from gdal_gndc.format.chunk import Chunk
from gdal_gndc.format.config import ModelConfig
from gdal_gndc.format.container import Container, identify
from gdal_gndc.format.manifest import ChunkEntry, Manifest
from gdal_gndc.format.meta import Band, Meta
from gdal_gndc.format.weights import Tensor, pack_weights

WEIGHTS, QUANTIZATION = pack_weights([Tensor.from_array(np.ones(n, np.float16)) for n in (8, 4)], "float16")
CHUNK = Chunk(ModelConfig(n_bands=2), QUANTIZATION, WEIGHTS, ((0.0, 1.0), (0.0, 2.0)))
META = Meta((1, 6, 8, 2), (Band("a"), Band("b")))
FILES = ("chunks/t0000_y0000_x0000.gndcc", "chunks/t0000_y0000_x0001.gndcc")
MANIFEST = Manifest(
    tuple(ChunkEntry((0, 0, i), (0, 1), (0, 6), (4 * i, 4 * i + 4), file) for i, file in enumerate(FILES))
)
ENTRIES = {
    "meta.json": META.to_json(),
    "manifest.json": MANIFEST.to_json(),
    FILES[0]: CHUNK.to_bytes(),
    FILES[1]: CHUNK.to_bytes(),
    "metrics.json": b'{"psnr": 40.5}',
    "preview.png": bytes(100),
}


def write(path: Path, entries: dict[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in (ENTRIES if entries is None else entries).items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def cube(tmp_path: Path) -> Path:
    return write(tmp_path / "cube.gndc")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_reading(tmp_path: Path, compression: int) -> None:
    path = write(tmp_path / "cube.gndc", compression=compression)
    with Container.open(path) as container:
        assert container.path == str(path)
        assert container.entries == tuple(ENTRIES)
        assert (container.meta, container.manifest) == (META, MANIFEST)
        for name, data in ENTRIES.items():
            assert container.read(name) == data
        assert container.read_chunk(container.manifest.chunks[1]) == CHUNK
        assert container.sidecar("metrics.json") == {"psnr": 40.5}
        assert container.sidecar("provenance.json") is None
        with pytest.raises(FileFormatError, match=r"cube.gndc: preview.png: not valid JSON"):
            container.sidecar("preview.png")
        assert repr(container) == f"<Container {str(path)!r} (2 chunks)>"


def test_documents_may_be_anywhere(tmp_path: Path) -> None:
    names = [*FILES, "meta.json", "filler", "manifest.json"]
    big = {**ENTRIES, "filler": bytes(3 << 20)}
    with Container.open(write(tmp_path / "a", {name: big[name] for name in names})) as container:
        assert container.meta == META and container.manifest == MANIFEST


def test_entries_are_looked_up_by_exact_name(cube: Path) -> None:
    with Container.open(cube) as container:
        for name in ("META.JSON", "./meta.json", "/etc/passwd", "../cube.gndc", ""):
            with pytest.raises(FileFormatError, match="no such entry"):
                container.read(name)


def test_files_that_are_absent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Container.open(tmp_path / "none.gndc")
    with pytest.raises(OSError):
        Container.open(tmp_path)


@pytest.mark.parametrize("missing", ["meta.json", "manifest.json"])
def test_documents_are_required(tmp_path: Path, missing: str) -> None:
    path = write(tmp_path / "a", {k: v for k, v in ENTRIES.items() if k != missing})
    with pytest.raises(FileFormatError, match=f"{missing}: not a GNDC container"):
        Container.open(path)


def test_entries_of_one_name(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "a", "w") as archive:
        for name, data in ENTRIES.items():
            archive.writestr(name, data)
        archive.writestr(FILES[0], b"other")
    with Container.open(tmp_path / "a") as container:
        assert container.read_chunk(MANIFEST.chunks[1]) == CHUNK
        with pytest.raises(FileFormatError, match=f"{FILES[0]}: the container has 2 entries of this name"):
            container.read_chunk(MANIFEST.chunks[0])


def test_other_compression_methods_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"ZIP compression method 12, expected 0 .stored. or 8"):
        Container.open(write(tmp_path / "a", compression=zipfile.ZIP_BZIP2))


def directory_at(data: bytes, name: str) -> int:
    """Offset of an entry's record in the ZIP directory."""
    return data.rindex(name.encode()) - 46


def patched(path: Path, changes: dict[int, bytes]) -> Path:
    data = bytearray(path.read_bytes())
    for at, new in changes.items():
        data[at : at + len(new)] = new
    path.write_bytes(data)
    return path


def test_encrypted_entries_are_refused(cube: Path) -> None:
    at = directory_at(cube.read_bytes(), FILES[0]) + 8
    with (
        Container.open(patched(cube, {at: b"\x01"})) as container,
        pytest.raises(FileFormatError, match="encrypted"),
    ):
        container.read(FILES[0])


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        (20, 10**6, "declares 1000000 bytes, the file has"),
        (20, 20, "declares 20 bytes packed, "),
        (24, 2**31, "2147483648 unpacked"),
        (42, 2**31, "puts it at byte 2147483648"),
        (42, 3, "no ZIP header at byte 3"),
        (16, 1, "the checksum is"),
    ],
)
def test_fields_of_the_directory(cube: Path, field: int, value: int, found: str) -> None:
    at = directory_at(cube.read_bytes(), FILES[0])
    tracemalloc.start()
    try:
        with (
            Container.open(patched(cube, {at + field: struct.pack("<I", value)})) as container,
            pytest.raises(FileFormatError, match=f"cube.gndc: {FILES[0]}: .*{found}"),
        ):
            container.read(FILES[0])
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_content_is_checked_against_its_checksum(cube: Path) -> None:
    at = cube.read_bytes().index(WEIGHTS)
    with (
        Container.open(patched(cube, {at: b"\x00"})) as container,
        pytest.raises(FileFormatError, match="the checksum is"),
    ):
        container.read_chunk(MANIFEST.chunks[0])
        assert container.read_chunk(MANIFEST.chunks[1]) == CHUNK


def test_an_entry_of_another_name_is_not_taken(cube: Path) -> None:
    data = cube.read_bytes()
    with zipfile.ZipFile(cube) as archive:
        second = struct.pack("<I", archive.getinfo(FILES[1]).header_offset)
    with (
        Container.open(patched(cube, {directory_at(data, FILES[0]) + 42: second})) as container,
        pytest.raises(FileFormatError, match="disagree about the name"),
    ):
        container.read(FILES[0])


def test_headers_longer_than_the_directory_says(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in ENTRIES.items():
            info = zipfile.ZipInfo(name)
            info.extra = struct.pack("<HH", 0x7777, 300) + bytes(300)
            archive.writestr(info, data)
    data = path.read_bytes()
    # The directory's extra field is hidden in the comment of its record.
    changes = {}
    for name in ENTRIES:
        changes[directory_at(data, name) + 30] = struct.pack("<HH", 0, 304)
    with Container.open(patched(path, changes)) as container:
        assert all(container.read(name) == data for name, data in ENTRIES.items())


def test_deflate_bombs(tmp_path: Path) -> None:
    bomb = b'{"x":"' + b" " * (300 << 20) + b'"}'
    path = write(tmp_path / "a", {**ENTRIES, "metrics.json": bomb}, zipfile.ZIP_DEFLATED)
    del bomb
    data = path.read_bytes()
    small = write(tmp_path / "b", {**ENTRIES, "metrics.json": bytes(1 << 20)}, zipfile.ZIP_DEFLATED)
    at = directory_at(small.read_bytes(), "metrics.json") + 24
    tracemalloc.start()
    try:
        with (
            Container.open(path) as container,
            pytest.raises(FileFormatError, match="a JSON document of 314572808 bytes"),
        ):
            container.sidecar("metrics.json")
        with (
            Container.open(patched(small, {at: struct.pack("<I", 1000)})) as container,
            pytest.raises(FileFormatError, match="holds more, expected 1000 bytes"),
        ):
            container.read("metrics.json")
        with (
            Container.open(patched(small, {at: struct.pack("<I", 2 << 20)})) as container,
            pytest.raises(FileFormatError, match=r"unpacked|1048576 bytes, expected 2097152"),
        ):
            container.read("metrics.json")
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert len(data) < 1 << 20


def test_deflate_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "a", compression=zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    at = data.index(b"metrics.json") + len("metrics.json")
    with (
        Container.open(patched(path, {at: b"\xff\xff\xff"})) as container,
        pytest.raises(FileFormatError, match="deflated entry is damaged"),
    ):
        container.read("metrics.json")


def test_threads(cube: Path) -> None:
    with Container.open(cube) as container, ThreadPoolExecutor(8) as pool:
        names = list(ENTRIES) * 50
        assert list(pool.map(container.read, names)) == [ENTRIES[name] for name in names]


def test_pickling(cube: Path) -> None:
    with Container.open(cube) as container, pickle.loads(pickle.dumps(container)) as again:
        assert again.meta == META and again.read(FILES[0]) == ENTRIES[FILES[0]]


def test_closed(cube: Path) -> None:
    container = Container.open(cube)
    container.close()
    container.close()
    with pytest.raises(GNDCError, match=r"cube.gndc: the container is closed"):
        container.read(FILES[0])


def test_identify(cube: Path, tmp_path: Path) -> None:
    data = cube.read_bytes()
    assert identify(cube) and identify(str(cube)) and identify(data)
    assert identify(data[:100]) and identify(memoryview(data[:400]))
    other = write(tmp_path / "b", {"notmeta.json": b"{}", "x/meta.json": b"{}"})
    assert not identify(other) and not identify(other.read_bytes()) and not identify(other.read_bytes()[:60])
    for text in (b"", b"PK", b"meta.json", b"PK\x03\x04 meta.json", b"GIF89a"):
        assert not identify(text)
    assert not identify(tmp_path)
    assert not identify("nosuchprotocol://x")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(st.data())
def test_any_damage_is_an_error_of_ours_or_harmless(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "damaged.gndc"
    good = write(path).read_bytes()
    kind = data.draw(st.sampled_from(["flip", "cut", "drop"]))
    at = data.draw(st.integers(0, len(good) - 1))
    if kind == "flip":
        bad = good[:at] + bytes([data.draw(st.integers(0, 255))]) + good[at + 1 :]
    elif kind == "cut":
        bad = good[:at]
    else:
        bad = good[:at] + good[at + data.draw(st.integers(1, 50)) :]
    path.write_bytes(bad)
    identify(path)
    try:
        with Container.open(path) as container:
            for entry in container.manifest.chunks:
                container.read_chunk(entry).tensors((8, 4))
            container.sidecar("metrics.json")
    except FileFormatError as error:
        assert str(error).startswith(str(path))
