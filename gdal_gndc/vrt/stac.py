"""A STAC collection of the VRTs in a folder: one item a date."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdal_gndc.atomic import write_text
from gdal_gndc.errors import CoordinateError, TimeError
from gdal_gndc.times import format_time

if TYPE_CHECKING:
    from gdal_gndc.time_axis import Moment

VERSION = "1.1.0"
COLLECTION = "collection.json"
_PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
# Steps along an edge when a raster's outline is turned into longitude and latitude.
_EDGE = 21


def write_stac(folder: Path, name: str, cubes: Sequence[str], files: Sequence[tuple[str, Moment]]) -> Path:
    """Write a STAC item beside each VRT, and ``collection.json`` which links them.

    Parameters
    ----------
    folder
        Where the VRTs lie.
    name
        Id of the collection.
    cubes
        What the VRTs read, as they name it.
    files
        Names of the VRTs, and the moment of each.

    Returns
    -------
    Path
        ``collection.json``.

    Raises
    ------
    CoordinateError
        If the rasters have no CRS.
    TimeError
        If they have no dates.
    """
    items = [_item(folder / file, moment, name, cubes) for file, moment in files]
    for item, (file, _) in zip(items, files, strict=True):
        _dump((folder / file).with_suffix(".json"), item)
    west, south, east, north = zip(*(item["bbox"] for item in items), strict=True)
    times = [item["properties"]["datetime"] for item in items]
    links = [{"rel": "root", "href": f"./{COLLECTION}", "type": "application/json"}]
    links += [
        {"rel": "item", "href": f"./{Path(file).with_suffix('.json')}", "type": "application/geo+json"}
        for file, _ in files
    ]
    collection = {
        "type": "Collection",
        "stac_version": VERSION,
        "id": name,
        "description": f"Rasters of {', '.join(cubes)}, evaluated when they are read.",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[min(west), min(south), max(east), max(north)]]},
            "temporal": {"interval": [[min(times), max(times)]]},
        },
        "links": links,
    }
    _dump(folder / COLLECTION, collection)
    return folder / COLLECTION


def _item(path: Path, moment: Moment, collection: str, cubes: Sequence[str]) -> dict[str, Any]:
    import rasterio

    if moment.time is None:
        raise TimeError("a STAC item needs a date, and the frames of the cube have none")
    with rasterio.open(path) as raster:
        if raster.crs is None:
            raise CoordinateError("a STAC item needs a place, and the cube has no CRS")
        ring = _outline(raster)
        code = raster.crs.to_epsg()
        projection: dict[str, Any] = {
            "proj:code": f"EPSG:{code}" if code else None,
            "proj:shape": list(raster.shape),
            "proj:transform": [float(value) for value in tuple(raster.transform)[:6]],
        }
        if not code:
            projection["proj:wkt2"] = raster.crs.to_wkt(version="WKT2_2019")
        bands = [{"name": name or f"band {i}"} for i, name in enumerate(raster.descriptions, 1)]
    xs, ys = zip(*ring, strict=True)
    assets = {"raster": {"href": f"./{path.name}", "type": "application/xml", "roles": ["data"], "bands": bands}}
    for i, cube in enumerate(cubes):
        key = "cube" if len(cubes) == 1 else f"cube{i}"
        href = cube if "://" in cube else Path(os.path.normpath(path.parent / cube)).as_posix()
        assets[key] = {"href": href, "type": "application/octet-stream", "roles": ["source"]}
    return {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": [_PROJECTION],
        "id": path.stem,
        "collection": collection,
        "geometry": {"type": "Polygon", "coordinates": [[list(corner) for corner in ring]]},
        "bbox": [min(xs), min(ys), max(xs), max(ys)],
        "properties": {
            "datetime": format_time(moment.time),
            "gndc:observed": moment.frame is not None,
            **projection,
        },
        "links": [
            {"rel": relation, "href": f"./{COLLECTION}", "type": "application/json"}
            for relation in ("root", "parent", "collection")
        ],
        "assets": assets,
    }


def _outline(raster: Any) -> list[tuple[float, float]]:
    """Return the outline in longitude and latitude, counterclockwise and closed."""
    import numpy as np
    from rasterio.warp import transform

    t = raster.transform
    along, zero = np.linspace(0.0, 1.0, _EDGE)[:-1], np.zeros(_EDGE - 1)
    cols = np.concatenate([zero, along, zero + 1, 1 - along]) * raster.width
    rows = np.concatenate([along, zero + 1, 1 - along, zero]) * raster.height
    xs, ys = t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f
    lon, lat = transform(raster.crs, "EPSG:4326", xs.tolist(), ys.tolist())
    ring = [(round(x, 9), round(y, 9)) for x, y in zip(lon, lat, strict=True)]
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, ring[1:] + ring[:1], strict=True))
    return [*ring, ring[0]] if area > 0 else [*ring[::-1], ring[-1]]


def _dump(path: Path, document: dict[str, Any]) -> None:
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
