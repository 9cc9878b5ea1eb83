"""How a catalog shows itself: one line, a notebook card with a map, a plot."""

from __future__ import annotations

import html as escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gdal_gndc.catalog.crs import crs_name
from gdal_gndc.catalog.options import need

if TYPE_CHECKING:
    from gdal_gndc.catalog.geocatalog import GeoCatalog

MAP_WIDTH = 360
MAP_ROWS = 500
COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1")


def describe(catalog: GeoCatalog) -> str:
    """One line: rows, backends, CRS, time."""
    if not len(catalog):
        return f"<GeoCatalog empty, {crs_name(catalog.crs)[:40]}>"
    kinds = "+".join(catalog.backends)
    extent = catalog.temporal_extent
    when = "static" if extent is None else f"{extent.left:%Y-%m-%d} to {extent.right:%Y-%m-%d}"
    layers = f", {catalog.layers} layers" if catalog.layers > 1 else ""
    return f"<GeoCatalog {len(catalog)} rows, {kinds}{layers}, {crs_name(catalog.crs)[:40]}, {when}>"


def html(catalog: GeoCatalog) -> str:
    """The line, an SVG map of up to 500 footprints spread over the rows, and the first rows."""
    title = f"<div><code>{escape.escape(describe(catalog))}</code></div>"
    if not len(catalog):
        return title
    rows = np.linspace(0, len(catalog) - 1, min(len(catalog), MAP_ROWS)).astype(np.int64)
    some = catalog.take(rows).gdf
    left, bottom, right, top = catalog.total_bounds
    scale = MAP_WIDTH / max(right - left, top - bottom, 1e-300)
    height = max(20.0, (top - bottom) * scale)
    b = some.bounds.to_numpy()
    kinds = catalog.backends
    colours = np.array(COLOURS)[some["backend"].map({k: n for n, k in enumerate(kinds)}).to_numpy()]
    x, y = (b[:, 0] - left) * scale, (top - b[:, 3]) * scale
    wide, tall = np.maximum((b[:, 2] - b[:, 0]) * scale, 1.0), np.maximum((b[:, 3] - b[:, 1]) * scale, 1.0)
    shapes = "".join(
        f'<rect x="{p:.1f}" y="{q:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{c}" fill-opacity=".15" stroke="{c}"/>'
        for p, q, w, h, c in zip(x, y, wide, tall, colours, strict=True)
    )
    width = max(20.0, (right - left) * scale)
    frame = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.1f} {height:.1f}"'
    svg = f"<svg {frame}>{shapes}</svg>"
    head = pd.DataFrame(catalog.take(np.arange(min(5, len(catalog)))).gdf).drop(columns="geometry")
    table: str = head[["location", "backend", "bands", "dtype", "native_crs"]].to_html(max_rows=5)
    return title + svg + table


def plot(catalog: GeoCatalog, ax: Any = None, *, column: str = "backend", **options: Any) -> Any:
    """Footprint outlines on matplotlib axes, coloured by ``column``."""
    need("matplotlib", "plotting a catalog")
    style = {"facecolor": "none", "legend": True, "linewidth": 1.0, **options}
    frame = catalog.gdf.reset_index(drop=True)
    frame = frame.set_geometry(frame.geometry.boundary)
    style.pop("facecolor")
    axes = frame.plot(ax=ax, column=column, **style)
    axes.set_title(describe(catalog))
    return axes
