"""A tile index of rasters over time: a GeoPackage that GDAL's GTI driver and every GIS read."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gdal_gndc.atomic import replacing
from gdal_gndc.errors import CoordinateError
from gdal_gndc.times import format_time

if TYPE_CHECKING:
    from rasterio.crs import CRS

    from gdal_gndc.time_axis import Moment

LAYER = "index"
# Ids from here on are free for systems without an EPSG code.
_OWN_SRS = 100_000

# The tables of OGC 12-128r14 (GeoPackage 1.2), the required columns only.
_SCHEMA = f"""
PRAGMA application_id = 0x47504B47;
PRAGMA user_version = 10200;
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER PRIMARY KEY,
  organization TEXT NOT NULL, organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL,
  description TEXT);
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL,
  identifier TEXT UNIQUE, description TEXT DEFAULT '', last_change DATETIME NOT NULL,
  min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER,
  CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL,
  geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL,
  CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
  CONSTRAINT uk_gc_table_name UNIQUE (table_name),
  CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
  CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE "{LAYER}" (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, geom POLYGON,
  location TEXT, time DATETIME, observed BOOLEAN);
"""

Box = tuple[float, float, float, float]


class _Raster(NamedTuple):
    path: Path
    moment: Moment
    bounds: Box


def write_tile_index(path: Path, rasters: Sequence[tuple[Path, Moment]]) -> None:
    """Write a tile index: a polygon for each raster, its ``location``, ``time`` (UTC) and whether
    ``observed``.

    ``GTI:index.gti.gpkg`` opens it as one raster in GDAL 3.9 and later; with several times,
    ``-oo FILTER="time='...'"`` chooses. Rasters must share a CRS; without one no index is written.

    Parameters
    ----------
    rasters
        Paths of rasters that GDAL opens, and the moment of each. Locations are absolute paths.
    """
    found, crs = _look(rasters)
    if crs is None:
        return
    left, bottom, right, top = zip(*(raster.bounds for raster in found), strict=True)
    extent = min(left), min(bottom), max(right), max(top)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    # Sqlite makes its journal beside the file, so the file is made beside its place like any other.
    with replacing(path) as beside, closing(sqlite3.connect(beside)) as database:
        database.executescript(_SCHEMA)
        srs_id = _add_srs(database, crs)
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, last_change,"
            " min_x, min_y, max_x, max_y, srs_id) VALUES (?, 'features', ?, ?, ?, ?, ?, ?, ?)",
            (LAYER, LAYER, now, *extent, srs_id),
        )
        database.execute("INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', 'POLYGON', ?, 0, 0)", (LAYER, srs_id))
        database.executemany(
            f'INSERT INTO "{LAYER}" (geom, location, time, observed) VALUES (?, ?, ?, ?)',
            [
                (
                    _geometry(raster.bounds, srs_id),
                    str(raster.path.absolute()),
                    None if raster.moment.time is None else _time(raster.moment.time),
                    raster.moment.frame is not None,
                )
                for raster in found
            ],
        )
        database.commit()


def write_geoparquet(path: Path, rasters: Sequence[tuple[Path, Moment]]) -> None:
    """Write the same tile index as GeoParquet 1.1, for a GDAL that has the Parquet driver, DuckDB and the like.

    ``GTI:index.parquet`` opens it, or a part of it chosen by ``FILTER``, in GDAL 3.9 and later.

    Parameters
    ----------
    rasters
        As for `write_tile_index`.

    Raises
    ------
    CoordinateError
        If the rasters have no CRS, or several.
    ModuleNotFoundError
        If pyarrow is not installed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyproj import CRS as AnyCRS

    found, crs = _look(rasters)
    if crs is None:
        raise CoordinateError("a tile index needs rasters that have a CRS, all of them the same")
    left, bottom, right, top = zip(*(raster.bounds for raster in found), strict=True)
    column = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": AnyCRS.from_user_input(crs.to_wkt()).to_json_dict(),
        "bbox": [min(left), min(bottom), max(right), max(top)],
    }
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    table = pa.table(
        {
            "location": pa.array([str(raster.path.absolute()) for raster in found], pa.string()),
            "time": pa.array([raster.moment.time for raster in found], pa.timestamp("ms", tz="UTC")),
            "observed": pa.array([raster.moment.frame is not None for raster in found], pa.bool_()),
            "geometry": pa.array([_polygon(raster.bounds) for raster in found], pa.binary()),
        }
    ).replace_schema_metadata({"geo": json.dumps(geo)})
    with replacing(path) as beside:
        pq.write_table(table, beside)


def _look(rasters: Sequence[tuple[Path, Moment]]) -> tuple[list[_Raster], CRS | None]:
    import rasterio

    found: list[_Raster] = []
    crs: CRS | None = None
    for path, moment in rasters:
        with rasterio.open(path) as raster:
            if raster.crs is None or (crs is not None and raster.crs != crs):
                return [], None
            crs = raster.crs
            found.append(_Raster(path, moment, tuple(raster.bounds)))
    return found, crs


def _add_srs(database: sqlite3.Connection, crs: CRS) -> int:
    undefined = [
        ("Undefined Cartesian SRS", -1, "NONE", -1, "undefined"),
        ("Undefined geographic SRS", 0, "NONE", 0, "undefined"),
    ]
    code = crs.to_epsg()
    own = code or _OWN_SRS
    rows = [*undefined, ("", own, "EPSG" if code else "NONE", own, crs.to_wkt())]
    if own != 4326:
        from rasterio.crs import CRS as AnyCRS

        rows.append(("WGS 84", 4326, "EPSG", 4326, AnyCRS.from_epsg(4326).to_wkt()))
    database.executemany("INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, NULL)", rows)
    return own


def _geometry(bounds: Box, srs_id: int) -> bytes:
    """Return a rectangle as a GeoPackage binary: header with envelope, then WKB."""
    left, bottom, right, top = bounds
    return struct.pack("<2sBBi4d", b"GP", 0, 0b00000011, srs_id, left, right, bottom, top) + _polygon(bounds)


def _polygon(bounds: Box) -> bytes:
    """Return a rectangle as WKB."""
    left, bottom, right, top = bounds
    ring = [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
    head = struct.pack("<BII", 1, 3, 1) + struct.pack("<I", len(ring))
    return head + b"".join(struct.pack("<2d", *corner) for corner in ring)


def _time(time: datetime) -> str:
    """Return GeoPackage's form of a time: milliseconds, UTC."""
    return format_time(time.replace(microsecond=0)).removesuffix("Z") + f".{time.microsecond // 1000:03d}Z"
