"""Catalogs as stacks: rows of rasters, mosaicked to one grid a date when they are read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gdal_gndc.encode.inputs.grid import Alignment, Box, Grid
from gdal_gndc.encode.inputs.options import Stacking
from gdal_gndc.encode.inputs.rasters import RasterStack, stack_of
from gdal_gndc.errors import EncodeError, GNDCError
from gdal_gndc.remote import reason

if TYPE_CHECKING:
    from gdal_gndc.catalog import GeoCatalog

# Of the side of a box: what only touches it has no pixel in it.
_TOUCH = 1e-9


def open_catalog(catalog: Any, how: Stacking) -> RasterStack:
    """Open the rows of a catalog of rasters, of any mix of CRSs.

    Parameters
    ----------
    catalog
        A GeoCatalog, a DuckCatalog, or what `gdal_gndc.catalog.open_catalog` opens. A row's time is the start of its
        interval.
    how
        Merged by ``first`` by default, in the order of the rows. Where an alignment does not say: the CRS that all
        rasters share, else that of the catalog; the pixel size that the catalog was built for, else that of the first
        raster; the bounds of all. Rows beyond a grid are left out.

    Raises
    ------
    EncodeError
        If the packages that a catalog needs are not installed, it cannot be read, or its rows do not make a cube.
    """
    name = catalog if isinstance(catalog, str) else "the catalog"
    if how.grid is not None and how.grid.crs is None:
        raise EncodeError(f"{name}: cannot be warped to a grid without a CRS")
    try:
        from gdal_gndc import catalog as catalogs
    except ImportError as error:
        raise EncodeError(
            f"{name}: reading a catalog needs {error.name}, which is not installed: pip install 'gdal-gndc[catalog]'"
        ) from error
    try:
        rows = catalogs.open_catalog(catalog) if isinstance(catalog, str) else catalog
        box, box_crs = _box(how.alignment, how.grid)
        if box is not None:
            rows = rows.query(box, crs=box_crs)
        rows = rows.collect()
    except (GNDCError, OSError, ValueError) as error:
        told = str(error) if isinstance(error, GNDCError) else reason(error)
        raise EncodeError(told if told.startswith(name) else f"{name}: {told}") from error
    if not len(rows):
        raise EncodeError(f"{name}: has no row" + ("" if box is None else f" within {box}"))
    if others := sorted(set(rows.backends) - {"raster"}):
        raise EncodeError(
            f"{name}: has rows of the kind {others[0]!r}, expected rasters only; select them with where()"
        )
    static = rows.gdf["static"].to_numpy()
    if static.any():
        first = rows.gdf["location"].iloc[int(np.argmax(static))]
        raise EncodeError(f"{name}: {first} has no time in the catalog")
    times = [moment.to_pydatetime() for moment in rows.gdf.index.left]
    scenes = [((file,), time) for file, time in zip(rows.gdf["location"], times, strict=True)]
    alignment = None if how.grid else _aligned(rows, how.alignment)
    return stack_of(scenes, replace(how, merge=how.merge or "first", alignment=alignment))


def _box(alignment: Alignment | None, grid: Grid | None) -> tuple[Box | None, Any]:
    """Bounds that rows must meet, a hair inside, and their CRS; None where a query cannot know them."""
    if grid is not None:
        box, crs = grid.bounds, grid.crs
    elif alignment and isinstance(alignment.bounds, tuple | list) and alignment.crs is not None:
        box, crs = alignment.bounds, alignment.crs
    else:
        return None, None
    left, bottom, right, top = box
    x, y = _TOUCH * (right - left), _TOUCH * (top - bottom)
    return (left + x, bottom + y, right - x, top - y), crs


def _aligned(rows: GeoCatalog, alignment: Alignment | None) -> Alignment:
    given = alignment or Alignment()
    if given.bounds is None:
        given = replace(given, bounds="union")
    native = rows.gdf["native_crs"]
    if given.crs is None and native.nunique(dropna=False) > 1:
        given = replace(given, crs=rows.crs.to_wkt())
    built_for = "target_resolution" in rows.gdf.columns and rows.gdf["target_resolution"].notna().any()
    crs = given.crs or native.iloc[0]
    if given.resolution is None and built_for and isinstance(crs, str) and _same(crs, rows.crs):
        given = replace(given, resolution=rows.resolution)
    return given


def _same(crs: Any, other: Any) -> bool:
    import pyproj

    return bool(pyproj.CRS.from_user_input(crs) == other)
