"""to_gti: a catalog as a GDAL raster tile index, opened by ``GTI:`` of GDAL 3.9 and later as one mosaic."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from gdal_gndc.catalog.crs import as_crs, crs_name
from gdal_gndc.catalog.duck import AnyCatalog
from gdal_gndc.catalog.geocatalog import GeoCatalog
from gdal_gndc.catalog.options import choose, need
from gdal_gndc.errors import CatalogError, CoordinateError

GDAL_TYPES = {
    "uint8": "Byte",
    "int8": "Int8",
    "uint16": "UInt16",
    "int16": "Int16",
    "uint32": "UInt32",
    "int32": "Int32",
    "float32": "Float32",
    "float64": "Float64",
}


def to_gti(
    catalog: AnyCatalog,
    path: str | Path,
    *,
    locations: Any = None,
    crs: Any = None,
    resolution: float | None = None,
    sort_by: str = "start",
) -> Path:
    """Write ``path`` (``*.gti``, XML) and the index beside it (``*.gti.gpkg``); returns ``path``.

    ``rasterio.open(path)`` then is one mosaic: where files overlap, those with the later ``sort_by`` lie
    above. The index has columns ``location``, ``src_srs`` (each tile's own CRS; GDAL warps those that
    differ), ``start`` and ``stop`` as ISO 8601 text.

    Parameters
    ----------
    locations
        One string a row that GDAL opens, instead of the catalog's. Needed for cubes: see `gdal_names`.
    crs, resolution
        Of the mosaic; default: the catalog's CRS, and its `GeoCatalog.resolution`.

    Raises
    ------
    CatalogError
        For rows GDAL cannot open as rasters, or files that differ in bands or data type.
    CoordinateError
        If no pixel size is known.
    """
    need("pyogrio", "writing a tile index")
    out = Path(path)
    if out.suffix != ".gti":
        raise CatalogError(f"{path}: a tile index is named *.gti")
    choose("sort_by", sort_by, ("start", "stop", "location", "mtime"))
    catalog = catalog.collect()
    moved = catalog if crs is None else catalog.to_crs(crs)
    if not len(moved):
        raise CatalogError(f"{path}: an empty catalog makes no mosaic")
    if locations is None and set(moved.backends) != {"raster"}:
        raise CatalogError(f"{path}: GDAL opens no rows of {moved.backends} by themselves: give locations=")
    gdf = moved.gdf
    size = resolution if resolution is not None else moved.resolution
    if size is None:
        raise CoordinateError(f"no file is in {crs_name(moved.crs)[:40]}: give resolution=")
    left, right = pd.DatetimeIndex(gdf.index.left), pd.DatetimeIndex(gdf.index.right)
    index = gpd.GeoDataFrame(
        {
            "location": list(gdf["location"] if locations is None else locations),
            "src_srs": gdf["native_crs"].tolist(),
            "start": left.strftime("%Y-%m-%dT%H:%M:%S.%fZ").tolist(),
            "stop": right.strftime("%Y-%m-%dT%H:%M:%S.%fZ").tolist(),
            "mtime": pd.DatetimeIndex(gdf["mtime"]).asi8,
        },
        geometry=np.asarray(gdf.geometry.array, dtype=object),
        crs=moved.crs,
    ).fillna({"start": "", "stop": ""})
    table = out.with_suffix(".gti.gpkg")
    scratch = out.with_name(f".{out.stem}.{os.getpid()}.gpkg")
    index.to_file(scratch, layer="tiles", driver="GPKG", engine="pyogrio", promote_to_multi=True)
    scratch.replace(table)
    document = _document(gdf, table, sort_by, float(size), moved)
    scratch = out.with_name(f".{out.stem}.{os.getpid()}.xml")
    ET.ElementTree(document).write(scratch, encoding="utf-8", xml_declaration=False)
    scratch.replace(out)
    return out


def _aligned(gdf: gpd.GeoDataFrame, catalog: GeoCatalog, size: float) -> tuple[float, float, float, float]:
    """The extent grown to whole pixels of the first file in the mosaic's CRS, so that its pixels are not
    moved."""
    west, south, east, north = catalog.total_bounds
    own = gdf[np.asarray(gdf["native_crs"] == crs_name(catalog.crs)) & gdf["transform"].notna().to_numpy()]
    x0, y0 = (float(own["transform"].iloc[0][2]), float(own["transform"].iloc[0][5])) if len(own) else (west, north)
    ulp = 1e-6
    left, right = np.floor((west - x0) / size + ulp), np.ceil((east - x0) / size - ulp)
    low, high = np.floor((south - y0) / size + ulp), np.ceil((north - y0) / size - ulp)
    return float(x0 + left * size), float(y0 + low * size), float(x0 + right * size), float(y0 + high * size)


def _document(gdf: gpd.GeoDataFrame, table: Path, sort_by: str, size: float, catalog: GeoCatalog) -> ET.Element:
    kinds, counts = pd.unique(gdf["dtype"].dropna()), pd.unique(gdf["bands"])
    if len(kinds) != 1 or len(counts) != 1:
        raise CatalogError(f"a mosaic has one data type and band count, found {list(kinds)} and {list(counts)}")
    root = ET.Element("GDALTileIndexDataset")

    def add(parent: ET.Element, name: str, text: Any) -> None:
        ET.SubElement(parent, name).text = str(text)

    add(root, "IndexDataset", table.resolve())
    add(root, "IndexLayer", "tiles")
    add(root, "LocationField", "location")
    add(root, "SortField", sort_by)
    add(root, "SortFieldAsc", "true")
    west, south, east, north = _aligned(gdf, catalog, size)
    add(root, "ResX", repr(size))
    add(root, "ResY", repr(size))
    for name, value in (("MinX", west), ("MinY", south), ("MaxX", east), ("MaxY", north)):
        add(root, name, repr(value))
    add(root, "SRS", as_crs(catalog.crs).to_wkt())
    names = gdf["band_names"].iloc[0]
    nodata = pd.unique(gdf["nodata"].dropna())
    for number in range(1, int(counts[0]) + 1):
        band = ET.SubElement(root, "Band", band=str(number), dataType=GDAL_TYPES.get(str(kinds[0]), "Float32"))
        if names is not None and len(names) >= number:
            add(band, "Description", names[number - 1])
        if len(nodata):
            value = float(nodata[0])
            add(band, "NoDataValue", int(value) if value.is_integer() else repr(value))
        elif str(kinds[0]).startswith("float"):
            add(band, "NoDataValue", "nan")
    return root
