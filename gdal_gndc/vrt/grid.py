"""The raster that a VRT shows: which part of a cube, with how many pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gdal_gndc.errors import CoordinateError
from gdal_gndc.window import Rect, window_of_bbox

if TYPE_CHECKING:
    from affine import Affine

    from gdal_gndc.dataset import GNDCDataset

# A raster's extent may fall short of a whole number of pixels by this much and still hold them: rounding.
_SLACK = 1e-6


@dataclass(frozen=True)
class Grid:
    """A raster over a window of a cube.

    Attributes
    ----------
    window
        (col_off, row_off, width, height) in pixels of the cube, possibly fractional.
    width, height
        Of the raster, in its own pixels.
    transform
        Of the raster; None if the cube has none.
    """

    window: Rect
    width: int
    height: int
    transform: Affine | None

    def reduced(self, factor: int) -> tuple[int, int]:
        """Return (width, height) of an overview."""
        return math.ceil(self.width / factor), math.ceil(self.height / factor)


def grid_of(
    dataset: GNDCDataset,
    bbox: tuple[float, float, float, float] | None = None,
    resolution: float | tuple[float, float] | None = None,
) -> Grid:
    """Return the raster of a cube, a part of it or another resolution.

    Parameters
    ----------
    bbox
        (min_x, min_y, max_x, max_y) in the cube's CRS. At the cube's own resolution it is widened to the
        pixels that it touches; what reaches outside the cube is cut off.
    resolution
        Pixel size in CRS units, or (x, y) sizes: any, the field has none of its own. The raster begins at the
        upper left corner and has the pixels of this very size that fit in.

    Raises
    ------
    CoordinateError
        If the box does not touch the cube, not one pixel of the resolution fits, or the cube has no transform
        or a rotated one.
    """
    from affine import Affine

    whole = Rect(0.0, 0.0, float(dataset.width), float(dataset.height))
    transform = dataset.transform
    if bbox is None and resolution is None:
        return Grid(whole, dataset.width, dataset.height, transform)
    if transform is None:
        raise CoordinateError("the cube has no transform, so a bbox or resolution has no meaning")
    if transform.b or transform.d:
        raise CoordinateError("the cube's raster is rotated: a bbox or resolution needs one that is not")
    rect = whole
    if bbox is not None:
        rect = window_of_bbox(bbox, transform, dataset.height, dataset.width, snap=resolution is None)
    left, top = transform.c + rect.col_off * transform.a, transform.f + rect.row_off * transform.e
    if resolution is None:
        moved = Affine(transform.a, 0.0, left, 0.0, transform.e, top)
        return Grid(rect, round(rect.width), round(rect.height), moved)
    x_size, y_size = (resolution, resolution) if isinstance(resolution, int | float) else resolution
    if not (x_size > 0 and y_size > 0 and math.isfinite(x_size) and math.isfinite(y_size)):
        raise CoordinateError(f"the resolution is {resolution}; expected a positive number or two")
    # Pixels of the cube to one pixel of the raster.
    x_step, y_step = x_size / abs(transform.a), y_size / abs(transform.e)
    width, height = math.floor(rect.width / x_step + _SLACK), math.floor(rect.height / y_step + _SLACK)
    if width < 1 or height < 1:
        raise CoordinateError(f"no pixel of {x_size} x {y_size} fits into the raster; expected a smaller resolution")
    window = Rect(rect.col_off, rect.row_off, min(width * x_step, rect.width), min(height * y_step, rect.height))
    sized = Affine(math.copysign(x_size, transform.a), 0.0, left, 0.0, math.copysign(y_size, transform.e), top)
    return Grid(window, width, height, sized)
