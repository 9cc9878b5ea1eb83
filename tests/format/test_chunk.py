from __future__ import annotations

import json
import struct
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdal_gndc.errors import FileFormatError
from gdal_gndc.format.chunk import Chunk
from gdal_gndc.format.config import ModelConfig
from gdal_gndc.format.mask import Mask
from gdal_gndc.format.residual import ResidualFrame, ResidualInfo, Residuals
from gdal_gndc.format.weights import Tensor, pack_weights

TENSORS = [Tensor.from_array(np.arange(n, dtype=np.int8), 2.0) for n in (8, 6)]
TENSORS.append(Tensor.from_array(np.ones(4, np.float16)))
WEIGHTS, QUANTIZATION = pack_weights(TENSORS, "int8_per_tensor_f16dec")
START, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 12, 31, 12, 30, 0, 5, tzinfo=UTC)
INFO = ResidualInfo(outlier_count=1)
FRAMES = [ResidualFrame(np.array([7], np.int32), np.array([-3], np.int16), 0.5), None]

BASE = Chunk(
    config=ModelConfig(n_bands=2),
    quantization=QUANTIZATION,
    weights=WEIGHTS,
    data_range=((0.0, 6.6), (-1.5, 0.98)),
    train_start=START,
    train_end=END,
)
FULL = replace(
    BASE,
    has_residuals=True,
    residual_info=INFO,
    mask_bytes=Mask.pack(np.eye(3, 4, dtype=bool)),
    residual_bytes=Residuals.pack(FRAMES, (2, 3, 4, 2), INFO),
)
FLOATS = st.floats(-1e30, 1e30)
PLANAR = {"lon_min": 1.0, "lon_span": 2.0, "lat_min": 3.0, "lat_span": -4.0}
XYZ = dict.fromkeys(("x_min", "x_span", "y_min", "y_span", "z_min", "z_span"), 0.5)


def blob(header: dict[str, Any] | bytes, *sections: bytes) -> bytes:
    parts = [header if isinstance(header, bytes) else json.dumps(header).encode(), *sections]
    return b"".join(struct.pack("<I", len(part)) + part for part in parts)


def header(**changes: Any) -> dict[str, Any]:
    (length,) = struct.unpack_from("<I", BASE.to_bytes())
    members = {**json.loads(BASE.to_bytes()[4 : 4 + length]), **changes}
    return {k: v for k, v in members.items() if v is not ...}


def read(data: bytes) -> Chunk:
    return Chunk.from_bytes(data, n_bands=2, path="f", entry="e")


@given(
    st.lists(st.tuples(FLOATS, FLOATS).map(sorted).map(tuple), min_size=2, max_size=2).map(tuple),
    st.sampled_from([(3, {}), (2, PLANAR), (1, XYZ), (1, {}), (0, {})]),
    st.booleans(),
    st.booleans(),
)
def test_round_trip(ranges: Any, norm: Any, full: bool, timed: bool) -> None:
    chunk = replace(FULL if full else BASE, data_range=ranges, norm_mode=norm[0], norm_params=norm[1])
    if not timed:
        chunk = replace(chunk, train_start=None, train_end=None)
    data = chunk.to_bytes()
    again = read(data)
    assert again == chunk
    assert again.to_bytes() == data


def test_sections() -> None:
    chunk = read(FULL.to_bytes())
    assert [t.count for t in chunk.tensors((8, 6, 4))] == [8, 6, 4]
    mask = chunk.mask(frames=2, height=3, width=4)
    assert mask is not None and mask.kind == "static"
    residuals = chunk.residuals(shape=(2, 3, 4, 2))
    assert residuals is not None and residuals.frame(0) is not None and residuals.frame(1) is None
    plain = read(BASE.to_bytes())
    assert plain.mask(frames=2, height=3, width=4) is None
    assert plain.residuals(shape=(2, 3, 4, 2)) is None


def test_errors_of_sections_name_the_file() -> None:
    chunk = read(FULL.to_bytes())
    with pytest.raises(FileFormatError, match="f: e: weights"):
        chunk.tensors((8, 6, 5))
    with pytest.raises(FileFormatError, match="f: e: mask"):
        chunk.mask(frames=2, height=3, width=5)
    with pytest.raises(FileFormatError, match="f: e: residuals"):
        chunk.residuals(shape=(2, 3, 5, 2))


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 100, -1, -4, -5])
def test_truncated(cut: int) -> None:
    for chunk in (BASE, FULL):
        with pytest.raises(FileFormatError, match="f: e: "):
            read(chunk.to_bytes()[:cut])


