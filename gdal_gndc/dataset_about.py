"""What a cube says about itself. A part of `GNDCDataset`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.cache import CacheInfo
from gdal_gndc.chunk_model import ChunkModel
from gdal_gndc.cube import Cube
from gdal_gndc.errors import GNDCError
from gdal_gndc.format.meta import Band, Meta
from gdal_gndc.observations import fills_gaps, observed
from gdal_gndc.window import apply

if TYPE_CHECKING:
    from affine import Affine
    from rasterio.coords import BoundingBox
    from rasterio.crs import CRS

    from gdal_gndc.time_axis import MomentLike
    from gdal_gndc.window import WindowLike


class About:
    """Size, place, times, bands and quality of an open cube."""

    name: str
    _meta: Meta
    _cube: Cube
    _options: dict[str, Any]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, H, W, C)."""
        return self._meta.shape

    @property
    def n_timestamps(self) -> int:
        """Number of observations, T."""
        return self.shape[0]

    @property
    def height(self) -> int:
        """Rows."""
        return self.shape[1]

    @property
    def width(self) -> int:
        """Columns."""
        return self.shape[2]

    @property
    def n_bands(self) -> int:
        """Bands, C."""
        return self.shape[3]

    @cached_property
    def crs(self) -> CRS | None:
        """Coordinate reference system, a ``rasterio.crs.CRS``; None if the file has none."""
        if self._meta.crs is None:
            return None
        from rasterio.crs import CRS
        from rasterio.errors import CRSError

        try:
            return CRS.from_user_input(self._meta.crs)
        except (CRSError, ValueError) as error:  # "EPSG:" and no number is a ValueError
            raise GNDCError(f"{self.name}: meta.json: crs cannot be read: {error}") from error

    @cached_property
    def transform(self) -> Affine | None:
        """Affine transform of (col, row) of upper-left pixel corners to CRS coordinates; None without one."""
        from affine import Affine

        return None if self._meta.transform is None else Affine(*self._meta.transform)

    @cached_property
    def bounds(self) -> BoundingBox:
        """(left, bottom, right, top) in the CRS; in pixels, with y downwards negative, if there is no transform."""
        from affine import Affine
        from rasterio.coords import BoundingBox

        to_crs = self.transform or Affine.scale(1, -1)
        corners = [apply(to_crs, c, r) for c in (0, self.width) for r in (0, self.height)]
        xs, ys = zip(*corners, strict=True)
        return BoundingBox(min(xs), min(ys), max(xs), max(ys))

    @property
    def resolution(self) -> tuple[float, float]:
        """Size of a pixel in CRS units, (x, y), both positive."""
        t = self._meta.transform or (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
        return float(np.hypot(t[0], t[3])), float(np.hypot(t[1], t[4]))

    @property
    def timestamps(self) -> list[datetime]:
        """Time of each observation, aware UTC; empty if the frames have no dates."""
        return list(self._meta.times)

    @property
    def nodata(self) -> float:
        """NaN: what stands where there is no data."""
        return float("nan")

    @property
    def band_names(self) -> list[str]:
        """Names of the bands."""
        return list(self._meta.band_names)

    @property
    def band_wavelengths(self) -> list[float | None]:
        """Centre wavelength of each band in nanometres, None where the file has none."""
        return [band.center_wavelength for band in self._meta.bands]

    @property
    def has_mask(self) -> bool:
        """Whether any chunk has a mask. Looks into the chunks, one after the other, until one has."""
        return any(chunk.has_mask for chunk in self._models())

    @property
    def has_residuals(self) -> bool:
        """Whether any chunk has residuals. Looks into the chunks, one after the other, until one has."""
        return any(chunk.has_residuals for chunk in self._models())

    @property
    def fills_gaps(self) -> bool:
        """Whether the cube answers where observations have gaps; `observed` tells where."""
        return fills_gaps(self._meta)

    def observed(
        self,
        t: MomentLike = 0,
        window: WindowLike | None = None,
        bbox: tuple[float, float, float, float] | None = None,
        out_shape: tuple[int, int] | None = None,
    ) -> NDArray[np.bool_]:
        """Return where the observation nearest to ``t`` has data of its own, bool (H, W); arguments as for `read`.

        What `read` gives elsewhere is no data or, in a cube that fills gaps, what the network makes of other dates.

        Raises
        ------
        CoordinateError
            If frame or place is not in the cube.
        """
        rows, cols = self.sample_grid(window, bbox, out_shape)
        moment = self._cube.axis.nearest(t)
        assert moment.frame is not None
        return observed(self._cube, moment.frame, rows.astype(np.int64), cols.astype(np.int64))

    if TYPE_CHECKING:

        def sample_grid(
            self, window: WindowLike | None, bbox: Any, out_shape: tuple[int, int] | None
        ) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...

    @property
    def meta(self) -> dict[str, Any]:
        """``meta.json`` as it is in the file."""
        return self._meta.raw

    def metrics(self) -> dict[str, Any] | None:
        """Return the quality that was measured when the file was written (``metrics.json``), None if it has none.

        Whatever its layout in the file, ``bands`` is a list with a dict a band, in their order.
        """
        return self._cube.container.metrics()

    def cache_info(self) -> dict[str, CacheInfo]:
        """Return hits, misses and bytes of the caches of chunks and of decompressed masks and residuals."""
        return self._cube.cache_info()

    @property
    def options(self) -> dict[str, Any]:
        """The options it was opened with."""
        return dict(self._options)

    @property
    def bands_meta(self) -> tuple[Band, ...]:
        """What the file says of each band."""
        return self._meta.bands

    @property
    def cube(self) -> Cube:
        """The cube below, for code that evaluates it at pixel coordinates."""
        return self._cube

    def _models(self) -> Iterator[ChunkModel]:
        return (self._cube.chunk(i) for i in range(len(self._cube.container.manifest.chunks)))

    def _crs_name(self) -> str:
        if self._meta.crs is None:
            return "no CRS"
        try:
            crs = self.crs
            epsg = crs.to_epsg() if crs else None
        except GNDCError:
            return "unreadable CRS"
        if epsg:
            return f"EPSG:{epsg}"
        from pyproj import CRS

        return str(CRS.from_user_input(self.crs).name)
