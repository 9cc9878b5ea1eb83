"""grid_sampler: chips on a regular grid over every footprint, edges covered."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from gdal_gndc.catalog.duck import AnyCatalog
from gdal_gndc.catalog.geoslice import pair
from gdal_gndc.catalog.random_sampler import ChipSequence, chip_resolution
from gdal_gndc.errors import CoordinateError


def grid_sampler(
    catalog: AnyCatalog,
    chip: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    *,
    resolution: float | None = None,
    roi: Any = None,
) -> ChipSequence:
    """Chips row by row over the bounding box of each footprint, in the catalog's order.

    The last chip of a row or column is moved inwards to end at the footprint's edge; a footprint smaller than
    a chip gives one chip from its upper left corner.

    Parameters
    ----------
    chip, stride
        Height and width in pixels; the stride is the chip's size by default and may not be larger.
    resolution
        Pixel size in units of the catalog's CRS; default `GeoCatalog.resolution`.
    roi
        A geometry in the catalog's CRS that chips must meet.

    Raises
    ------
    CoordinateError
        If the stride leaves gaps, or no resolution is known.
    """
    catalog = catalog.collect()
    step = chip_resolution(catalog, resolution)
    size, move = np.array(pair(chip)), np.array(pair(stride if stride is not None else chip))
    if (move > size).any():
        raise CoordinateError(f"a stride of {tuple(move)} leaves gaps between chips of {tuple(size)} pixels")
    box = np.asarray(shapely.bounds(np.asarray(catalog.gdf.geometry.array, dtype=object))).reshape(-1, 4)
    extent = np.column_stack([box[:, 3] - box[:, 1], box[:, 2] - box[:, 0]]) / step
    # Footprints that were reprojected end within a pixel: those are covered too.
    extent = np.maximum(np.ceil(extent - 1e-6).astype(np.int64), 1)
    counts = np.maximum(-(-(extent - size) // move), 0) + 1
    per_row = counts.prod(axis=1)
    rows = np.repeat(np.arange(len(box)), per_row)
    number = np.arange(rows.size) - np.repeat(np.cumsum(per_row) - per_row, per_row)
    place = np.column_stack([number // counts[rows, 1], number % counts[rows, 1]])
    offset = np.minimum(place * move, np.maximum(extent[rows] - size, 0))
    top = box[rows, 3] - offset[:, 0] * step
    left = box[rows, 0] + offset[:, 1] * step
    bounds = np.column_stack([left, top - size[0] * step, left + size[1] * step, top])
    if roi is not None:
        shapely.prepare(roi)
        keep = shapely.intersects(roi, shapely.box(*bounds.T))
        bounds, rows = bounds[keep], rows[keep]
    return ChipSequence(catalog, bounds, rows, step)
