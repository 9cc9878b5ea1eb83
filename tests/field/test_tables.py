"""Weights of 8 bits stay as stored: worth what the same whole numbers in 16 bits, which are kept as floats, are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gdal_gndc.field.core import ffi, lib
from gdal_gndc.field.layout import Layout
from gdal_gndc.field.native import NativeField
from gdal_gndc.format.config import ModelConfig
from gdal_gndc.format.weights import Tensor
from tests.field.test_field import coordinates

Floats = NDArray[np.float32]
SIZE = 240


def fields(config: ModelConfig, scale: float) -> tuple[NativeField, NativeField]:
    """The same weights from tensors of 8 and of 16 bits."""
    layout = Layout.of(config)
    rng = np.random.default_rng(3)
    tables = [rng.integers(-128, 128, count) for count in layout.counts[:-1]]
    decoder = Tensor.from_array(rng.normal(0, np.sqrt(2 / config.decoder_hidden), layout.counts[-1]).astype(np.float16))
    of8, of16 = ([Tensor.from_array(t.astype(k), scale=scale) for t in tables] for k in (np.int8, np.int16))
    return NativeField(layout, [*of8, decoder]), NativeField(layout, [*of16, decoder])


class Reads:
    """Reads of one chunk of SIZE x SIZE pixels that a field fills."""

    def __init__(self, field: NativeField) -> None:
        self._field = field  # the handle is its
        self.n_bands = field.layout.config.n_bands
        self.chunk: Any = ffi.new("gndc_chunk *")
        self._range = ffi.new("float[]", [0.0, 1.0] * self.n_bands)
        self.chunk.field, self.chunk.range, self.chunk.norm_mode = field.handle, self._range, 3
        self.chunk.bounds = self.chunk.stored = [0, 9, 0, SIZE, 0, SIZE]
        self._bands = ffi.new("int32_t[]", list(range(self.n_bands)))
        self._message = ffi.new("char[]", lib.GNDC_MESSAGE)

    def grid(self, rows: NDArray[np.float64], cols: NDArray[np.float64]) -> Floats:
        out = np.full((len(rows), len(cols), self.n_bands), np.nan, np.float32)
        at = [ffi.from_buffer("double[]", axis) for axis in (rows, cols)]
        grid = ffi.new("gndc_grid *")
        grid.n_rows, grid.n_cols, grid.n_bands = out.shape
        grid.rows, grid.cols, grid.bands = *at, self._bands
        grid.row_stride, grid.col_stride, grid.band_stride = len(cols) * self.n_bands, self.n_bands, 1
        grid.out = ffi.from_buffer("float[]", out, require_writable=True)
        assert lib.gndc_grid_add(grid, self.chunk, 0.37, 1.0, ffi.NULL, ffi.NULL, 1, self._message) == 0
        return out

    def series(self, rows: NDArray[np.float64], cols: NDArray[np.float64], n: int) -> Floats:
        out = np.full((len(rows), n, self.n_bands), np.nan, np.float32)
        at = [ffi.from_buffer("double[]", axis) for axis in (rows, cols)]
        series = ffi.new("gndc_series *")
        series.n_points, series.n_times, series.n_bands = out.shape
        series.rows, series.cols, series.bands = *at, self._bands
        series.out = ffi.from_buffer("float[]", out, require_writable=True)
        t, weights = ffi.new("float[]", np.linspace(0, 1, n).tolist()), ffi.new("double[]", [1.0] * n)
        assert lib.gndc_series_add(series, self.chunk, t, weights, ffi.NULL, ffi.NULL, 1, self._message) == 0
        return out


def positions(offset: float, size: float, n: int) -> NDArray[np.float64]:
    return offset + (np.arange(n) + 0.5) * size / n


def model(features: int = 4, **options: Any) -> ModelConfig:
    return ModelConfig(
        n_bands=3, xy_hash_size=9, xy_base_resolution=9, xy_n_levels=6, xy_per_level_scale=1.7,
        xy_features_per_level=features, t_hash_size=7, t_base_resolution=4, t_n_levels=4, t_per_level_scale=1.5,
        t_features_per_level=features, spatial_scale=0.6, decoder_hidden=32, n_hidden_layers=2, **options,
    )  # fmt: skip


@pytest.fixture(params=["avx512", "avx2", "generic"])
def isa(request: pytest.FixtureRequest):
    before = ffi.string(lib.gndc_isa())
    if not lib.gndc_set_isa(request.param.encode()):
        pytest.skip(f"this machine has no {request.param}")
    yield
    lib.gndc_set_isa(before)


@pytest.mark.parametrize("features", [1, 2, 3, 4, 8])
def test_both_give_the_same_bits(isa: None, features: int) -> None:
    of8, of16 = fields(model(features), 150.3)
    assert of8.nbytes < of16.nbytes
    np.testing.assert_array_equal(of8.points(*coordinates(1, 300)), of16.points(*coordinates(1, 300)))
    pixels = positions(0, SIZE, SIZE)
    decimated, few, uneven = positions(0, SIZE, 61), positions(3, 200, 5), np.sort(coordinates(4, 70)[0]) * 239.0
    left, right = Reads(of8), Reads(of16)
    for cols in (pixels, pixels[31:77], decimated, few, uneven.astype(np.float64)):
        np.testing.assert_array_equal(left.grid(decimated, cols), right.grid(decimated, cols))
    np.testing.assert_array_equal(left.series(few, few, 30), right.series(few, few, 30))


@settings(deadline=None, max_examples=60)
@given(st.floats(2.0**-112, 2.0**127, width=32), st.booleans())
@example(2.0**-112, False)
@example(3e38, True)  # worth less than the normal numbers of float32
def test_at_any_scale(scale: float, negative: bool) -> None:
    config = ModelConfig(n_bands=2, xy_hash_size=5, t_hash_size=5, xy_n_levels=2, t_n_levels=2, decoder_hidden=8)
    of8, of16 = fields(config, -scale if negative else scale)
    np.testing.assert_array_equal(of8.points(*coordinates(0, 40)), of16.points(*coordinates(0, 40)))


@pytest.mark.parametrize("n", [2, 23, 61, 130, 777])
def test_even_columns_are_followed_to_the_same_values(isa: None, n: int) -> None:
    """One column off their line and they are evaluated one by one: equal but for the rounding of sums."""
    reads = Reads(fields(model(), 150.3)[0])
    rows, cols = positions(10, 200, 9), positions(1.25, 230, n)
    followed = reads.grid(rows, cols)
    single = reads.grid(rows, np.append(cols, cols[-1] + 0.3 * (cols[1] - cols[0])))[:, :-1]
    np.testing.assert_allclose(followed, single, rtol=0, atol=3e-6 * float(np.ptp(single)))
    assert n == 2 or not np.array_equal(followed, single)
