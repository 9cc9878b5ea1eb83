"""Grids of pixels, and the one that all inputs are warped to."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gdal_gndc.errors import EncodeError

Transform = tuple[float, float, float, float, float, float]
Box = tuple[float, float, float, float]
Extent = Literal["first", "union"]
# Rows and columns, half-open.
Reach = tuple[tuple[int, int], tuple[int, int]]
RESAMPLING = ("nearest", "bilinear", "cubic", "cubic_spline", "lanczos", "average", "mode", "max", "min", "med", "rms")
_TOLERANCE = 1e-3  # of a pixel
_KERNEL = 4  # pixels, of either grid, that a resampled one may take from beyond an edge


@dataclass(frozen=True)
class Grid:
    """Rows and columns, and where they lie; without a CRS or a transform in pixel coordinates."""

    height: int
    width: int
    crs: str | None
    transform: Transform | None

    @classmethod
    def of(cls, dataset: Any) -> Grid:
        """Return the grid of an open raster."""
        transform = tuple(dataset.transform)[:6]
        placed = bool(dataset.crs) or transform != (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
        return cls(dataset.height, dataset.width, crs_text(dataset.crs), transform if placed else None)

    @property
    def affine(self) -> Any:
        """The transform as ``affine.Affine``."""
        from affine import Affine

        return Affine(*(self.transform or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)))

    @property
    def bounds(self) -> Box:
        """(left, bottom, right, top)."""
        corners = [self.affine @ (c, r) for c in (0, self.width) for r in (0, self.height)]
        xs, ys = zip(*corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def cells_per_pixel(self, other: Grid) -> float:
        """Return how many pixels of this grid, along a side, a pixel in the middle of another one covers."""
        from rasterio.warp import transform

        middle = other.affine @ (other.width / 2, other.height / 2)
        a, b, _, d, e, _ = other.transform or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
        places = [middle, (middle[0] + a, middle[1] + d), (middle[0] + b, middle[1] + e)]
        xs, ys = transform(_crs(other.crs), _crs(self.crs), *zip(*places, strict=True))
        cells = [~self.affine @ place for place in zip(xs, ys, strict=True)]
        (ax, ay), (bx, by) = ((cell[0] - cells[0][0], cell[1] - cells[0][1]) for cell in cells[1:])
        return round(math.sqrt(abs(ax * by - ay * bx)), 6)

    def shift_of(self, other: Grid) -> tuple[int, int] | None:
        """Return the row and column where another grid begins, if its pixels are those of this one; else None."""
        a, b = self.transform, other.transform
        if a is None or b is None or (self.crs != other.crs and _crs(self.crs) != _crs(other.crs)):
            return None
        size = max(abs(a[0]), abs(a[1]), abs(a[3]), abs(a[4]))
        # pixel sizes that differ a little must not add up to a shift over the other grid
        room = _TOLERANCE * size / max(other.height, other.width)
        if any(abs(a[n] - b[n]) > room for n in (0, 1, 3, 4)):
            return None
        col, row = ~self.affine @ (b[2], b[5])
        if max(abs(col - round(col)), abs(row - round(row))) > _TOLERANCE:
            return None
        return round(row), round(col)

    def reach_of(self, other: Grid) -> Reach | None:
        """Return rows and columns that hold all of another grid, with room for resampling; None where not known."""
        from rasterio.errors import RasterioError
        from rasterio.warp import transform_bounds

        try:
            box = other.bounds
            if self.crs != other.crs:
                box = transform_bounds(_crs(other.crs), _crs(self.crs), *box)
            margin = _KERNEL * (1 + self.cells_per_pixel(other))
        except (RasterioError, EncodeError, ValueError):
            return None
        # across the antimeridian left is beyond right
        if not all(map(math.isfinite, (*box, margin))) or box[0] > box[2]:
            return None
        cells = [~self.affine @ (x, y) for x in box[::2] for y in box[1::2]]
        cols, rows = (
            (math.floor(min(ends) - margin), math.ceil(max(ends) + margin)) for ends in zip(*cells, strict=True)
        )
        return rows, cols

    def window(self, rows: tuple[int, int], cols: tuple[int, int]) -> Grid:
        """Return a part of the grid as one of its own."""
        from affine import Affine

        moved = tuple(self.affine @ Affine.translation(cols[0], rows[0]))[:6]
        return Grid(rows[1] - rows[0], cols[1] - cols[0], self.crs, moved)

    def difference(self, other: Grid) -> tuple[str, object, object] | None:
        """Return what differs first from another grid, here and there; None for one and the same grid."""
        if (self.height, self.width) != (other.height, other.width):
            return "size", f"{self.width}x{self.height}", f"{other.width}x{other.height}"
        if self.crs != other.crs and _crs(self.crs) != _crs(other.crs):
            names = [_crs(crs).to_string() if crs else "none" for crs in (self.crs, other.crs)]
            return "CRS", names[0], names[1]
        a, b = self.transform, other.transform
        if a is None or b is None:
            return None if a is b else ("transform", a, b)
        room = _TOLERANCE * max(abs(b[0]), abs(b[1]), abs(b[3]), abs(b[4]))
        if any(abs(x - y) > room for x, y in zip(a, b, strict=True)):
            return "transform", a, b
        return None


@dataclass(frozen=True)
class Alignment:
    """How inputs come to one grid.

    Attributes
    ----------
    crs
        Anything rasterio reads; by default that of the first input.
    resolution
        Size of a pixel in units of the CRS; by default that of the first input.
    bounds
        (left, bottom, right, top) in the CRS, ``first`` for those of the first input, ``union`` for those of all.
    resampling
        A method of GDAL's warper, by its name in rasterio.
    """

    crs: Any = None
    resolution: float | tuple[float, float] | None = None
    bounds: Box | Extent | None = None
    resampling: str = "nearest"

    def __post_init__(self) -> None:
        if self.resampling not in RESAMPLING:
            raise EncodeError(f"resampling {self.resampling!r}, expected one of {', '.join(RESAMPLING)}")
        if isinstance(self.bounds, str):
            if self.bounds not in ("first", "union"):
                raise EncodeError(f"bounds {self.bounds!r}, expected first, union or left, bottom, right, top")
        elif self.bounds is not None:
            left, bottom, right, top = self.bounds
            if not (left < right and bottom < top):
                raise EncodeError(f"bounds {self.bounds}, expected left < right and bottom < top")
        if self.resolution is not None and not min(_pair(self.resolution)) > 0:
            raise EncodeError(f"a resolution of {self.resolution}, expected a positive number")

    def grid_for(self, grids: Sequence[Grid], name: str) -> Grid:
        """Return the common grid of inputs.

        Parameters
        ----------
        grids
            Of the inputs, the first first.
        name
            Of the first input, for messages.

        Raises
        ------
        EncodeError
            If it has no CRS, or the CRS asked for is not known.
        """
        from rasterio.warp import calculate_default_transform, transform_bounds

        first = grids[0]
        if first.crs is None or first.transform is None:
            raise EncodeError(f"{name}: has no CRS or no transform, and cannot be aligned")
        own, target = _crs(first.crs), _crs(self.crs or first.crs)
        if target == own and self.resolution is None and self.bounds in (None, "first"):
            return first
        x, y, step_x, step_y = first.bounds[0], first.bounds[3], *_sizes(first.transform)
        if target != own:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", PendingDeprecationWarning)  # affine 3 says so of rasterio
                found, _, _ = calculate_default_transform(own, target, first.width, first.height, *first.bounds)
            x, y, step_x, step_y = found.c, found.f, found.a, -found.e
        if self.resolution is not None:
            step_x, step_y = _pair(self.resolution)
        if isinstance(self.bounds, tuple | list):
            left, bottom, right, top = self.bounds
            height, width = round((top - bottom) / step_y), round((right - left) / step_x)
        else:
            boxes = [
                transform_bounds(_crs(grid.crs), target, *grid.bounds) if _crs(grid.crs) != target else grid.bounds
                for grid in (dict.fromkeys(grids) if self.bounds == "union" else [first])
            ]
            left, bottom = min(box[0] for box in boxes), min(box[1] for box in boxes)
            right, top = max(box[2] for box in boxes), max(box[3] for box in boxes)
            # on the pixels of the first input, so that tiles of one grid are not resampled
            left = x + math.floor((left - x) / step_x + _TOLERANCE) * step_x
            top = y + math.ceil((top - y) / step_y - _TOLERANCE) * step_y
            height, width = (
                math.ceil(n - _TOLERANCE) for n in ((top - bottom) / step_y, (right - left) / step_x)
            )  # fmt: skip
        height, width = max(1, height), max(1, width)
        return Grid(height, width, crs_text(target), (step_x, 0.0, left, 0.0, -step_y, top))


def crs_text(crs: Any) -> str | None:
    """Return WKT2, or the EPSG code where it says the same in a hundredth of the bytes."""
    if not crs:
        return None
    code = crs.to_epsg()
    if code and type(crs).from_epsg(code) == crs:
        return f"EPSG:{code}"
    return str(crs.to_wkt(version="WKT2_2019"))


def _crs(value: Any) -> Any:
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    if value is None:
        return None
    try:
        return CRS.from_user_input(value)
    except (CRSError, ValueError) as error:
        raise EncodeError(f"{value!r} is not a coordinate reference system: {error}") from error


def _pair(resolution: float | tuple[float, float]) -> tuple[float, float]:
    return resolution if isinstance(resolution, tuple) else (resolution, resolution)


def _sizes(transform: Transform) -> tuple[float, float]:
    a, b, _, d, e, _ = transform
    return float((a * a + d * d) ** 0.5), float((b * b + e * e) ** 0.5)
