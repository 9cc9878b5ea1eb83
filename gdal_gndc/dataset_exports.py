"""A dataset as other libraries' objects and files. A part of `GNDCDataset`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr
    from rasterio.io import MemoryFile

    from gdal_gndc.dataset import Box, GNDCDataset
    from gdal_gndc.export import RasterOptions
    from gdal_gndc.export_nd import CubeOptions
    from gdal_gndc.time_axis import MomentLike
    from gdal_gndc.times import TimeLike
    from gdal_gndc.window import WindowLike


class Exports:
    """Ways out of a cube. ``t`` is an observation when it matches one, else the continuous reconstruction."""

    def to_numpy(
        self,
        t: MomentLike | Sequence[MomentLike] | None = None,
        bands: int | str | Sequence[int | str] | None = None,
        window: WindowLike | None = None,
        bbox: Box | None = None,
        out_shape: tuple[int, int] | None = None,
    ) -> NDArray[np.float32]:
        """Return values as an array: (H, W, C) at a moment, (T, H, W, C) at a list of them, or at all observations.

        Arguments and errors are those of `GNDCDataset.read_at_time`.
        """
        dataset = self._dataset
        if t is not None and (isinstance(t, str) or not isinstance(t, Sequence | np.ndarray)):
            return dataset.read_at_time(t, bands, window, bbox, out_shape)
        moments = [dataset.resolve_time(i) for i in (range(dataset.n_timestamps) if t is None else t)]
        rows, cols = dataset.sample_grid(window, bbox, out_shape)
        indices = dataset.band_list(bands)
        out = np.empty((len(moments), rows.size, cols.size, len(indices)), np.float32)
        for moment, frame in zip(moments, out, strict=True):
            dataset.cube.read_grid(moment, rows, cols, indices, frame)
        return out

    def to_xarray(
        self,
        times: Iterable[MomentLike] | None = None,
        bands: int | str | Sequence[int | str] | None = None,
        *,
        stack_bands: bool = False,
        bbox: Box | None = None,
        resolution: float | tuple[float, float] | None = None,
        chunks: Any = None,
    ) -> xr.Dataset:
        """Return the cube as an ``xarray.Dataset`` of dimensions time, y and x, which reads when it is computed.

        Parameters
        ----------
        times
            Any moments; all observations by default.
        bands
            Bands by 0-based index or name; all by default.
        stack_bands
            One variable ``values`` with a dimension ``band`` instead of a variable a band.
        bbox, resolution
            A part (min_x, min_y, max_x, max_y) in the cube's CRS, widened to the pixels it touches, and the size of
            pixels in CRS units, (x, y) or one number: the field is evaluated at their centres.
        chunks
            As in ``xarray.open_dataset``: ``{}`` gives dask arrays of the cube's own chunks.

        Raises
        ------
        ModuleNotFoundError
            If xarray is not installed.
        TimeError, CoordinateError
            If the cube has no such moment or band.
        """
        from gdal_gndc.xarray_backend import to_xarray

        return to_xarray(
            self._dataset, times, bands, stack_bands=stack_bands, bbox=bbox, resolution=resolution, chunks=chunks
        )

    def to_tif(self, path: str | os.PathLike[str], t: MomentLike = 0, **options: Unpack[RasterOptions]) -> Path:
        """Write one moment as a GeoTIFF; see `gdal_gndc.export.to_tif`."""
        from gdal_gndc.export import to_tif

        return to_tif(self._dataset, path, t, **options)

    def to_tifs(
        self,
        out_dir: str | os.PathLike[str],
        *,
        times: Iterable[MomentLike] | None = None,
        every: str | timedelta | None = None,
        start: TimeLike | None = None,
        end: TimeLike | None = None,
        overwrite: bool = False,
        progress: bool = True,
        jobs: int | None = None,
        **options: Unpack[RasterOptions],
    ) -> list[Path]:
        """Write many moments as GeoTIFFs, all observations by default; see `gdal_gndc.export.to_tifs`."""
        from gdal_gndc.export import to_tifs

        return to_tifs(
            self._dataset, out_dir, times=times, every=every, start=start, end=end, overwrite=overwrite,
            progress=progress, jobs=jobs, **options,
        )  # fmt: skip

    def to_rasterio(self, t: MomentLike = 0, **options: Unpack[RasterOptions]) -> MemoryFile:
        """Return one moment as a GeoTIFF in memory, a ``rasterio.io.MemoryFile`` that the caller closes."""
        from gdal_gndc.export import to_rasterio

        return to_rasterio(self._dataset, t, **options)

    def to_netcdf(self, path: str | os.PathLike[str], **options: Unpack[CubeOptions]) -> Path:
        """Write observations or a regular series as netCDF-4; see `gdal_gndc.export_nd.to_netcdf`."""
        from gdal_gndc.export_nd import to_netcdf

        return to_netcdf(self._dataset, path, **options)

    def to_zarr(self, path: str | os.PathLike[str], *, overwrite: bool = False, **options: Unpack[CubeOptions]) -> Path:
        """Write observations or a regular series as a Zarr store; see `gdal_gndc.export_nd.to_zarr`."""
        from gdal_gndc.export_nd import to_zarr

        return to_zarr(self._dataset, path, overwrite=overwrite, **options)

    @property
    def _dataset(self) -> GNDCDataset:
        return cast("GNDCDataset", self)
