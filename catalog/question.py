"""What `query` is asked, as a geometry of the catalog's CRS and a span of microseconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyproj
import shapely

from gdal_gndc.catalog.crs import as_crs, crs_name, reproject, reproject_boxes
from gdal_gndc.catalog.geoslice import GeoSlice
from gdal_gndc.catalog.intervals import as_interval, tick
from gdal_gndc.errors import CoordinateError

if TYPE_CHECKING:
    from gdal_gndc.catalog.duck import AnyCatalog

Box: TypeAlias = tuple[float, float, float, float]


def question(
    catalog: AnyCatalog,
    where: GeoSlice | Box | None,
    interval: Any,
    *,
    aoi: Any = None,
    aoi_crs: Any = None,
    crs: Any = None,
) -> tuple[shapely.Geometry | None, tuple[int, int] | None]:
    """A query's arguments as a geometry of the catalog's CRS and a span of microseconds."""
    target = catalog.crs

    def extent() -> Box | None:
        return catalog.total_bounds if len(catalog) else None

    geometry = None
    if isinstance(where, GeoSlice):
        geometry = where.footprint(target)
        interval = where.interval if interval is None else interval
    elif where is not None:
        box = tuple(float(v) for v in where)
        if len(box) != 4 or not np.isfinite(box).all() or box[2] < box[0] or box[3] < box[1]:
            raise CoordinateError(f"bounds must be finite (left, bottom, right, top), found {where!r}")
        if crs is None:
            refuse_degrees(box, target, extent, "the box", "crs")
        geometry = reproject_boxes([box], target if crs is None else as_crs(crs), target)[0]
    if aoi is not None:
        area = _area(aoi, aoi_crs, target, extent)
        geometry = area if geometry is None else geometry.intersection(area)
        if geometry.is_empty:
            # Nothing can meet it, yet an empty geometry has no bounds to search with.
            geometry = shapely.Point(np.inf, np.inf)
    span = as_interval(interval)
    return geometry, None if span is None else (tick(span.left), tick(span.right))


def refuse_degrees(
    bounds: Sequence[float], target: pyproj.CRS, extent: Callable[[], Box | None], what: str, option: str
) -> None:
    """CoordinateError for what reads as longitudes and latitudes where all rows lie at metres beyond them: the
    answer would be no rows, though there may be many."""
    if not target.is_projected or not _within_degrees(bounds):
        return
    rows = extent()
    if rows is not None and (rows[0] > 180.0 or rows[2] < -180.0 or rows[1] > 90.0 or rows[3] < -90.0):
        box = ", ".join(f"{v:g}" for v in bounds)
        raise CoordinateError(
            f"{what} ({box}) reads as degrees, but the catalog is in {crs_name(target)[:40]}: "
            f'say {option}="EPSG:4326", or another CRS'
        )


def _within_degrees(bounds: Sequence[float]) -> bool:
    left, bottom, right, top = bounds
    return -180.0 <= left <= right <= 180.0 and -90.0 <= bottom <= top <= 90.0


def _area(aoi: Any, aoi_crs: Any, target: pyproj.CRS, extent: Callable[[], Box | None]) -> shapely.Geometry:
    own = getattr(aoi, "crs", None)
    if hasattr(aoi, "geometry") and hasattr(aoi, "to_crs"):
        aoi = shapely.union_all(np.asarray(aoi.geometry.array, dtype=object))
    elif not isinstance(aoi, shapely.Geometry):
        if not isinstance(aoi, dict) and not hasattr(aoi, "__geo_interface__"):
            raise CoordinateError(f"an area of interest is a geometry, found {type(aoi).__name__}")
        aoi = shapely.geometry.shape(aoi)
    if aoi.is_empty or not np.isfinite(shapely.get_coordinates(aoi)).all():
        raise CoordinateError("the area of interest is empty or not finite")
    if aoi_crs is None and own is None:
        refuse_degrees(aoi.bounds, target, extent, "the area of interest", "aoi_crs")
    source = as_crs(aoi_crs) if aoi_crs is not None else as_crs(own) if own is not None else target
    if source.is_geographic and (np.abs(shapely.get_coordinates(aoi)[:, 1]) > 90.0 + 1e-9).any():
        raise CoordinateError(f"latitudes beyond 90 degrees: the area of interest is not in {crs_name(source)[:40]}")
    return reproject(np.array([aoi], dtype=object), source, target)[0]
