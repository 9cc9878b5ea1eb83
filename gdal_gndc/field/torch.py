"""The field in torch: for CUDA devices, and as a reference with gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import torch
from torch import nn

from gdal_gndc.field.layout import Layout, Level
from gdal_gndc.format.weights import Tensor

_PRIMES = (1, 2654435761, 805459861)
_MASK32 = 0xFFFFFFFF


class TorchField(nn.Module):
    """A network as a torch module; parameters are its tables and matrices.

    Parameters
    ----------
    layout
        Of its configuration.
    tensors
        Quantised weights: spatial, temporal unless disabled, decoder.
    dtype
        Floating type of parameters and outputs. Coordinates are placed in their cells in the type that they have.
    """

    def __init__(self, layout: Layout, tensors: Sequence[Tensor], dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.layout = layout
        weights = [_dequantise(tensor).to(dtype) for tensor in tensors]
        self.spatial = nn.Parameter(weights[0])
        self.temporal = nn.Parameter(weights[1] if layout.temporal else torch.empty(0, dtype=dtype))
        config = layout.config
        self.in_space = nn.ModuleList(_runs(layout.spatial, config.xy_features_per_level))
        self.in_time = nn.ModuleList(_runs(layout.temporal, config.t_features_per_level))
        hidden = config.decoder_hidden
        shapes = [(hidden, layout.n_inputs_padded)]
        shapes += [(hidden, hidden)] * (config.n_hidden_layers - 1)
        shapes += [(layout.n_outputs_padded, hidden)]
        parts = torch.split(weights[-1], [rows * cols for rows, cols in shapes])
        self.matrices = nn.ParameterList(
            nn.Parameter(part.reshape(shape).clone()) for part, shape in zip(parts, shapes, strict=True)
        )

    def forward(self, xyt: torch.Tensor) -> torch.Tensor:
        """Return (N, n_outputs) network outputs at normalised coordinates (N, 3)."""
        return self.evaluate(xyt[:, 0], xyt[:, 1], xyt[:, 2])

    def evaluate(self, x: torch.Tensor, y: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Return (..., n_outputs) network outputs at normalised coordinates that broadcast to each other.

        What depends on some of them only is computed once for all others: a grid is x (1, nx), y (ny, 1), t (1, 1).
        All have as many dimensions.
        """
        return self.tangents(x, y, t, "")[0]

    def tangents(self, x: torch.Tensor, y: torch.Tensor, t: torch.Tensor, axes: str) -> torch.Tensor:
        """Return (1 + len(axes), ..., n_outputs): outputs as `evaluate`, and their derivatives by normalised x, y or t.

        By forward mode: inside a cell the interpolation is multilinear, a ReLU passes on what moves where it is
        positive.
        """
        spread = self.layout.config.spatial_scale
        features = [levels(self.spatial, (x, y), ["xy".find(axis) for axis in axes]) for levels in self.in_space]
        for levels in self.in_time:
            parts = levels(self.temporal, (x * spread, y * spread, t), ["xyt".find(axis) for axis in axes])
            by = [part if axis == "t" else part * spread for axis, part in zip(axes, parts[1:], strict=True)]
            features.append([parts[0], *by])
        shape = torch.broadcast_shapes(x.shape, y.shape, t.shape)  # type: ignore[no-untyped-call]
        if pad := self.layout.n_inputs_padded - self.layout.n_inputs:
            constant = self.spatial.new_ones((*shape, pad))
            features.append([constant, *[torch.zeros_like(constant)] * len(axes)])
        streams = [
            torch.cat([part.expand(*shape, part.shape[-1]) for part in parts], dim=-1)
            for parts in zip(*features, strict=True)
        ]
        h = torch.stack(streams) if axes else streams[0][None]
        for matrix in self.matrices[:-1]:
            h = h @ matrix.T
            h = torch.cat([torch.relu(h[:1]), h[1:] * (h[:1] > 0)]) if axes else torch.relu(h)
        out: torch.Tensor = (h @ self.matrices[-1].T)[..., : self.layout.n_outputs]
        return out


