"""What a user holds: one open cube."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import PurePath
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gdal_gndc.cube import Cube, Instants
from gdal_gndc.dataset_about import About
from gdal_gndc.dataset_analysis import Analysis
from gdal_gndc.dataset_exports import Exports
from gdal_gndc.errors import CoordinateError
from gdal_gndc.field.backend import BackendName, DeviceName, choose_backend
from gdal_gndc.format.container import Container
from gdal_gndc.selection import band_indices
from gdal_gndc.time_axis import Moment, MomentLike
from gdal_gndc.window import WindowLike, apply, sample_positions, window_of, window_of_bbox

Bands = int | str | Sequence[int | str] | None
Box = tuple[float, float, float, float]


class GNDCDataset(About, Analysis, Exports):
    """An open neural data cube. Get one with `gdal_gndc.open`; use it as a context manager or call `close`.

    Arrays are float32 in physical units, NaN where there is no data. Reads may be made from several threads.
    Pickling keeps the path and the options; the file is opened again on the other side.

    Attributes
    ----------
    name
        The path or URL as given.
    backend
        Name of what evaluates the networks: ``native``, ``torch`` or ``numpy``.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        device: DeviceName = "auto",
        backend: BackendName = "auto",
        storage_options: dict[str, Any] | None = None,
        n_threads: int = 0,
    ) -> None:
        chosen = choose_backend(backend, device)
        container = Container.open(path, storage_options=storage_options)
        self.name = container.path
        self.backend = chosen.name
        self._options: dict[str, Any] = {
            "device": device,
            "backend": backend,
            "storage_options": storage_options,
            "n_threads": n_threads,
        }
        self._meta = container.meta
        self._cube = Cube(container, chosen, n_threads=n_threads)
        self._axis = self._cube.axis
        self._closed = False

    # -- reading -------------------------------------------------------------------------------------------------

    def read(
        self,
        t: MomentLike = 0,
        bands: Bands = None,
        window: WindowLike | None = None,
        bbox: Box | None = None,
        out_shape: tuple[int, int] | None = None,
    ) -> NDArray[np.float32]:
        """Read the observation nearest to ``t``.

        Parameters
        ----------
        t
            Frame index (negative from the end), ISO 8601 text, datetime.
        bands
            Index or name, or a list of them; all by default.
        window
            (col_off, row_off, width, height) in pixels, or a rasterio ``Window``; may be fractional.
        bbox
            (min_x, min_y, max_x, max_y) in the cube's CRS, instead of a window: the pixels it touches, or exactly
            this box if ``out_shape`` is given.
        out_shape
            (rows, cols) of the result: the cube is evaluated at the centres of that many cells of the window, be
            they larger or smaller than its pixels. By default the window's own size.

        Returns
        -------
        ndarray
            (H, W, C) float32.

        Raises
        ------
        CoordinateError
            If frame, band or place is not in the cube.
        TimeError
            If ``t`` is no time.
        FileFormatError
            If the file turns out to be damaged.
        """
        return self._read(self._axis.nearest(t), bands, window, bbox, out_shape)

    def read_at_time(
        self,
        time: MomentLike,
        bands: Bands = None,
        window: WindowLike | None = None,
        bbox: Box | None = None,
        out_shape: tuple[int, int] | None = None,
    ) -> NDArray[np.float32]:
        """Read the cube at any moment between its first and last observation; arguments as `read`.

        A time within a second of an observation gives that observation, a date alone the observation of that day if
        there is one. In between, mask and residuals are those of the nearest observation.

        Raises
        ------
        TimeError
            If the time lies outside the observed range.
        """
        return self._read(self.resolve_time(time), bands, window, bbox, out_shape)

    def read_region(self, bbox: Box, t: MomentLike = 0, bands: Bands = None) -> NDArray[np.float32]:
        """Read the pixels that a box (min_x, min_y, max_x, max_y) in the cube's CRS touches: (h, w, C)."""
        return self.read(t, bands, bbox=bbox)

    def sample(
        self,
        lon: ArrayLike,
        lat: ArrayLike,
        t: MomentLike | None = None,
        bands: Bands = None,
        *,
        crs: Any = "EPSG:4326",
        outside: Literal["raise", "nan"] = "raise",
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

        Returns
        -------
        ndarray
            (C,) or (T, C); with N points (N, C) or (N, T, C).

        Raises
        ------
        CoordinateError
            If a point lies outside the cube, and ``outside`` is ``"raise"``.
        """
        x, y = np.broadcast_arrays(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
        points, inside = self.pixels_at(
            x.ravel(), y.ravel(), crs=crs, outside="raise" if outside == "raise" else "skip"
        )
        moments = self._observations if t is None else [self.resolve_time(t)]
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
        found: NDArray[np.float32] = self.series(np.array([[row, col]]), bands)[0]
        return found

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
        self, points: ArrayLike, times: Sequence[MomentLike | Moment], bands: Bands = None
    ) -> NDArray[np.float32]:
        """Read pixels (N, 2) at any moments: (N, len(times), C); times as in `read_at_time`."""
        moments = [t if isinstance(t, Moment) else self.resolve_time(t) for t in times]
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

    # -- parts shared by every road ------------------------------------------------------------------------------

    def resolve_time(self, t: MomentLike, *, clamp: bool = False) -> Moment:
        """Return the moment that ``t`` names, an observed frame or a time between; see `TimeAxis.moment`."""
        return self._axis.moment(t, clamp=clamp)

    def sample_grid(
        self, window: WindowLike | None = None, bbox: Box | None = None, out_shape: tuple[int, int] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the pixel coordinates (rows, cols) of the samples that a read with these arguments takes."""
        if bbox is None:
            rect = window_of(window, self.height, self.width)
        elif window is None:
            rect = window_of_bbox(bbox, self.transform, self.height, self.width, snap=out_shape is None)
        else:
            raise CoordinateError("window and bbox exclude each other")
        return sample_positions(rect, out_shape)

    def band_list(self, bands: Bands) -> list[int]:
        """Return the 0-based indices of bands given by index or name; all bands for None."""
        return band_indices(self, [bands] if isinstance(bands, int | str) else bands)

    def read_moment(
        self,
        moment: Moment,
        *,
        bands: Bands = None,
        window: WindowLike | None = None,
        out_shape: tuple[int, int] | None = None,
        out: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Read a moment; the one read that every road to a pixel ends in.

        Parameters
        ----------
        out
            (rows, cols, C) float32 to fill, any strides: ``np.moveaxis(a, 0, -1)`` of a (C, rows, cols) array too.
        """
        rows, cols = self.sample_grid(window, None, out_shape)
        indices = self.band_list(bands)
        shape = (rows.size, cols.size, len(indices))
        if out is None:
            out = np.empty(shape, np.float32)
        elif out.shape != shape or out.dtype != np.float32:
            raise ValueError(f"out is {out.shape} {out.dtype}, expected {shape} float32")
        self._cube.read_grid(moment, rows, cols, indices, out)
        return out

    def close(self) -> None:
        """Close the file and free the memory. Later reads raise `GNDCError`; closing again does nothing."""
        if not self._closed:
            self._closed = True
            self._cube.close()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.name, self._options)

    def __repr__(self) -> str:
        t, h, w, c = self.shape
        bands = f"{c} band" if c == 1 else f"{c} bands"
        name = PurePath(self.name).name
        state = " closed" if self._closed else ""
        return f"<GNDCDataset {name!r} (T={t}, {w}x{h}, {bands}) {self._crs_name()}{state}>"

    # -- private -------------------------------------------------------------------------------------------------

    def _read(
        self,
        moment: Moment,
        bands: Bands,
        window: WindowLike | None,
        bbox: Box | None,
        out_shape: tuple[int, int] | None,
    ) -> NDArray[np.float32]:
        rows, cols = self.sample_grid(window, bbox, out_shape)
        indices = self.band_list(bands)
        out = np.empty((rows.size, cols.size, len(indices)), np.float32)
        self._cube.read_grid(moment, rows, cols, indices, out)
        return out

    def _series(self, points: NDArray[Any], moments: Sequence[Moment] | Instants, bands: Bands) -> NDArray[np.float32]:
        if points.ndim != 2 or points.shape[1] != 2 or not np.issubdtype(points.dtype, np.integer):
            raise CoordinateError(f"points {points.shape} {points.dtype}, expected integers (N, 2): rows and columns")
        bad = ((points < 0) | (points >= (self.height, self.width))).any(axis=1)
        if bad.any():
            row, col = points[int(np.flatnonzero(bad)[0])]
            raise CoordinateError(
                f"pixel ({row}, {col}) is outside the cube of {self.height} rows and {self.width} columns"
            )
        rows, cols = (np.ascontiguousarray(points[:, i] + 0.5, np.float64) for i in (0, 1))
        return self._cube.read_series(moments, rows, cols, self.band_list(bands))

    @cached_property
    def _observations(self) -> Instants:
        return self._cube.instants([self._axis.moment(i) for i in range(self.n_timestamps)])


def open_dataset(
    path: str | os.PathLike[str],
    *,
    device: DeviceName = "auto",
    backend: BackendName = "auto",
    storage_options: dict[str, Any] | None = None,
    n_threads: int = 0,
) -> GNDCDataset:
    """Open a ``.gndc`` file.

    Parameters
    ----------
    path
        Local path, or a URL that fsspec knows (``https://``, ``s3://``, ``memory://``): of those only the ZIP
        directory and the chunks that reads need are fetched.
    device
        ``auto``, ``cpu`` or ``cuda``.
    backend
        ``auto`` takes the compiled core, or torch for ``device="cuda"``; ``native``, ``torch``; ``numpy`` is a slow
        reference.
    storage_options
        For the fsspec file system.
    n_threads
        Threads a read may use, 0 for all cores.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is not a v0.9 container.
    DeviceError
        If the backend or device is not there.
    """
    return GNDCDataset(path, device=device, backend=backend, storage_options=storage_options, n_threads=n_threads)


def _reopen(path: str, options: dict[str, Any]) -> GNDCDataset:
    return GNDCDataset(path, **options)
