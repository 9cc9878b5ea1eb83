"""A cube as a STAC Item: where and when it is, its bands, its dimensions.

STAC 1.1.0 with the extensions projection 2.0.0, datacube 2.2.0, eo 2.0.0 and raster 2.0.0.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from gdal_gndc.times import format_time
from gdal_gndc.window import apply

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset
    from gdal_gndc.format.meta import Band

MEDIA_TYPE = "application/vnd.gndc+zip"
_EXTENSIONS = "https://stac-extensions.github.io"
# points along each edge of the footprint, which is curved in longitude and latitude
_EDGE = 16
_DECIMALS = 7


def stac_item(dataset: GNDCDataset, *, href: str | None = None, item_id: str | None = None) -> dict[str, Any]:
    """Return a STAC Item of a cube, ready for ``json.dumps`` or ``pystac.Item.from_dict``.

    Parameters
    ----------
    href
        Where the file is, as the Item shall say; the dataset's own name by default.
    item_id
        By default the file's name without its suffix.

    Returns
    -------
    dict
        Geometry in longitude and latitude, null for a cube without a place; the times of its first and last
        observation; ``cube:dimensions`` and ``cube:variables``; one asset ``data`` with its bands.
    """
    name = PurePosixPath(dataset.name.replace("\\", "/").split("?")[0])
    geometry, box = _footprint(dataset)
    extensions = ["datacube/v2.2.0", "raster/v2.0.0"]
    bands = [_band(band, dataset.resolution[0]) for band in dataset.bands_meta]
    # an Item must not name an extension of which it has nothing
    if any(key.startswith("eo:") for band in bands for key in band):
        extensions.insert(0, "eo/v2.0.0")
    properties: dict[str, Any] = {**_times(dataset), **_projection(dataset)}
    if "proj:shape" in properties:
        extensions.insert(0, "projection/v2.0.0")
    properties["cube:dimensions"] = _dimensions(dataset)
    properties["cube:variables"] = {
        band.name: {
            "type": "data",
            "dimensions": list(properties["cube:dimensions"])[:3],
            **{key: value for key, value in (("description", band.description), ("unit", band.unit)) if value},
        }
        for band in dataset.bands_meta
    }
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [f"{_EXTENSIONS}/{extension}/schema.json" for extension in extensions],
        "id": item_id or name.stem,
        "geometry": geometry,
    }
    if box is not None:
        item["bbox"] = box
    item["properties"] = properties
    item["links"] = []
    item["assets"] = {
        "data": {
            "href": href or dataset.name,
            "type": MEDIA_TYPE,
            "title": "Neural data cube",
            "roles": ["data"],
            "bands": bands,
        }
    }
    return item


def _times(dataset: GNDCDataset) -> dict[str, Any]:
    times = dataset.timestamps
    if not times:
        return {"datetime": None}
    first, last = format_time(min(times)), format_time(max(times))
    return {"datetime": first if first == last else None, "start_datetime": first, "end_datetime": last}


def _projection(dataset: GNDCDataset) -> dict[str, Any]:
    if dataset.crs is None or dataset.transform is None:
        return {}
    from pyproj import CRS

    authority = CRS.from_user_input(dataset.crs).to_authority(min_confidence=100)
    found: dict[str, Any] = {"proj:code": ":".join(authority) if authority else None}
    if not authority:
        found["proj:wkt2"] = CRS.from_user_input(dataset.crs).to_wkt()
    found["proj:shape"] = [dataset.height, dataset.width]
    found["proj:transform"] = [float(v) for v in tuple(dataset.transform)[:6]]
    found["proj:bbox"] = [float(v) for v in dataset.bounds]
    return found


def _footprint(dataset: GNDCDataset) -> tuple[dict[str, Any] | None, list[float] | None]:
    if dataset.crs is None or dataset.transform is None:
        return None, None
    from pyproj import Transformer

    along = np.linspace(0, 1, _EDGE, endpoint=False)
    zero, one = np.zeros(_EDGE), np.ones(_EDGE)
    # counter-clockwise from the lower left where y grows upwards
    cols = np.concatenate([along, one, 1 - along, zero, [0]]) * dataset.width
    rows = np.concatenate([one, 1 - along, zero, along, [1]]) * dataset.height
    x, y = apply(dataset.transform, cols, rows)
    to_degrees = Transformer.from_crs(dataset.crs, "EPSG:4326", always_xy=True)
    lon, lat = (np.round(a, _DECIMALS) for a in to_degrees.transform(x, y))
    ring = [[float(p), float(q)] for p, q in zip(lon, lat, strict=True)]
    box = [float(v) for v in (lon.min(), lat.min(), lon.max(), lat.max())]
    return {"type": "Polygon", "coordinates": [ring]}, box


def _dimensions(dataset: GNDCDataset) -> dict[str, Any]:
    left, bottom, right, top = (float(v) for v in dataset.bounds)
    size_x, size_y = (float(v) for v in dataset.resolution)
    crs = None if dataset.crs is None else dataset.crs.to_epsg() or dataset.crs.to_wkt()
    reference = {} if crs is None else {"reference_system": crs}
    found: dict[str, Any] = {}
    times = [format_time(t) for t in sorted(dataset.timestamps)]
    if times:
        found["time"] = {"type": "temporal", "extent": [times[0], times[-1]], "values": times}
    found["y"] = {"type": "spatial", "axis": "y", "extent": [bottom, top], "step": size_y, **reference}
    found["x"] = {"type": "spatial", "axis": "x", "extent": [left, right], "step": size_x, **reference}
    found["bands"] = {"type": "bands", "values": dataset.band_names}
    return found


def _band(band: Band, resolution: float) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": band.name,
        "data_type": "float32",
        "nodata": "nan",
        "raster:spatial_resolution": resolution,
    }
    if band.description:
        found["description"] = band.description
    if band.unit:
        found["unit"] = band.unit
    if band.common_name in _COMMON_NAMES:
        found["eo:common_name"] = band.common_name
    if band.center_wavelength is not None:
        # micrometres, where the cube has nanometres
        found["eo:center_wavelength"] = round(band.center_wavelength / 1000, 6)
    return found


# What the extension eo allows.
_COMMON_NAMES = frozenset(
    {
        "pan", "coastal", "blue", "green", "green05", "yellow", "red", "rededge", "rededge071", "rededge075",
        "rededge078", "nir", "nir08", "nir09", "cirrus", "swir16", "swir22", "lwir", "lwir11", "lwir12",
    }
)  # fmt: skip
