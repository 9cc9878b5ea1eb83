"""Windows of a cube, in pixels: (col_off, row_off, width, height), as GDAL and rasterio order them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import CoordinateError
from gdal_gndc.field.core import lib, pointer

if TYPE_CHECKING:
    from affine import Affine

# four numbers, or an object with these attributes such as rasterio.windows.Window
WindowLike = Any

# edges this close to a pixel's edge are that edge: what a CRS round trip leaves of an integer
_SNAP = 1e-6


class Rect(NamedTuple):
    """A rectangle of a cube in pixels, possibly fractional."""

    col_off: float
    row_off: float
    width: float
    height: float


def apply(transform: Affine, x: Any, y: Any) -> tuple[Any, Any]:
    """Return a transform's image of numbers or arrays; the operators of ``affine`` for it differ by version."""
    a, b, c, d, e, f = transform[:6]
    return a * x + b * y + c, d * x + e * y + f


def window_of(window: WindowLike | None, height: int, width: int) -> Rect:
    """Check a window against a cube's size; None is the whole.

    Raises
    ------
    CoordinateError
        If it is empty or reaches outside.
    """
    if window is None:
        return Rect(0.0, 0.0, float(width), float(height))
    if hasattr(window, "col_off"):
        window = (window.col_off, window.row_off, window.width, window.height)
    try:
        rect = Rect(*(float(v) for v in window))
    except (TypeError, ValueError):
        raise CoordinateError(f"window {window!r}, expected (col_off, row_off, width, height)") from None
    inside = rect.col_off >= 0 and rect.row_off >= 0
    inside = inside and rect.col_off + rect.width <= width and rect.row_off + rect.height <= height
    if not (inside and rect.width > 0 and rect.height > 0):
        raise CoordinateError(
            f"window (col_off, row_off, width, height) = {tuple(window)} is empty or reaches outside the cube of "
            f"{width} columns and {height} rows"
        )
    return rect


def window_of_bbox(
    bbox: tuple[float, float, float, float], transform: Affine | None, height: int, width: int, *, snap: bool
) -> Rect:
    """Return the window of a box (min_x, min_y, max_x, max_y) in the CRS of ``transform``.

    Parameters
    ----------
    snap
        Widen it to whole pixels.

    Raises
    ------
    CoordinateError
        If the box is empty or does not touch the cube. What reaches outside is cut off.
    """
    try:
        min_x, min_y, max_x, max_y = (float(v) for v in bbox)
    except (TypeError, ValueError):
        raise CoordinateError(f"bbox {bbox!r}, expected (min_x, min_y, max_x, max_y)") from None
    if not (min_x < max_x and min_y < max_y):
        raise CoordinateError(f"bbox {bbox} is empty, expected (min_x, min_y, max_x, max_y)")
    if transform is None:
        raise CoordinateError("the cube has no transform, so a bbox has no meaning; use a window")
    to_pixels = ~transform
    corners = [apply(to_pixels, x, y) for x in (min_x, max_x) for y in (min_y, max_y)]
    cols, rows = zip(*corners, strict=True)
    col0, col1 = max(0.0, min(cols)), min(float(width), max(cols))
    row0, row1 = max(0.0, min(rows)), min(float(height), max(rows))
    if snap:
        col0, row0 = math.floor(col0 + _SNAP), math.floor(row0 + _SNAP)
        col1, row1 = math.ceil(col1 - _SNAP), math.ceil(row1 - _SNAP)
    if not (col0 < col1 and row0 < row1):
        raise CoordinateError(f"bbox {bbox} does not touch the cube")
    return Rect(float(col0), float(row0), float(col1 - col0), float(row1 - row0))


class Span(NamedTuple):
    """One axis of a grid of samples: ``cells`` equal parts of ``size`` pixels from ``offset`` on."""

    offset: float
    size: float
    cells: int

    def positions(self, parts: int = 1) -> NDArray[np.float64]:
        """Return the pixel coordinates of the centres of the cells, each divided into ``parts``."""
        out = np.empty(self.cells * parts)
        lib.gndc_positions(self.offset, self.size, out.size, pointer("double", out))
        return out


def spans_of(rect: Rect, out_shape: tuple[int, int] | None) -> tuple[Span, Span]:
    """Return the rows and columns of a window's samples: ``out_shape`` cells.

    Raises
    ------
    CoordinateError
        If ``out_shape`` is not two positive integers.
    """
    if out_shape is None:
        out_shape = (max(1, round(rect.height)), max(1, round(rect.width)))
    try:
        n_rows, n_cols = (int(n) for n in out_shape)
    except (TypeError, ValueError):
        raise CoordinateError(f"out_shape {out_shape!r}, expected (rows, cols)") from None
    if n_rows < 1 or n_cols < 1:
        raise CoordinateError(f"out_shape {out_shape}, expected two positive numbers")
    return Span(rect.row_off, rect.height, n_rows), Span(rect.col_off, rect.width, n_cols)


def sample_positions(rect: Rect, out_shape: tuple[int, int] | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the pixel coordinates (rows, cols) of the samples of a window: the centres of its `spans_of`."""
    rows, cols = spans_of(rect, out_shape)
    return rows.positions(), cols.positions()
