"""load_raster: one mosaic of a slice from the rasters of a catalog."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gdal_gndc.catalog.duck import AnyCatalog
from gdal_gndc.catalog.geocatalog import GeoCatalog
from gdal_gndc.catalog.georeference import georeference
from gdal_gndc.catalog.geoslice import GeoSlice
from gdal_gndc.catalog.handles import ordered
from gdal_gndc.catalog.masks import QualityMask
from gdal_gndc.catalog.reducers import Reducer
from gdal_gndc.catalog.warp import Patch, read_on_grid
from gdal_gndc.errors import CatalogError

if TYPE_CHECKING:
    import xarray as xr


def load_raster(
    catalog: AnyCatalog,
    where: GeoSlice,
    bands: Sequence[int | str] | None = None,
    resampling: str = "nearest",
    merge: str = "first",
    *,
    scaled: bool = False,
    mask_band: int | str | None = None,
    mask_bits: Sequence[int] | None = None,
    mask_values: Sequence[int] | None = None,
    qa: AnyCatalog | None = None,
    workers: int | None = None,
) -> xr.DataArray:
    """All rasters that meet a slice, reduced to one.

    Parameters
    ----------
    catalog
        Rows of backend ``raster``, in any mix of CRSs and resolutions.
    where
        Place, time and grid; needs a resolution.
    bands
        Names or numbers from 1; default: all of the first file.
    merge
        ``first``, ``last`` (in time, then by location), ``min``, ``max``, ``mean``, ``median``, or ``count``
        of valid values.
    scaled
        Physical values (float32), by the scale and offset of each band, instead of stored ones.
    mask_band, mask_bits, mask_values, qa
        Pixels dropped before the reduction; see `gdal_gndc.catalog.masks.QualityMask`.
    workers
        Threads that read; default: twice the CPUs, at most 8.

    Returns
    -------
    xarray.DataArray
        (band, y, x) with CRS, transform, and the bool coordinate ``valid``. Where no file has a value, the
        pixels hold the first file's nodata, NaN for floats, else 0.

    Raises
    ------
    CatalogError
        If the catalog has rows of another backend, or none meets the slice.
    CoordinateError
        For a slice without resolution, or bands that a file lacks.
    """
    mask = QualityMask.of(mask_band, mask_bits, mask_values, qa)
    rows = hits(catalog, where, ("raster",))
    total = Reducer(merge)
    first: Patch | None = None
    for patch in patches(rows, where, bands, resampling, scaled, mask, workers):
        first = first or patch
        total.add(patch.data, patch.valid)
    assert first is not None
    data, valid, fill = finish(total, first)
    return georeference(data, valid, where, bands=first.names, nodata=fill)


def hits(catalog: AnyCatalog, where: GeoSlice, backends: Sequence[str]) -> GeoCatalog:
    """The rows that meet a slice with some area, in time order.

    Raises
    ------
    CatalogError
        If there is none, or one is of another backend.
    """
    _ = where.shape
    rows = catalog.query(where).collect()
    if not len(rows):
        raise CatalogError(f"no row of {catalog!r} meets {where!r}")
    others = sorted(set(rows.backends) - set(backends))
    if others:
        raise CatalogError(f"rows of backend {others} are loaded by another function; filter them with where()")
    gdf = rows.gdf
    start = pd.DatetimeIndex(gdf.index.left).asi8
    rank = gdf["location"].rank(method="first").to_numpy()
    return rows.take(np.lexsort((rank, start)))


def patches(
    rows: GeoCatalog,
    where: GeoSlice,
    bands: Sequence[int | str] | None,
    resampling: str,
    scaled: bool,
    mask: QualityMask | None,
    workers: int | None,
) -> Iterator[Patch]:
    """Each row of the catalog on the slice's grid, in order, masked."""
    locations = rows.gdf["location"].tolist()
    partners = mask.partners(rows, where) if mask is not None else [[] for _ in locations]

    def read(item: tuple[str, list[str]]) -> Patch:
        location, quality = item
        patch = read_on_grid(location, where, bands, resampling=resampling, scaled=scaled)
        if mask is None:
            return patch
        return Patch(patch.data, patch.valid & mask.keeps(quality, where)[None], patch.names, patch.nodata)

    yield from ordered(read, zip(locations, partners, strict=True), workers)


def finish(total: Reducer, first: Patch) -> tuple[np.ndarray, np.ndarray, float | None]:
    """A reduction's data with a fill value where it has none, its validity, and that value."""
    found = total.result()
    assert found is not None
    data, valid = found
    if total.method == "count":
        return data, valid, None
    if data.dtype.kind == "f":
        fill: float | None = float("nan")
    else:
        fill = first.nodata
    if not valid.all():
        data[~valid] = 0 if fill is None else fill
    return data, valid, fill
