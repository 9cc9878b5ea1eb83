from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gdal_gndc.errors import EncodeError, FileFormatError
from gdal_gndc.format.document import Document, dump_json
from gdal_gndc.format.weights import MODES, Quantization, Tensor, pack_weights, unpack_weights

TYPES = {
    "float16": ("float16", "float16"),
    "int8_per_tensor_f16dec": ("int8", "float16"),
    "int16_per_tensor_f16dec": ("int16", "float16"),
    "int8_per_tensor": ("int8", "int8"),
    "int16_per_tensor": ("int16", "int16"),
    "int8": ("int8", "int8"),
    "int16": ("int16", "int16"),
}
SCALES = st.floats(2**-10, 2**20, width=32)


def make(mode: str, counts: list[int], seed: int, scales: list[float]) -> list[Tensor]:
    rng = np.random.default_rng(seed)
    grid, decoder = TYPES[mode]
    tensors = []
    for i, count in enumerate(counts):
        kind = decoder if i == len(counts) - 1 else grid
        if kind == "float16":
            tensors.append(Tensor.from_array(rng.normal(size=count).astype(np.float16)))
        else:
            limits = np.iinfo(kind)
            array = rng.integers(limits.min, limits.max, count, dtype=kind, endpoint=True)
            tensors.append(Tensor.from_array(array, scales[0] if mode in ("int8", "int16") else scales[i]))
    return tensors


def reread(quantization: Quantization) -> Quantization:
    return Quantization.from_json(Document.parse(dump_json(quantization.to_json())))


def test_all_modes_are_tested() -> None:
    assert set(TYPES) == set(MODES)


@given(
    st.sampled_from(MODES),
    st.lists(st.integers(1, 300), min_size=2, max_size=3),
    st.integers(0, 2**32),
    st.lists(SCALES, min_size=3, max_size=3),
)
def test_round_trip(mode: str, counts: list[int], seed: int, scales: list[float]) -> None:
    tensors = make(mode, counts, seed, scales)
    data, quantization = pack_weights(tensors, mode, level=3)
    again = reread(quantization)
    assert again == quantization
    assert zstandard.frame_content_size(data) == sum(len(t.data) for t in tensors)
    found = unpack_weights(data, again, tuple(counts))
    assert len(found) == len(counts)
    for a, b in zip(tensors, found, strict=True):
        assert (a.count, a.dtype, a.scale) == (b.count, b.dtype, b.scale)
        assert bytes(a.data) == bytes(b.data)
        assert b.array().dtype == np.dtype(b.dtype)


def test_signs_and_order_of_bytes() -> None:
    tensors = [Tensor.from_array(np.array([-2, 258], np.int16), 4.0) for _ in range(2)]
    data, quantization = pack_weights(tensors, "int16_per_tensor")
    (first, _) = unpack_weights(data, quantization, (2, 2))
    assert bytes(first.data) == b"\xfe\xff\x02\x01"
    assert (first.array() / np.float32(first.scale)).tolist() == [-0.5, 64.5]


@pytest.mark.parametrize("mode", ["float16", "int8", "int16"])
def test_old_modes_need_no_sizes(mode: str) -> None:
    tensors = make(mode, [5, 3, 2], 1, [2.0, 2.0, 2.0])
    data, quantization = pack_weights(tensors, mode)
    members = quantization.to_json()
    for key in ("sizes", "components"):
        members.pop(key)
    found = unpack_weights(data, Quantization.from_json(Document(members)), (5, 3, 2))
    assert [t.count for t in found] == [5, 3, 2]
    with pytest.raises(FileFormatError, match="expected"):
        unpack_weights(data, Quantization.from_json(Document(members)), (5, 3, 3))


