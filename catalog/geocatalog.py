"""GeoCatalog: many files as one queryable index of footprints and times."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyproj
import shapely

from gdal_gndc.catalog import relations, schema
from gdal_gndc.catalog.columns import Columns, frame_of
from gdal_gndc.catalog.crs import as_crs, crs_name, reproject, same_crs
from gdal_gndc.catalog.footprints import FootprintIndex, Plan
from gdal_gndc.catalog.geoslice import GeoSlice
from gdal_gndc.catalog.intervals import interval_index, ticks
from gdal_gndc.catalog.question import Box, question
from gdal_gndc.catalog.where import Expression
from gdal_gndc.errors import CatalogError, CoordinateError

if TYPE_CHECKING:
    import geopandas as gpd

    from gdal_gndc.catalog.duck import AnyCatalog
    from gdal_gndc.catalog.gather import BuildReport


class GeoCatalog:
    """Many files as one index: a row a file, its footprint in one CRS, its time as a closed UTC interval.

    Parameters
    ----------
    gdf
        Footprints with a CRS and a ``location`` column. Times: an IntervalIndex, or columns ``start`` and
        ``stop``, or a column ``datetime``; rows without a time must have ``static`` True. Further columns are
        kept.

    Raises
    ------
    FileFormatError, TimeError
        For missing footprints, locations or times; each names the first bad row.

    Notes
    -----
    A catalog is a value: every method returns a new one, and a query shares the rows of its parent until
    `gdf` is asked for. Treat `gdf` as read-only.
    """

    report: BuildReport | None = None
    """What the builder that made this catalog did; None for other catalogs."""

    def __init__(self, gdf: gpd.GeoDataFrame) -> None:
        self._data: gpd.GeoDataFrame | relations.Joined = schema.normalise(gdf)
        self._part: tuple[Columns, np.ndarray] | None = None

    @classmethod
    def _of(cls, frame: gpd.GeoDataFrame | relations.Joined) -> GeoCatalog:
        """A catalog over a frame that is known to be right."""
        catalog = cls.__new__(cls)
        catalog._data = frame
        catalog._part = None
        return catalog

    def _some(self, rows: np.ndarray) -> GeoCatalog:
        """A catalog of some of these rows, gathered when it is first asked for them."""
        catalog = self._of(self.gdf)
        catalog._part = self._columns, rows
        return catalog

    @property
    def _frame(self) -> gpd.GeoDataFrame:
        """The parent's rows; those of an intersection are put together when first asked for."""
        if isinstance(self._data, relations.Joined):
            self._data = self._data.frame()
        return self._data

    @classmethod
    def empty(cls, crs: Any = "EPSG:4326") -> GeoCatalog:
        """A catalog without rows."""
        return cls._of(schema.empty(as_crs(crs)))

    @property
    def gdf(self) -> gpd.GeoDataFrame:
        """The rows as a GeoDataFrame, indexed by ``datetime``."""
        if self._part is not None:
            columns, rows = self._part
            self._data = columns.take(rows)
            self._part = None
        return self._frame

    @cached_property
    def _columns(self) -> Columns:
        return Columns(self.gdf)

    @cached_property
    def crs(self) -> pyproj.CRS:
        """The CRS of the footprints."""
        return as_crs(self._data.crs)

    @property
    def backends(self) -> tuple[str, ...]:
        """The kinds of files: ``raster``, ``xarray``, ``vector``, ``gndc``, sorted."""
        return tuple(sorted(pd.unique(self.gdf["backend"])))

    @property
    def resolution(self) -> float | None:
        """Pixel size in units of `crs` that samplers use: the builder's ``target_resolution``, else the
        finest of the files whose own CRS is the catalog's; None where neither is known."""
        gdf = self.gdf
        if "target_resolution" in gdf.columns and gdf["target_resolution"].notna().any():
            return float(gdf["target_resolution"].min())
        native = gdf["res_x"][np.asarray(gdf["native_crs"] == crs_name(self.crs))]
        return float(native.min()) if native.notna().any() else None

    @property
    def columns(self) -> list[str]:
        """Names that `where` understands."""
        return ["start", "stop", *(str(c) for c in self._frame.columns if c != "geometry")]

    @property
    def layers(self) -> int:
        """How many catalogs the rows combine: one, or more after `intersect`."""
        return relations.layers(self._frame.columns)

    def __len__(self) -> int:
        return len(self._data) if self._part is None else int(self._part[1].size)

    def __repr__(self) -> str:
        from gdal_gndc.catalog.display import describe

        return describe(self)

    def _repr_html_(self) -> str:
        from gdal_gndc.catalog.display import html

        return html(self)

    def plot(self, ax: Any = None, *, column: str = "backend", **options: Any) -> Any:
        """The footprints on matplotlib axes, coloured by a column; returns the axes."""
        from gdal_gndc.catalog.display import plot

        return plot(self, ax, column=column, **options)

    @cached_property
    def _index(self) -> FootprintIndex:
        return FootprintIndex(self._columns.geometry, *ticks(self.gdf.index))

    def collect(self) -> GeoCatalog:
        """This catalog, whose rows are in memory; `DuckCatalog.collect` fetches its rows."""
        return self

    def index(self) -> GeoCatalog:
        """Build the spatial and temporal index now rather than at the first query; returns this catalog."""
        index = self._index
        _ = index.tree, index.boxes, index.sides, self._columns
        index.plan(shapely.box(0, 0, 1, 1), (0, 1))
        return self

    @property
    def total_bounds(self) -> Box:
        """(left, bottom, right, top) of all footprints in `crs`; CoordinateError for an empty catalog."""
        if not len(self):
            raise CoordinateError("an empty catalog has no bounds")
        b = self._index.bounds
        return float(b[:, 0].min()), float(b[:, 1].min()), float(b[:, 2].max()), float(b[:, 3].max())

    @property
    def temporal_extent(self) -> pd.Interval | None:
        """From the first start to the last stop; None where every row is static or there is none."""
        index = self.gdf.index
        dated = index[~index.isna()]
        if not len(dated):
            return None
        return pd.Interval(dated.left.min(), dated.right.max(), closed="both")

    def query(
        self,
        where: GeoSlice | Box | None = None,
        interval: Any = None,
        *,
        aoi: Any = None,
        aoi_crs: Any = None,
        crs: Any = None,
    ) -> GeoCatalog:
        """Rows that meet a box and a time.

        Parameters
        ----------
        where
            A slice in any CRS, or bounds (left, bottom, right, top) in ``crs`` (default: the catalog's).
            None: anywhere.
        interval
            What `as_interval` reads. Default: the slice's. Static rows are in every interval.
        aoi
            A shapely geometry, or anything with ``__geo_interface__``; a GeoSeries or GeoDataFrame brings its
            own CRS.
        aoi_crs
            The CRS of ``aoi``; default: the catalog's.

        Returns
        -------
        GeoCatalog
            Rows in their order. Sets are closed: touching edges and equal instants count.

        Raises
        ------
        CoordinateError
            For bounds or an area that are empty, not finite, or not a geometry; or that read as degrees where all
            rows lie elsewhere in a projected CRS, with no CRS given.
        """
        geometry, span = question(self, where, interval, aoi=aoi, aoi_crs=aoi_crs, crs=crs)
        if geometry is None and span is None:
            return self
        return self._some(self._index.search(geometry, span))

    def explain(
        self,
        where: GeoSlice | Box | None = None,
        interval: Any = None,
        *,
        aoi: Any = None,
        aoi_crs: Any = None,
        crs: Any = None,
    ) -> Plan:
        """How `query` with these arguments would run, without running it."""
        return self._index.plan(*question(self, where, interval, aoi=aoi, aoi_crs=aoi_crs, crs=crs))

    def where(self, expression: str) -> GeoCatalog:
        """Rows that fulfil a filter such as ``'bands >= 3 and has(band_names, "B04")'``; see
        `gdal_gndc.catalog.where`."""
        mask = Expression(expression, self.columns).mask(self.gdf)
        return self._some(np.flatnonzero(mask))

    def intersect(self, other: AnyCatalog, spatial_only: bool = False) -> GeoCatalog:
        """Pairs of rows of both that share area and time.

        Columns of ``other`` come with the suffix ``_2`` (``_3`` and so on for a further operand); `layer`
        takes them apart again. The footprint is the common part, in this catalog's CRS; the time the common
        part, or with ``spatial_only`` the hull of both, which need not meet. Polygons that only touch make no
        pair.
        """
        theirs = other.collect().to_crs(self.crs)
        joined = relations.intersect(
            self._columns, theirs._columns, self._index, theirs._index, spatial_only=spatial_only
        )
        return GeoCatalog._of(joined)

    def __and__(self, other: AnyCatalog) -> GeoCatalog:
        return self.intersect(other)

    def union(self, other: AnyCatalog, dedupe: bool = True) -> GeoCatalog:
        """Rows of both, in this catalog's CRS.

        With ``dedupe`` one row stays for each location and time: the one with the newest ``mtime``, else the
        first.
        """
        other = other.collect()
        if not len(other):
            joined = self.gdf
        elif not len(self):
            joined = other.to_crs(self.crs).gdf
        else:
            joined = relations.concat(self.gdf, other.to_crs(self.crs).gdf)
        return GeoCatalog._of(relations.drop_duplicates(joined) if dedupe else joined)

    def __or__(self, other: AnyCatalog) -> GeoCatalog:
        return self.union(other)

    def layer(self, number: int) -> GeoCatalog:
        """One operand of an intersection, counted from 1: its files with the common footprints and their own
        times."""
        if not 1 <= number <= self.layers:
            raise CatalogError(f"there is no layer {number}: this catalog has {self.layers}")
        return GeoCatalog._of(relations.layer(self.gdf, number))

    def with_interval_padding(self, days: float = 0.0, *, before: Any = None, after: Any = None) -> GeoCatalog:
        """Times widened by ``days`` at both ends, or by ``before`` and ``after`` (what Timedelta reads)
        each."""
        first = pd.Timedelta(days=days) if before is None else pd.Timedelta(before)
        last = pd.Timedelta(days=days) if after is None else pd.Timedelta(after)
        index = self.gdf.index
        padded = interval_index(index.left - first, index.right + last)
        return GeoCatalog._of(self.gdf.set_axis(padded, axis=0))

    def to_crs(self, crs: Any) -> GeoCatalog:
        """The same rows with footprints in another CRS: edges densified, split at the antimeridian, poles
        closed."""
        target = as_crs(crs)
        if same_crs(self.crs, target):
            return self
        gdf = self.gdf
        moved = reproject(np.asarray(gdf.geometry.array, dtype=object), self.crs, target)
        columns = {str(c): gdf[c].array for c in gdf.columns if c != "geometry"}
        return GeoCatalog._of(frame_of(columns, moved, target, gdf.index))

    def take(self, rows: Any) -> GeoCatalog:
        """The rows at these positions, in this order."""
        return self._some(np.asarray(rows, dtype=np.int64))

    def iter_rows(self) -> Iterator[Any]:
        """Rows as named tuples: ``datetime`` (interval), the columns, ``geometry``."""
        frame = pd.DataFrame(self.gdf).rename_axis("datetime").reset_index()
        rows: Iterator[Any] = frame.itertuples(index=False, name="Row")
        return rows

    def to_geoparquet(self, path: str | Path, **options: Any) -> None:
        """Write one GeoParquet 1.1 file; see `gdal_gndc.catalog.geoparquet.write`."""
        from gdal_gndc.catalog.geoparquet import write

        write(self, path, **options)

    @classmethod
    def from_geoparquet(
        cls,
        path: str | Path,
        *,
        bbox: Box | None = None,
        interval: Any = None,
        columns: list[str] | None = None,
    ) -> GeoCatalog:
        """Read a file or partitioned directory, row groups that cannot hold a hit left out; see
        `geoparquet.read`."""
        from gdal_gndc.catalog.geoparquet import read

        return read(path, bbox=bbox, interval=interval, columns=columns)

    def append(self, directory: str | Path) -> Path:
        """Add the rows to a partitioned directory as a new file of its own; returns that file.

        Any number of processes may append at once: no file is ever rewritten.
        """
        from gdal_gndc.catalog.geoparquet import append

        return append(self, directory)

    def footprint(self) -> shapely.Geometry:
        """All footprints merged into one geometry."""
        return shapely.union_all(np.asarray(self.gdf.geometry.array, dtype=object))
