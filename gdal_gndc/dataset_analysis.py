"""What a dataset can be asked beyond its values: indices and derivatives. A part of `GNDCDataset`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, cast, overload

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import CoordinateError
from gdal_gndc.indices import INDICES, RatioIndex, bands_of, index_named
from gdal_gndc.times import parse_duration

if TYPE_CHECKING:
    import pandas as pd

    from gdal_gndc.climatology import Climatology
    from gdal_gndc.dataset import Box, GNDCDataset
    from gdal_gndc.derivatives import GradientMode
    from gdal_gndc.phenology import Phenology
    from gdal_gndc.time_axis import MomentLike
    from gdal_gndc.times import TimeLike
    from gdal_gndc.window import WindowLike

Band = int | str | None
Floats = NDArray[np.float32]


class Analysis:
    """Indices and derivatives of a cube.

    All take ``t`` as a frame index, ISO 8601 text or datetime: an observation when it matches one, else the
    continuous reconstruction; ``window``, ``bbox`` and ``out_shape`` are those of `GNDCDataset.read`. All raise
    `CoordinateError` for a place or band outside the cube and `TimeError` for a time outside it.
    """

    def ndvi(
        self,
        t: MomentLike = 0,
        red_band: Band = None,
        nir_band: Band = None,
        window: WindowLike | None = None,
        bbox: Box | None = None,
        out_shape: tuple[int, int] | None = None,
    ) -> Floats:
        """Return the NDVI (nir - red) / (nir + red) at a moment: (H, W), NaN where a band is or both are 0.

        Parameters
        ----------
        red_band, nir_band
            Index or name; by default found by ``common_name``, wavelength or a usual name.

        Raises
        ------
        CoordinateError
            Also if a band is neither given nor found.
        """
        return self._index("ndvi", t, (red_band, nir_band), window, bbox, out_shape)

    def evi(
        self,
        t: MomentLike = 0,
        red_band: Band = None,
        nir_band: Band = None,
        blue_band: Band = None,
        window: WindowLike | None = None,
        bbox: Box | None = None,
        out_shape: tuple[int, int] | None = None,
    ) -> Floats:
        """Return the EVI, as `compute_evi`: the cube must hold reflectances from 0 to 1. Else as `ndvi`."""
        return self._index("evi", t, (red_band, nir_band, blue_band), window, bbox, out_shape)

    def ndwi(
        self,
        t: MomentLike = 0,
        green_band: Band = None,
        nir_band: Band = None,
        window: WindowLike | None = None,
        bbox: Box | None = None,
        out_shape: tuple[int, int] | None = None,
    ) -> Floats:
        """Return the NDWI (green - nir) / (green + nir); as `ndvi`."""
        return self._index("ndwi", t, (green_band, nir_band), window, bbox, out_shape)

    def ndmi(
        self,
        t: MomentLike = 0,
        nir_band: Band = None,
        swir_band: Band = None,
        window: WindowLike | None = None,
        bbox: Box | None = None,
        out_shape: tuple[int, int] | None = None,
    ) -> Floats:
        """Return the NDMI (nir - swir) / (nir + swir), swir at 1.6 um; as `ndvi`."""
        return self._index("ndmi", t, (nir_band, swir_band), window, bbox, out_shape)

    @overload
    def gradient(
        self,
        t: MomentLike = ...,
        mode: Literal["spatial"] = ...,
        bands: int | str | Sequence[int | str] | None = ...,
        window: WindowLike | None = ...,
        bbox: Box | None = ...,
        out_shape: tuple[int, int] | None = ...,
        *,
        metric: bool = ...,
    ) -> tuple[Floats, Floats]: ...

    @overload
    def gradient(
        self,
        t: MomentLike,
        mode: Literal["dx", "dy", "mag", "dir"],
        bands: int | str | Sequence[int | str] | None = ...,
        window: WindowLike | None = ...,
        bbox: Box | None = ...,
        out_shape: tuple[int, int] | None = ...,
        *,
        metric: bool = ...,
    ) -> Floats: ...

    def gradient(
        self,
        t: MomentLike = 0,
        mode: GradientMode = "spatial",
        bands: int | str | Sequence[int | str] | None = None,
        window: WindowLike | None = None,
        bbox: Box | None = None,
        out_shape: tuple[int, int] | None = None,
        *,
        metric: bool = False,
    ) -> Floats | tuple[Floats, Floats]:
        """Return the spatial gradient of the field, in value per unit of the CRS.

        It is exact and analytic, by forward-mode differentiation of the field, so it needs no neighbours and no
        margin. Residuals take no part. A model that decodes blocks of pixels has no derivative within a block: for
        it, central differences over a pixel each way are returned.

        Parameters
        ----------
        mode
            ``spatial``: (dx, dy); ``dx`` or ``dy``: one of them, towards growing x (east) and y (north) of the
            CRS; ``mag``: the slope, hypot(dx, dy); ``dir``: the direction of ascent atan2(dy, dx) in radians, 0
            towards growing x and pi/2 towards growing y, NaN where the field is flat.
        metric
            In value per metre, also in a CRS of degrees or feet: by the CRS' unit, and in degrees by the radii of
            curvature of its ellipsoid. Without it, ``mag`` and ``dir`` in degrees take a degree of longitude for as
            long as one of latitude.

        Returns
        -------
        ndarray or tuple of two
            (H, W, C) float32. Units per degree in a geographic CRS, per pixel (y upwards) without a transform.

        Raises
        ------
        CoordinateError
            Also for another mode, or ``metric`` where the cube has no CRS.
        """
        from gdal_gndc.derivatives import check_mode, gradient_of, grid_tangents, metres

        check_mode(mode)
        axes = mode[1] if mode in ("dx", "dy") else "xy"
        dataset = self._dataset
        rows, cols = dataset.sample_grid(window, bbox, out_shape)
        found = grid_tangents(dataset, dataset.resolve_time(t), rows, cols, dataset.band_list(bands), axes)
        if metric:
            along_x, along_y = metres(dataset, rows, cols)
            lengths = {"x": along_x[..., None], "y": along_y[..., None]}
            for i, axis in enumerate(axes):
                found[1 + i] /= lengths[axis]
        if mode == "spatial":
            return found[1], found[2]
        return found[1] if len(axes) == 1 else gradient_of(found[1], found[2], mode)

    def derivative(
        self,
        t: MomentLike = 0,
        bands: int | str | Sequence[int | str] | None = None,
        axis: Literal["x", "y", "t"] = "t",
        window: WindowLike | None = None,
        bbox: Box | None = None,
        out_shape: tuple[int, int] | None = None,
    ) -> Floats:
        """Return the exact derivative of bands: (H, W, C), per CRS unit for ``x`` and ``y``, per day for ``t``.

        On a corner of the piecewise linear field, an observation between two cells for one, it is that of the
        piece that follows. See `gradient` for what takes part.

        Raises
        ------
        CoordinateError
            Also for another axis.
        """
        from gdal_gndc.derivatives import grid_tangents

        if axis not in ("x", "y", "t"):
            raise CoordinateError(f"axis {axis!r}, expected x, y or t")
        dataset = self._dataset
        rows, cols = dataset.sample_grid(window, bbox, out_shape)
        found: Floats = grid_tangents(dataset, dataset.resolve_time(t), rows, cols, dataset.band_list(bands), axis)[1]
        return found

    def temporal_derivative(
        self,
        t: MomentLike = 0,
        order: int = 1,
        red_idx: Band = None,
        nir_idx: Band = None,
        window: WindowLike | None = None,
        bbox: Box | None = None,
        *,
        index: str | RatioIndex = "ndvi",
        bands: Sequence[int | str] | None = None,
        step: str | timedelta | None = None,
        out_shape: tuple[int, int] | None = None,
    ) -> Floats:
        """Return the velocity (``order`` 1, per day) or acceleration (2, per day squared) of NDVI: (H, W).

        The velocity is exact: the quotient rule on the exact derivatives of the bands. Bands are piecewise linear
        in time, so their second derivative is zero almost everywhere and says nothing; the acceleration is the
        central difference of the exact velocity over ``step``, one-sided at the ends of the cube's times.

        Parameters
        ----------
        red_idx, nir_idx
            As in `ndvi`.
        index, bands
            Another index than NDVI (``evi``, ``ndwi``, ``ndmi``, or a `RatioIndex` of your own), and its bands in the
            order of its roles; for a band itself see `derivative`.
        step
            For order 2: a duration such as ``"16d"``; by default the median time between observations.

        Raises
        ------
        CoordinateError
            Also for another order or index.
        TimeError
            Also if the cube has one time only, or no dates.
        """
        from gdal_gndc.derivatives import index_acceleration, index_rate, usual_step

        formula = index_named(index)
        if order not in (1, 2):
            raise CoordinateError(f"order {order!r}, expected 1 (velocity) or 2 (acceleration)")
        given: Sequence[Band] = bands if bands is not None else [None] * len(formula.roles)
        if red_idx is not None or nir_idx is not None:
            if formula.roles[:2] != ("red", "nir") or bands is not None:
                raise CoordinateError(f"red_idx and nir_idx do not name the bands of {formula.name}; use bands=")
            given = [red_idx, nir_idx, *([None] * (len(formula.roles) - 2))]
        if len(given) != len(formula.roles):
            raise CoordinateError(f"{len(given)} bands for {formula.name}, expected {', '.join(formula.roles)}")
        dataset = self._dataset
        chosen = bands_of(dataset, formula, given)
        moment = dataset.resolve_time(t)
        rows, cols = dataset.sample_grid(window, bbox, out_shape)
        if order == 1:
            return index_rate(dataset, moment, rows, cols, chosen, formula)
        span = usual_step(dataset) if step is None else parse_duration(step)
        return index_acceleration(dataset, moment, rows, cols, chosen, formula, span)

    def phenology(self, start: TimeLike | None = None, end: TimeLike | None = None, **options: Any) -> Phenology:
        """Return start, peak and end of a season at every pixel; see `gdal_gndc.phenology.phenology`."""
        from gdal_gndc.phenology import phenology

        return phenology(self._dataset, start, end, **options)

    def climatology(
        self, day: TimeLike, bands: int | str | Sequence[int | str] | None = None, **options: Any
    ) -> Climatology:
        """Return the field on a day of the year over all years; see `gdal_gndc.climatology.climatology`."""
        from gdal_gndc.climatology import climatology

        return climatology(self._dataset, day, bands, **options)

    def anomaly(
        self, t: MomentLike = 0, bands: int | str | Sequence[int | str] | None = None, **options: Any
    ) -> Floats:
        """Return how a moment differs from the same day of all years; see `gdal_gndc.climatology.anomaly`."""
        from gdal_gndc.climatology import anomaly

        return anomaly(self._dataset, t, bands, **options)

    def zonal_statistics(
        self, zones: Any, statistics: Sequence[str] = ("mean", "count"), **options: Any
    ) -> pd.DataFrame:
        """Return statistics over polygons and times as a table; see `gdal_gndc.zonal.zonal_statistics`."""
        from gdal_gndc.zonal import zonal_statistics

        return zonal_statistics(self._dataset, zones, statistics, **options)

    def _index(
        self,
        name: str,
        t: MomentLike,
        given: Sequence[Band],
        window: WindowLike | None,
        bbox: Box | None,
        out_shape: tuple[int, int] | None,
    ) -> Floats:
        dataset, formula = self._dataset, INDICES[name]
        chosen = bands_of(dataset, formula, given)
        values = dataset.read_at_time(t, chosen, window, bbox, out_shape)
        return np.asarray(formula(np.moveaxis(values, -1, 0)))

    @property
    def _dataset(self) -> GNDCDataset:
        return cast("GNDCDataset", self)
