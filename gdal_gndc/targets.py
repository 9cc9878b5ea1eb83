"""What the core writes into: its structures over numpy arrays, and reads of points that chunks add their part to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.field.core import ffi, lib, message_buffer, pointer

if TYPE_CHECKING:
    from gdal_gndc.chunk_model import ChunkModel, TimeAnswer
    from gdal_gndc.field.backend import Backend

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

FLOAT32, FAST = int(lib.GNDC_PRECISION_FLOAT32), int(lib.GNDC_PRECISION_FAST)
_AXES = {"x": lib.GNDC_BY_COLUMN, "y": lib.GNDC_BY_ROW, "t": lib.GNDC_BY_TIME}


def grid_target(
    rows: Doubles, cols: Doubles, bands: Sequence[int], out: Floats, *, blends: bool, precision: int = FLOAT32
) -> tuple[Any, Any]:
    """Return a ``gndc_grid`` that fills ``out`` (R, K, C), and what must live as long as it is used."""
    c_bands = np.ascontiguousarray(bands, np.int32)
    weights = np.empty((rows.size, cols.size), np.float32) if blends else None
    grid = ffi.new("gndc_grid *")
    grid.n_rows, grid.n_cols, grid.n_bands = rows.size, cols.size, c_bands.size
    grid.rows, grid.cols = pointer("double", rows), pointer("double", cols)
    grid.bands, grid.out = pointer("int32_t", c_bands), pointer("float", out)
    grid.row_stride, grid.col_stride, grid.band_stride = (s // 4 for s in out.strides)
    grid.weights = ffi.NULL if weights is None else pointer("float", weights)
    grid.precision = precision
    return grid, (rows, cols, c_bands, weights, out)


def grid_axes(grid: Any) -> tuple[Doubles, Doubles]:
    """Return the rows and columns of a ``gndc_grid``, as views."""
    axes = ((grid.rows, grid.n_rows), (grid.cols, grid.n_cols))
    rows, cols = (np.frombuffer(ffi.buffer(axis, 8 * n), np.float64) for axis, n in axes)
    return rows, cols


def grid_rows(grid: Any, first: int, last: int) -> Any:
    """Return the ``gndc_grid`` of some rows of one."""
    part = ffi.new("gndc_grid *", grid[0])
    part.n_rows = last - first
    part.rows, part.out = grid.rows + first, grid.out + first * grid.row_stride
    if grid.weights != ffi.NULL:
        part.weights = grid.weights + first * grid.n_cols
    return part


def series_target(
    rows: Doubles, cols: Doubles, bands: Sequence[int], out: Floats, *, blends: bool, precision: int = FLOAT32
) -> tuple[Any, Any]:
    """Return a ``gndc_series`` that fills ``out`` (N, T, C), and what must live as long."""
    c_bands = np.ascontiguousarray(bands, np.int32)
    weights = np.empty(out.shape[:2], np.float32) if blends else None
    series = ffi.new("gndc_series *")
    series.n_points, series.n_times, series.n_bands = out.shape
    series.rows, series.cols = pointer("double", rows), pointer("double", cols)
    series.bands, series.out = pointer("int32_t", c_bands), pointer("float", out)
    series.weights = ffi.NULL if weights is None else pointer("float", weights)
    series.precision = precision
    return series, (rows, cols, c_bands, weights, out)


class PixelTarget:
    """A ``gndc_series`` of one point, to be filled again and again by one thread: only place and array change.

    ``shape`` is that of the array, (T, C); ``routed`` holds indices of chunks, ``message`` one of the core.
    """

    def __init__(self, n_times: int, bands: Sequence[int], n_chunks: int, *, blends: bool, precision: int) -> None:
        self.shape = (n_times, len(bands))
        self.rows, self.cols = ffi.new("double[1]"), ffi.new("double[1]")
        self.routed, self.message = ffi.new("int64_t[]", n_chunks), message_buffer()
        self._bands = ffi.new("int32_t[]", list(bands))
        self._weights = ffi.new("float[]", n_times) if blends else ffi.NULL
        self.series = ffi.new("gndc_series *")
        self.series.n_points, self.series.n_times, self.series.n_bands = 1, n_times, len(bands)
        self.series.rows, self.series.cols, self.series.bands = self.rows, self.cols, self._bands
        self.series.weights, self.series.precision = self._weights, precision

    def begin(self, row: float, col: float, fill: float) -> Floats:
        """Return a new array that the series fills from here on."""
        out: Floats = np.empty(self.shape, np.float32)
        self.rows[0], self.cols[0] = row, col
        self.series.out = ffi.from_buffer("float[]", out)
        lib.gndc_series_begin(self.series, fill)
        return out


def tangents_target(
    rows: Doubles, cols: Doubles, bands: Sequence[int], axes: str, out: Floats, *, blends: bool
) -> tuple[Any, Any]:
    """Return a ``gndc_tangents`` that fills ``out`` (1 + len(axes), N, C), and what must live as long."""
    c_bands = np.ascontiguousarray(bands, np.int32)
    sums = np.empty((1 + len(axes), rows.size, c_bands.size + 1), np.float64) if blends else None
    target = ffi.new("gndc_tangents *")
    target.n_points, target.n_bands = rows.size, c_bands.size
    target.rows, target.cols = pointer("double", rows), pointer("double", cols)
    target.bands, target.out = pointer("int32_t", c_bands), pointer("float", out)
    target.axes = sum(_AXES[axis] for axis in axes)
    target.sums = ffi.NULL if sums is None else pointer("double", sums)
    return target, (rows, cols, c_bands, sums, out)


class Series(Protocol):
    """A read of points (N,) at times (T,): chunks are added in ascending order, `end` gives (N, T, C) float32."""

    def add(self, chunk: ChunkModel, answer: TimeAnswer) -> None: ...
    def end(self) -> Floats: ...


class Tangents(Protocol):
    """A read of points (N,) with derivatives; as `Series`, `end` gives (1 + len(axes), N, C) float32."""

    def add(self, chunk: ChunkModel, t: float, rate: float, frame: int, weight: float, weight_rate: float) -> None: ...
    def end(self) -> Floats: ...


def series_of(
    backend: Backend, rows: Doubles, cols: Doubles, bands: Sequence[int], n_times: int,
    *, blends: bool, fill: float, n_threads: int,
) -> Series:  # fmt: skip
    """Begin a read of points over time by a backend; ``fill`` is the value where no chunk is."""
    if backend.torch is None:
        return _CoreSeries(rows, cols, bands, n_times, blends, fill, n_threads, FAST if backend.fast else FLOAT32)
    from gdal_gndc.torch_targets import TorchSeries

    return TorchSeries(backend.torch, rows, cols, bands, n_times, blends=blends, fill=fill)


def tangents_of(
    backend: Backend, rows: Doubles, cols: Doubles, bands: Sequence[int], axes: str,
    *, blends: bool, fill: float, n_threads: int,
) -> Tangents:  # fmt: skip
    """Begin a read of points with derivatives by a backend; where no chunk is they are NaN."""
    if backend.torch is None:
        return _CoreTangents(rows, cols, bands, axes, blends, fill, n_threads)
    from gdal_gndc.torch_targets import TorchTangents

    return TorchTangents(backend.torch, rows, cols, bands, axes, blends=blends, fill=fill)


class _CoreSeries:
    def __init__(
        self, rows: Doubles, cols: Doubles, bands: Sequence[int], n_times: int, blends: bool, fill: float,
        n_threads: int, precision: int,
    ) -> None:  # fmt: skip
        self._out = np.empty((rows.size, n_times, len(bands)), np.float32)
        self._series, self._keep = series_target(rows, cols, bands, self._out, blends=blends, precision=precision)
        self._fill, self._n_threads = fill, n_threads
        lib.gndc_series_begin(self._series, fill)

    def add(self, chunk: ChunkModel, answer: TimeAnswer) -> None:
        chunk.add_to_series(self._series, answer, self._n_threads)

    def end(self) -> Floats:
        lib.gndc_series_end(self._series, self._fill)
        return self._out


class _CoreTangents:
    def __init__(
        self, rows: Doubles, cols: Doubles, bands: Sequence[int], axes: str, blends: bool, fill: float, n_threads: int
    ) -> None:
        self._out = np.empty((1 + len(axes), rows.size, len(bands)), np.float32)
        self._target, self._keep = tangents_target(rows, cols, bands, axes, self._out, blends=blends)
        self._n_threads = n_threads
        lib.gndc_tangents_begin(self._target, fill)

    def add(self, chunk: ChunkModel, t: float, rate: float, frame: int, weight: float, weight_rate: float) -> None:
        chunk.add_to_tangents(self._target, t, rate, frame, weight, weight_rate, self._n_threads)

    def end(self) -> Floats:
        lib.gndc_tangents_end(self._target)
        return self._out
