from __future__ import annotations

import gc
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import gdal_gndc.format.writer as writer_module
from gdal_gndc.errors import EncodeError, FileFormatError
from gdal_gndc.format.chunk import Chunk
from gdal_gndc.format.config import ModelConfig
from gdal_gndc.format.container import Container, ContainerWriter
from gdal_gndc.format.manifest import ChunkEntry, Manifest
from gdal_gndc.format.meta import Band, Meta
from gdal_gndc.format.weights import Tensor, pack_weights

META = Meta((1, 6, 8, 1), (Band("a"),))
FILES = tuple(f"chunks/t0000_y0000_x000{i}.gndcc" for i in range(4))
MANIFEST = Manifest(
    tuple(ChunkEntry((0, 0, i), (0, 1), (0, 6), (2 * i, 2 * i + 2), file) for i, file in enumerate(FILES))
)


def chunk(seed: int) -> Chunk:
    rng = np.random.default_rng(seed)
    tensors = [Tensor.from_array(rng.normal(size=n).astype(np.float16)) for n in (800, 40)]
    weights, quantization = pack_weights(tensors, "float16")
    return Chunk(ModelConfig(), quantization, weights, ((0.0, 1.0),))


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


BLOBS = {file: chunk(i).to_bytes() for i, file in enumerate(FILES)}


def fill(writer: ContainerWriter) -> None:
    writer.add_sidecar("provenance.json", b'{"format": "gndc-provenance"}')
    for file, blob in BLOBS.items():
        writer.add_chunk(file, blob)
    writer.add_sidecar("metrics.json", b"{}")


def write(path: Path) -> bytes:
    with ContainerWriter(path, META, MANIFEST) as writer:
        fill(writer)
    return path.read_bytes()


def test_reading_back(tmp_path: Path) -> None:
    path = tmp_path / "cube.gndc"
    write(path)
    with Container.open(path) as container:
        assert container.entries == ("meta.json", "manifest.json", *FILES, "metrics.json", "provenance.json")
        assert container.meta == META
        sized = tuple(replace(c, size_bytes=len(BLOBS[c.file])) for c in MANIFEST.chunks)
        assert container.manifest == replace(MANIFEST, chunks=sized)
        for i, entry in enumerate(container.manifest.chunks):
            assert container.read_chunk(entry) == chunk(i)
        assert container.sidecar("provenance.json") == {"format": "gndc-provenance"}
    assert names(tmp_path) == ["cube.gndc"]


def test_the_archive_is_plain(tmp_path: Path) -> None:
    path = tmp_path / "cube.gndc"
    write(path)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert not info.extra and not info.flag_bits


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write(tmp_path / "a.gndc")
    with ContainerWriter(tmp_path / "b.gndc", META, MANIFEST) as writer, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda item: writer.add_chunk(*item), reversed(BLOBS.items())))
        writer.add_sidecar("metrics.json", b"{}")
        writer.add_sidecar("provenance.json", b'{"format": "gndc-provenance"}')
    assert (tmp_path / "b.gndc").read_bytes() == first


def test_chunks_that_do_not_fit_in_memory_wait_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write(tmp_path / "a.gndc")
    monkeypatch.setattr(writer_module, "_SPOOL", 100)
    assert write(tmp_path / "b.gndc") == first
    assert sorted(names(tmp_path)) == ["a.gndc", "b.gndc"]


class Stop(BaseException):
    pass


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, SystemExit, Stop])
@pytest.mark.parametrize("existing", [True, False])
def test_an_exception_in_the_block(tmp_path: Path, kind: type[BaseException], existing: bool) -> None:
    path = tmp_path / "cube.gndc"
    if existing:
        path.write_bytes(b"old")
    with pytest.raises(kind), ContainerWriter(path, META, MANIFEST) as writer:
        fill(writer)
        raise kind
    assert names(tmp_path) == (["cube.gndc"] if existing else [])
    assert not existing or path.read_bytes() == b"old"


