"""One raster on a slice's grid: a windowed read where the grids agree, a warp at the right overview where
not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gdal_gndc.catalog.crs import as_crs, same_crs
from gdal_gndc.catalog.geoslice import GeoSlice
from gdal_gndc.catalog.handles import dataset
from gdal_gndc.catalog.options import choose
from gdal_gndc.errors import CoordinateError

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

RESAMPLING = (
    "nearest",
    "bilinear",
    "cubic",
    "cubic_spline",
    "lanczos",
    "average",
    "mode",
    "max",
    "min",
    "med",
    "rms",
)


@dataclass(frozen=True)
class Patch:
    """Pixels on a slice's grid: data (B, H, W), validity of the same shape, band names, the fill value if
    any."""

    data: np.ndarray
    valid: np.ndarray
    names: tuple[str, ...]
    nodata: float | None


def read_on_grid(
    location: str,
    where: GeoSlice,
    bands: Sequence[int | str] | None = None,
    *,
    resampling: str = "nearest",
    scaled: bool = False,
) -> Patch:
    """Bands of a raster on the grid of a slice.

    Parameters
    ----------
    bands
        Names (the raster's band descriptions, or ``B1``...) or numbers from 1. Default: all but an alpha
        band.
    resampling
        A method of GDAL's warper by its name in rasterio.
    scaled
        Whether the bands' scale and offset are applied (float32), or stored values returned.

    Raises
    ------
    CoordinateError
        For a band that is not there.
    FileFormatError
        If the raster cannot be opened.
    """
    choose("resampling", resampling, RESAMPLING)
    source = dataset(location)
    numbers, names = band_numbers(source, bands, location)
    window = _aligned_window(source, where)
    if window is not None:
        data, valid = _read_window(source, where, numbers, window)
    else:
        level = _overview(source, where)
        data, valid = _read_warped(dataset(location, level), where, numbers, resampling)
    if scaled:
        scale = np.array([source.scales[n - 1] for n in numbers], dtype=np.float64)[:, None, None]
        offset = np.array([source.offsets[n - 1] for n in numbers], dtype=np.float64)[:, None, None]
        data = (data * scale + offset).astype(np.float32)
        data[~valid] = np.nan
        return Patch(data, valid, names, float("nan"))
    return Patch(data, valid, names, source.nodata)


def band_numbers(
    source: DatasetReader, bands: Sequence[int | str] | None, location: str
) -> tuple[list[int], tuple[str, ...]]:
    """Bands by name or number as numbers from 1, with their names."""
    from rasterio.enums import ColorInterp

    known = tuple(d or f"B{k}" for k, d in enumerate(source.descriptions, 1))
    if bands is None:
        numbers = [k for k in source.indexes if source.colorinterp[k - 1] != ColorInterp.alpha]
    else:
        wanted = [bands] if isinstance(bands, (str, int)) else list(bands)
        lookup: dict[Any, int] = {name: k for k, name in reversed(list(enumerate(known, 1)))}
        lookup |= {k: k for k in source.indexes}
        missing = [b for b in wanted if b not in lookup]
        if missing:
            raise CoordinateError(f"{location}: no bands {missing}; there are {list(known)}")
        numbers = [lookup[b] for b in wanted]
    return numbers, tuple(known[n - 1] for n in numbers)


def _aligned_window(source: DatasetReader, where: GeoSlice) -> tuple[int, int] | None:
    """(row, column) of the slice's corner in the raster, if both grids are one; else None."""
    if source.crs is None:
        raise CoordinateError(f"{source.name}: the raster has no CRS")
    a, b = source.transform, where.transform
    if a.b or a.d or abs(a.a - b.a) > 1e-6 * abs(a.a) or abs(a.e - b.e) > 1e-6 * abs(a.e):
        return None
    col, row = (b.c - a.c) / a.a, (b.f - a.f) / a.e
    if abs(col - round(col)) > 1e-3 or abs(row - round(row)) > 1e-3:
        return None
    height, width = where.shape
    # Pixel sizes that differ a little must not add up to a visible shift over the whole slice.
    drift = max(abs(a.a - b.a) / abs(a.a) * width, abs(a.e - b.e) / abs(a.e) * height)
    if drift > 1e-2 or not same_crs(as_crs(source.crs), where.crs):
        return None
    return round(row), round(col)


def _read_window(
    source: DatasetReader, where: GeoSlice, numbers: list[int], corner: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    from rasterio.windows import Window

    height, width = where.shape
    row, col = corner
    top, left = max(row, 0), max(col, 0)
    bottom, right = min(row + height, source.height), min(col + width, source.width)
    fill = 0 if source.nodata is None else source.nodata
    data = np.full((len(numbers), height, width), fill, dtype=source.dtypes[numbers[0] - 1])
    valid = np.zeros(data.shape, dtype=bool)
    if bottom <= top or right <= left:
        return data, valid
    window = Window(left, top, right - left, bottom - top)
    block = source.read(numbers, window=window)
    inside = np.s_[:, top - row : bottom - row, left - col : right - col]
    data[inside] = block
    if source.nodata is not None or _plain(source):
        valid[inside] = _known(block, source.nodata)
    else:
        valid[inside] = source.read_masks(numbers, window=window) > 0
    return data, valid


def _overview(source: DatasetReader, where: GeoSlice) -> int | None:
    """Index of the coarsest overview that is still at least as fine as the slice; None: the full raster."""
    factors = source.overviews(1)
    if not factors:
        return None
    outline = where.footprint(as_crs(source.crs))
    t = source.transform
    wanted = outline.area / (where.shape[0] * where.shape[1])
    ratio = float(np.sqrt(wanted / abs(t.a * t.e - t.b * t.d)))
    fine = [k for k, factor in enumerate(factors) if factor <= ratio * 1.01]
    return fine[-1] if fine else None


def _read_warped(
    source: DatasetReader, where: GeoSlice, numbers: list[int], resampling: str
) -> tuple[np.ndarray, np.ndarray]:
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT

    height, width = where.shape
    alpha = source.nodata is None and _plain(source)
    with WarpedVRT(
        source,
        crs=where.crs.to_wkt(),
        transform=where.transform,
        width=width,
        height=height,
        resampling=Resampling[resampling],
        nodata=source.nodata,
        add_alpha=alpha,
    ) as view:
        data = view.read(numbers)
        if source.nodata is not None:
            valid = _known(data, source.nodata)
        else:
            mask = view.read(view.count) if alpha else view.dataset_mask()
            valid = np.broadcast_to(mask > 0, data.shape) & _known(data, None)
    return data, np.ascontiguousarray(valid)


def _plain(source: DatasetReader) -> bool:
    from rasterio.enums import MaskFlags

    return all(MaskFlags.all_valid in flags for flags in source.mask_flag_enums)


def _known(data: np.ndarray, nodata: float | None) -> np.ndarray:
    valid = np.ones(data.shape, dtype=bool)
    if data.dtype.kind == "f":
        valid = ~np.isnan(data)
    if nodata is not None and not np.isnan(nodata):
        valid &= data != np.asarray(nodata, dtype=data.dtype)
    return valid
