"""What a user holds: one open cube."""

from __future__ import annotations

import os
from pathlib import PurePath
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.cube import Cube
from gdal_gndc.dataset_about import About
from gdal_gndc.dataset_analysis import Analysis
from gdal_gndc.dataset_exports import Exports
from gdal_gndc.dataset_points import Bands, Extrapolate, Points, clamps
from gdal_gndc.errors import CoordinateError
from gdal_gndc.field.backend import BackendName, DeviceName, Precision, choose_backend
from gdal_gndc.format.container import Container
from gdal_gndc.selection import band_indices
from gdal_gndc.time_axis import Moment, MomentLike
from gdal_gndc.window import Span, WindowLike, spans_of, window_of, window_of_bbox

Resampling = Literal["nearest", "average"]
Box = tuple[float, float, float, float]


class GNDCDataset(About, Points, Analysis, Exports):
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
        precision: Precision = "float32",
        storage_options: dict[str, Any] | None = None,
        n_threads: int = 0,
        cache_bytes: int | None = None,
    ) -> None:
        chosen = choose_backend(backend, device, precision)
        container = Container.open(path, storage_options=storage_options)
        self.name = container.path
        self.backend = chosen.name
        self._options: dict[str, Any] = {
            "device": device,
            "backend": backend,
            "precision": precision,
            "storage_options": storage_options,
            "n_threads": n_threads,
            "cache_bytes": cache_bytes,
        }
        self._meta = container.meta
        self._cube = Cube(container, chosen, n_threads=n_threads, cache_bytes=cache_bytes)
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
        resampling: Resampling = "nearest",
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
        resampling
            ``nearest`` evaluates each cell at its centre, whatever its size: the cost is that of the cells, and cells
            wider than what they show alias. ``average`` takes the mean of up to 16 x 16 places per cell, one for
            each pixel along it, without those that are masked: it costs as much as reading the pixels covered, for
            cells above 16 pixels 256 times ``nearest``. For cells of at most a pixel both are the same.

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
        return self._read(self._axis.nearest(t), bands, window, bbox, out_shape, resampling)

    def read_at_time(
        self,
        time: MomentLike,
        bands: Bands = None,
        window: WindowLike | None = None,
        bbox: Box | None = None,
        out_shape: tuple[int, int] | None = None,
        *,
        resampling: Resampling = "nearest",
        extrapolate: Extrapolate = "error",
    ) -> NDArray[np.float32]:
        """Read the cube at any moment between its first and last observation; other arguments as `read`.

        A time within a second of an observation gives that observation, a date alone the observation of that day if
        there is one. In between, mask and residuals are those of the nearest observation.

        Parameters
        ----------
        extrapolate
            What a time outside the observed range is: an error, or with ``"clamp"`` the nearest end of it.

        Raises
        ------
        TimeError
            If the time lies outside the observed range, and ``extrapolate`` is ``"error"``.
        """
        moment = self.resolve_time(time, clamp=clamps(extrapolate))
        return self._read(moment, bands, window, bbox, out_shape, resampling)

    def read_region(self, bbox: Box, t: MomentLike = 0, bands: Bands = None) -> NDArray[np.float32]:
        """Read the pixels that a box (min_x, min_y, max_x, max_y) in the cube's CRS touches: (h, w, C)."""
        return self.read(t, bands, bbox=bbox)

    # -- parts shared by every road ------------------------------------------------------------------------------

    def resolve_time(self, t: MomentLike, *, clamp: bool = False) -> Moment:
        """Return the moment that ``t`` names, an observed frame or a time between; see `TimeAxis.moment`."""
        return self._axis.moment(t, clamp=clamp)

    def sample_grid(
        self, window: WindowLike | None = None, bbox: Box | None = None, out_shape: tuple[int, int] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the pixel coordinates (rows, cols) of the samples that a read with these arguments takes."""
        rows, cols = self._spans(window, bbox, out_shape)
        return rows.positions(), cols.positions()

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
        resampling: Resampling = "nearest",
    ) -> NDArray[np.float32]:
        """Read a moment; the one read that every road to a pixel ends in.

        Parameters
        ----------
        out
            (rows, cols, C) float32 to fill, any strides: ``np.moveaxis(a, 0, -1)`` of a (C, rows, cols) array too.
        """
        return self._read(moment, bands, window, None, out_shape, resampling, out)

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
        resampling: Resampling,
        out: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        if resampling not in ("nearest", "average"):
            raise CoordinateError(f"resampling {resampling!r}, expected nearest or average")
        rows, cols = self._spans(window, bbox, out_shape)
        indices = self.band_list(bands)
        shape = (rows.cells, cols.cells, len(indices))
        if out is None:
            out = np.empty(shape, np.float32)
        elif out.shape != shape or out.dtype != np.float32:
            raise ValueError(f"out is {out.shape} {out.dtype}, expected {shape} float32")
        if resampling == "average":
            self._cube.read_averaged(moment, rows, cols, indices, out)
        else:
            self._cube.read_grid(moment, rows.positions(), cols.positions(), indices, out)
        return out

    def _spans(
        self, window: WindowLike | None, bbox: Box | None, out_shape: tuple[int, int] | None
    ) -> tuple[Span, Span]:
        if bbox is None:
            rect = window_of(window, self.height, self.width)
        elif window is None:
            rect = window_of_bbox(bbox, self.transform, self.height, self.width, snap=out_shape is None)
        else:
            raise CoordinateError("window and bbox exclude each other")
        return spans_of(rect, out_shape)


def open_dataset(
    path: str | os.PathLike[str],
    *,
    device: DeviceName = "auto",
    backend: BackendName = "auto",
    precision: Precision = "float32",
    storage_options: dict[str, Any] | None = None,
    n_threads: int = 0,
    cache_bytes: int | None = None,
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
        ``auto`` takes the compiled core, or torch for ``device="cuda"``; ``native``; ``torch`` evaluates everything on
        its device; ``numpy`` is a slow reference for grids. The log (``gdal_gndc``, INFO) says what was chosen and why.
    precision
        ``fast`` evaluates the hidden layers in 16-bit fixed point with the compiled core, on a processor that has
        AVX512-VNNI: values err by some 1e-5 of a band's range. On others it is ``float32``. Derivatives always are.
    storage_options
        For the fsspec file system.
    n_threads
        Threads a read may use, 0 for all cores.
    cache_bytes
        Budget for loaded chunks, by default ``GNDC_CHUNK_CACHE_BYTES`` or 2 GiB; and for decompressed masks and
        residuals, at most ``GNDC_FRAME_CACHE_BYTES`` or 256 MiB.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is not a v0.9 container.
    DeviceError
        If the backend or device is not there, or the backend has no ``precision="fast"``.
    """
    return GNDCDataset(
        path,
        device=device,
        backend=backend,
        precision=precision,
        storage_options=storage_options,
        n_threads=n_threads,
        cache_bytes=cache_bytes,
    )


def _reopen(path: str, options: dict[str, Any]) -> GNDCDataset:
    return GNDCDataset(path, **options)
