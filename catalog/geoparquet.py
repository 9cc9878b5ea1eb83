"""Catalogs as GeoParquet 1.1: Hilbert-sorted rows, a bbox covering, row groups that a reader can leave out.

A catalog is one file, or a directory of ``part-*.parquet`` files. Writers of a directory only ever add files;
`compact` adds one that names those it replaces, which readers then ignore: the rename that publishes it is
the commit.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyproj
import shapely

from gdal_gndc.catalog import schema
from gdal_gndc.catalog.intervals import as_interval, utc_index
from gdal_gndc.catalog.question import Box, refuse_degrees
from gdal_gndc.errors import CatalogError, FileFormatError
from gdal_gndc.remote import fsspec_options

if TYPE_CHECKING:
    from gdal_gndc.catalog.geocatalog import GeoCatalog

log = logging.getLogger(__name__)

ROW_GROUP = 20_000
KEY = b"gdal_gndc.catalog"
INTERNAL = ("geometry", "bbox", "start", "stop", "schema_version")
LOCK = "_compact.lock"


@dataclass(frozen=True)
class Scan:
    """What a read touches: row groups and rows that may hold a hit, out of all."""

    files: int
    row_groups: int
    of_row_groups: int
    rows: int
    of_rows: int

    def __str__(self) -> str:
        share = f"{self.row_groups} of {self.of_row_groups} row groups"
        return f"{share} ({self.rows} of {self.of_rows} rows) in {self.files} files"


def to_table(catalog: GeoCatalog, *, sort: bool = True) -> pa.Table:
    """A catalog as an Arrow table in the layout of the file, rows along a Hilbert curve if ``sort``."""
    gdf = catalog.gdf
    order = np.arange(len(gdf))
    if sort and len(gdf):
        order = np.lexsort((pd.DatetimeIndex(gdf.index.left).asi8, gdf.geometry.hilbert_distance().to_numpy()))
    gdf = gdf.take(order)
    geometry = np.asarray(gdf.geometry.array, dtype=object)
    bounds = np.asarray(shapely.bounds(geometry)).reshape(-1, 4)
    names = [str(c) for c in gdf.columns if c != "geometry"]
    arrays = [pa.array(gdf[name].array, from_pandas=True) for name in names]
    arrays = [a.combine_chunks() if isinstance(a, pa.ChunkedArray) else a for a in arrays]
    names += ["start", "stop", "bbox", "schema_version", "geometry"]
    stamp = pa.timestamp("us", tz="UTC")
    arrays += [pa.array(pd.DatetimeIndex(end), stamp) for end in (gdf.index.left, gdf.index.right)]
    corners = [pa.array(bounds[:, k]) for k in range(4)]
    arrays.append(pa.StructArray.from_arrays(corners, names=["xmin", "ymin", "xmax", "ymax"]))
    arrays.append(pa.array(np.full(len(gdf), schema.SCHEMA_VERSION, dtype=np.int16)))
    arrays.append(pa.array(shapely.to_wkb(geometry), pa.binary()))
    table = pa.Table.from_arrays(arrays, names=names)
    return table.replace_schema_metadata({b"geo": _geo(catalog, geometry), KEY: _stamp([])})


def write(catalog: GeoCatalog, path: str | Path, *, row_group_size: int = ROW_GROUP, sort: bool = True) -> None:
    """Write one GeoParquet 1.1 file, whole or not at all.

    Parameters
    ----------
    path
        A local path; its directory must exist.
    row_group_size
        Rows of a group, the unit that readers can leave out.
    sort
        Whether rows are laid along a Hilbert curve (ties by start).
    """
    publish(to_table(catalog, sort=sort), _local(path), row_group_size)


def publish(table: pa.Table, path: Path, row_group_size: int = ROW_GROUP) -> None:
    """Write a table beside ``path`` and rename it into place."""
    if not path.parent.is_dir():
        raise FileFormatError("the directory to write into does not exist", path=str(path))
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    try:
        pq.write_table(table, name, row_group_size=row_group_size, compression="zstd", write_statistics=True)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise


def append(catalog: GeoCatalog, directory: str | Path) -> Path:
    """Add a catalog to a directory as a file of its own; returns the file."""
    root = _local(directory)
    root.mkdir(parents=True, exist_ok=True)
    path = root / f"part-{uuid.uuid4().hex}.parquet"
    publish(to_table(catalog), path)
    return path


def compact(directory: str | Path) -> Path:
    """Merge the files of a directory into one sorted file, duplicates removed; appends may go on meanwhile.

    Raises
    ------
    FileFormatError
        If another process is compacting (its lock file ``_compact.lock`` exists), or there is nothing to
        read.
    """
    root = _local(directory)
    lock = root / LOCK
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError as error:
        raise FileFormatError("another process is compacting; remove the file if none is", path=str(lock)) from error
    try:
        parts = live_parts(root)
        merged = read_parts(parts)
        from gdal_gndc.catalog.geocatalog import GeoCatalog

        table = to_table(GeoCatalog.empty(merged.crs).union(merged))
        metadata = {**table.schema.metadata, KEY: _stamp([p.name for p in parts])}
        path = root / f"part-{uuid.uuid4().hex}.parquet"
        publish(table.replace_schema_metadata(metadata), path)
        for part in parts:
            part.unlink()
        return path
    finally:
        lock.unlink()


def _local(path: str | Path) -> Path:
    """A path on this machine: only there can a file be put in its place in one step, and a lock be held."""
    if "://" in str(path):
        raise CatalogError(f"{path}: catalogs are written, appended to and scanned on local paths; a URL can be read")
    return Path(path)


def live_parts(path: str | Path) -> list[Path]:
    """The files of a catalog: itself, or those of a directory that no other file replaces.

    Raises
    ------
    FileFormatError
        If there is none.
    """
    root = _local(path)
    if not root.is_dir():
        if not root.exists():
            raise FileFormatError("there is no such catalog", path=str(path))
        return [root]
    parts = sorted(root.glob("part-*.parquet"))
    replaced: set[str] = set()
    for part in parts:
        replaced.update(_info(pq.read_schema(part)).get("replaces", []))
    parts = [p for p in parts if p.name not in replaced]
    if not parts:
        raise FileFormatError("the directory holds no part-*.parquet files", path=str(path))
    return parts


def read(
    path: str | Path, *, bbox: Box | None = None, interval: Any = None, columns: Sequence[str] | None = None
) -> GeoCatalog:
    """Read a catalog file, a partitioned directory or an fsspec URL.

    Parameters
    ----------
    bbox
        (left, bottom, right, top) in the catalog's CRS. Row groups whose covering misses it are not read.
    interval
        What `as_interval` reads; as for ``bbox``. Static rows always stay.
    columns
        Attribute columns to read besides those every catalog has; default: all.

    Raises
    ------
    FileFormatError
        For a file that is not a catalog, or one of a newer schema version.
    CoordinateError
        For a box that reads as degrees where all rows lie elsewhere in a projected CRS.
    """
    text = str(path)
    if "://" in text:
        import fsspec

        with fsspec.open(text, "rb", **fsspec_options(text)) as stream:
            return _read_one(stream, text, bbox, interval, columns)
    try:
        return read_parts(live_parts(path), bbox=bbox, interval=interval, columns=columns)
    except FileNotFoundError:
        # A compaction removed a part after it was listed; the file that replaces it is there by now.
        return read_parts(live_parts(path), bbox=bbox, interval=interval, columns=columns)


def read_parts(
    parts: list[Path], *, bbox: Box | None = None, interval: Any = None, columns: Sequence[str] | None = None
) -> GeoCatalog:
    """Several files as one catalog, in the CRS of the first; duplicates stay."""
    catalogs = [_read_one(part, str(part), bbox, interval, columns) for part in parts]
    whole = catalogs[0]
    for further in catalogs[1:]:
        whole = whole.union(further, dedupe=False)
    return whole


def scan(path: str | Path, *, bbox: Box | None = None, interval: Any = None) -> Scan:
    """What `read` with these filters would touch, from the footers alone."""
    parts = live_parts(path)
    files = [pq.ParquetFile(part) for part in parts]
    chosen = [row_groups(file, bbox, interval) for file in files]
    rows = sum(f.metadata.row_group(g).num_rows for f, groups in zip(files, chosen, strict=True) for g in groups)
    return Scan(
        len(parts),
        sum(map(len, chosen)),
        sum(f.metadata.num_row_groups for f in files),
        rows,
        sum(f.metadata.num_rows for f in files),
    )


def row_groups(file: pq.ParquetFile, bbox: Box | None, interval: Any) -> list[int]:
    """Row groups whose statistics do not rule out a hit."""
    meta = file.metadata
    span = as_interval(interval)
    count = meta.num_row_groups
    if not count or (bbox is None and span is None):
        return list(range(count))
    columns = {meta.row_group(0).column(k).path_in_schema: k for k in range(meta.num_columns)}
    keep = np.ones(count, dtype=bool)

    def limits(name: str, low: bool) -> list[Any]:
        if name not in columns:
            return [None] * count
        stats = [meta.row_group(g).column(columns[name]).statistics for g in range(count)]
        return [None if s is None or not s.has_min_max else (s.min if low else s.max) for s in stats]

    def rule_out(values: list[Any], limit: Any, below: bool) -> None:
        known = np.array([v is not None and (v < limit if below else v > limit) for v in values], dtype=bool)
        keep[known] = False

    if bbox is not None:
        rule_out(limits("bbox.xmin", True), bbox[2], False)
        rule_out(limits("bbox.ymin", True), bbox[3], False)
        rule_out(limits("bbox.xmax", False), bbox[0], True)
        rule_out(limits("bbox.ymax", False), bbox[1], True)
    if span is not None:
        undated = np.zeros(count, dtype=bool)
        if "start" in columns:
            stats = [meta.row_group(g).column(columns["start"]).statistics for g in range(count)]
            undated[:] = [s is None or not s.has_null_count or s.null_count > 0 for s in stats]
        spatial = keep.copy()
        rule_out(limits("start", True), span.right.to_pydatetime(), False)
        rule_out(limits("stop", False), span.left.to_pydatetime(), True)
        keep |= undated & spatial
    return [int(g) for g in np.flatnonzero(keep)]


def _read_one(source: Any, name: str, bbox: Box | None, interval: Any, columns: Sequence[str] | None) -> GeoCatalog:
    try:
        file = pq.ParquetFile(source)
    except pa.ArrowInvalid as error:
        raise FileFormatError(f"not a Parquet file: {error}", path=name) from error
    wanted = None
    if columns is not None:
        wanted = [*schema.COLUMNS, *INTERNAL, *columns]
        missing = sorted(set(columns) - set(file.schema_arrow.names))
        if missing:
            raise FileFormatError(f"there are no columns {missing}", path=name)
    table = file.read_row_groups(row_groups(file, bbox, interval), columns=wanted)
    table = _exact(table, bbox, interval)
    catalog = from_table(table, name=name, file_schema=file.schema_arrow)
    if bbox is not None and not len(catalog):
        refuse_degrees(bbox, catalog.crs, lambda: _extent(file.schema_arrow), f"{name}: the box", "crs")
    return catalog


def _extent(file_schema: pa.Schema) -> Box | None:
    """The bounds of all rows as the file's metadata has them."""
    geo = json.loads(file_schema.metadata[b"geo"])
    bounds = geo["columns"]["geometry"].get("bbox")
    return None if bounds is None or len(bounds) != 4 else (bounds[0], bounds[1], bounds[2], bounds[3])


