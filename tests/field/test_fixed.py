"""precision="fast": hidden layers in 16-bit fixed point, against the same arithmetic in numpy and against float32."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

import gdal_gndc
from gdal_gndc.errors import DeviceError
from gdal_gndc.field.core import ffi, lib
from gdal_gndc.field.layout import Layout
from gdal_gndc.field.native import NativeField
from gdal_gndc.format.config import ModelConfig
from gdal_gndc.format.weights import Tensor
from tests.conftest import CASES
from tests.field.test_field import coordinates

Floats = NDArray[np.float32]
TOP = np.float32(16383)


def fixed_point(h: Floats, matrices: list[NDArray[np.float16]]) -> Floats:
    """Activations (N, hidden) of the first layer to those of the last: the core's arithmetic, sums of whole numbers."""
    units = np.ones(len(h), np.float32)
    for matrix in matrices:
        w = matrix.astype(np.float64)
        most = np.maximum(h.max(1), np.float32(1e-30))
        q = np.rint(h * (TOP / most)[:, None]).astype(np.int64)
        units = units * (most / TOP)
        room = (2**31 - 1) // 16384 - w.shape[1]
        with np.errstate(divide="ignore"):
            scale = np.minimum(32767 / np.abs(w).max(1), room / np.abs(w).sum(1))
        scale[~np.isfinite(scale)] = 0
        r = np.rint(w * scale[:, None]).astype(np.int64)
        assert 16384 * np.abs(r).sum(1).max() < 2**31
        sums = np.maximum(q @ r.T, 0)
        unit = np.divide(1, scale, where=scale > 0, out=np.zeros_like(scale)).astype(np.float32)
        h = sums.astype(np.float32) * unit
    return h * units[:, None]