def test_lengths_and_trailing_bytes() -> None:
    data = BASE.to_bytes()
    with pytest.raises(FileFormatError, match="chunk_meta_json declares 4294967295 bytes"):
        read(b"\xff\xff\xff\xff" + data[4:])
    with pytest.raises(FileFormatError, match="7 bytes after the last section"):
        read(data + bytes(7))
    with pytest.raises(FileFormatError, match="mask declares 4294967280 bytes, but 0 are left"):
        read(data[:-4] + struct.pack("<I", 2**32 - 16))
    with pytest.raises(FileFormatError, match="ends before residuals"):
        read(blob(header(has_residuals=True, residual_info={}), WEIGHTS, b""))
    with pytest.raises(FileFormatError, match="bytes after the last section"):
        read(blob(header(), WEIGHTS, b"", b""))
    with pytest.raises(FileFormatError, match="not valid JSON"):
        read(blob(b"{", WEIGHTS, b""))


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"model_config": ...}, "model_config is absent"),
        ({"model_config": {"n_bands": 3}}, "model_config.n_bands is 3, but the cube has 2 bands"),
        ({"model_config": {}}, "model_config.n_bands is 1, but the cube has 2"),
        ({"quantization_info": ...}, "quantization_info is absent"),
        ({"train_data_range": ...}, "train_data_range is absent"),
        ({"train_data_range": [[0, 1]]}, "train_data_range has 1 entries for 2 bands"),
        ({"train_data_range": [0, 1]}, r"train_data_range\[0\] is 0, expected \[min, max\]"),
        ({"train_data_range": [[0, 1], [1, 0]]}, r"train_data_range\[1\] is \[1, 0\]"),
        ({"train_data_range": [[0, 1], [1]]}, r"train_data_range\[1\]"),
        ({"train_data_range": [[0, 1], [None, 2]]}, r"train_data_range\[1\] is \[None, 2\]"),
        ({"train_data_range": [[0, 1], [0, 1e39]]}, "in the range of float32"),
        ({"train_time_range": {"start": "2020-01-01"}}, "train_time_range.end is absent"),
        ({"train_time_range": {"start": "2020-01-01", "end": "x"}}, "train_time_range: 'x' is not a time"),
        ({"train_time_range": {"start": "2020-01-02", "end": "2020-01-01"}}, "before its start"),
        ({"has_residuals": "yes"}, "has_residuals is 'yes'"),
        ({"norm_mode": ...}, "norm_mode is absent, which means 2, but local_planar_params is absent"),
        ({"norm_mode": 2}, "norm_mode is 2, but local_planar_params is absent"),
        ({"norm_mode": 4}, "norm_mode is 4, expected an integer from 0 to 3"),
        ({"norm_mode": 2, "local_planar_params": {**PLANAR, "lat_span": 0}}, "local_planar_params.lat_span"),
        ({"norm_mode": 2, "local_planar_params": {"lon_min": 1}}, "local_planar_params.lon_span is absent"),
        ({"norm_mode": 1, "local_xyz_params": {**XYZ, "z_min": "0"}}, "local_xyz_params.z_min"),
        ({"spatial_dims": 3, "model_config": {"n_bands": 2}}, "spatial_dims 3 is not supported"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], found: str) -> None:
    with pytest.raises(FileFormatError, match=f"f: e: .*{found}"):
        read(blob(header(**changes), WEIGHTS, b""))


def test_residuals_need_their_info() -> None:
    with pytest.raises(FileFormatError, match="residual_info is absent"):
        read(blob(header(has_residuals=True), WEIGHTS, b"", bytes(5)))


def test_times_without_a_zone_are_utc() -> None:
    times = {"start": "2020-01-01T00:00:00", "end": "2020-06-01 12:00:00", "n_frames": 3}
    chunk = read(blob(header(train_time_range=times), WEIGHTS, b""))
    assert chunk.train_frames == 3
    assert read(replace(chunk, raw={}).to_bytes()) == chunk
    assert chunk.train_start == START and chunk.train_end == datetime(2020, 6, 1, 12, tzinfo=UTC)
    assert json.loads(chunk.to_bytes()[4:].split(b"}}")[0].decode() + "}}")["train_time_range"]["n_frames"] == 3


def test_absent_norm_mode_with_its_parameters_is_mode_2() -> None:
    chunk = read(blob(header(norm_mode=..., local_planar_params=PLANAR), WEIGHTS, b""))
    assert (chunk.norm_mode, chunk.norm_params) == (2, PLANAR)


def test_unknown_keys_survive() -> None:
    members = header(quality_metrics={"n_valid": 3}, x_note="mine")
    members["model_config"]["x_more"] = 1
    written = read(blob(members, WEIGHTS, b"")).to_bytes()
    (length,) = struct.unpack_from("<I", written)
    found = json.loads(written[4 : 4 + length])
    assert found["quality_metrics"] == {"n_valid": 3} and found["x_note"] == "mine"
    assert found["model_config"]["x_more"] == 1
    assert found["norm_mode"] == 3


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(FileFormatError):
        read(data)


@given(st.data())
def test_any_damage_is_an_error_of_ours_or_harmless(data: st.DataObject) -> None:
    good = FULL.to_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + bytes([data.draw(st.integers(0, 255))]) + good[at + 1 :]
    try:
        chunk = read(bad)
        chunk.tensors((8, 6, 4))
        mask, residuals = chunk.mask(frames=2, height=3, width=4), chunk.residuals(shape=(2, 3, 4, 2))
        for k in range(2):
            if mask is not None:
                assert len(mask.frame(k)) == 2
            if residuals is not None:
                residuals.frame(k)
    except FileFormatError as error:
        assert str(error).startswith("f: e: ")