def _exact(table: pa.Table, bbox: Box | None, interval: Any) -> pa.Table:
    if bbox is not None and "bbox" in table.column_names:
        corner = {k: pc.struct_field(table["bbox"], k) for k in ("xmin", "ymin", "xmax", "ymax")}
        hit = pc.and_(pc.less_equal(corner["xmin"], bbox[2]), pc.greater_equal(corner["xmax"], bbox[0]))
        hit = pc.and_(hit, pc.less_equal(corner["ymin"], bbox[3]))
        table = table.filter(pc.and_(hit, pc.greater_equal(corner["ymax"], bbox[1])))
    span = as_interval(interval)
    if span is not None and "start" in table.column_names:
        start = table["start"].cast(pa.timestamp("us", tz="UTC"))
        stop = table["stop"].cast(pa.timestamp("us", tz="UTC"))
        low, high = (pa.scalar(t.to_pydatetime(), pa.timestamp("us", tz="UTC")) for t in (span.left, span.right))
        met = pc.and_(pc.less_equal(start, high), pc.greater_equal(stop, low))
        table = table.filter(pc.fill_null(met, True))
    return table


def from_table(table: pa.Table, *, name: str, file_schema: pa.Schema | None = None) -> GeoCatalog:
    """An Arrow table in the layout of the file as a catalog; older versions are migrated."""
    from gdal_gndc.catalog.geocatalog import GeoCatalog

    metadata = (file_schema or table.schema).metadata or {}
    if b"geo" not in metadata or "geometry" not in table.column_names:
        raise FileFormatError("not a GeoParquet file: there is no 'geo' metadata or no geometry column", path=name)
    geo = json.loads(metadata[b"geo"])
    described = geo.get("columns", {}).get("geometry", {})
    crs = pyproj.CRS.from_json_dict(described["crs"]) if described.get("crs") else pyproj.CRS("OGC:CRS84")
    versions = pc.unique(table["schema_version"]).to_pylist() if "schema_version" in table.column_names else [0]
    for version in versions:
        if version is not None and version > schema.SCHEMA_VERSION:
            schema.migrate(table, version, name=name)
    table = schema.migrate(table, min((v for v in versions if v is not None), default=schema.SCHEMA_VERSION), name=name)
    geometry = shapely.from_wkb(np.asarray(table["geometry"].to_numpy(zero_copy_only=False), dtype=object))
    index = None
    if "start" in table.column_names and "stop" in table.column_names:
        index = (utc_index(table["start"].to_pandas()), utc_index(table["stop"].to_pandas()))
    keep = [c for c in table.column_names if c not in INTERNAL]
    columns = {c: _to_pandas(table[c]) for c in keep}
    import geopandas as gpd

    frame = gpd.GeoDataFrame(columns, geometry=np.asarray(geometry, dtype=object), crs=crs)
    if index is not None:
        from gdal_gndc.catalog.intervals import interval_index

        frame.index = interval_index(*index)
    return GeoCatalog(frame)


def _to_pandas(values: pa.ChunkedArray) -> Any:
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        return pd.array(values, dtype=pd.ArrowDtype(values.type))
    return values.to_pandas().array


def _geo(catalog: GeoCatalog, geometry: np.ndarray) -> bytes:
    kinds = np.unique(shapely.get_type_id(geometry)).tolist()
    names = ["Point", "LineString", "LinearRing", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon"]
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": [names[k] if k < 7 else "GeometryCollection" for k in kinds],
        "crs": catalog.crs.to_json_dict(),
        "covering": {"bbox": {k: ["bbox", k] for k in ("xmin", "ymin", "xmax", "ymax")}},
    }
    if geometry.size:
        column["bbox"] = [float(v) for v in shapely.total_bounds(geometry)]
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    return json.dumps(geo).encode()


def _stamp(replaces: list[str]) -> bytes:
    return json.dumps({"schema_version": schema.SCHEMA_VERSION, "replaces": replaces}).encode()


def _info(file_schema: pa.Schema) -> dict[str, Any]:
    raw = (file_schema.metadata or {}).get(KEY)
    info: dict[str, Any] = json.loads(raw) if raw else {}
    return info
