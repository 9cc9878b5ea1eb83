"""The field in torch: for CUDA devices, and as a reference with gradients."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gdal_gndc.errors import DeviceError
from gdal_gndc.field.backend import DeviceName, GridFunction
from gdal_gndc.field.layout import Layout, Level
from gdal_gndc.field.native import NativeField
from gdal_gndc.format.weights import Tensor

_PRIMES = (1, 2654435761, 805459861)
_MASK32 = 0xFFFFFFFF
# network inputs and hidden layers of this many samples exist at once
_BATCH = 1 << 18


class TorchField(nn.Module):
    """A network as a torch module; parameters are its tables and matrices.

    Parameters
    ----------
    layout
        Of its configuration.
    tensors
        Quantised weights: spatial, temporal unless disabled, decoder.
    dtype
        Floating type of parameters and evaluation. Coordinates are placed in their cells in float32 for float32.
    """

    def __init__(self, layout: Layout, tensors: Sequence[Tensor], dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.layout = layout
        weights = [_dequantise(tensor).to(dtype) for tensor in tensors]
        self.spatial = nn.Parameter(weights[0])
        self.temporal = nn.Parameter(weights[1] if layout.temporal else torch.empty(0, dtype=dtype))
        hidden = layout.config.decoder_hidden
        shapes = [(hidden, layout.n_inputs_padded)]
        shapes += [(hidden, hidden)] * (layout.config.n_hidden_layers - 1)
        shapes += [(layout.n_outputs_padded, hidden)]
        parts = torch.split(weights[-1], [rows * cols for rows, cols in shapes])
        self.matrices = nn.ParameterList(
            nn.Parameter(part.reshape(shape).clone()) for part, shape in zip(parts, shapes, strict=True)
        )

    def forward(self, xyt: torch.Tensor) -> torch.Tensor:
        """Return (N, n_outputs) network outputs at normalised coordinates (N, 3)."""
        config = self.layout.config
        scaled = torch.cat([xyt[:, :2] * config.spatial_scale, xyt[:, 2:]], dim=1)
        features = [
            _level(level, self.spatial, config.xy_features_per_level, xyt[:, :2]) for level in self.layout.spatial
        ]
        features += [
            _level(level, self.temporal, config.t_features_per_level, scaled) for level in self.layout.temporal
        ]
        pad = self.layout.n_inputs_padded - self.layout.n_inputs
        h = torch.cat([*features, xyt.new_ones((len(xyt), pad))], dim=1)
        for matrix in self.matrices[:-1]:
            h = torch.relu(h @ matrix.T)
        out: torch.Tensor = (h @ self.matrices[-1].T)[:, : self.layout.n_outputs]
        return out


def grid_on(device: DeviceName) -> tuple[str, GridFunction]:
    """Return the device's name and a grid function that evaluates there; loaded chunks keep their module.

    Raises
    ------
    DeviceError
        If CUDA was asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError("device 'cuda' was asked for, but torch finds no CUDA device")
    name = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    modules: weakref.WeakKeyDictionary[NativeField, TorchField] = weakref.WeakKeyDictionary()

    @torch.inference_mode()
    def grid(field: NativeField, x: NDArray[np.float32], y: NDArray[np.float32], t: float) -> NDArray[np.float32]:
        module = modules.get(field)
        if module is None:
            module = TorchField(field.layout, field.tensors).to(name)
            modules[field] = module
        xs, ys = torch.from_numpy(x).to(name), torch.from_numpy(y).to(name)
        out = np.empty((y.size, x.size, field.layout.n_outputs), np.float32)
        rows = max(1, _BATCH // x.size)
        for r in range(0, y.size, rows):
            part = ys[r : r + rows]
            yy, xx = torch.meshgrid(part, xs, indexing="ij")
            xyt = torch.stack([xx.ravel(), yy.ravel(), torch.full_like(xx.ravel(), t)], dim=1)
            out[r : r + rows] = module(xyt).reshape(len(part), x.size, -1).cpu().numpy()
        return out

    return name, grid


def _dequantise(tensor: Tensor) -> torch.Tensor:
    values = torch.from_numpy(tensor.array().astype(np.float32))
    return values if tensor.dtype == "float16" else values / float(np.float32(tensor.scale))


def _level(level: Level, table: torch.Tensor, n_features: int, position: torch.Tensor) -> torch.Tensor:
    """Interpolate one level: (N, n_features)."""
    entries = table[level.offset : level.offset + level.allocated * n_features].reshape(-1, n_features)
    s = position * level.scale + 0.5
    floor = torch.floor(s)
    fraction = s - floor
    cell = floor.long()
    dim = position.shape[1]
    out = None
    for corner in range(2**dim):
        weight, index, stride = None, None, 1
        for d in range(dim):
            upper = corner >> d & 1
            w = fraction[:, d] if upper else 1.0 - fraction[:, d]
            weight = w if weight is None else weight * w
            # products of 32-bit numbers fit 64 bits up to their sign, which the masks drop
            term = ((cell[:, d] + upper) & _MASK32) * (_PRIMES[d] if level.hashed else stride) & _MASK32
            index = term if index is None else index ^ term if level.hashed else (index + term) & _MASK32
            stride = stride * level.resolution & _MASK32
        assert index is not None
        assert weight is not None
        index = index % (level.entries if level.hashed else level.allocated)
        corner_value = weight[:, None] * entries[index]
        out = corner_value if out is None else out + corner_value
    assert out is not None
    return out
