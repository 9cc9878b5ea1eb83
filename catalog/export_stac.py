"""to_stac_geoparquet: a catalog as STAC items in one Parquet file, built column by column."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import shapely

from gdal_gndc.catalog.crs import as_crs
from gdal_gndc.catalog.duck import AnyCatalog
from gdal_gndc.catalog.geoparquet import publish
from gdal_gndc.errors import TimeError

VERSION = "1.1.0"
MEDIA = {
    "raster": "image/tiff; application=geotiff",
    "xarray": "application/x-netcdf",
    "vector": "application/geopackage+sqlite3",
    "gndc": "application/vnd.gndc",
}
EXTENSIONS = [
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
]


def to_stac_geoparquet(catalog: AnyCatalog, path: str | Path, *, collection: str | None = None) -> None:
    """Write a catalog as stac-geoparquet 1.0: an item a row, with one asset ``data``.

    Footprints are in EPSG:4326. The item's id is the file's name with a short hash of location and time.

    Raises
    ------
    TimeError
        For static rows: a STAC item needs a time.
    """
    gdf = catalog.to_crs("EPSG:4326").gdf
    if gdf["static"].any():
        where = gdf["location"][np.asarray(gdf["static"])].iloc[0]
        raise TimeError(f"a STAC item needs a time; {where!r} is static")
    count = len(gdf)
    geometry = np.asarray(gdf.geometry.array, dtype=object)
    left, right = pd.DatetimeIndex(gdf.index.left), pd.DatetimeIndex(gdf.index.right)
    locations = gdf["location"].tolist()
    keys = (gdf["location"].astype("object") + "|" + pd.Series(left.asi8, index=gdf.index).astype("str")).tolist()
    ids = [
        f"{Path(loc).stem}-{hashlib.sha1(key.encode()).hexdigest()[:8]}"
        for loc, key in zip(locations, keys, strict=True)
    ]
    stamp = pa.timestamp("us", tz="UTC")
    instant = np.asarray(left == right)
    moment = pa.array(left, stamp, mask=~instant)
    bounds = np.asarray(shapely.bounds(geometry)).reshape(-1, 4)
    text = pa.string()
    asset = pa.StructArray.from_arrays(
        [
            pa.array(locations, text),
            pa.array(gdf["backend"].map(MEDIA).tolist(), text),
            pa.array([["data"]] * count, pa.list_(text)),
        ],
        names=["href", "type", "roles"],
    )
    columns = {
        "type": pa.array(["Feature"] * count, text),
        "stac_version": pa.array([VERSION] * count, text),
        "stac_extensions": pa.array([EXTENSIONS] * count, pa.list_(text)),
        "id": pa.array(ids, text),
        "geometry": pa.array(shapely.to_wkb(geometry), pa.binary()),
        "bbox": pa.StructArray.from_arrays(
            [pa.array(bounds[:, k]) for k in range(4)], names=["xmin", "ymin", "xmax", "ymax"]
        ),
        "links": pa.array([[]] * count, pa.list_(pa.struct({"href": text, "rel": text, "type": text, "title": text}))),
        "assets": pa.StructArray.from_arrays([asset], names=["data"]),
        "collection": pa.array([collection] * count, text),
        "datetime": moment,
        "start_datetime": pa.array(left, stamp),
        "end_datetime": pa.array(right, stamp),
        "proj:code": pa.array([c if c and len(c) < 40 else None for c in gdf["native_crs"]], text, from_pandas=True),
        "proj:shape": pa.array(gdf[["height", "width"]].to_numpy().tolist(), pa.list_(pa.int64())),
        "proj:transform": pa.array(gdf["transform"].array, pa.list_(pa.float64()), from_pandas=True),
    }
    table = pa.table(columns)
    column = {
        "encoding": "WKB",
        "geometry_types": [],
        "crs": as_crs("OGC:CRS84").to_json_dict(),
        "covering": {"bbox": {k: ["bbox", k] for k in ("xmin", "ymin", "xmax", "ymax")}},
    }
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    metadata = {b"geo": json.dumps(geo).encode(), b"stac-geoparquet": b'{"version": "1.0.0"}'}
    publish(table.replace_schema_metadata(metadata), Path(path))
