from __future__ import annotations

import lzma
import tracemalloc

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gdal_gndc.errors import FileFormatError
from gdal_gndc.format.compression import lzma_compress, lzma_exact, zstd_compress, zstd_exact, zstd_smallest

DATA = bytes(range(256)) * 40


def without_size(data: bytes, level: int = 19) -> bytes:
    return zstandard.ZstdCompressor(level=level, write_content_size=False).compress(data)


@given(st.binary(max_size=5000), st.integers(1, 19))
def test_zstd_round_trip(data: bytes, level: int) -> None:
    assert zstd_exact(zstd_compress(data, level), len(data), "x") == data
    assert zstd_exact(without_size(data, level), len(data), "x") == data


@given(st.binary(max_size=5000))
def test_lzma_round_trip(data: bytes) -> None:
    assert lzma_exact(lzma_compress(data), len(data), "x") == data
    assert lzma_exact(lzma.compress(data), len(data), "x") == data
    assert lzma_exact(lzma.compress(data, format=lzma.FORMAT_ALONE), len(data), "x") == data


def test_frames_that_are_written_carry_their_size() -> None:
    assert zstandard.frame_content_size(zstd_compress(DATA)) == len(DATA)


def test_lzma_needs_no_more_memory_than_the_data() -> None:
    decoder = lzma.LZMADecompressor(memlimit=1 << 20)
    assert decoder.decompress(lzma_compress(DATA)) == DATA


@pytest.mark.parametrize("compress", [zstd_compress, without_size])
@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1, 0, 1])
def test_zstd_of_another_size(compress: object, size: int) -> None:
    with pytest.raises(FileFormatError, match=f"thing: .*expected {size} bytes") as caught:
        zstd_exact(compress(DATA), size, "thing", path="file", entry="entry")  # type: ignore[operator]
    assert str(caught.value).startswith("file: entry: thing")


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x28\xb5\x2f",
        b"\x28\xb5\x2f\xfd",
        b"not zstd at all",
        zstd_compress(DATA)[:-1],
        zstd_compress(DATA) + b"\x00",
        zstd_compress(DATA) + zstd_compress(b""),
        zstd_compress(DATA)[:20] + b"\xff" * 40,
        b"\x50\x2a\x4d\x18\x01\x00\x00\x00x",
    ],
)
def test_damaged_zstd(frame: bytes) -> None:
    with pytest.raises(FileFormatError, match=f"expected {len(DATA)} bytes"):
        zstd_exact(frame, len(DATA), "thing")


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"not lzma at all",
        lzma_compress(DATA)[:-1],
        lzma_compress(DATA) + b"\x00\x00\x00\x00",
        lzma_compress(DATA)[:60] + b"\xff" * 40,
        lzma_compress(DATA[:-1]),
        lzma_compress(DATA + b"x"),
        lzma.compress(bytes(100_000_000), filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16}]),
    ],
)
def test_damaged_lzma(stream: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match=f"thing: .*{len(DATA)} bytes"):
            lzma_exact(stream, len(DATA), "thing")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_lzma_dictionaries_are_bounded() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]
    stream = lzma.compress(DATA, filters=filters)
    with pytest.raises(FileFormatError, match=r"[Mm]emory"):
        lzma_exact(stream, len(DATA), "thing")


def test_nothing_is_allocated_that_the_input_cannot_hold() -> None:
    tracemalloc.start()
    try:
        for size in (1 << 28, 1 << 40):
            for frame in (zstd_compress(DATA), without_size(DATA)):
                with pytest.raises(FileFormatError):
                    zstd_exact(frame, size, "thing")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_the_most_compressible_data_is_still_read() -> None:
    zeros = bytes(64 << 20)
    assert zstd_exact(zstd_compress(zeros, 19), len(zeros), "thing") == zeros


@given(st.lists(st.binary(max_size=2000), min_size=1, max_size=4))
def test_the_smallest_frame_holds_all_parts(parts: list[bytes]) -> None:
    whole = b"".join(parts)
    packed = zstd_smallest(*parts)
    assert zstandard.frame_content_size(packed) == len(whole)
    assert zstd_exact(packed, len(whole), "x") == whole
    assert len(packed) <= len(zstd_compress(whole))


def test_parts_of_different_kinds_pack_smaller() -> None:
    rng = np.random.default_rng(0)
    kinds = ((0.4, 20_000), (30.0, 2_000))
    parts = [np.rint(rng.normal(0, spread, n)).astype(np.int8).tobytes() for spread, n in kinds]
    whole = b"".join(parts)
    packed = zstd_smallest(*parts)
    assert len(packed) < 0.97 * len(zstd_compress(whole))
    assert zstd_exact(packed, len(whole), "x") == whole
    assert zstd_smallest(*parts, among=5 << 20) == zstd_compress(whole)
