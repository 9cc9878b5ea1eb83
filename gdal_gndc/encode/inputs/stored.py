"""Windows of rasters on a cube's grid, as the files store them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.encode.inputs.grid import Grid
from gdal_gndc.errors import EncodeError, FileFormatError
from gdal_gndc.raster_handles import reading

Range = tuple[int, int]
Stored = tuple[NDArray[Any], NDArray[np.bool_]]


def read_stored(
    path: str,
    indexes: tuple[int, ...],
    rows: Range,
    cols: Range,
    *,
    grid: Grid,
    resampling: str | None,
    codes: bool = False,
) -> Stored:
    """Read a window of bands of a file.

    Parameters
    ----------
    indexes
        Numbers of the bands from 1.
    rows, cols
        The window, in pixels of ``grid``.
    grid, resampling
        What a file on another grid is warped to, and how; with None the file has this grid.
    codes
        The bands hold codes: these are not mixed by resampling, and a declared nodata is a code like others.

    Returns
    -------
    tuple of ndarray
        Values as stored and where they count, (B, H, W) each: in the file, and not hidden by its mask. Nodata counts;
        who asks knows best what it is.

    Raises
    ------
    EncodeError
        If the file cannot be read; it is named.
    """

    def read(source: Any) -> Stored:
        if resampling is None:
            return _window(source, indexes, rows, cols)
        shift = grid.shift_of(Grid.of(source))
        if shift is not None:
            return _shifted(source, indexes, rows, cols, shift)
        return read_warped(source, indexes, rows, cols, grid, "nearest" if codes else resampling, raw=codes)

    try:
        return reading(path, read)
    except FileFormatError as error:
        raise EncodeError(f"{path}: cannot be read: {error.problem}") from error


def _window(source: Any, indexes: tuple[int, ...], rows: Range, cols: Range) -> Stored:
    from rasterio.windows import Window

    window = Window.from_slices(rows, cols)
    stored = source.read(indexes, window=window)
    if _all_valid(source, indexes) or source.nodata is not None:
        return stored, np.ones(stored.shape, np.bool_)
    return stored, source.read_masks(indexes, window=window) > 0


def _shifted(source: Any, indexes: tuple[int, ...], rows: Range, cols: Range, shift: tuple[int, int]) -> Stored:
    """Read a tile of the grid, as it is, whose first pixel has this row and column in the grid."""
    shape = len(indexes), rows[1] - rows[0], cols[1] - cols[0]
    stored = np.zeros(shape, np.result_type(*(source.dtypes[i - 1] for i in indexes)))
    valid = np.zeros(shape, np.bool_)
    top, left = shift
    r0, r1 = max(rows[0], top), min(rows[1], top + source.height)
    c0, c1 = max(cols[0], left), min(cols[1], left + source.width)
    if r0 < r1 and c0 < c1:
        here = np.s_[:, r0 - rows[0] : r1 - rows[0], c0 - cols[0] : c1 - cols[0]]
        stored[here], valid[here] = _window(source, indexes, (r0 - top, r1 - top), (c0 - left, c1 - left))
    return stored, valid


def read_warped(
    source: Any, indexes: tuple[int, ...], rows: Range, cols: Range, grid: Grid, resampling: str, *, raw: bool
) -> Stored:
    """As `read_stored`, of an open raster; with ``raw`` its nodata is a value like others."""
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT
    from rasterio.windows import Window

    plain = _all_valid(source, indexes)
    nodata = None if raw else source.nodata
    # the mask that comes from nodata alone says nothing of codes
    alpha = nodata is None and (plain or source.nodata is not None)
    # Left to itself the warper would take scale and approximation from each window, and a chunk, which is read with
    # other windows than a whole frame, would be held against other values.
    scale = str(grid.cells_per_pixel(Grid.of(source)))
    with WarpedVRT(
        source,
        crs=grid.crs,
        transform=grid.affine,
        width=grid.width,
        height=grid.height,
        resampling=Resampling[resampling],
        tolerance=1e-6,
        src_nodata=nodata,
        nodata=nodata,
        XSCALE=scale,
        YSCALE=scale,
        add_alpha=alpha,
    ) as view:
        window = Window.from_slices(rows, cols)
        stored = view.read(indexes, window=window)
        if nodata is not None:
            valid = np.ones(stored.shape, np.bool_)
        elif alpha:
            valid = np.broadcast_to(view.read(view.count, window=window) > 0, stored.shape)
        else:
            valid = np.broadcast_to(view.dataset_mask(window=window) > 0, stored.shape)
    return stored, valid


def _all_valid(source: Any, indexes: Sequence[int]) -> bool:
    from rasterio.enums import MaskFlags

    return all(MaskFlags.all_valid in source.mask_flag_enums[i - 1] for i in indexes)
