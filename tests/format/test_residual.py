from __future__ import annotations

import struct
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdal_gndc.errors import EncodeError, FileFormatError
from gdal_gndc.format.compression import lzma_compress, zstd_compress
from gdal_gndc.format.document import Document, dump_json
from gdal_gndc.format.residual import ResidualFrame, ResidualInfo, Residuals, pack_residuals

SHAPE = (3, 4, 5, 2)
SIZE = 40
INFOS = st.builds(
    ResidualInfo,
    dtype=st.sampled_from(["int16", "int8"]),
    value_mode=st.sampled_from(["perframe_int16", "native"]),
    band_scales=st.sampled_from([(), (0.5,), (0.25, 2.0)]),
    vals_codec=st.sampled_from(["lzma", "zstd"]),
    threshold=st.none() | st.floats(0, 1),
    outlier_count=st.none() | st.integers(0, 100),
)


def frame(positions: list[int], values: list[int], dtype: str, scale: float = 1.0) -> ResidualFrame:
    deltas = np.diff(np.array(positions, np.int64), prepend=0).astype(np.int32)
    return ResidualFrame(deltas, np.array(values, dtype), scale)


@st.composite
def frames(draw: st.DrawFn, dtype: str) -> ResidualFrame | None:
    positions = sorted(draw(st.sets(st.integers(0, SIZE - 1))))
    if not positions:
        return None
    limits = np.iinfo(dtype)
    values = [draw(st.integers(limits.min, limits.max)) for _ in positions]
    return frame(positions, values, dtype, draw(st.floats(-1e3, 1e3, width=32)))


@given(INFOS, st.data())
def test_round_trip(info: ResidualInfo, data: st.DataObject) -> None:
    given_frames = [data.draw(frames(info.dtype)) for _ in range(SHAPE[0])]
    section = pack_residuals(given_frames, SHAPE, info, 3)
    again = ResidualInfo.from_json(Document.parse(dump_json(info.to_json())), n_bands=2)
    assert again == info
    residuals = Residuals.from_bytes(section, again, shape=SHAPE)
    for k, wanted in enumerate(given_frames):
        found = residuals.frame(k)
        if wanted is None:
            assert found is None
            continue
        assert found is not None
        assert found.deltas.dtype == np.int32 and (found.deltas == wanted.deltas).all()
        assert found.values.dtype == np.dtype(info.dtype) and (found.values == wanted.values).all()
        assert found.frame_scale == wanted.frame_scale
    assert Residuals.pack(given_frames, SHAPE, info, 3) == section


def test_layout_of_a_frame() -> None:
    info = ResidualInfo(vals_codec="zstd")
    section = pack_residuals([None, frame([3, 39], [-5, 7], "int16", 0.5), None], SHAPE, info)
    assert section[:5] == b"\x00\x00\x00\x00\x01"
    assert struct.unpack_from("<4iI4Q", section, 5)[:6] == (*SHAPE, 4, 0)
    first = section[5 + 20 + 32 :][:16]
    assert first == struct.pack("<fIII", 1.0, 0, 0, 0)
    found = Residuals.from_bytes(section, info, shape=SHAPE).frame(1)
    assert found is not None and found.deltas.tolist() == [3, 36] and found.values.tolist() == [-5, 7]


def test_no_outliers_at_all() -> None:
    residuals = Residuals.from_bytes(b"\x00" * 5, ResidualInfo(), shape=SHAPE)
    assert [residuals.frame(k) for k in range(3)] == [None] * 3
    for k in (-1, 3):
        with pytest.raises(IndexError):
            residuals.frame(k)


def raw_frame(
    deltas: list[int],
    values: bytes = b"",
    *,
    count: int | None = None,
    scale: float = 1.0,
    pos: bytes | None = None,
    pos_len: int | None = None,
    vals_len: int | None = None,
) -> bytes:
    pos = zstd_compress(np.array(deltas, "<i4").tobytes()) if pos is None else pos
    values = values or lzma_compress(bytes(2 * len(deltas)))
    return (
        struct.pack("<fI", scale, len(pos) if pos_len is None else pos_len)
        + pos
        + struct.pack("<II", len(deltas) if count is None else count, len(values) if vals_len is None else vals_len)
        + values
    )


def section(
    chunks: list[bytes],
    *,
    shape: tuple[int, ...] = SHAPE,
    offsets: list[int] | None = None,
    n: int | None = None,
) -> bytes:
    if offsets is None:
        offsets = [sum(map(len, chunks[:i])) for i in range(len(chunks) + 1)]
    head = struct.pack("<IB4iI", 0, 1, *shape, len(offsets) if n is None else n)
    return head + struct.pack(f"<{len(offsets)}Q", *offsets) + b"".join(chunks)


