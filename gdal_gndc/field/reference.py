"""The field in plain numpy, written from the format's documents: slow, for tests and for reading along.

Sources: hash grids and decoder as in tiny-cuda-nn's HashGrid and FullyFusedMLP, which the format's files follow. Floats
are float32 throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.field.layout import Layout, Level
from gdal_gndc.field.native import NativeField
from gdal_gndc.format.weights import Tensor

Floats = NDArray[np.float32]

_PRIMES = (np.uint32(1), np.uint32(2654435761), np.uint32(805459861))


class ReferenceField:
    """A network in numpy; the same interface as `NativeField`."""

    def __init__(self, layout: Layout, tensors: Sequence[Tensor]) -> None:
        self.layout = layout
        weights = [_dequantise(tensor) for tensor in tensors]
        self._spatial = weights[0]
        self._temporal = weights[1] if layout.temporal else np.empty(0, np.float32)
        self._matrices = _matrices(layout, weights[-1])

    def points(self, x: Floats, y: Floats, t: Floats) -> Floats:
        """Return (N, n_outputs) network outputs at normalised coordinates (N,) each."""
        config = self.layout.config
        scale = np.float32(config.spatial_scale)
        features = [_level(level, self._spatial, config.xy_features_per_level, (x, y)) for level in self.layout.spatial]
        features += [
            _level(level, self._temporal, config.t_features_per_level, (x * scale, y * scale, t))
            for level in self.layout.temporal
        ]
        pad = self.layout.n_inputs_padded - self.layout.n_inputs
        h = np.concatenate([*features, np.ones((x.size, pad), np.float32)], axis=1)
        for matrix in self._matrices[:-1]:
            h = np.maximum(h @ matrix.T, np.float32(0.0))
        out: Floats = (h @ self._matrices[-1].T)[:, : self.layout.n_outputs]
        return out


def grid(field: NativeField, x: NDArray[np.floating[Any]], y: NDArray[np.floating[Any]], t: float) -> Floats:
    """Return the outputs (ny, nx, n_outputs) of a loaded chunk's network at coordinates that broadcast to (ny, nx)."""
    reference = ReferenceField(field.layout, field.tensors)
    xx, yy = (a.astype(np.float32) for a in np.broadcast_arrays(x, y))
    tt = np.full(xx.size, t, np.float32)
    return reference.points(xx.ravel(), yy.ravel(), tt).reshape(*xx.shape, -1)


def _dequantise(tensor: Tensor) -> Floats:
    values = tensor.array().astype(np.float32)
    return values if tensor.dtype == "float16" else values / np.float32(tensor.scale)


def _matrices(layout: Layout, flat: Floats) -> list[Floats]:
    """Split the decoder's weights into its row-major matrices (outputs, inputs)."""
    hidden = layout.config.decoder_hidden
    shapes = [(hidden, layout.n_inputs_padded)]
    shapes += [(hidden, hidden)] * (layout.config.n_hidden_layers - 1)
    shapes += [(layout.n_outputs_padded, hidden)]
    ends = np.cumsum([rows * cols for rows, cols in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]


def _level(level: Level, table: Floats, n_features: int, position: tuple[Floats, ...]) -> Floats:
    """Interpolate one level: (N, n_features)."""
    entries = table[level.offset : level.offset + level.allocated * n_features].reshape(-1, n_features)
    cells, fractions = [], []
    for p in position:
        s = p * np.float32(level.scale) + np.float32(0.5)
        floor = np.floor(s)
        cells.append(floor.astype(np.int64).astype(np.uint32))
        fractions.append(s - floor)
    out = np.zeros((position[0].size, n_features), np.float32)
    for corner in range(2 ** len(position)):
        weight = np.ones(position[0].size, np.float32)
        index = np.zeros(position[0].size, np.uint32)
        stride = np.uint32(1)
        for d, (cell, fraction) in enumerate(zip(cells, fractions, strict=True)):
            upper = corner >> d & 1
            weight = weight * (fraction if upper else np.float32(1.0) - fraction)
            vertex = cell + np.uint32(upper)
            with np.errstate(over="ignore"):
                index = index ^ (vertex * _PRIMES[d]) if level.hashed else index + vertex * stride
                stride = stride * np.uint32(level.resolution)
        index %= np.uint32(level.entries if level.hashed else level.allocated)
        out += weight[:, None] * entries[index]
    return out
