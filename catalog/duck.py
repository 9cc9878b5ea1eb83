"""DuckCatalog: the same questions asked of a GeoParquet catalog on disk, for more rows than memory should
hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import shapely

from gdal_gndc.catalog import geoparquet
from gdal_gndc.catalog.crs import as_crs
from gdal_gndc.catalog.geocatalog import GeoCatalog
from gdal_gndc.catalog.geoslice import GeoSlice
from gdal_gndc.catalog.options import need
from gdal_gndc.catalog.question import Box, question
from gdal_gndc.catalog.relations import layers
from gdal_gndc.catalog.where import Expression, quote
from gdal_gndc.errors import CoordinateError, FileFormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import geopandas as gpd


class DuckCatalog:
    """A catalog on disk, behind the methods of `GeoCatalog`; nothing is read before an answer is asked for.

    Queries become SQL over the bbox covering and the times, with row groups left out by their statistics. The
    spatial extension of DuckDB is not needed: footprints that are not boxes are tested exactly on the rows
    that SQL finds.

    Parameters
    ----------
    path
        A catalog file or partitioned directory as `GeoCatalog.to_geoparquet` and `GeoCatalog.append` write.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        parts = [str(p) for p in geoparquet.live_parts(path)]
        self._schema = pq.read_schema(parts[0])
        if b"geo" not in (self._schema.metadata or {}) or "bbox" not in self._schema.names:
            raise FileFormatError("not a GeoParquet file with a bbox covering", path=self.path)
        files = ", ".join(quote(p) for p in parts)
        self._source = f"read_parquet([{files}], union_by_name=true)"
        self._tests: tuple[str, ...] = ()
        self._areas: tuple[shapely.Geometry, ...] = ()
        self._pad = (pd.Timedelta(0), pd.Timedelta(0))
        self._count: int | None = None

    @property
    def crs(self) -> pyproj.CRS:
        """The CRS of the footprints."""
        empty = self._schema.empty_table()
        return geoparquet.from_table(empty, name=self.path).crs

    @property
    def columns(self) -> list[str]:
        """Names that `where` understands."""
        hidden = ("geometry", "bbox", "schema_version", "start", "stop")
        return ["start", "stop", *(n for n in self._schema.names if n not in hidden)]

    def _with(self, **changes: Any) -> DuckCatalog:
        other = DuckCatalog.__new__(DuckCatalog)
        other.__dict__.update(self.__dict__)
        other._count = None
        other.__dict__.update(changes)
        return other

    def query(
        self,
        where: GeoSlice | Box | None = None,
        interval: Any = None,
        *,
        aoi: Any = None,
        aoi_crs: Any = None,
        crs: Any = None,
    ) -> DuckCatalog:
        """As `GeoCatalog.query`; runs nothing yet."""
        geometry, span = question(self, where, interval, aoi=aoi, aoi_crs=aoi_crs, crs=crs)
        tests, areas = list(self._tests), self._areas
        if geometry is not None:
            left, bottom, right, top = geometry.bounds
            if not np.isfinite([left, bottom, right, top]).all():
                tests.append("false")
            else:
                tests.append(
                    f"bbox.xmin <= {right!r} AND bbox.xmax >= {left!r}"
                    f" AND bbox.ymin <= {top!r} AND bbox.ymax >= {bottom!r}"
                )
                areas = (*areas, geometry)
        if span is not None:
            before, after = self._pad
            low = pd.Timestamp(span[0], unit="us", tz="UTC") - after
            high = pd.Timestamp(span[1], unit="us", tz="UTC") + before
            tests.append(f"(static OR (start <= {quote(high)} AND stop >= {quote(low)}))")
        return self._with(_tests=tuple(tests), _areas=areas)

    def where(self, expression: str) -> DuckCatalog:
        """As `GeoCatalog.where`; runs nothing yet."""
        return self._with(_tests=(*self._tests, Expression(expression, self.columns).sql()))

    def with_interval_padding(self, days: float = 0.0, *, before: Any = None, after: Any = None) -> DuckCatalog:
        """As `GeoCatalog.with_interval_padding`."""
        first, last = (pd.Timedelta(days=days) if end is None else pd.Timedelta(end) for end in (before, after))
        return self._with(_pad=(self._pad[0] + first, self._pad[1] + last))

    def sql(self) -> str:
        """The statement that `collect` runs."""
        condition = " AND ".join(f"({t})" for t in self._tests) or "true"
        return f"SELECT * FROM {self._source} WHERE {condition}"

    def collect(self) -> GeoCatalog:
        """The rows as a catalog in memory."""
        table = self._connect().sql(self.sql()).to_arrow_table()
        catalog = geoparquet.from_table(_plain(table), name=self.path, file_schema=self._schema)
        for area in self._areas:
            catalog = catalog.query(aoi=area)
        if any(self._pad):
            catalog = catalog.with_interval_padding(before=self._pad[0], after=self._pad[1])
        return catalog

    @property
    def gdf(self) -> gpd.GeoDataFrame:
        """The rows as a GeoDataFrame."""
        return self.collect().gdf

    def __len__(self) -> int:
        if self._count is None:
            if not self._areas:
                counted = self._run(self.sql().replace("SELECT *", "SELECT count(*)", 1)).fetchone()
                self._count = int(counted[0]) if counted else 0
            else:
                self._count = len(self.collect())
        return self._count

    def __repr__(self) -> str:
        return f"<DuckCatalog {self.path}, {len(self._tests)} conditions>"

    @property
    def total_bounds(self) -> Box:
        """(left, bottom, right, top) of all footprints in `crs`."""
        if self._areas:
            return self.collect().total_bounds
        what = "min(bbox.xmin), min(bbox.ymin), max(bbox.xmax), max(bbox.ymax)"
        row = self._run(self.sql().replace("SELECT *", f"SELECT {what}", 1)).fetchone()
        if row is None or row[0] is None:
            raise CoordinateError("an empty catalog has no bounds")
        return float(row[0]), float(row[1]), float(row[2]), float(row[3])

    @property
    def temporal_extent(self) -> pd.Interval | None:
        """From the first start to the last stop; None where no row has a time."""
        if self._areas:
            return self.collect().temporal_extent
        what = "epoch_us(min(start)), epoch_us(max(stop))"
        row = self._run(self.sql().replace("SELECT *", f"SELECT {what}", 1)).fetchone()
        if row is None or row[0] is None:
            return None
        low, high = (pd.Timestamp(v, unit="us", tz="UTC").as_unit("us") for v in row)
        return pd.Interval(low - self._pad[0], high + self._pad[1], closed="both")

    def intersect(self, other: DuckCatalog | GeoCatalog, spatial_only: bool = False) -> GeoCatalog:
        """As `GeoCatalog.intersect`: SQL fetches the rows within the other's extent, memory joins them."""
        theirs = other.collect().to_crs(self.crs)
        if not len(theirs):
            return GeoCatalog.empty(self.crs).intersect(theirs, spatial_only)
        timeless = spatial_only or bool(theirs.gdf["static"].any())
        near = self.query(theirs.total_bounds, None if timeless else theirs.temporal_extent)
        return near.collect().intersect(theirs, spatial_only)

    def union(self, other: DuckCatalog | GeoCatalog, dedupe: bool = True) -> GeoCatalog:
        """As `GeoCatalog.union`, in memory."""
        return self.collect().union(other, dedupe)

    @property
    def backends(self) -> tuple[str, ...]:
        """As `GeoCatalog.backends`."""
        if self._areas:
            return self.collect().backends
        rows = self._run(self.sql().replace("SELECT *", "SELECT DISTINCT backend", 1)).fetchall()
        return tuple(sorted(str(row[0]) for row in rows))

    @property
    def resolution(self) -> float | None:
        """As `GeoCatalog.resolution`."""
        return self.collect().resolution

    @property
    def layers(self) -> int:
        """As `GeoCatalog.layers`."""
        return layers(self._schema.names)

    def layer(self, number: int) -> GeoCatalog:
        """As `GeoCatalog.layer`, in memory."""
        return self.collect().layer(number)

    def take(self, rows: Any) -> GeoCatalog:
        """The rows at these positions of `collect`, in this order."""
        return self.collect().take(rows)

    def index(self) -> GeoCatalog:
        """The rows in memory, with their spatial and temporal index."""
        return self.collect().index()

    def footprint(self) -> shapely.Geometry:
        """As `GeoCatalog.footprint`."""
        return self.collect().footprint()

    def plot(self, ax: Any = None, *, column: str = "backend", **options: Any) -> Any:
        """As `GeoCatalog.plot`."""
        return self.collect().plot(ax, column=column, **options)

    def append(self, directory: str | Path) -> Path:
        """As `GeoCatalog.append`."""
        return self.collect().append(directory)

    def to_crs(self, crs: Any) -> GeoCatalog:
        """The rows in memory, footprints in another CRS."""
        return self.collect().to_crs(as_crs(crs))

    def __and__(self, other: DuckCatalog | GeoCatalog) -> GeoCatalog:
        return self.intersect(other)

    def __or__(self, other: DuckCatalog | GeoCatalog) -> GeoCatalog:
        return self.union(other)

    def to_geoparquet(self, path: str | Path, **options: Any) -> None:
        """Write the rows as one file."""
        self.collect().to_geoparquet(path, **options)

    def iter_rows(self) -> Iterator[Any]:
        """Rows as named tuples."""
        return self.collect().iter_rows()

    def explain(self) -> str:
        """The statement and DuckDB's account of running it, row groups scanned and left out included."""
        rows = self._run("EXPLAIN ANALYZE " + self.sql()).fetchall()
        return self.sql() + "\n" + "\n".join(str(r[1]) for r in rows)

    def _run(self, statement: str) -> duckdb.DuckDBPyConnection:
        return self._connect().execute(statement)

    def _connect(self) -> duckdb.DuckDBPyConnection:
        connection: duckdb.DuckDBPyConnection = need("duckdb", "a catalog on disk").connect()
        connection.execute("SET TimeZone = 'UTC'")
        return connection


AnyCatalog: TypeAlias = GeoCatalog | DuckCatalog
"""What loaders, samplers and exports take: a catalog in memory or on disk."""


def _plain(table: pa.Table) -> pa.Table:
    """DuckDB's types as those of the file."""
    geometry = table["geometry"]
    position = table.column_names.index("geometry")
    return table.set_column(position, "geometry", geometry.cast(pa.binary()))
