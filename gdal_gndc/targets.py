"""What the core writes into: its structures over numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.field.core import ffi, lib, pointer

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
