"""Random catalogs, and the brute-force answers that they are checked against."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from hypothesis import settings
from hypothesis import strategies as st

from gdal_gndc.catalog import GeoCatalog
from gdal_gndc.catalog.intervals import interval_index

# No deadline: what a busy machine takes says nothing about the property.
PROPERTY = settings(deadline=None, max_examples=25)
DAY = np.timedelta64(86_400_000_000, "us")


def catalog_of(
    boxes: Any, starts: Any, stops: Any, crs: Any = "EPSG:32633", names: list[str] | None = None, **columns: Any
) -> GeoCatalog:
    """A catalog of boxes (N, 4) with times; NaT is a static row."""
    box = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    index = interval_index(pd.DatetimeIndex(starts), pd.DatetimeIndex(stops))
    frame = gpd.GeoDataFrame(
        {
            "location": pd.array(names or [f"/data/{k}.tif" for k in range(len(box))], dtype="str"),
            "static": np.asarray(index.isna()),
            **columns,
        },
        geometry=shapely.box(*box.T),
        crs=crs,
    )
    frame.index = index
    return GeoCatalog(frame)


def random_catalog(count: int, seed: int, *, size: float = 0.5, prefix: str = "/data") -> GeoCatalog:
    """Boxes of ``size`` degrees over the world, one day each within ten years."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-180, 180 - size, count), rng.uniform(-90, 90 - size, count)
    start = np.datetime64("2015-01-01", "us") + rng.integers(0, 3650 * 86400, count).astype("m8[s]")
    names = [f"{prefix}/{seed}/{k:07d}.tif" for k in range(count)]
    boxes = np.column_stack([x, y, x + size, y + size])
    return catalog_of(boxes, start, start + DAY, "EPSG:4326", names)


# Small integers make touching edges, equal instants and duplicates common.
@st.composite
def catalogs(draw: st.DrawFn, max_rows: int = 12, names: str = "a") -> GeoCatalog:
    count = draw(st.integers(0, max_rows))
    corner = draw(st.lists(st.tuples(*[st.integers(0, 8)] * 2), min_size=count, max_size=count))
    size = draw(st.lists(st.tuples(*[st.integers(1, 4)] * 2), min_size=count, max_size=count))
    day = draw(st.lists(st.integers(0, 10), min_size=count, max_size=count))
    length = draw(st.lists(st.integers(0, 4), min_size=count, max_size=count))
    static = draw(st.lists(st.integers(0, 5), min_size=count, max_size=count))
    label = draw(st.lists(st.integers(0, 6), min_size=count, max_size=count))
    low, extent = np.array(corner).reshape(-1, 2), np.array(size).reshape(-1, 2)
    start = np.datetime64("2024-01-01", "us") + np.array(day, dtype=np.int64) * DAY
    stop = start + np.array(length, dtype=np.int64) * DAY
    undated = np.array(static, dtype=int) == 0
    start[undated] = np.datetime64("NaT")
    stop[undated] = np.datetime64("NaT")
    return catalog_of(np.hstack([low, low + extent]), start, stop, names=[f"/{names}/{k}.tif" for k in label])


@st.composite
def questions(draw: st.DrawFn) -> tuple[tuple[float, float, float, float] | None, tuple[Any, Any] | None]:
    bounds = None
    if draw(st.booleans()):
        x, y = draw(st.integers(-1, 10)), draw(st.integers(-1, 10))
        bounds = (x, y, x + draw(st.integers(0, 5)), y + draw(st.integers(0, 5)))
    interval = None
    if draw(st.booleans()):
        first = pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(days=draw(st.integers(-2, 14)))
        interval = (first, first + pd.Timedelta(days=draw(st.integers(0, 5))))
    return bounds, interval


def brute_query(catalog: GeoCatalog, bounds: Any, interval: Any) -> list[int]:
    """Row by row: closed boxes and closed intervals that meet."""
    found = []
    for row, (when, geometry) in enumerate(zip(catalog.gdf.index, catalog.gdf.geometry, strict=True)):
        here = bounds is None or geometry.intersects(shapely.box(*bounds))
        now = interval is None or not hasattr(when, "left") or (when.left <= interval[1] and when.right >= interval[0])
        if here and now:
            found.append(row)
    return found


def key_rows(catalog: GeoCatalog) -> list[tuple[Any, ...]]:
    """Rows as a sorted multiset of (locations, footprint, time)."""
    gdf = catalog.gdf
    names = [gdf["location"]] + [gdf[f"location_{k}"] for k in range(2, catalog.layers + 1)]
    places = zip(*names, strict=True)
    boxes = [tuple(b) for b in gdf.bounds.to_numpy().round(6)]
    return sorted((*place, box, str(when)) for place, box, when in zip(places, boxes, gdf.index, strict=True))
