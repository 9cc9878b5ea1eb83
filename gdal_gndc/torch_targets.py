"""Points over time and derivatives by torch: what the core does for a chunk, on a torch device.

Masks and residuals are looked up on the host, where they are decompressed, and chunks are blended there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from gdal_gndc.errors import FileFormatError
from gdal_gndc.field.torch_evaluator import TorchEvaluator

if TYPE_CHECKING:
    from gdal_gndc.chunk_model import ChunkModel, TimeAnswer

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]


class TorchSeries:
    """Points (N,) at times (T,); see `gdal_gndc.targets.Series`."""

    def __init__(
        self, evaluator: TorchEvaluator, rows: Doubles, cols: Doubles, bands: Sequence[int], n_times: int,
        *, blends: bool, fill: float,
    ) -> None:  # fmt: skip
        self._evaluator = evaluator
        self._rows, self._cols = rows, cols
        self._bands = np.asarray(bands, np.int32)
        self._fill = np.float32(fill)
        shape = (rows.size, n_times, self._bands.size)
        self._out = np.full(shape, 0.0 if blends else fill, np.float32)
        self._weights = np.zeros(shape[:2], np.float32) if blends else None

    @torch.inference_mode()
    def add(self, chunk: ChunkModel, answer: TimeAnswer) -> None:
        """Add the part of a chunk; points outside its stored extent are left alone."""
        chunk.check()
        place, times = chunk.place, answer.answered
        index = np.flatnonzero(place.inside(self._rows, self._cols))
        t = self._evaluator.tensor(answer.arrays[0][times])[None, :]
        step = max(1, self._evaluator.batch // max(1, times.size))
        for first in range(0, index.size if times.size else 0, step):
            part = index[first : first + step]
            rows, cols = self._rows[part], self._cols[part]
            pixels, within = place.pixels(rows, cols)
            x, y = (self._evaluator.tensor(axis[:, None]) for axis in place.model(rows, cols))
            raw = self._evaluator.module(chunk.field).evaluate(x, y, t)
            values = _values(chunk, self._evaluator, raw, within, self._bands).cpu().numpy()
            self._correct(chunk, answer.near[times], pixels, values)
            at = np.ix_(part, times)
            if self._weights is None:
                self._out[at] = values
            else:
                weights = (place.weight(rows, cols)[:, None] * answer.arrays[1][times]).astype(np.float32)
                self._out[at] += weights[..., None] * values
                self._weights[at] += weights

    def end(self) -> Floats:
        """Return (N, T, C)."""
        if self._weights is None:
            return self._out
        known = self._weights > 0
        self._out /= np.where(known, self._weights, np.float32(1.0))[..., None]
        self._out[~known] = self._fill
        return self._out

    def _correct(self, chunk: ChunkModel, frames: NDArray[np.int64], pixels: NDArray[np.int64], values: Floats) -> None:
        """Apply masks and residuals of the stored frames (T,) to values (N, T, C) in place."""
        if not (chunk.has_mask or chunk.has_residuals):
            return
        for frame in np.unique(frames):
            at = np.flatnonzero(frames == frame)
            residuals = chunk.corrections(int(frame), pixels, self._bands)
            if residuals is not None:
                values[:, at] += residuals[:, None]
            masked = chunk.masked(int(frame), pixels)
            if masked is not None:
                values[np.ix_(np.flatnonzero(masked), at)] = np.nan


class TorchTangents:
    """Points (N,) and their exact derivatives, by forward mode; see `gdal_gndc.targets.Tangents`."""

    def __init__(
        self, evaluator: TorchEvaluator, rows: Doubles, cols: Doubles, bands: Sequence[int], axes: str,
        *, blends: bool, fill: float,
    ) -> None:  # fmt: skip
        self._evaluator = evaluator
        self._rows, self._cols, self._axes = rows, cols, axes
        self._bands = np.asarray(bands, np.int32)
        shape = (1 + len(axes), rows.size, self._bands.size)
        self._out = np.full(shape, np.nan, np.float32)
        self._out[0] = fill
        # of weights times values, and of weights
        self._sums = (np.zeros(shape), np.zeros((*shape[:2], 1))) if blends else None

    def add(self, chunk: ChunkModel, t: float, rate: float, frame: int, weight: float, weight_rate: float) -> None:
        """Add the part of a chunk; arguments are those of `ChunkModel.add_to_tangents`."""
        chunk.check()
        place = chunk.place
        if place.block != (1, 1) and {"x", "y"} & set(self._axes):
            raise FileFormatError(
                "the model decodes blocks of several pixels, within which it has no spatial derivative",
                path=chunk.path,
                entry=chunk.entry,
            )
        index = np.flatnonzero(place.inside(self._rows, self._cols))
        step = max(1, self._evaluator.batch // 2)
        for first in range(0, index.size, step):
            part = index[first : first + step]
            values, weights = self._evaluate(chunk, part, (t, rate), (weight, weight_rate))
            pixels, _ = place.pixels(self._rows[part], self._cols[part])
            masked = chunk.masked(frame, pixels)
            if masked is not None:
                values[:, masked] = np.nan
            if self._sums is None:
                self._out[:, part] = values
                continue
            self._sums[0][0, part] += weights[0] * values[0]
            self._sums[0][1:, part] += weights[1:] * values[0] + weights[0] * values[1:]
            self._sums[1][:, part] += weights

    def end(self) -> Floats:
        """Return (1 + len(axes), N, C)."""
        if self._sums is None:
            return self._out
        sums, weights = self._sums
        known = weights[0, :, 0] > 0
        sums, weights = sums[:, known], weights[:, known]
        value = sums[0] / weights[0]
        self._out[0, known] = value
        self._out[1:, known] = (sums[1:] - value * weights[1:]) / weights[0]
        return self._out

    @torch.inference_mode()
    def _evaluate(
        self, chunk: ChunkModel, part: NDArray[np.intp], time: tuple[float, float], time_weight: tuple[float, float]
    ) -> tuple[Doubles, Doubles]:
        """Values (1 + len(axes), n, C) and weights (1 + len(axes), n, 1) with their derivatives."""
        place, evaluator = chunk.place, self._evaluator
        rows, cols = self._rows[part], self._cols[part]
        # on a sphere either coordinate of the model follows from row and column
        on_sphere = place.norm_mode < 2 and bool({"x", "y"} & set(self._axes))
        needed = "".join(axis for axis in "xyt" if axis in self._axes or (on_sphere and axis != "t"))
        module = evaluator.module(chunk.field)
        x, y = (evaluator.tensor(axis[:, None]) for axis in place.model(rows, cols))
        t = torch.full((1, 1), time[0], dtype=torch.float32, device=evaluator.device)
        raw = module.tangents(x, y, t, needed)
        _, within = place.pixels(rows, cols)
        low, span = _units(chunk, evaluator, self._bands)
        outputs = _chosen(chunk, evaluator, raw, within, self._bands)[:, :, 0] * span
        linear = outputs[0] + low
        values = linear.expm1() if chunk.struct.use_log else linear
        rates = outputs[1:] * linear.exp() if chunk.struct.use_log else outputs[1:]
        by = dict(zip(needed, rates.double().cpu().numpy(), strict=True))
        found, weights = [values.double().cpu().numpy()], [place.weight(rows, cols) * time_weight[0]]
        if {"x", "y"} & set(self._axes):
            by_place, weight_by = place.slopes(rows, cols), place.weight_slopes(rows, cols) * time_weight[0]
        for axis in self._axes:
            if axis == "t":
                found.append(by["t"] * time[1])
                weights.append(place.weight(rows, cols) * time_weight[1])
                continue
            moved = "yx".index(axis)
            found.append(sum(by[name] * by_place["xy".index(name), moved][:, None] for name in "xy" if name in by))
            weights.append(weight_by[moved])
        return np.stack(found), np.stack(weights)[..., None]


def _values(
    chunk: ChunkModel, evaluator: TorchEvaluator, raw: torch.Tensor, within: NDArray[np.int64], bands: NDArray[np.int32]
) -> torch.Tensor:
    """Physical values (N, T, C) of network outputs (N, T, n_outputs) at places within their blocks."""
    low, span = _units(chunk, evaluator, bands)
    values = _chosen(chunk, evaluator, raw, within, bands) * span + low
    return values.expm1() if chunk.struct.use_log else values


def _units(chunk: ChunkModel, evaluator: TorchEvaluator, bands: NDArray[np.int32]) -> tuple[torch.Tensor, torch.Tensor]:
    low, high = (evaluator.tensor(np.ascontiguousarray(limit)) for limit in chunk.data_range[bands].T)
    return low, high - low


def _chosen(
    chunk: ChunkModel, evaluator: TorchEvaluator, raw: torch.Tensor, within: NDArray[np.int64], bands: NDArray[np.int32]
) -> torch.Tensor:
    """Of the outputs (..., N, T, n_outputs) of blocks those of a pixel's bands, (..., N, T, C)."""
    chosen = evaluator.tensor(bands.astype(np.int64))
    if chunk.place.block == (1, 1):
        return raw[..., chosen]
    columns = evaluator.tensor(within)[:, None] * chunk.field.layout.config.n_bands + chosen
    return raw.gather(-1, columns[:, None, :].expand(*raw.shape[:-1], -1))
