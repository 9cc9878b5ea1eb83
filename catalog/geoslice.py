"""GeoSlice: a box in space and time with a pixel size, the question every catalog and loader answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import shapely

from gdal_gndc.catalog.crs import as_crs, crs_name, reproject_boxes, same_crs
from gdal_gndc.catalog.intervals import as_interval
from gdal_gndc.errors import CoordinateError, TimeError

if TYPE_CHECKING:
    from affine import Affine

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class GeoSlice:
    """A box in space and time on a pixel grid.

    Parameters
    ----------
    bounds
        (left, bottom, right, top) in units of ``crs``.
    interval
        Closed time span, or whatever `as_interval` reads (``"2024-06"``, a pair, a datetime). None: all
        times.
    resolution
        Pixel size in units of ``crs``, one number or (x, y). None: no grid, for queries only. The bounds are
        kept: where they are not a whole number of pixels, the pixel size of `transform` gives way.
    crs
        Anything pyproj reads.

    Raises
    ------
    CoordinateError
        For bounds that are not finite or not ordered, a pixel size that is not positive, or an unknown CRS.
    TimeError
        For an interval that cannot be read.
    """

    bounds: Bounds
    interval: pd.Interval | None = None
    resolution: tuple[float, float] | None = None
    crs: Any = None

    def __post_init__(self) -> None:
        bounds = tuple(float(v) for v in self.bounds)
        if len(bounds) != 4 or not np.isfinite(bounds).all():
            raise CoordinateError(f"bounds must be four finite numbers, found {self.bounds!r}")
        if bounds[2] < bounds[0] or bounds[3] < bounds[1]:
            raise CoordinateError(f"bounds must be (left, bottom, right, top), found {bounds}")
        object.__setattr__(self, "bounds", bounds)
        object.__setattr__(self, "interval", as_interval(self.interval))
        object.__setattr__(self, "crs", as_crs(self.crs))
        object.__setattr__(self, "resolution", _pixel_size(self.resolution))

    def __repr__(self) -> str:
        when = "all times" if self.interval is None else f"{self.interval.left} to {self.interval.right}"
        box = ", ".join(f"{v:.10g}" for v in self.bounds)
        grid = "" if self.resolution is None else f", {self.shape[0]}x{self.shape[1]} pixels"
        return f"<GeoSlice ({box}) {crs_name(self.crs)[:40]}, {when}{grid}>"

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels, at least one each; CoordinateError when the slice has no resolution or
        area."""
        rx, ry = self._grid()
        left, bottom, right, top = self.bounds
        return max(1, round((top - bottom) / ry)), max(1, round((right - left) / rx))

    @property
    def transform(self) -> Affine:
        """Pixel (column, row) to coordinates; the outer edges are the bounds exactly."""
        from affine import Affine

        height, width = self.shape
        left, bottom, right, top = self.bounds
        return Affine((right - left) / width, 0.0, left, 0.0, (bottom - top) / height, top)

    @property
    def polygon(self) -> shapely.Polygon:
        """The box in its own CRS."""
        return shapely.box(*self.bounds)

    @property
    def x(self) -> np.ndarray:
        """Pixel centre abscissae, (width,) float64."""
        transform, width = self.transform, self.shape[1]
        return transform.c + transform.a * (np.arange(width) + 0.5)

    @property
    def y(self) -> np.ndarray:
        """Pixel centre ordinates, top first, (height,) float64."""
        transform, height = self.transform, self.shape[0]
        return transform.f + transform.e * (np.arange(height) + 0.5)

    def footprint(self, crs: Any) -> shapely.Geometry:
        """The box as a polygon of another CRS, edges densified, split at the antimeridian."""
        return reproject_boxes([self.bounds], self.crs, as_crs(crs))[0]

    def to_crs(self, crs: Any, resolution: float | tuple[float, float] | None = None) -> GeoSlice:
        """The smallest slice of another CRS that holds this one (edges densified).

        Without ``resolution`` the pixels become squares of the mean area the present ones have there. A slice
        that crosses the antimeridian spans all longitudes afterwards.
        """
        target = as_crs(crs)
        if same_crs(self.crs, target) and resolution is None:
            return replace(self, crs=target)
        geometry = self.footprint(target)
        bounds: Bounds = tuple(float(v) for v in geometry.bounds)  # type: ignore[assignment]
        size: Any = resolution
        if size is None and self.resolution is not None:
            height, width = self.shape
            size = float(np.sqrt(geometry.area / (height * width)))
        return GeoSlice(bounds, self.interval, size, target)

    def intersection(self, other: GeoSlice) -> GeoSlice | None:
        """The common part in this slice's CRS and resolution; None where box or time do not meet."""
        theirs = other if same_crs(self.crs, other.crs) else replace(other, resolution=None).to_crs(self.crs)
        a, b = self.bounds, theirs.bounds
        bounds = (max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
        if bounds[2] < bounds[0] or bounds[3] < bounds[1]:
            return None
        spans = [s for s in (self.interval, other.interval) if s is not None]
        if not spans:
            return replace(self, bounds=bounds)
        start, stop = max(s.left for s in spans), min(s.right for s in spans)
        if stop < start:
            return None
        return replace(self, bounds=bounds, interval=pd.Interval(start, stop, closed="both"))

    def buffer(self, distance: float = 0.0, *, time: Any = None) -> GeoSlice:
        """Grown by ``distance`` (CRS units) on every side and by ``time`` (anything Timedelta reads) at both
        ends."""
        left, bottom, right, top = self.bounds
        bounds = (left - distance, bottom - distance, right + distance, top + distance)
        interval = self.interval
        if time is not None and interval is not None:
            pad = pd.Timedelta(time)
            if interval.right + pad < interval.left - pad:
                raise TimeError(f"a buffer of {pad} turns the interval {interval} inside out")
            interval = pd.Interval(interval.left - pad, interval.right + pad, closed="both")
        return replace(self, bounds=bounds, interval=interval)

    def snap(self) -> GeoSlice:
        """Grown to whole pixels of the grid through the CRS origin, so that neighbours share their pixel
        edges."""
        rx, ry = self._grid()
        left, bottom, right, top = self.bounds
        ulp = 1e-9
        west, south = np.floor(left / rx + ulp) * rx, np.floor(bottom / ry + ulp) * ry
        east, north = np.ceil(right / rx - ulp) * rx, np.ceil(top / ry - ulp) * ry
        return replace(self, bounds=(float(west), float(south), float(east), float(north)))

    def split(self, size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> Iterator[GeoSlice]:
        """Chips of ``size`` (height, width) pixels, row by row from the top left.

        The last chip of a row or column is moved inwards to end at the edge, so every pixel is covered and
        every chip has the same shape (smaller only where the slice itself is).
        """
        height, width = self.shape
        rows, tall = window_starts(height, pair(size)[0], pair(stride if stride is not None else size)[0])
        cols, wide = window_starts(width, pair(size)[1], pair(stride if stride is not None else size)[1])
        t = self.transform
        for row in rows.tolist():
            for col in cols.tolist():
                left, right = t.c + t.a * col, t.c + t.a * (col + wide)
                top, bottom = t.f + t.e * row, t.f + t.e * (row + tall)
                yield replace(self, bounds=(left, bottom, right, top))

    def _grid(self) -> tuple[float, float]:
        if self.resolution is None:
            raise CoordinateError("this slice has no resolution: give one to make it a pixel grid")
        left, bottom, right, top = self.bounds
        if right <= left or top <= bottom:
            raise CoordinateError(f"a slice without area has no pixels: bounds {self.bounds}")
        return self.resolution


def pair(value: Any) -> tuple[int, int]:
    """One number of pixels, or (height, width), as a pair of positive integers."""
    first, second = value if isinstance(value, (tuple, list)) else (value, value)
    if int(first) != first or int(second) != second or first < 1 or second < 1:
        raise CoordinateError(f"sizes and strides are whole positive numbers of pixels, found {value!r}")
    return int(first), int(second)


def window_starts(extent: int, size: int, stride: int) -> tuple[np.ndarray, int]:
    """Offsets of windows of ``size`` that cover ``extent`` pixels, the last one flush with the end; and their
    size."""
    if size >= extent:
        return np.zeros(1, dtype=np.int64), extent
    if stride > size:
        raise CoordinateError(f"a stride of {stride} leaves gaps between chips of {size} pixels")
    count = -(-(extent - size) // stride) + 1
    return np.minimum(np.arange(count, dtype=np.int64) * stride, extent - size), size


def _pixel_size(value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    x, y = value if isinstance(value, (tuple, list, np.ndarray)) else (value, value)
    size = (abs(float(x)), abs(float(y)))
    if not np.isfinite(size).all() or min(size) <= 0.0:
        raise CoordinateError(f"a pixel size must be positive, found {value!r}")
    return size
