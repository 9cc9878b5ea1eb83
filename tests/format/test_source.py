from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from gdal_gndc.errors import FileFormatError, GNDCError
from gdal_gndc.format.container import Container, ContainerWriter, identify
from gdal_gndc.format.manifest import ChunkEntry, Manifest
from gdal_gndc.format.meta import Band, Meta
from gdal_gndc.format.source import RemoteSource, is_url, open_source

CASES = Path(__file__).resolve().parents[1] / "cases"


class CountingFileSystem(MemoryFileSystem):
    """A remote store that remembers what was asked of it."""

    protocol = "counting"
    store: ClassVar[dict[str, Any]] = {}
    requests: ClassVar[list[tuple[int, int]]] = []
    behaviour = "ranges"

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        type(self).requests.append((start or 0, -1 if end is None else end))
        if self.behaviour == "broken":
            raise RuntimeError("503 Service Unavailable")
        if self.behaviour == "short":
            return super().cat_file(path, start, end - 1, **kwargs)
        if self.behaviour == "whole":
            return super().cat_file(path, **kwargs)
        return super().cat_file(path, start, end, **kwargs)


@pytest.fixture
def remote() -> Iterator[type[CountingFileSystem]]:
    fsspec.register_implementation("counting", CountingFileSystem, clobber=True)
    CountingFileSystem.store = {}
    CountingFileSystem.requests = []
    CountingFileSystem.behaviour = "ranges"
    yield CountingFileSystem
    CountingFileSystem.behaviour = "ranges"


def put(name: str, data: bytes) -> str:
    with fsspec.open(f"counting://{name}", "wb") as file:
        file.write(data)
    return f"counting://{name}"


@pytest.fixture
def big(tmp_path: Path) -> bytes:
    """A container of four chunks of 1 MB that are no models."""
    files = [f"chunks/{i}" for i in range(4)]
    chunks = tuple(ChunkEntry((0, 0, i), (0, 1), (0, 6), (2 * i, 2 * i + 2), f) for i, f in enumerate(files))
    with ContainerWriter(tmp_path / "a", Meta((1, 6, 8, 1), (Band("a"),)), Manifest(chunks)) as writer:
        for i, file in enumerate(files):
            writer.add_chunk(file, bytes([i]) * 1_000_000)
    return (tmp_path / "a").read_bytes()


def test_what_is_a_url() -> None:
    assert all(map(is_url, ["https://a/b.gndc", "memory://x", "zip://a::file://b", "simplecache::s3://x/y"]))
    assert not any(map(is_url, ["cube.gndc", "/data/cube.gndc", "C:\\data\\cube.gndc", "a:b"]))


@pytest.mark.parametrize("name", ["basic_i8dec", "tiles22_ov8_mask_res"])
def test_the_same_through_a_url(remote: type[CountingFileSystem], name: str) -> None:
    url = put("cube.gndc", (CASES / f"{name}.gndc").read_bytes())
    with Container.open(url) as container, Container.open(CASES / f"{name}.gndc") as local:
        assert container.path == url
        assert container.meta == local.meta and container.manifest == local.manifest
        for entry in local.manifest.chunks:
            assert container.read_chunk(entry) == local.read_chunk(entry)
    # The whole file is smaller than the tail that is fetched for the directory.
    assert len(remote.requests) == 1
    assert identify(url)


def test_only_the_ranges_that_are_needed_are_fetched(remote: type[CountingFileSystem], big: bytes) -> None:
    with Container.open(put("big", big)) as container:
        assert len(remote.requests) == 2
        assert sum(end - start for start, end in remote.requests) < 70_000
        assert container.read("chunks/2") == b"\x02" * 1_000_000
        assert len(remote.requests) == 3
        assert sum(end - start for start, end in remote.requests) < 1_080_000


def test_servers_without_ranges(remote: type[CountingFileSystem], big: bytes, caplog: pytest.LogCaptureFixture) -> None:
    url = put("big", big)
    remote.behaviour = "whole"
    with caplog.at_level(logging.WARNING), Container.open(url) as container:
        for i in range(4):
            assert container.read(f"chunks/{i}") == bytes([i]) * 1_000_000
    assert len(remote.requests) == 1
    assert "no range requests" in caplog.text


def test_servers_that_fail(remote: type[CountingFileSystem], big: bytes) -> None:
    url = put("big", big)
    container = Container.open(url)
    remote.behaviour = "broken"
    with pytest.raises(OSError, match="counting://big: cannot be read: 503"):
        container.read("chunks/0")
    remote.behaviour = "short"
    with pytest.raises(FileFormatError, match=r"counting://big: .*the server sent"):
        container.read("chunks/0")
    with pytest.raises(OSError, match="counting://big"):
        remote.behaviour = "broken"
        Container.open(url)
    assert not identify(url)


def test_closed(remote: type[CountingFileSystem], big: bytes) -> None:
    container = Container.open(put("big", big))
    container.close()
    for name in ("chunks/0", "meta.json"):
        with pytest.raises(GNDCError, match="counting://big: the container is closed"):
            container.read(name)


def test_urls_that_lead_nowhere(remote: type[CountingFileSystem]) -> None:
    with pytest.raises(FileNotFoundError):
        Container.open("counting://none")
    with pytest.raises(OSError, match="nosuchprotocol://x: fsspec cannot open"):
        Container.open("nosuchprotocol://x")
    with pytest.raises(FileFormatError, match="counting://empty: the file is empty"):
        Container.open(put("empty", b""))
    put("folder/file", b"x")
    with pytest.raises(OSError, match="not a file"):
        Container.open("counting://folder")


def test_storage_options_reach_the_file_system(tmp_path: Path) -> None:
    (tmp_path / "cube.gndc").write_bytes((CASES / "basic_i8dec.gndc").read_bytes())
    with Container.open("dir://cube.gndc", storage_options={"path": str(tmp_path), "target_protocol": "file"}) as c:
        assert c.meta.shape == (7, 61, 83, 3)
        _, (path, options) = c.__reduce__()
        assert path == "dir://cube.gndc" and options["path"] == str(tmp_path)


@pytest.mark.parametrize("where", ["local", "remote"])
def test_ranges(remote: type[CountingFileSystem], tmp_path: Path, where: str) -> None:
    data = bytes(range(256)) * 1000
    (tmp_path / "file").write_bytes(data)
    source = open_source(tmp_path / "file") if where == "local" else open_source(put("file", data))
    assert source.size == len(data)
    tail = len(data) - RemoteSource.TAIL
    for start, length in [(0, 10), (100, 0), (tail - 5, 10), (tail, 10), (len(data) - 3, 10), (len(data), 1)]:
        assert source.read(start, length) == data[start : start + length]
    source.close()
