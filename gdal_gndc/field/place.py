"""Where pixels lie in a chunk's model, for hosts that evaluate the network outside the core.

DECODING 5 and 11 of the format, with what changes as a point moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

_RADIANS = np.float32(0.017453292519943295)


@dataclass(frozen=True)
class Place:
    """Geometry of one chunk.

    Attributes
    ----------
    bounds, stored
        (y0, y1, x0, x1) in pixels of the cube, without and with the halo.
    block
        (rows, cols) that the model decodes at once.
    params
        Of ``norm_mode`` 2 (4 numbers), or of 1 where it has some (6 numbers); else empty.
    transform
        Of the stored extent; used by the modes 0 to 2.
    """

    bounds: tuple[int, int, int, int]
    stored: tuple[int, int, int, int]
    block: tuple[int, int]
    norm_mode: int
    params: tuple[float, ...]
    transform: tuple[float, ...]

    def inside(self, rows: Doubles, cols: Doubles) -> NDArray[np.bool_]:
        """Return which pixel coordinates of the cube the chunk stores."""
        y0, y1, x0, x1 = self.stored
        return (rows >= y0) & (rows < y1) & (cols >= x0) & (cols < x1)

    def pixels(self, rows: Doubles, cols: Doubles) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the pixels of the stored extent, row * width + column, and the places inside their blocks."""
        y, x = (np.floor(axis).astype(np.int64) for axis in (rows - self.stored[0], cols - self.stored[2]))
        height, width = self.block
        return y * (self.stored[3] - self.stored[2]) + x, y % height * width + x % width

    def model(self, rows: Doubles, cols: Doubles) -> tuple[Floats, Floats]:
        """Return the model's coordinates (x, y) at pixel coordinates of the cube that broadcast to each other.

        float64 for ``norm_mode`` 3; the older modes are defined in float32.
        """
        y, x = self._centre(rows, 0), self._centre(cols, 1)
        if self.norm_mode == 3:
            return np.clip(x / self._size(1), 0.0, 1.0), np.clip(y / self._size(0), 0.0, 1.0)
        a, _, c, _, e, f = np.asarray(self.transform, np.float32)
        p = np.asarray(self.params, np.float32)
        lon, lat = x.astype(np.float32) * a + c, y.astype(np.float32) * e + f
        if self.norm_mode == 2:
            return np.clip((lon - p[0]) / p[1], 0.0, 1.0), np.clip((lat - p[2]) / p[3], 0.0, 1.0)
        on_x = np.cos(lat * _RADIANS) * np.cos(lon * _RADIANS)
        on_y = np.cos(lat * _RADIANS) * np.sin(lon * _RADIANS)
        if p.size:
            return np.clip((on_x - p[0]) / p[1], 0.0, 1.0), np.clip((on_y - p[2]) / p[3], 0.0, 1.0)
        return (on_x + 1) / 2, (on_y + 1) / 2

    def slopes(self, rows: Doubles, cols: Doubles) -> Doubles:
        """Return what the model's coordinates change by per row and column: (2, 2, N), [x or y, by row or column]."""
        out = np.zeros((2, 2, rows.size))
        if self.norm_mode == 3:
            out[0, 1], out[1, 0] = 1 / self._size(1), 1 / self._size(0)
            return out
        a, _, c, _, e, f = self.transform
        p = self.params
        if self.norm_mode == 2:
            out[0, 1], out[1, 0] = a / p[1], e / p[3]
        else:
            lon = np.radians(c + self._centre(cols, 1) * a)
            lat = np.radians(f + self._centre(rows, 0) * e)
            by_row, by_col = np.radians(e), np.radians(a)
            out[0] = -np.sin(lat) * np.cos(lon) * by_row, -np.cos(lat) * np.sin(lon) * by_col
            out[1] = -np.sin(lat) * np.sin(lon) * by_row, np.cos(lat) * np.cos(lon) * by_col
            out[0] *= 1 / p[1] if p else 0.5
            out[1] *= 1 / p[3] if p else 0.5
        # where a coordinate is held at an end it does not move
        for axis, at in enumerate(self.model(rows, cols)):
            out[axis, :, (at <= 0) | (at >= 1)] = 0
        return out

    def covered(self, rows: Doubles, cols: Doubles) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return which of ascending rows and columns the chunk stores: (first, last) of each."""
        y0, y1, x0, x1 = self.stored
        (r0, r1), (c0, c1) = np.searchsorted(rows, (y0, y1)), np.searchsorted(cols, (x0, x1))
        return (int(r0), int(r1)), (int(c0), int(c1))

    def grid(self, rows: Doubles, cols: Doubles) -> tuple[Floats, Floats]:
        """Return the model's coordinates of rows and columns that the chunk stores, one a block.

        (1, nx) and (ny, 1), or (ny, nx) both where neither follows from one axis.
        """
        return self.model(self._first(rows, 0)[:, None], self._first(cols, 1)[None, :])

    def weight(self, rows: Doubles, cols: Doubles) -> Doubles:
        """Return the feather weight in (0, 1] at pixel coordinates that the chunk stores."""
        return self._feather(rows, 0)[0] * self._feather(cols, 1)[0]

    def weight_slopes(self, rows: Doubles, cols: Doubles) -> Doubles:
        """Return what `weight` changes by per row and column: (2, N)."""
        (down, by_row), (across, by_col) = self._feather(rows, 0), self._feather(cols, 1)
        return np.stack([by_row * across, down * by_col])

    def _size(self, axis: int) -> int:
        return -(-(self.stored[2 * axis + 1] - self.stored[2 * axis]) // self.block[axis])

    def _centre(self, positions: Doubles, axis: int) -> Doubles:
        """Pixels, or blocks, from the edge of the stored extent."""
        local = positions - self.stored[2 * axis]
        return local if self.block[axis] == 1 else np.floor(local / self.block[axis]) + 0.5

    def _first(self, positions: Doubles, axis: int) -> Doubles:
        """The first sample of each block; of ascending positions."""
        block = np.floor((positions - self.stored[2 * axis]) / self.block[axis])
        return positions if self.block[axis] == 1 else positions[np.flatnonzero(np.diff(block, prepend=-1.0))]

    def _feather(self, positions: Doubles, axis: int) -> tuple[Doubles, Doubles]:
        """Weight along an axis, and its slope."""
        (c0, c1), (s0, s1) = (limits[2 * axis : 2 * axis + 2] for limits in (self.bounds, self.stored))
        # beyond the bounds there is a halo; elsewhere the divisor does not matter
        before, after = max(c0 - s0, 1), max(s1 - c1, 1)
        where = [positions < c0, positions >= c1]
        weight = np.select(where, [(positions - s0) / before, (s1 - positions) / after], 1.0)
        slope = np.select(where, [1 / before, -1 / after], 0.0)
        return np.clip(weight, 1e-6, 1.0), np.where((weight > 1e-6) & (weight < 1), slope, 0.0)