def packed(mode: str = "int8_per_tensor_f16dec") -> tuple[bytes, dict[str, Any]]:
    data, quantization = pack_weights(make(mode, [8, 6, 4], 1, [1.0, 2.0, 3.0]), mode)
    return data, quantization.to_json()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"sizes": [7, 7]}, r"sizes is \(7, 7\), but model_config needs \(8, 6\)"),
        ({"sizes": [14]}, r"sizes is \(14,\)"),
        ({"sizes": [8, 6, 4]}, r"sizes is \(8, 6, 4\)"),
        ({"sizes": None}, r"sizes is absent, expected \(8, 6\)"),
        ({"sizes": [8, -6]}, "sizes is .*, expected an array of integers"),
        ({"sizes": [8, 6.0]}, "sizes is .*, expected an array of integers"),
        ({"decoder_size": 5}, "decoder_size is 5, but model_config needs 4"),
        ({"decoder_size": None}, "decoder_size is absent, expected 4"),
        ({"scales": [1.0]}, "scales has 1 entries, expected 2"),
        ({"scales": [1.0, 0.0]}, "scales holds 0.0"),
        ({"scales": [1.0, 1e-60]}, "scales holds 1e-60"),
        ({"scales": [1.0, 1e60]}, r"scales holds 1e\+60"),
        ({"scales": [1.0, float("nan")]}, "scales is .*, expected an array of finite numbers"),
        ({"scales": None}, "scales is None, expected an array"),
        ({"mode": "int4"}, "mode is 'int4', expected one of float16"),
        ({"mode": None}, "mode is None, expected a string"),
        ({"components": [1]}, "components is .*, expected an array of strings"),
    ],
)
def test_disagreements(change: dict[str, Any], found: str) -> None:
    data, members = packed()
    with pytest.raises(FileFormatError, match=found):
        unpack_weights(data, Quantization.from_json(Document({**members, **change})), (8, 6, 4))


@pytest.mark.parametrize("scale", [0, -0.0, float("inf"), "1", None])
def test_single_scale(scale: object) -> None:
    with pytest.raises(FileFormatError, match="scale"):
        Quantization.from_json(Document({"mode": "int8", "scale": scale}))


def test_model_needs_more_than_stored() -> None:
    data, _ = packed("float16")
    quantization = Quantization.from_json(Document({"mode": "float16"}))
    tracemalloc.start()
    try:
        for counts in ((8, 6, 5), (8, 6, 3), (2**60, 2**60, 2**60), (18, 0)):
            if sum(counts) == 18:
                assert len(unpack_weights(data, quantization, counts)) == 2
                continue
            with pytest.raises(FileFormatError, match="declares 36 bytes, expected"):
                unpack_weights(data, quantization, counts, path="f", entry="e")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_payload_must_have_the_exact_length() -> None:
    _, members = packed()
    quantization = Quantization.from_json(Document(members))
    for length in (21, 23):
        frame = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(length))
        with pytest.raises(FileFormatError, match=r"f: e: weights .*expected 22 bytes"):
            unpack_weights(frame, quantization, (8, 6, 4), path="f", entry="e")


def test_unknown_keys_survive() -> None:
    members = {"mode": "float16", "x_note": "mine", "decoder_name": "decoder"}
    assert Quantization.from_json(Document(members)).to_json() == members


def test_writers_are_checked() -> None:
    tensors = make("int8_per_tensor", [8, 4], 1, [1.0, 2.0])
    with pytest.raises(EncodeError, match="one scale"):
        pack_weights(tensors, "int8")
    with pytest.raises(EncodeError, match="needs float16"):
        pack_weights(tensors, "int8_per_tensor_f16dec")
    with pytest.raises(EncodeError, match="mode 'int4'"):
        pack_weights(tensors, "int4")
    with pytest.raises(EncodeError, match="1 weight tensors"):
        pack_weights(tensors[:1], "int8_per_tensor")
    with pytest.raises(EncodeError, match=r"scale 0.0"):
        pack_weights([Tensor.from_array(np.zeros(3, np.int8), 0.0)] * 2, "int8_per_tensor")
    with pytest.raises(EncodeError, match="float64"):
        Tensor.from_array(np.zeros(3))
