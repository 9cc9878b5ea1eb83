from __future__ import annotations

import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from gdal_gndc.errors import EncodeError, FileFormatError
from gdal_gndc.format.compression import zstd_compress
from gdal_gndc.format.mask import Mask

MASKS = hnp.arrays(np.bool_, st.tuples(st.integers(1, 5), st.integers(1, 12), st.integers(1, 12)))


def bits(mask: Mask, k: int) -> NDArray[np.bool_]:
    size = mask.height * mask.width
    flat = np.unpackbits(np.frombuffer(mask.frame(k), np.uint8), count=size)
    return flat.reshape(mask.height, mask.width).astype(bool)


def section(kind: int, t: int, h: int, w: int, *frames: bytes) -> bytes:
    parts = [struct.pack("<I", len(f)) + f for f in frames]
    return struct.pack("<B3I", kind, t, h, w) + b"".join(parts)


@given(MASKS)
def test_round_trip(array: NDArray[np.bool_]) -> None:
    t, h, w = array.shape
    data = Mask.pack(array)
    mask = Mask.from_bytes(data, frames=t, height=h, width=w)
    if not array.any():
        assert data == b"" and mask is None
        return
    assert mask is not None and (mask.n_frames, mask.height, mask.width) == (t, h, w)
    assert (mask.kind == "static") == bool((array == array[0]).all())
    for k in range(t):
        assert len(mask.frame(k)) == mask.frame_bytes == -(-h * w // 8)
        assert (bits(mask, k) == array[k]).all()


def test_one_bitmap_for_all_frames() -> None:
    array = np.eye(5, 7, dtype=bool)
    assert Mask.pack(array) == Mask.pack(np.stack([array] * 4))
    mask = Mask.from_bytes(Mask.pack(array), frames=4, height=5, width=7)
    assert mask is not None and mask.kind == "static"
    assert all((bits(mask, k) == array).all() for k in range(4))
    for k in (-1, 4):
        with pytest.raises(IndexError):
            mask.frame(k)


def test_bits_run_on_across_rows_most_significant_first() -> None:
    array = np.zeros((2, 5), bool)
    array[0, 0] = array[1, 4] = True
    mask = Mask.from_bytes(Mask.pack(array), frames=1, height=2, width=5)
    assert mask is not None and mask.frame(0) == bytes([0b10000000, 0b01000000])


def test_ways_of_saying_none() -> None:
    for data in (b"", b"\xff", section(255, 3, 2, 5), section(255, 0, 0, 0)):
        assert Mask.from_bytes(data, frames=3, height=2, width=5) is None
    with pytest.raises(FileFormatError, match="type 255"):
        Mask.from_bytes(section(255, 3, 2, 5, b"x"), frames=3, height=2, width=5)


FRAME = zstd_compress(b"\x80\x40")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\x00", "1 bytes, expected a header of 13"),
        (section(2, 1, 2, 5, FRAME), "type 2, expected"),
        (section(0, 1, 2, 6, FRAME), r"shape \(1, 2, 6\), expected \(1, 2, 5\)"),
        (section(0, 2, 2, 5, FRAME), r"shape \(2, 2, 5\)"),
        (section(1, 1, 2, 5, FRAME), r"shape \(1, 2, 5\), expected \(3, 2, 5\)"),
        (section(1, 3, 2**31, 2**31), "shape"),
        (section(0, 1, 2, 5), "ends after 0 of 1 frames"),
        (section(1, 3, 2, 5, FRAME, FRAME), "ends after 2 of 3 frames"),
        (section(0, 1, 2, 5, FRAME) + b"x", "1 bytes after the last frame"),
        (section(0, 1, 2, 5, FRAME, FRAME), "bytes after the last frame"),
        (section(0, 1, 2, 5, FRAME)[:-1], "declares 11 bytes, but 10 are left"),
        (section(0, 1, 2, 5) + b"\xff\xff\xff\xff", "declares 4294967295 bytes, but 0 are left"),
    ],
)
def test_damaged(data: bytes, found: str) -> None:
    with pytest.raises(FileFormatError, match=f"f: e: mask: .*{found}"):
        Mask.from_bytes(data, frames=3, height=2, width=5, path="f", entry="e")


@pytest.mark.parametrize("payload", [b"", b"\x80", b"\x80\x40\x00"])
def test_bitmaps_of_another_length(payload: bytes) -> None:
    data = section(0, 1, 2, 5, zstd_compress(payload))
    mask = Mask.from_bytes(data, frames=3, height=2, width=5, path="f", entry="e")
    assert mask is not None
    with pytest.raises(FileFormatError, match=r"f: e: mask frame 0: .*expected 2 bytes"):
        mask.frame(1)


def test_a_huge_extent_allocates_nothing() -> None:
    data = section(1, 2, 2**20, 2**20, zstd_compress(bytes(100)), zstd_compress(bytes(2**20)))
    tracemalloc.start()
    try:
        mask = Mask.from_bytes(data, frames=2, height=2**20, width=2**20)
        assert mask is not None
        for k in range(2):
            with pytest.raises(FileFormatError, match="expected 137438953472 bytes"):
                mask.frame(k)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("array", [np.zeros(3, bool), np.zeros((2, 2)), np.zeros((1, 1, 1, 1), bool)])
def test_writers_are_checked(array: NDArray[np.bool_]) -> None:
    with pytest.raises(EncodeError, match="expected 2 or 3 of bool"):
        Mask.pack(array)
