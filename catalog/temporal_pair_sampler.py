"""temporal_pair_sampler: the same place at two times."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gdal_gndc.catalog.duck import AnyCatalog
from gdal_gndc.catalog.footprints import FootprintIndex
from gdal_gndc.catalog.geocatalog import GeoCatalog
from gdal_gndc.catalog.intervals import STATIC_START, STATIC_STOP, ticks
from gdal_gndc.catalog.random_sampler import ChipSequence, random_sampler
from gdal_gndc.errors import CoordinateError, TimeError


def temporal_pair_sampler(
    catalog: AnyCatalog,
    size: int | tuple[int, int],
    length: int,
    *,
    min_gap: Any = "1D",
    max_gap: Any = None,
    resolution: float | None = None,
    seed: int = 0,
) -> list[tuple[Any, Any]]:
    """Pairs of slices with the same bounds: an earlier and a later row of the catalog that share ground.

    Parameters
    ----------
    min_gap, max_gap
        Bounds, inclusive, of the time from the end of the earlier to the start of the later; what Timedelta
        reads.

    Other parameters are those of `random_sampler`. Pairs are drawn by the area they share.

    Returns
    -------
    list of (GeoSlice, GeoSlice)

    Raises
    ------
    TimeError
        If no two rows lie that far apart.
    """
    low, high = pd.Timedelta(min_gap), None if max_gap is None else pd.Timedelta(max_gap)
    catalog = catalog.collect()
    dated = catalog.take(np.flatnonzero(~catalog.gdf["static"].to_numpy()))
    gdf = dated.gdf
    geometry = np.asarray(gdf.geometry.array, dtype=object)
    blank = np.full(len(gdf), STATIC_START), np.full(len(gdf), STATIC_STOP)
    first, second = FootprintIndex(geometry, *blank).pairs(FootprintIndex(geometry, *blank), in_time=False)
    starts, stops = ticks(gdf.index)
    gap = starts[second] - stops[first]
    good = gap >= low // pd.Timedelta(1, "us")
    if high is not None:
        good &= gap <= high // pd.Timedelta(1, "us")
    first, second = first[good], second[good]
    if not first.size:
        raise TimeError(f"no two rows that share ground lie {low} to {high or 'any time'} apart")
    frame = gdf.take(first)
    common = np.asarray(frame.geometry.intersection(gdf.geometry.iloc[second], align=False).array, dtype=object)
    frame = frame.set_geometry(type(gdf.geometry)(common, index=frame.index, crs=gdf.crs))
    alive = np.asarray(frame.geometry.area > 0)
    if not alive.any():
        raise CoordinateError("the rows only touch each other: they share no area")
    earlier = GeoCatalog._of(frame.take(np.flatnonzero(alive)))
    step = resolution if resolution is not None else catalog.resolution
    chips = random_sampler(earlier, size, length, resolution=step, seed=seed)
    after = ChipSequence(dated, chips.bounds, second[alive][chips.rows], chips.resolution)
    return list(zip(chips, after, strict=True))