@pytest.mark.parametrize("step", ["fsync", "_put", "replace"])
@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt])
def test_an_exception_while_completing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, kind: type[BaseException]
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise kind("no space left")

    path = tmp_path / "cube.gndc"
    path.write_bytes(b"old")
    targets = {"fsync": (os, "fsync"), "_put": (writer_module, "_put"), "replace": (Path, "replace")}
    monkeypatch.setattr(*targets[step], fail)
    with pytest.raises(kind):
        write(path)
    assert names(tmp_path) == ["cube.gndc"]
    assert path.read_bytes() == b"old"


def test_nothing_shows_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "cube.gndc"
    path.write_bytes(b"old")
    with ContainerWriter(path, META, MANIFEST) as writer:
        fill(writer)
        assert path.read_bytes() == b"old"
    assert path.read_bytes()[:2] == b"PK"


def test_a_writer_that_is_dropped_leaves_nothing(tmp_path: Path) -> None:
    writer = ContainerWriter(tmp_path / "cube.gndc", META, MANIFEST)
    fill(writer)
    assert len(names(tmp_path)) == 1
    del writer
    gc.collect()
    assert names(tmp_path) == []


def test_closing_twice(tmp_path: Path) -> None:
    path = tmp_path / "cube.gndc"
    with ContainerWriter(path, META, MANIFEST) as writer:
        fill(writer)
        writer.close()
        writer.close()
        writer.abort()
        with pytest.raises(EncodeError, match="closed"):
            writer.add_sidecar("x", b"")
    assert path.read_bytes()[:2] == b"PK"


def test_links_stay_links(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    target, link = tmp_path / "data" / "cube.gndc", tmp_path / "link.gndc"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write(link)
    assert link.is_symlink() and target.read_bytes()[:2] == b"PK"


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    write(tmp_path / "cube.gndc")
    (tmp_path / "plain").touch()
    assert (tmp_path / "cube.gndc").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("manifest", "found"),
    [
        (
            replace(MANIFEST, chunks=MANIFEST.chunks[:3]),
            "x0003.gndcc was added but not in the manifest",
        ),
        (
            replace(MANIFEST, chunks=(*MANIFEST.chunks, replace(MANIFEST.chunks[0], file="chunks/z"))),
            "chunks/z was in the manifest but not added",
        ),
        (replace(MANIFEST, chunks=(*MANIFEST.chunks, MANIFEST.chunks[0])), "lists a chunk twice"),
        (
            replace(MANIFEST, chunks=(replace(MANIFEST.chunks[0], size_bytes=3), *MANIFEST.chunks[1:])),
            "the manifest says 3",
        ),
    ],
)
def test_documents_and_chunks_must_agree(tmp_path: Path, manifest: Manifest, found: str) -> None:
    with pytest.raises(EncodeError, match=found), ContainerWriter(tmp_path / "a", META, manifest) as writer:
        fill(writer)
    assert names(tmp_path) == []


def test_what_a_reader_would_refuse_is_not_written(tmp_path: Path) -> None:
    for meta in (replace(META, shape=(1, 6, 7, 1)), replace(META, bands=())):
        with pytest.raises(FileFormatError), ContainerWriter(tmp_path / "a", meta, MANIFEST) as writer:
            fill(writer)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["", "/x", "../x", "a//b", "a/./b", "a\\b", "a/", "a\nb", "meta.json", "manifest.json", FILES[0]]
)
def test_names_of_entries(tmp_path: Path, name: str) -> None:
    with ContainerWriter(tmp_path / "a", META, MANIFEST) as writer:
        fill(writer)
        for add in (writer.add_chunk, writer.add_sidecar):
            with pytest.raises(EncodeError, match=r"name for an entry|already"):
                add(name, b"")


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ContainerWriter(tmp_path / "none" / "cube.gndc", META, MANIFEST)
