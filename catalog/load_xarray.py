"""load_xarray: netCDF, Zarr and GRIB archives on a slice's grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gdal_gndc.catalog.arrays import Grid, grid_of, open_dataset
from gdal_gndc.catalog.crs import reproject_boxes
from gdal_gndc.catalog.duck import AnyCatalog
from gdal_gndc.catalog.georeference import georeference
from gdal_gndc.catalog.geoslice import GeoSlice
from gdal_gndc.catalog.load_raster import hits
from gdal_gndc.catalog.options import choose, need
from gdal_gndc.catalog.warp import RESAMPLING
from gdal_gndc.errors import CatalogError, CoordinateError, FileFormatError

if TYPE_CHECKING:
    import xarray as xr

MARGIN = 4


def load_xarray(
    catalog: AnyCatalog,
    where: GeoSlice,
    bands: Sequence[str] | None = None,
    resampling: str = "nearest",
    *,
    engine: str | None = None,
) -> xr.DataArray:
    """The variables of array files on a slice's grid, at every time within its interval.

    Only the window of the slice is read, with a margin for the resampling. Where files overlap, the first (by
    start, then location) with a value gives it.

    Parameters
    ----------
    bands
        Names of variables; default: those of the first file in the catalog.
    resampling
        A method of GDAL's warper by its name in rasterio.

    Returns
    -------
    xarray.DataArray
        (time, band, y, x) floats, NaN where there is no value, with CRS, transform and the coordinate
        ``valid``. Without a time dimension: (band, y, x).

    Raises
    ------
    CatalogError
        If no row meets the slice, or a file's window holds no time within the interval.
    CoordinateError
        For variables that a file lacks.
    """
    choose("resampling", resampling, RESAMPLING)
    rows = hits(catalog, where, ("xarray",)).gdf
    names = list(bands) if bands is not None else list(rows["band_names"].iloc[0])
    parts = [
        _load(location, crs, where, names, resampling, engine)
        for location, crs in zip(rows["location"], rows["native_crs"], strict=True)
    ]
    parts = [part for part in parts if part[0].shape[0]]
    if not parts:
        raise CatalogError(f"the files that meet {where!r} have no time within its interval")
    timeless = [times is None for _, times in parts]
    if all(timeless):
        data = parts[0][0]
        for further, _ in parts[1:]:
            data = np.where(np.isnan(data), further, data)
        return georeference(data[0], ~np.isnan(data[0]), where, bands=names, nodata=float("nan"))
    if any(timeless):
        raise CatalogError("files with and without a time dimension are loaded separately")
    stamps = [times for _, times in parts if times is not None]
    whole = stamps[0].append(stamps[1:]) if len(stamps) > 1 else stamps[0]
    axis = whole.unique().sort_values()
    out = np.full((len(axis), *parts[0][0].shape[1:]), np.nan, dtype=np.result_type(*(d.dtype for d, _ in parts)))
    for (block, _), times in zip(reversed(parts), reversed(stamps), strict=True):
        at = axis.get_indexer(times)
        out[at] = np.where(np.isnan(block), out[at], block)
    return georeference(out, ~np.isnan(out), where, bands=names, times=axis, nodata=float("nan"))


def _load(
    location: str, crs: str, where: GeoSlice, names: list[str], resampling: str, engine: str | None
) -> tuple[np.ndarray, pd.DatetimeIndex | None]:
    with open_dataset(location, engine) as dataset:
        missing = [n for n in names if n not in dataset.data_vars]
        if missing:
            raise CoordinateError(f"{location}: no variables {missing}; there are {list(dataset.data_vars)}")
        grid = grid_of(dataset, crs=crs, variables=names, name=location)
        dataset, grid = _common_longitudes(dataset, grid, crs, names, location)
        rows, cols = _window(grid, where)
        chosen: dict[str, Any] = {grid.y: rows, grid.x: cols}
        times = None
        if grid.time is not None and grid.times is not None:
            keep = np.ones(len(grid.times), dtype=bool)
            if where.interval is not None:
                keep = (grid.times >= where.interval.left) & (grid.times <= where.interval.right)
            chosen[grid.time] = np.flatnonzero(keep)
            times = grid.times[keep]
        block = dataset[names].isel(chosen)
        dims = ([grid.time] if grid.time is not None else []) + [grid.y, grid.x]
        odd = [d for d in block.dims if d not in dims]
        if odd:
            raise FileFormatError(
                f"the dimensions {odd} are neither space nor time: select one level first", path=location
            )
        layers = [np.asarray(block[n].transpose(*[d for d in dims if d in block[n].dims]).values) for n in names]
    steps = 1 if times is None else len(times)
    shape = (steps, rows.stop - rows.start, cols.stop - cols.start)
    stack = np.stack([np.broadcast_to(v.reshape(-1, *shape[1:]), shape) for v in layers], axis=1)
    kind = stack.dtype if stack.dtype.kind == "f" else np.dtype(np.float64)
    return _warp(stack.astype(kind, copy=False), grid, (rows.start, cols.start), where, resampling), times


def _common_longitudes(
    dataset: xr.Dataset, grid: Grid, crs: str, names: list[str], name: str
) -> tuple[xr.Dataset, Grid]:
    """Longitudes of 0 to 360 rolled to -180 to 180."""
    edge = grid.transform[2] + grid.transform[0] * grid.width
    if not grid.crs.is_geographic or max(edge, grid.transform[2]) <= 180.0 + abs(grid.transform[0]):
        return dataset, grid
    turned = (dataset[grid.x] + 180.0) % 360.0 - 180.0
    rolled = dataset.assign_coords({grid.x: turned}).sortby(grid.x)
    steps = np.diff(np.asarray(rolled[grid.x].values))
    if steps.size and steps.max() > 1.5 * steps.min():
        # A regional file on the far side of the antimeridian stays as it is; only whole circles roll.
        east = np.asarray(turned.values) < 0
        shift = -360.0 if east.all() else 0.0
        rolled = dataset.assign_coords({grid.x: dataset[grid.x] + shift})
    return rolled, grid_of(rolled, crs=crs, variables=names, name=name)


def _window(grid: Grid, where: GeoSlice) -> tuple[slice, slice]:
    """Rows and columns of the source that the slice needs, with a margin."""
    left, bottom, right, top = reproject_boxes([where.bounds], where.crs, grid.crs)[0].bounds
    a, _, c, _, e, f = grid.transform
    cols = sorted(((left - c) / a, (right - c) / a))
    rows = sorted(((bottom - f) / e, (top - f) / e))
    # Coarser target pixels look further around themselves.
    reach_x = MARGIN + int(np.ceil((cols[1] - cols[0]) / where.shape[1]))
    reach_y = MARGIN + int(np.ceil((rows[1] - rows[0]) / where.shape[0]))
    first_col, last_col = int(np.floor(cols[0])) - reach_x, int(np.ceil(cols[1])) + reach_x
    first_row, last_row = int(np.floor(rows[0])) - reach_y, int(np.ceil(rows[1])) + reach_y

    def clip(first: int, last: int, size: int) -> slice:
        low = min(max(first, 0), size - 1)
        return slice(low, max(low + 1, min(last, size)))

    return clip(first_row, last_row, grid.height), clip(first_col, last_col, grid.width)


def _warp(stack: np.ndarray, grid: Grid, corner: tuple[int, int], where: GeoSlice, resampling: str) -> np.ndarray:
    """(time, band, h, w) of the source as (time, band, H, W) of the slice; all layers in one call."""
    need("rasterio", "loading arrays on a grid")
    from affine import Affine
    from rasterio.enums import Resampling
    from rasterio.warp import reproject

    steps, count, height, width = stack.shape
    out = np.full((steps * count, *where.shape), np.nan, dtype=stack.dtype)
    a, _, c, _, e, f = grid.transform
    source: Any = np.ascontiguousarray(stack.reshape(steps * count, height, width))
    if not source.shape[0]:
        return out.reshape(steps, count, *where.shape)
    reproject(
        source,
        out,
        src_transform=Affine(a, 0.0, c + a * corner[1], 0.0, e, f + e * corner[0]),
        src_crs=grid.crs.to_wkt(),
        src_nodata=np.nan,
        dst_transform=where.transform,
        dst_crs=where.crs.to_wkt(),
        dst_nodata=np.nan,
        resampling=Resampling[resampling],
    )
    return out.reshape(steps, count, *where.shape)
