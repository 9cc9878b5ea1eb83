"""Where pixels lie in a chunk's model, for hosts that evaluate the network outside the core.

DECODING 5 and 11 of the format. Written once for numpy arrays and torch tensors, so that torch can differentiate it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_RADIANS = 0.017453292519943295


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

    def inside(self, rows: Any, cols: Any) -> Any:
        """Return which pixel coordinates of the cube the chunk stores."""
        y0, y1, x0, x1 = self.stored
        return (rows >= y0) & (rows < y1) & (cols >= x0) & (cols < x1)

    def pixels(self, rows: NDArray[np.float64], cols: NDArray[np.float64]) -> tuple[Any, Any]:
        """Return the pixels of the stored extent, row * width + column, and the places inside their blocks."""
        y, x = (np.floor(axis).astype(np.int64) for axis in (rows - self.stored[0], cols - self.stored[2]))
        height, width = self.block
        return y * (self.stored[3] - self.stored[2]) + x, y % height * width + x % width

    def model(self, rows: Any, cols: Any) -> tuple[Any, Any]:
        """Return the model's coordinates (x, y) at pixel coordinates of the cube that broadcast to each other.

        float64 for ``norm_mode`` 3; the older modes are defined in float32.
        """
        y, x = self._centre(rows, 0), self._centre(cols, 1)
        if self.norm_mode == 3:
            return _clip(x / self._size(1), 0.0, 1.0), _clip(y / self._size(0), 0.0, 1.0)
        a, _, c, _, e, f = (_rounded(value) for value in self.transform)
        lon, lat = _single(x) * a + c, _single(y) * e + f
        p = [_rounded(value) for value in self.params]
        if self.norm_mode == 2:
            return _clip((lon - p[0]) / p[1], 0.0, 1.0), _clip((lat - p[2]) / p[3], 0.0, 1.0)
        radians = _rounded(_RADIANS)
        across = _cos(lat * radians)
        on_x, on_y = across * _cos(lon * radians), across * _sin(lon * radians)
        if p:
            return _clip((on_x - p[0]) / p[1], 0.0, 1.0), _clip((on_y - p[2]) / p[3], 0.0, 1.0)
        return (on_x + 1.0) / 2.0, (on_y + 1.0) / 2.0

    def grid(self, rows: NDArray[np.float64], cols: NDArray[np.float64]) -> tuple[Any, Any]:
        """Return the model's coordinates of the part of a grid that the chunk stores, one a block.

        As numpy arrays (1, nx) and (ny, 1), or (ny, nx) both where neither follows from one axis.
        """
        y = rows[(rows >= self.stored[0]) & (rows < self.stored[1])]
        x = cols[(cols >= self.stored[2]) & (cols < self.stored[3])]
        y, x = (self._first(axis, i) for i, axis in enumerate((y, x)))
        return self.model(y[:, None], x[None, :])

    def weight(self, rows: Any, cols: Any) -> Any:
        """Return the feather weight in (0, 1] at pixel coordinates that the chunk stores."""
        return self._feather(rows, 0) * self._feather(cols, 1)

    def _size(self, axis: int) -> int:
        return -(-(self.stored[2 * axis + 1] - self.stored[2 * axis]) // self.block[axis])

    def _centre(self, positions: Any, axis: int) -> Any:
        """Pixels, or blocks, from the edge of the stored extent."""
        local = positions - self.stored[2 * axis]
        return local if self.block[axis] == 1 else _floor(local / self.block[axis]) + 0.5

    def _first(self, positions: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        """The first sample of each block; of ascending positions."""
        block = np.floor((positions - self.stored[2 * axis]) / self.block[axis])
        return positions if self.block[axis] == 1 else positions[np.flatnonzero(np.diff(block, prepend=-1.0))]

    def _feather(self, positions: Any, axis: int) -> Any:
        (c0, c1), (s0, s1) = (limits[2 * axis : 2 * axis + 2] for limits in (self.bounds, self.stored))
        # beyond the bounds there is a halo; elsewhere the divisor does not matter
        before, after = (positions - s0) / max(c0 - s0, 1), (s1 - positions) / max(s1 - c1, 1)
        one = positions * 0.0 + 1.0
        return _clip(_where(positions < c0, before, _where(positions >= c1, after, one)), 1e-6, 1.0)


def _rounded(value: float) -> float:
    return float(np.float32(value))


def _single(a: Any) -> Any:
    return a.astype(np.float32) if isinstance(a, np.ndarray) else a.float()


def _floor(a: Any) -> Any:
    return np.floor(a) if isinstance(a, np.ndarray) else a.floor()


def _cos(a: Any) -> Any:
    return np.cos(a) if isinstance(a, np.ndarray) else a.cos()


def _sin(a: Any) -> Any:
    return np.sin(a) if isinstance(a, np.ndarray) else a.sin()


def _clip(a: Any, low: float, high: float) -> Any:
    return a.clip(low, high)


def _where(condition: Any, a: Any, b: Any) -> Any:
    return np.where(condition, a, b) if isinstance(a, np.ndarray) else a.where(condition, b)
