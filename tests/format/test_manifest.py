from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdal_gndc.errors import FileFormatError
from gdal_gndc.format.manifest import ChunkEntry, Manifest

SHAPE = (10, 61, 83, 3)


def bounds(size: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(0, size - 1), st.integers(1, size)).filter(lambda b: b[0] < b[1])


CHUNKS = st.builds(
    ChunkEntry,
    id=st.lists(st.integers(0, 99), max_size=3).map(tuple),
    time=bounds(10),
    y=bounds(61),
    x=bounds(83),
    file=st.text(min_size=1, max_size=20),
    size_bytes=st.none() | st.integers(0, 2**40),
    metrics=st.none() | st.just({"psnr": 39.3}),
)
MANIFESTS = st.builds(
    Manifest,
    chunks=st.lists(CHUNKS, max_size=5).map(tuple),
    overlap=st.integers(0, 100),
    t_overlap=st.integers(0, 5),
    missing=st.sampled_from([(), ({"id": [0, 2, 1], "reason": "ocean_only", "tag": "skip"},)]),
)


def read(chunk: dict[str, Any] | None = None, **changes: Any) -> Manifest:
    entry = {"id": [0, 0, 0], "file": "chunks/a.gndcc", "bounds": {}, **(chunk or {})}
    members = {"format": "gndc", "version": "0.9", "chunks": [entry], **changes}
    return Manifest.from_json(json.dumps(members).encode(), shape=SHAPE, path="f")


@given(MANIFESTS)
def test_round_trip(manifest: Manifest) -> None:
    again = Manifest.from_json(manifest.to_json(), shape=SHAPE)
    assert again == manifest
    assert again.to_json() == manifest.to_json()


def test_axes_left_out_are_spanned() -> None:
    (chunk,) = read({"bounds": {"y": [3, 9]}}).chunks
    assert (chunk.time, chunk.y, chunk.x) == ((0, 10), (3, 9), (0, 83))
    (chunk,) = read({"bounds": None, "id": None}).chunks
    assert (chunk.time, chunk.y, chunk.x, chunk.id) == ((0, 10), (0, 61), (0, 83), ())
    assert read({"bounds": {"band": [0, 3]}}).chunks[0].y == (0, 61)


def test_ids_and_files_may_repeat() -> None:
    entry = {"id": [0, 0, 0], "file": "a", "bounds": {}}
    manifest = Manifest.from_json(
        json.dumps({"format": "gndc", "version": "0.9", "chunks": [entry, entry]}).encode(), shape=SHAPE
    )
    assert len(manifest.chunks) == 2


@pytest.mark.parametrize(
    ("bad", "found"),
    [
        ([0, 84], "is outside the cube, expected at most 83"),
        ([83, 84], "is outside the cube"),
        ([40, 10], "is empty or reversed"),
        ([5, 5], "is empty or reversed"),
        ([-3, 7], "is negative"),
        ([-7, -3], "is negative"),
        ([0, 2**70], "is outside the cube"),
        ([0.0, 5.0], "expected two integers"),
        ([0, True], "expected two integers"),
        ([0], "expected two integers"),
        ([0, 1, 2], "expected two integers"),
        ("0:5", "expected two integers"),
        ({}, "expected two integers"),
    ],
)
def test_bounds(bad: object, found: str) -> None:
    with pytest.raises(FileFormatError, match=rf"f: manifest.json: chunks\[0\].bounds.x .*{found}"):
        read({"bounds": {"x": bad}})


@pytest.mark.parametrize(
    ("chunk", "found"),
    [
        ({"bounds": {"z": [0, 1]}}, "names the axis 'z'"),
        ({"bounds": {"band": [0, 1]}}, "expected all 3 bands"),
        ({"bounds": [0, 1]}, "bounds is .*, expected an object"),
        ({"file": ""}, r"chunks\[0\].file is ''"),
        ({"file": None}, r"chunks\[0\].file is None, expected a string"),
        ({"id": "0"}, "id is '0', expected an array of integers"),
        ({"id": [0.5]}, "id is .*, expected an array of integers"),
        ({"size_bytes": -1}, "size_bytes is -1"),
        ({"metrics": 3}, "metrics is 3"),
    ],
)
def test_chunks(chunk: dict[str, Any], found: str) -> None:
    with pytest.raises(FileFormatError, match=found):
        read(chunk)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"overlap": -1}, "overlap is -1, expected an integer from 0"),
        ({"overlap": 2**31}, "overlap is 2147483648"),
        ({"overlap": 1.5}, "overlap is 1.5"),
        ({"t_overlap": "2"}, "t_overlap is '2'"),
        ({"chunks": {}}, "chunks is {}, expected an array"),
        ({"chunks": [3]}, r"chunks\[0\] is 3, expected an object"),
        ({"chunks": None}, "chunks is None"),
        ({"format": "other"}, "format is 'other'"),
        ({"version": "1.0"}, "version '1.0'"),
        ({"missing": [1]}, r"missing\[0\] is 1"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], found: str) -> None:
    with pytest.raises(FileFormatError, match=f"f: manifest.json: .*{found}"):
        read(**changes)


def test_stored_extent() -> None:
    manifest = read({"bounds": {"time": [4, 8], "y": [5, 30], "x": [40, 83]}}, overlap=8, t_overlap=3)
    assert manifest.stored_extent(manifest.chunks[0], SHAPE) == ((1, 10), (0, 38), (32, 83))


def test_chunk_grid_is_told() -> None:
    chunks = [
        ChunkEntry((0, i, j), (0, 10), y, x, f"{i}{j}")
        for i, y in enumerate([(0, 30), (30, 60), (60, 61)])
        for j, x in enumerate([(0, 40), (40, 83)])
    ]
    grid = json.loads(Manifest(tuple(chunks)).to_json())["chunk_grid"]
    assert grid["time"] == {"n": 1, "regular": True, "size": 10}
    assert grid["y"] == {"n": 3, "regular": True, "size": 30}
    assert grid["x"] == {"n": 2, "regular": False}


def test_unknown_keys_survive() -> None:
    assert json.loads(read(x_note=[1]).to_json())["x_note"] == [1]
