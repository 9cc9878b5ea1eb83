"""random_sampler: seeded chips, uniform over the ground that a catalog covers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import shapely

from gdal_gndc.catalog.duck import AnyCatalog
from gdal_gndc.catalog.geocatalog import GeoCatalog
from gdal_gndc.catalog.geoslice import GeoSlice, pair
from gdal_gndc.catalog.options import choose
from gdal_gndc.errors import CoordinateError

ROUNDS = 200


class ChipSequence(Sequence[GeoSlice]):
    """Chips as arrays, handed out as slices one by one; indexable, so a torch map-style dataset can hold it.

    Attributes
    ----------
    bounds
        (N, 4) float64, in the catalog's CRS.
    rows
        (N,) int64, the catalog's row that gave each chip its place and time.
    """

    def __init__(self, catalog: GeoCatalog, bounds: np.ndarray, rows: np.ndarray, resolution: float) -> None:
        self.catalog = catalog
        self.bounds = bounds
        self.rows = rows
        self.resolution = resolution

    def __len__(self) -> int:
        return len(self.bounds)

    @overload
    def __getitem__(self, index: int) -> GeoSlice: ...
    @overload
    def __getitem__(self, index: slice) -> ChipSequence: ...
    def __getitem__(self, index: int | slice) -> GeoSlice | ChipSequence:
        if isinstance(index, slice):
            return ChipSequence(self.catalog, self.bounds[index], self.rows[index], self.resolution)
        row = self.catalog.gdf.index[int(self.rows[index])]
        interval = None if not hasattr(row, "left") else row
        left, bottom, right, top = self.bounds[index].tolist()
        size = (self.resolution, self.resolution)
        return GeoSlice((left, bottom, right, top), interval, size, self.catalog.crs)

    def __iter__(self) -> Iterator[GeoSlice]:
        return (self[k] for k in range(len(self)))

    def __repr__(self) -> str:
        return f"<ChipSequence of {len(self)} chips from {self.catalog!r}>"


def random_sampler(
    catalog: AnyCatalog,
    size: int | tuple[int, int],
    length: int,
    *,
    resolution: float | None = None,
    seed: int = 0,
    units: str = "pixels",
    roi: Any = None,
) -> ChipSequence:
    """Chips at random: a row by the area of its footprint, a pixel within it uniformly.

    Footprints smaller than a chip give chips centred on them. In footprints that are not boxes (split or
    turned ones, intersections) the chip's centre lies within, so a chip may reach over the edge. Chips start
    at whole pixels counted from the footprint's upper left corner.

    Parameters
    ----------
    catalog
        Also a union or an intersection: chips then lie where all operands are.
    size
        Height and width, in pixels, or with ``units="crs"`` in units of the catalog's CRS.
    length
        How many.
    resolution
        Pixel size in units of the catalog's CRS; default `GeoCatalog.resolution`.
    seed
        The same seed gives the same chips.
    roi
        A geometry in the catalog's CRS that all centres lie in.

    Returns
    -------
    ChipSequence
        Slices with the row's interval.

    Raises
    ------
    CoordinateError
        For an empty catalog, no known resolution, or a region of interest that no chip can hit.
    """
    catalog = catalog.collect()
    step = chip_resolution(catalog, resolution)
    height, width = chip_extent(size, step, units)
    if not len(catalog):
        raise CoordinateError("an empty catalog gives no chips")
    if length < 0:
        raise CoordinateError(f"length={length}: expected a number of chips")
    geometry = np.asarray(catalog.gdf.geometry.array, dtype=object)
    if roi is not None:
        geometry = np.asarray(shapely.intersection(geometry, roi), dtype=object)
    area = np.asarray(shapely.area(geometry))
    if not area.sum() > 0:
        raise CoordinateError("the footprints, or their part within roi, have no area")
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(geometry), size=length, p=area / area.sum())
    box = np.asarray(shapely.bounds(geometry))
    # Chips keep within the bounding box where they fit; where they do not, they are centred.
    pad = np.array([width, height]) / 2
    middle = (box[:, :2] + box[:, 2:]) / 2
    low, high = np.minimum(box[:, :2] + pad, middle), np.maximum(box[:, 2:] - pad, middle)
    fits = (box[:, 2:] - box[:, :2]) >= 2 * pad
    low, high = np.where(fits, low, middle), np.where(fits, high, middle)
    centre = np.empty((length, 2))
    todo = np.arange(length)
    shapely.prepare(geometry)
    for _ in range(ROUNDS):
        here = rows[todo]
        centre[todo] = low[here] + rng.random((todo.size, 2)) * (high[here] - low[here])
        # A footprint that no chip fits into keeps its middle even where the polygon does not hold it.
        fixed = ~fits[here].any(axis=1)
        good = fixed | shapely.contains_xy(geometry[here], centre[todo, 0], centre[todo, 1])
        todo = todo[~good]
        if not todo.size:
            break
    if todo.size:
        raise CoordinateError(
            f"{todo.size} chips found no place within the footprints: they are too thin for this size"
        )
    # Whole pixels from the footprint's upper left corner: on the files' own grid a chip is a plain window.
    corner = np.column_stack([box[rows, 0], box[rows, 3]])
    offset = np.floor(
        np.column_stack([centre[:, 0] - pad[0] - corner[:, 0], corner[:, 1] - centre[:, 1] - pad[1]]) / step
    )
    left, top = corner[:, 0] + offset[:, 0] * step, corner[:, 1] - offset[:, 1] * step
    bounds = np.column_stack([left, top - height, left + width, top])
    return ChipSequence(catalog, bounds, rows, step)


def chip_resolution(catalog: AnyCatalog, resolution: float | None) -> float:
    """The pixel size that is given, else the catalog's."""
    step = resolution if resolution is not None else catalog.resolution
    if step is None:
        raise CoordinateError("the pixel size in the catalog's CRS is not known: give resolution=")
    return float(step)


def chip_extent(size: Any, resolution: float, units: str) -> tuple[float, float]:
    """(height, width) of a chip in units of the CRS."""
    if choose("units", units, ("pixels", "crs")) == "pixels":
        height, width = pair(size)
        return height * resolution, width * resolution
    height, width = size if isinstance(size, (tuple, list)) else (size, size)
    if not (height > 0 and width > 0):
        raise CoordinateError(f"size={size!r}: expected positive lengths")
    return round(height / resolution) * resolution, round(width / resolution) * resolution
