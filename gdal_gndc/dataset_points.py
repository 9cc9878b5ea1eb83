"""Reading an open cube at points. A part of `GNDCDataset`."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gdal_gndc.cube import Cube
from gdal_gndc.errors import CoordinateError, TimeError
from gdal_gndc.instants import Instants
from gdal_gndc.time_axis import Moment, MomentLike, TimeAxis
from gdal_gndc.window import apply

if TYPE_CHECKING:
    from affine import Affine
    from rasterio.coords import BoundingBox
    from rasterio.crs import CRS

Bands = int | str | Sequence[int | str] | None
Extrapolate = Literal["error", "clamp"]


def clamps(extrapolate: Extrapolate) -> bool:
    """Whether times outside a cube are taken as the nearest end of it.

    Raises
    ------
    TimeError
        If it is neither ``error`` nor ``clamp``.
    """
    if extrapolate not in ("error", "clamp"):
        raise TimeError(f"extrapolate {extrapolate!r}, expected error or clamp")
    return extrapolate == "clamp"


class Points:
    """Pixels by place: at a moment, or over time."""

    _cube: Cube
    _axis: TimeAxis
    if TYPE_CHECKING:

        @property
        def height(self) -> int: ...
        @property
        def width(self) -> int: ...
        @property
        def n_timestamps(self) -> int: ...
        @property
        def crs(self) -> CRS | None: ...
        @property
        def transform(self) -> Affine | None: ...
        @property
        def bounds(self) -> BoundingBox: ...
        def resolve_time(self, t: MomentLike, *, clamp: bool = False) -> Moment: ...
        def band_list(self, bands: Bands) -> list[int]: ...
        def _crs_name(self) -> str: ...

    def sample(
        self,
        lon: ArrayLike,
        lat: ArrayLike,
        t: MomentLike | None = None,
        bands: Bands = None,
        *,
        crs: Any = "EPSG:4326",
        outside: Literal["raise", "nan"] = "raise",
        extrapolate: Extrapolate = "error",
    ) -> NDArray[np.float32]:
        """Read the pixels that hold points.

        Parameters
        ----------
        lon, lat
            Coordinates in ``crs`` (x, y order), scalars or (N,).
        t
            As `read_at_time`; all observations if None.
        crs
            Of the coordinates; anything pyproj understands. Not used if the cube has none.
        outside
            What becomes of points outside the cube: an error, or NaN.
        extrapolate
            As `read_at_time`.

        Returns
        -------
        ndarray
            (C,) or (T, C); with N points (N, C) or (N, T, C).

        Raises
        ------
        CoordinateError
            If a point lies outside the cube, and ``outside`` is ``"raise"``.
        TimeError
            As `read_at_time`.
        """
        x, y = np.broadcast_arrays(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
        points, inside = self.pixels_at(
            x.ravel(), y.ravel(), crs=crs, outside="raise" if outside == "raise" else "skip"
        )
        moments = self._observations if t is None else [self.resolve_time(t, clamp=clamps(extrapolate))]
        out = np.full((x.size, len(moments), len(self.band_list(bands))), np.nan, np.float32)
        out[inside] = self._series(points[inside], moments, bands)
        if t is not None:
            out = out[:, 0]
        return out.reshape(x.shape + out.shape[1:])

    def pixels_at(
        self,
        x: NDArray[np.float64],
        y: NDArray[np.float64],
        *,
        crs: Any = "EPSG:4326",
        outside: Literal["raise", "skip"] = "raise",
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the pixels (N, 2), rows and columns, that hold points (N,), and which of these lie in the cube (N,).

        Raises
        ------
        CoordinateError
            If ``crs`` is none, or a point lies outside and ``outside`` is ``"raise"``; with ``"skip"`` its pixel is
            (-1, -1).
        """
        to_x, to_y = x, y
        if self.crs is not None:
            from pyproj import Transformer
            from pyproj.exceptions import CRSError

            try:
                to_cube = Transformer.from_crs(crs, self.crs, always_xy=True)
            except CRSError as error:
                raise CoordinateError(f"{crs!r} is not a CRS: {error}") from None
            to_x, to_y = (np.asarray(a) for a in to_cube.transform(x, y))
        col, row = apply(~self.transform, to_x, to_y) if self.transform is not None else (to_x, -to_y)
        inside = (col >= 0) & (col < self.width) & (row >= 0) & (row < self.height)
        if outside == "raise" and not inside.all():
            i = int(np.flatnonzero(~inside)[0])
            where = f"({x[i]:g}, {y[i]:g})"
            bounds = ", ".join(f"{v:.10g}" for v in self.bounds)
            raise CoordinateError(
                f"the point {where} lies outside the cube, whose bounds in {self._crs_name()} are ({bounds})"
            )
        pixels = np.where(inside[:, None], np.stack([row, col], axis=1), -1.0)
        return np.floor(pixels).astype(np.int64), inside

    def pixel_series(self, row: int, col: int, bands: Bands = None) -> NDArray[np.float32]:
        """Read one pixel at all observations: (T, C), the values of `read` there, but for float32 rounding.

        Raises
        ------
        CoordinateError
            If the pixel is not in the cube.
        """
        row, col = operator.index(row), operator.index(col)
        _, height, width, _ = self._cube.shape
        if not (0 <= row < height and 0 <= col < width):
            raise self._outside(row, col)
        chosen = self._every_band if bands is None else tuple(self.band_list(bands))
        return self._cube.read_pixel(self._observations, row + 0.5, col + 0.5, chosen)

    def series(self, points: ArrayLike, bands: Bands = None) -> NDArray[np.float32]:
        """Read pixels at all observations in one evaluation.

        Parameters
        ----------
        points
            (N, 2) rows and columns.

        Returns
        -------
        ndarray
            (N, T, C) float32.
        """
        return self._series(np.asarray(points), self._observations, bands)

    def series_at(
        self,
        points: ArrayLike,
        times: Sequence[MomentLike | Moment],
        bands: Bands = None,
        *,
        extrapolate: Extrapolate = "error",
    ) -> NDArray[np.float32]:
        """Read pixels (N, 2) at any moments: (N, len(times), C); times and ``extrapolate`` as in `read_at_time`."""
        clamp = clamps(extrapolate)
        moments = [t if isinstance(t, Moment) else self.resolve_time(t, clamp=clamp) for t in times]
        return self._series(np.asarray(points), moments, bands)

    def evaluate(
        self, rows: ArrayLike, cols: ArrayLike, times: Sequence[MomentLike], bands: Bands = None
    ) -> NDArray[np.float32]:
        """Evaluate the field at pixel coordinates (N,) each, fractions too, and at any moments.

        Pixel i covers [i, i + 1), its centre is i + 0.5; times as in `read_at_time`.

        Returns
        -------
        ndarray
            (N, len(times), C) float32.

        Raises
        ------
        CoordinateError
            If a point lies outside the cube.
        """
        y, x = (np.ascontiguousarray(axis, np.float64).ravel() for axis in np.broadcast_arrays(rows, cols))
        outside = ~((y >= 0) & (y < self.height) & (x >= 0) & (x < self.width))
        if outside.any():
            i = int(np.flatnonzero(outside)[0])
            raise CoordinateError(
                f"({y[i]:g}, {x[i]:g}) is outside the cube of {self.height} rows, {self.width} columns"
            )
        return self._cube.read_series([self.resolve_time(t) for t in times], y, x, self.band_list(bands))

    # -- private -------------------------------------------------------------------------------------------------

    def _series(self, points: NDArray[Any], moments: Sequence[Moment] | Instants, bands: Bands) -> NDArray[np.float32]:
        if points.ndim != 2 or points.shape[1] != 2 or points.dtype.kind not in "iu":
            raise CoordinateError(f"points {points.shape} {points.dtype}, expected integers (N, 2): rows and columns")
        if len(points) == 1 and isinstance(moments, Instants):
            row, col = points[0].tolist()
            return self.pixel_series(row, col, bands)[np.newaxis]
        bad = ((points < 0) | (points >= (self.height, self.width))).any(axis=1)
        if bad.any():
            raise self._outside(*points[int(np.flatnonzero(bad)[0])])
        rows, cols = (np.ascontiguousarray(points[:, i] + 0.5, np.float64) for i in (0, 1))
        return self._cube.read_series(moments, rows, cols, self.band_list(bands))

    @cached_property
    def _every_band(self) -> tuple[int, ...]:
        return tuple(self.band_list(None))

    @cached_property
    def _observations(self) -> Instants:
        return self._cube.instants([self._axis.moment(i) for i in range(self.n_timestamps)])

    def _outside(self, row: int, col: int) -> CoordinateError:
        return CoordinateError(
            f"pixel ({row}, {col}) is outside the cube of {self.height} rows and {self.width} columns"
        )