def model(hidden: int, matrices: list[NDArray[np.float16]], seed: int) -> NativeField:
    """A field whose outputs are the activations of its last hidden layer."""
    config = ModelConfig(
        n_bands=hidden, xy_hash_size=8, xy_base_resolution=4, xy_n_levels=2, xy_per_level_scale=1.5,
        xy_features_per_level=4, t_hash_size=8, t_base_resolution=3, t_n_levels=2, t_per_level_scale=1.5,
        t_features_per_level=2, spatial_scale=0.5, decoder_hidden=hidden, n_hidden_layers=1 + len(matrices),
    )  # fmt: skip
    layout = Layout.of(config)
    rng = np.random.default_rng(seed)
    tensors = [Tensor.from_array(rng.integers(-127, 128, n).astype(np.int8), scale=90.0) for n in layout.counts[:-1]]
    inputs = (layout.counts[-1] - hidden * hidden * len(matrices)) // hidden
    rows = -(-hidden // 16) * 16
    first = rng.normal(0, 0.5, (hidden, inputs - rows)).astype(np.float16)
    last = np.eye(rows, hidden, dtype=np.float16)
    flat = np.concatenate([m.ravel() for m in (first, *matrices, last)])
    assert flat.size == layout.counts[-1]
    return NativeField(layout, [*tensors, Tensor.from_array(flat)])


@pytest.fixture(params=["avx512", "avx2", "generic"])
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every instruction set that the machine has; the others are covered by the next best."""
    before = ffi.string(lib.gndc_isa())
    lib.gndc_set_isa(request.param.encode())
    yield ffi.string(lib.gndc_isa()).decode()
    lib.gndc_set_isa(before)


@pytest.mark.parametrize("hidden", [1, 16, 24, 48, 64, 80, 128])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_is_the_fixed_point_it_says(isa: str, hidden: int, layers: int) -> None:
    """Bit for bit, or float32 where the instructions are missing."""
    rng = np.random.default_rng(hidden + layers)
    matrices = [rng.normal(0, np.sqrt(2 / hidden), (hidden, hidden)).astype(np.float16) for _ in range(layers)]
    matrices[0][0] = 0  # a neuron that is never active
    matrices[-1][-1] = 0.001
    matrices[-1][-1, 0] = 8.0  # one weight that outweighs the others
    points = coordinates(3, 200)
    field = model(hidden, matrices, seed=hidden)
    plain, fast = field.points(*points), field.points(*points, fast=True)
    if lib.gndc_has_fast():
        first = model(hidden, [], seed=hidden).points(*points)
        np.testing.assert_array_equal(fast, fixed_point(first, matrices))
    else:
        assert isa != "avx512" or "avx512_vnni" not in Path("/proc/cpuinfo").read_text()
        np.testing.assert_array_equal(fast, plain)
    span = float(np.ptp(plain)) or 1.0
    np.testing.assert_allclose(fast, plain, rtol=0, atol=1e-3 * span)


def test_only_avx512_has_it(isa: str) -> None:
    assert isa == "avx512" or not lib.gndc_has_fast()


def test_a_silent_sample(isa: str) -> None:
    """No activation at all, and activations that are tiny or vast, are no trouble."""
    matrices = [-np.ones((16, 16), np.float16), np.eye(16, dtype=np.float16)]
    assert not model(16, matrices, seed=0).points(*coordinates(0, 50), fast=True).any()
    for size in (1e-6, 6e4):
        field = model(16, [np.eye(16, dtype=np.float16) * np.float16(size)] * 4, seed=0)
        plain, fast = (field.points(*coordinates(0, 50), fast=f) for f in (False, True))
        np.testing.assert_allclose(fast, plain, rtol=1e-3, atol=2e-4 * plain.max())


def test_a_real_cube(real_cube: Path) -> None:
    """Close to float32, the same bits in any window and on any number of threads, and close in series."""
    with (
        gdal_gndc.open(real_cube) as plain,
        gdal_gndc.open(real_cube, precision="fast") as fast,
        gdal_gndc.open(real_cube, precision="fast", n_threads=1) as single,
    ):
        exact, quick = (np.stack([ds.read(t) for t in range(0, 118, 6)]) for ds in (plain, fast))
        low, high = np.percentile(exact, [0.1, 99.9], axis=(0, 1, 2))
        error = (quick - exact) / (high - low)
        assert np.sqrt(np.mean(error**2, axis=(0, 1, 2))).max() < 1e-4
        assert np.abs(error).max() < 1e-3
        assert lib.gndc_has_fast() == (quick != exact).any()
        frame = fast.read_at_time("2018-07-06")
        np.testing.assert_array_equal(fast.read_at_time("2018-07-06", window=(11, 5, 37, 50)), frame[5:55, 11:48])
        np.testing.assert_array_equal(single.read_at_time("2018-07-06"), frame)
        series = fast.series([[3, 4], [60, 33]])[:, ::6]
        np.testing.assert_allclose(series, quick[:, [3, 60], [4, 33]].swapaxes(0, 1), atol=2e-4 * (high - low).max())
        with pickle.loads(pickle.dumps(fast)) as again:
            np.testing.assert_array_equal(again.read(6), quick[1])
        with xr.open_dataset(real_cube, engine="gndc", precision="fast") as data:
            np.testing.assert_array_equal(data["B04"].isel(time=6), quick[1][..., 2])
        with gdal_gndc.GNDCReader(precision="fast").load(real_cube) as reader:
            np.testing.assert_array_equal(reader.reconstruct_single_frame(6), quick[1])


def test_what_is_said(caplog: pytest.LogCaptureFixture) -> None:
    path = CASES / "basic_i8dec.gndc"
    with caplog.at_level(logging.INFO, "gdal_gndc"), gdal_gndc.open(path, precision="fast"):
        pass
    said = "16-bit fixed point" if lib.gndc_has_fast() else "float32, for lack of AVX512-VNNI"
    assert f"precision fast: {said}" in caplog.messages
    with pytest.raises(DeviceError, match="expected float32 or fast"):
        gdal_gndc.open(path, precision="half")  # type: ignore[arg-type]
    with pytest.raises(DeviceError, match="backend 'numpy' has none"):
        gdal_gndc.open(path, backend="numpy", precision="fast")