EMPTY = struct.pack("<fIII", 1.0, 0, 0, 0)
GOOD = section([EMPTY] * 3)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "0 bytes, expected 5"),
        (b"\x00" * 4, "4 bytes, expected 5"),
        (b"\x10\x00\x00\x00" + b"\x00" * 17, "in-band stream"),
        (b"\x10\x00\x00\x00" + b"\x00" * 12, "main_len is 16, but 11 bytes are left"),
        (b"\x00" * 4 + b"\x02", "has_outliers is 2"),
        (b"\x00" * 6, "1 bytes after has_outliers 0"),
        (GOOD[:20], "20 bytes, expected a header of 25"),
        (section([EMPTY] * 3, shape=(3, 4, 5, 1)), r"shape \(3, 4, 5, 1\), expected \(3, 4, 5, 2\)"),
        (section([EMPTY] * 3, shape=(-3, 4, 5, 2)), "shape"),
        (section([EMPTY] * 2), "3 offsets, expected 4"),
        (section([EMPTY] * 3, n=2**32 - 1), "4294967295 offsets, expected 4"),
        (GOOD[:50], "4 offsets need 32 bytes, but 25 are left"),
        (section([EMPTY] * 3, offsets=[0, 2**60, 32, 48]), "offset 1152921504606846976 is outside the 48"),
        (section([EMPTY] * 3, offsets=[0, 16, 32, 49]), "offset 49 is outside"),
        (section([EMPTY] * 3, offsets=[0, 32, 16, 48]), r"offsets \[0, 32, 16, 48\] do not divide"),
        (section([EMPTY] * 3, offsets=[16, 16, 32, 48]), "do not divide"),
        (GOOD + b"x", "do not divide"),
        (GOOD[:-1], "offset 48 is outside the 47"),
    ],
)
def test_damaged_section(data: bytes, found: str) -> None:
    with pytest.raises(FileFormatError, match=f"f: e: residuals.*{found}"):
        Residuals.from_bytes(data, ResidualInfo(), shape=SHAPE, path="f", entry="e")


@pytest.mark.parametrize(
    ("chunk", "found"),
    [
        (b"", "0 bytes, expected 16"),
        (raw_frame([1, 1], pos_len=2**32 - 1), "positions declare 4294967295 bytes"),
        (raw_frame([1, 1], vals_len=2**32 - 1), "values declare 4294967295 bytes"),
        (raw_frame([1, 1]) + b"x", "values declare"),
        (raw_frame([1, 1], count=41), "41 outliers, but a frame has 40 values"),
        (raw_frame([1, 1], count=2**32 - 1), "4294967295 outliers"),
        (raw_frame([1, 1], count=3), "positions: .*expected 12 bytes"),
        (raw_frame([1, 1], count=0), "for no outliers"),
        (raw_frame([1, 1], scale=float("nan")), "scale nan"),
        (raw_frame([1, 1], scale=float("inf")), "scale inf"),
        (raw_frame([1, 1], values=lzma_compress(bytes(5))), "values: .*4 bytes expected"),
        (raw_frame([1, 1], values=zstd_compress(bytes(4))), "values: .*damaged lzma"),
        (
            raw_frame([1, 1], pos=zstd_compress(bytes(2**20))),
            "positions: .*declares 1048576 bytes, expected 8",
        ),
        (raw_frame([-1, 2]), "positions do not ascend"),
        (raw_frame([5, 0]), "positions do not ascend"),
        (raw_frame([5, -1, 3]), "positions do not ascend"),
        (raw_frame([0, 40]), "position 40 is outside a frame of 40 values"),
        (raw_frame([2**31 - 1, 2**31 - 1, 2]), "position 4294967296 is outside"),
    ],
)
def test_damaged_frame(chunk: bytes, found: str) -> None:
    tracemalloc.start()
    try:
        residuals = Residuals.from_bytes(
            section([EMPTY, chunk, EMPTY]), ResidualInfo(), shape=SHAPE, path="f", entry="e"
        )
        assert residuals.frame(0) is None and residuals.frame(2) is None
        with pytest.raises(FileFormatError, match=f"f: e: residual frame 1.*{found}"):
            residuals.frame(1)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({"dtype": "int32"}, "dtype 'int32' is not supported, expected int16 or int8"),
        ({"dtype": 16}, "dtype is 16, expected a string"),
        ({"value_mode": "log"}, "value_mode 'log'"),
        ({"outlier_vals_codec": "brotli"}, "outlier_vals_codec 'brotli'"),
        ({"outlier_layout": "bitmap_v1"}, "outlier_layout 'bitmap_v1'"),
        ({"band_scales": [1.0, 2.0, 3.0]}, "band_scales has 3 entries for 2 bands"),
        ({"band_scales": ["1", 2]}, "band_scales"),
        ({"band_scales": [1e39, 1.0]}, "band_scales"),
        ({"band_scales": [float("nan")]}, "band_scales"),
    ],
)
def test_unsupported_info(members: dict[str, Any], found: str) -> None:
    with pytest.raises(FileFormatError, match=found):
        ResidualInfo.from_json(Document(members), n_bands=2)


