"""polygons_from_mask: a raster's regions as features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from gdal_gndc.catalog.options import need
from gdal_gndc.errors import CoordinateError

if TYPE_CHECKING:
    import xarray as xr


def polygons_from_mask(
    mask: xr.DataArray, *, min_area: float = 0.0, connectivity: int = 4, background: Any = 0
) -> gpd.GeoDataFrame:
    """Regions of equal value as polygons.

    Parameters
    ----------
    mask
        (y, x), bool or integer, as the loaders return (with ``spatial_ref``). Pixels that its coordinate
        ``valid`` rules out belong to no region.
    min_area
        Smaller regions are left out; in square units of the CRS.
    connectivity
        4 or 8 neighbours.
    background
        The value that makes no polygons.

    Returns
    -------
    GeoDataFrame
        ``value`` (int), ``area``, ``geometry``, in the mask's CRS.

    Raises
    ------
    CoordinateError
        If the array is not (y, x) or carries no georeference.
    """
    need("rasterio", "polygons from a mask")
    from affine import Affine
    from rasterio.features import shapes

    if mask.dims != ("y", "x") or "spatial_ref" not in mask.coords:
        raise CoordinateError(f"expected a georeferenced (y, x) array, found dimensions {mask.dims}")
    attrs = mask.coords["spatial_ref"].attrs
    c, a, b, f, d, e = (float(v) for v in attrs["GeoTransform"].split())
    values = np.asarray(mask.values)
    if values.dtype.kind not in "biu":
        raise CoordinateError(f"a mask is bool or integer, found {values.dtype}")
    wanted = values != background
    if "valid" in mask.coords and mask.coords["valid"].shape == mask.shape:
        wanted &= np.asarray(mask.coords["valid"].values)
    found = list(
        shapes(
            values.astype(np.int32),
            mask=wanted,
            connectivity=connectivity,
            transform=Affine(a, b, c, d, e, f),
        )
    )
    geometry = np.array([shapely.geometry.shape(g) for g, _ in found], dtype=object)
    frame = gpd.GeoDataFrame(
        {"value": np.array([int(v) for _, v in found], dtype=np.int64), "area": shapely.area(geometry)},
        geometry=geometry,
        crs=pyproj.CRS.from_wkt(attrs["crs_wkt"]),
    )
    kept = frame[frame["area"] >= min_area]
    return kept.set_index(pd.RangeIndex(len(kept)))