class _Levels(nn.Module):
    """Neighbouring levels of one grid that are addressed alike, interpolated together."""

    scale: torch.Tensor
    resolution: torch.Tensor
    size: torch.Tensor
    first: torch.Tensor

    def __init__(self, levels: Sequence[Level], n_features: int) -> None:
        super().__init__()
        self.hashed = levels[0].hashed
        self.n_features = n_features
        # float64 holds the float32 that the scale is
        constants = {
            "scale": torch.tensor([level.scale for level in levels], dtype=torch.float64),
            "resolution": torch.tensor([level.resolution for level in levels]),
            "size": torch.tensor([level.entries if self.hashed else level.allocated for level in levels]),
            "first": torch.tensor([level.offset // n_features for level in levels]),
        }
        for name, value in constants.items():
            self.register_buffer(name, value, persistent=False)

    def forward(
        self, table: torch.Tensor, position: Sequence[torch.Tensor], moving: Sequence[int]
    ) -> list[torch.Tensor]:
        """Interpolate at coordinates that broadcast to each other.

        Returns (..., levels * n_features), and its derivatives by the coordinates that ``moving`` numbers: 0 for -1.
        """
        entries = table.view(-1, self.n_features)
        column = (-1, *[1] * position[0].ndim)
        size, first, resolution = (a.view(column) for a in (self.size, self.first, self.resolution))
        # of each axis at the lower and the upper corner: what it adds to the index, what it weighs
        keys: list[tuple[torch.Tensor, torch.Tensor]] = []
        weights: list[tuple[torch.Tensor, torch.Tensor]] = []
        stride = torch.ones_like(resolution)
        for p, prime in zip(position, _PRIMES, strict=False):
            s = p * self.scale.view(column).to(p.dtype) + 0.5
            floor = torch.floor(s)
            fraction = (s - floor).to(entries.dtype)
            cell = floor.long()
            factor = prime if self.hashed else stride
            keys.append((cell * factor, (cell + 1) * factor))
            weights.append((1.0 - fraction, fraction))
            stride = stride * resolution & _MASK32
        out: list[torch.Tensor] = []
        for corner in range(2 ** len(position)):
            upper = [corner >> d & 1 for d in range(len(position))]
            index = keys[0][upper[0]]
            for d in range(1, len(position)):
                index = index ^ keys[d][upper[d]] if self.hashed else index + keys[d][upper[d]]
            # the entries of a hashed level are a power of two, so that only the low bits matter, which are right
            # whatever the numbers overflow; a dense one counts in 32 bits
            index = index & (size - 1) if self.hashed else (index & _MASK32) % size
            found = entries[index + first]
            parts = [_product([w[u] for w, u in zip(weights, upper, strict=True)])[..., None] * found]
            for d in moving:
                others = [w[u] for i, (w, u) in enumerate(zip(weights, upper, strict=True)) if i != d]
                part = _product(others)[..., None] * found
                parts.append(torch.zeros_like(part) if d < 0 else part if upper[d] else -part)
            out = [a + b for a, b in zip(out, parts, strict=True)] if out else parts
        slope = self.scale.view(*column, 1).to(entries.dtype)
        out[1:] = [part * slope for part in out[1:]]
        return [part.movedim(0, -2).flatten(-2) for part in out]


def _product(factors: Sequence[torch.Tensor]) -> torch.Tensor:
    out = factors[0]
    for factor in factors[1:]:
        out = out * factor
    return out


def _runs(levels: Sequence[Level], n_features: int) -> Iterator[_Levels]:
    for _, run in groupby(levels, key=lambda level: level.hashed):
        yield _Levels(list(run), n_features)


def _dequantise(tensor: Tensor) -> torch.Tensor:
    values = torch.from_numpy(tensor.array().astype(np.float32))
    return values if tensor.dtype == "float16" else values / float(np.float32(tensor.scale))
