"""build_stac_catalog: STAC items, from an ItemCollection or a stac-geoparquet file, as rows of assets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gdal_gndc.catalog.crs import as_crs, wrap_longitudes
from gdal_gndc.catalog.geocatalog import GeoCatalog
from gdal_gndc.catalog.intervals import interval_index
from gdal_gndc.catalog.sources import gdal_location
from gdal_gndc.errors import FileFormatError
from gdal_gndc.remote import fsspec_options

KEPT = ("eo:cloud_cover", "platform", "constellation", "instruments", "gsd", "grid:code", "view:off_nadir")


def build_stac_catalog(
    source: Any, asset: str | list[str] | None = None, target_crs: Any = None, *, backend: str = "raster"
) -> GeoCatalog:
    """A catalog from STAC metadata alone; no file is opened.

    Parameters
    ----------
    source
        Path or fsspec URL of an ItemCollection (JSON) or stac-geoparquet file; a mapping; or an object with
        ``to_dict`` such as pystac's ItemCollection.
    asset
        Keys of the assets that become rows. Default: those whose roles hold ``data``, or whose media type is
        a raster.
    target_crs
        CRS of the footprints; default EPSG:4326, as in STAC.
    backend
        What the assets are.

    Returns
    -------
    GeoCatalog
        A row an asset, with columns ``item_id``, ``collection``, ``asset`` and the common properties there
        are, colons replaced by underscores (``eo_cloud_cover``).

    Raises
    ------
    FileFormatError
        If the source is not STAC, or no item has such an asset.
    """
    items, name = _items(source)
    if not items:
        return GeoCatalog.empty(target_crs or "EPSG:4326")
    frame = pd.DataFrame(items)
    missing = {"id", "geometry", "properties", "assets"} - set(frame.columns)
    if missing:
        raise FileFormatError(f"the items lack {sorted(missing)}", path=name)
    rows = _asset_rows(frame, asset, name)
    properties = pd.json_normalize(frame["properties"].tolist(), max_level=0)
    start, stop = _times(properties)
    item = rows["item"].to_numpy()
    geometry = wrap_longitudes(_geometries(frame["geometry"], name))
    columns: dict[str, Any] = {
        "location": pd.array([_href(h, name) for h in rows["href"]], dtype="str"),
        "backend": backend,
        "item_id": frame["id"].astype("str").to_numpy()[item],
        "asset": rows["asset"].to_numpy(),
        "static": np.asarray(start.isna())[item],
    }
    if "collection" in frame.columns:
        columns["collection"] = frame["collection"].to_numpy()[item]
    columns |= _projection(properties, rows, item)
    for key in KEPT:
        if key in properties.columns:
            columns[key.replace(":", "_")] = properties[key].to_numpy()[item]
    out = gpd.GeoDataFrame(columns, geometry=geometry[item], crs="EPSG:4326")
    out.index = interval_index(start[item], stop[item])
    catalog = GeoCatalog(out)
    return catalog if target_crs is None else catalog.to_crs(target_crs)


def _items(source: Any) -> tuple[list[dict[str, Any]], str]:
    if hasattr(source, "to_dict"):
        source = source.to_dict()
    name = "STAC items"
    if isinstance(source, (str, Path)):
        name = str(source)
        if name.endswith(".parquet"):
            return _from_parquet(name), name
        import fsspec

        with fsspec.open(name, "rt", encoding="utf-8", **fsspec_options(name)) as stream:
            try:
                source = json.load(stream)
            except json.JSONDecodeError as error:
                raise FileFormatError(f"not JSON: {error}", path=name) from error
    if isinstance(source, dict) and source.get("type") == "FeatureCollection":
        source = source.get("features", [])
    elif isinstance(source, dict) and source.get("type") == "Feature":
        source = [source]
    if not isinstance(source, list):
        raise FileFormatError("not a STAC Item or ItemCollection", path=name)
    return source, name


def _from_parquet(name: str) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    table = pq.read_table(name)
    if "assets" not in table.column_names or "geometry" not in table.column_names:
        raise FileFormatError("not a stac-geoparquet file: no columns assets and geometry", path=name)
    top = {
        "type",
        "stac_version",
        "stac_extensions",
        "id",
        "bbox",
        "links",
        "assets",
        "collection",
        "geometry",
    }
    inner = [c for c in table.column_names if c not in top]
    records = table.select([c for c in table.column_names if c in top and c != "links"]).to_pylist()
    properties = table.select(inner).to_pylist()
    return [
        {**record, "assets": {k: v for k, v in record["assets"].items() if v}, "properties": inside}
        for record, inside in zip(records, properties, strict=True)
    ]


def _asset_rows(frame: pd.DataFrame, asset: str | list[str] | None, name: str) -> pd.DataFrame:
    wanted = None if asset is None else {asset} if isinstance(asset, str) else set(asset)
    rows = [
        {
            "item": row,
            "asset": key,
            **{k: value.get(k) for k in ("href", "proj:shape", "proj:transform", "proj:code")},
        }
        for row, assets in enumerate(frame["assets"])
        for key, value in assets.items()
        if (key in wanted if wanted is not None else _is_data(value))
    ]
    if not rows:
        raise FileFormatError(f"no item has an asset {asset!r}" if asset else "no item has a data asset", path=name)
    return pd.DataFrame(rows)


def _is_data(value: dict[str, Any]) -> bool:
    roles = value.get("roles")
    kind = str(value.get("type") or "")
    if roles is not None and len(roles):
        return "data" in roles
    return kind.startswith(("image/tiff", "image/jp2", "application/x-hdf", "application/vnd+zarr"))


def _times(properties: pd.DataFrame) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex]:
    blank = pd.Series([None] * len(properties), dtype="object")
    moment = _parse(properties.get("datetime", blank))
    start = _parse(properties.get("start_datetime", blank)).fillna(moment)
    stop = _parse(properties.get("end_datetime", blank)).fillna(moment)
    return pd.DatetimeIndex(start), pd.DatetimeIndex(stop)


def _parse(values: pd.Series) -> pd.Series:
    return pd.to_datetime(values, utc=True, format="ISO8601").dt.as_unit("us")


def _geometries(values: pd.Series, name: str) -> np.ndarray:
    if values.isna().any():
        raise FileFormatError("an item has no geometry", path=name)
    if isinstance(values.iloc[0], (bytes, bytearray)):
        return np.asarray(shapely.from_wkb(values.to_numpy()), dtype=object)
    return np.asarray(shapely.from_geojson([json.dumps(v) for v in values]), dtype=object)


def _href(href: str, name: str) -> str:
    if "://" not in href and not href.startswith("/") and not name.startswith("STAC") and "://" not in name:
        return str(Path(name).resolve().parent / href)
    return gdal_location(href)


def _projection(properties: pd.DataFrame, rows: pd.DataFrame, item: np.ndarray) -> dict[str, Any]:
    """proj: fields of the asset, else of the item."""

    def field(key: str) -> pd.Series:
        own = rows[key] if key in rows.columns else pd.Series([None] * len(rows), dtype="object")
        shared = properties[key].iloc[item].reset_index(drop=True) if key in properties.columns else None
        return own.astype("object") if shared is None else own.astype("object").where(own.notna(), shared)

    code = field("proj:code")
    if "proj:epsg" in properties.columns:
        number = properties["proj:epsg"].iloc[item].reset_index(drop=True)
        epsg = "EPSG:" + number.astype("Int64").astype("str")
        code = code.where(code.notna(), epsg.where(number.notna(), None))
    known = {c: as_crs(c).to_string() for c in code.dropna().unique()}
    shape = field("proj:shape").map(lambda v: list(v) if v is not None and np.size(v) == 2 else [0, 0])
    sizes = np.array(shape.tolist(), dtype=np.int32).reshape(-1, 2)
    affine = field("proj:transform").map(
        lambda v: [float(n) for n in v[:6]] if v is not None and np.size(v) >= 6 else None
    )
    step = np.array([v if v is not None else [np.nan] * 6 for v in affine], dtype=np.float64)
    return {
        "native_crs": pd.array(code.map(known).where(code.notna(), None), dtype="str"),
        "height": sizes[:, 0],
        "width": sizes[:, 1],
        "transform": affine.to_numpy(dtype="object"),
        "res_x": np.hypot(step[:, 0], step[:, 3]),
        "res_y": np.hypot(step[:, 1], step[:, 4]),
    }