def test_info_defaults() -> None:
    info = ResidualInfo.from_json(Document({}), n_bands=2)
    assert info == ResidualInfo()
    assert (info.dtype, info.value_mode, info.vals_codec) == ("int16", "perframe_int16", "lzma")
    assert not info.uses_band_scales
    assert not replace(info, value_mode="native").uses_band_scales
    assert not replace(info, band_scales=(1.0,)).uses_band_scales
    assert replace(info, value_mode="native", band_scales=(1.0,)).uses_band_scales
    kept = ResidualInfo.from_json(Document({"x_note": 1, "scale": 2.0}), n_bands=2).to_json()
    assert kept["x_note"] == 1 and kept["scale"] == 2.0 and kept["outlier_layout"] == "chunked_v1"


@pytest.mark.parametrize(
    ("bad", "found"),
    [
        (frame([1], [1], "int8"), "values of int8"),
        (ResidualFrame(np.array([1, 1], np.int32), np.zeros(3, np.int16)), "expected as many"),
        (ResidualFrame(np.array([1], np.int64), np.zeros(1, np.int16)), "positions of int64"),
        (frame([40], [1], "int16"), "position 40 is outside"),
        (frame([3, 3], [1, 1], "int16"), "do not ascend"),
    ],
)
def test_writers_are_checked(bad: ResidualFrame, found: str) -> None:
    with pytest.raises(EncodeError, match=f"residual frame 1: .*{found}"):
        pack_residuals([None, bad, None], SHAPE, ResidualInfo())
    with pytest.raises(EncodeError, match="1 residual frames, expected 3"):
        pack_residuals([None], SHAPE, ResidualInfo())


@pytest.mark.parametrize("codec", ["zstd", "lzma"])
@pytest.mark.parametrize("outliers", [False, True])
@pytest.mark.parametrize("mode", ["perframe_int16", "native"])
def test_an_in_band_stream_is_added(codec, outliers, mode):
    """As the specification has it: all values, to which outliers are added."""
    rng = np.random.default_rng(4)
    shape = (3, 4, 5, 2)
    dense = rng.integers(-3, 4, shape).astype("<i2")
    dense[1] = 0
    info = ResidualInfo(
        main_codec=codec,
        scale=0.25,
        vals_codec="zstd",
        value_mode=mode,
        band_scales=(0.5, 2.0) if mode == "native" else (),
    )
    frames = [None, ResidualFrame(np.array([3, 8], np.int32), np.array([7, -9], np.int16), 0.125), None]
    sparse = pack_residuals(frames, shape, info)[4:] if outliers else b"\x00"
    packed = (zstd_compress if codec == "zstd" else lzma_compress)(dense.tobytes())
    read = Residuals.from_bytes(struct.pack("<I", len(packed)) + packed + sparse, info, shape=shape)
    for k in range(3):
        expected = dense[k].ravel() * np.float32(0.25)
        if outliers and k == 1:
            expected[3] += 7 * (2.0 if mode == "native" else 0.125)
            expected[11] += -9 * (2.0 if mode == "native" else 0.125)
        found = read.frame(k)
        if not expected.any():
            assert found is None
            continue
        got = np.zeros_like(expected)
        got[np.cumsum(found.deltas)] = found.values
        np.testing.assert_array_equal(got, expected)
    short = zstd_compress(dense.tobytes()[:-2])
    if codec == "zstd":
        with pytest.raises(FileFormatError, match="declares 238 bytes, expected 240"):
            Residuals.from_bytes(struct.pack("<I", len(short)) + short + sparse, info, shape=shape)
    else:
        longer = lzma_compress(dense.tobytes() + b"x")
        read = Residuals.from_bytes(struct.pack("<I", len(longer)) + longer + sparse, info, shape=shape)
        with pytest.raises(FileFormatError, match="more than 240 bytes"):
            read.frame(2)
