"""The core's network against the numpy reference and torch, over many configurations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdal_gndc.errors import FileFormatError
from gdal_gndc.field.core import ffi, lib
from gdal_gndc.field.layout import Layout
from gdal_gndc.field.native import NativeField
from gdal_gndc.field.reference import ReferenceField
from gdal_gndc.format.config import ModelConfig
from gdal_gndc.format.weights import Tensor

CONFIGS = st.builds(
    ModelConfig,
    n_bands=st.integers(1, 20),
    xy_hash_size=st.integers(4, 12),
    xy_base_resolution=st.integers(1, 40),
    xy_n_levels=st.integers(1, 5),
    xy_per_level_scale=st.floats(1.0, 2.0, width=32),
    xy_features_per_level=st.sampled_from([1, 2, 3, 4, 8]),
    t_hash_size=st.integers(4, 12),
    t_base_resolution=st.integers(1, 20),
    t_n_levels=st.integers(1, 4),
    t_per_level_scale=st.floats(1.0, 2.0, width=32),
    t_features_per_level=st.sampled_from([1, 2, 4, 5, 8]),
    spatial_scale=st.floats(0.0, 2.0, width=32),
    decoder_hidden=st.sampled_from([1, 8, 16, 24, 32, 64, 80, 128]),
    n_hidden_layers=st.integers(1, 4),
    disable_temporal=st.booleans(),
)


def random_tensors(layout: Layout, seed: int, kind: str = "int8") -> list[Tensor]:
    rng = np.random.default_rng(seed)
    tensors = []
    for count in layout.counts[:-1]:
        limit = np.iinfo(kind).max
        tensors.append(Tensor.from_array(rng.integers(-limit, limit, count).astype(kind), scale=limit * 1.5))
    hidden = layout.config.decoder_hidden
    decoder = rng.normal(0, np.sqrt(2 / hidden), layout.counts[-1]).clip(-3, 3)
    return [*tensors, Tensor.from_array(decoder.astype(np.float16))]


def coordinates(seed: int, n: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    points = rng.random((3, n), np.float32)
    # edges are where corners beyond the grid are used
    points[:, :8] = [[0, 1, 0, 1, 0, 1, 0, 1], [0, 0, 1, 1, 0, 0, 1, 1], [0, 0, 0, 0, 1, 1, 1, 1]]
    return list(points)


def close(got: np.ndarray, expected: np.ndarray) -> None:
    span = max(float(np.ptp(expected)), 1e-3)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * span)


@settings(deadline=None, max_examples=40)
@given(CONFIGS, st.integers(0, 1000), st.integers(1, 200))
def test_core_agrees_with_the_reference(config, seed, n):
    layout = Layout.of(config)
    tensors = random_tensors(layout, seed)
    points = coordinates(seed, max(n, 8))
    close(NativeField(layout, tensors).points(*points), ReferenceField(layout, tensors).points(*points))


@settings(deadline=None, max_examples=15)
@given(CONFIGS, st.integers(0, 1000))
def test_torch_agrees_with_the_reference(config, seed):
    torch = pytest.importorskip("torch", reason="the torch field needs PyTorch")
    from gdal_gndc.field.torch import TorchField

    layout = Layout.of(config)
    tensors = random_tensors(layout, seed)
    points = coordinates(seed, 64)
    with torch.inference_mode():
        got = TorchField(layout, tensors)(torch.from_numpy(np.stack(points, axis=1))).numpy()
    close(got, ReferenceField(layout, tensors).points(*points))


@pytest.mark.parametrize("isa", ["generic", "avx2", "avx512"])
@pytest.mark.parametrize("kind", ["int8", "int16"])
def test_instruction_sets_agree(isa, kind):
    config = ModelConfig(
        n_bands=7, xy_hash_size=12, xy_base_resolution=16, t_hash_size=12, spatial_scale=0.1,
        decoder_hidden=64, n_hidden_layers=3,
    )  # fmt: skip
    layout = Layout.of(config)
    tensors = random_tensors(layout, 3, kind)
    points = coordinates(5, 1000)
    expected = ReferenceField(layout, tensors).points(*points)
    before = ffi.string(lib.gndc_isa())
    if not lib.gndc_set_isa(isa.encode()):
        pytest.skip(f"this machine has no {isa}")
    try:
        assert ffi.string(lib.gndc_isa()).decode() == isa
        close(NativeField(layout, tensors).points(*points), expected)
    finally:
        lib.gndc_set_isa(before)


def test_avx2_and_avx512_give_the_same_bits():
    layout = Layout.of(ModelConfig(n_bands=5, xy_hash_size=10, t_hash_size=10, decoder_hidden=48))
    field = NativeField(layout, random_tensors(layout, 9))
    points = coordinates(2, 500)
    before = ffi.string(lib.gndc_isa())
    results = []
    try:
        for isa in (b"avx2", b"avx512"):
            if not lib.gndc_set_isa(isa):
                pytest.skip(f"this machine has no {isa.decode()}")
            results.append(field.points(*points))
    finally:
        lib.gndc_set_isa(before)
    np.testing.assert_array_equal(*results)


def test_unknown_instruction_set_is_refused():
    assert not lib.gndc_set_isa(b"mmx")


def test_threads_do_not_change_the_bits():
    layout = Layout.of(ModelConfig(n_bands=3, xy_hash_size=12, t_hash_size=12))
    field = NativeField(layout, random_tensors(layout, 1))
    points = coordinates(7, 20_000)
    one = field.points(*points, n_threads=1)
    np.testing.assert_array_equal(one, field.points(*points, n_threads=5))


def test_float16_subnormals_and_signs_are_read():
    layout = Layout.of(
        ModelConfig(xy_n_levels=1, xy_hash_size=4, disable_temporal=True, decoder_hidden=1, n_hidden_layers=1)
    )
    tensors = random_tensors(layout, 0)
    halves = np.zeros(layout.counts[-1], np.float16)
    halves[:4] = [6e-8, -6e-5, 65504.0, -1.5]
    tensors[-1] = Tensor.from_array(halves)
    points = coordinates(1, 32)
    close(NativeField(layout, tensors).points(*points), ReferenceField(layout, tensors).points(*points))


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_weights_that_are_not_numbers_are_refused(value):
    layout = Layout.of(ModelConfig(xy_n_levels=1, xy_hash_size=4, disable_temporal=True))
    tensors = random_tensors(layout, 0)
    decoder = tensors[-1].array().copy()
    decoder[7] = value
    tensors[-1] = Tensor.from_array(decoder)
    with pytest.raises(FileFormatError, match=r"a\.gndc: chunk: the decoder weights .* not a finite number"):
        NativeField(layout, tensors, path="a.gndc", entry="chunk")


def test_tensors_of_the_wrong_size_are_refused():
    layout = Layout.of(ModelConfig(xy_n_levels=1, xy_hash_size=4, disable_temporal=True))
    tensors = random_tensors(layout, 0)
    with pytest.raises(FileFormatError, match="1 weight tensors were given, expected 2"):
        NativeField(layout, tensors[:1])
    with pytest.raises(FileFormatError, match="spatial component has"):
        NativeField(layout, [tensors[1], tensors[0]])


def test_a_scale_of_zero_is_refused():
    layout = Layout.of(ModelConfig(xy_n_levels=1, xy_hash_size=4, disable_temporal=True))
    tensors = random_tensors(layout, 0)
    broken = Tensor(tensors[0].data, tensors[0].count, "int8", 0.0)
    with pytest.raises(FileFormatError, match="scale of the spatial weights is 0"):
        NativeField(layout, [broken, tensors[1]])
