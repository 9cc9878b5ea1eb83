"""open_catalog: a catalog on disk with the engine that its size asks for."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from gdal_gndc.catalog.duck import DuckCatalog
from gdal_gndc.catalog.geocatalog import GeoCatalog
from gdal_gndc.catalog.geoparquet import live_parts
from gdal_gndc.catalog.options import choose

IN_MEMORY = 1_000_000


def open_catalog(path: str | Path, engine: str = "auto") -> GeoCatalog | DuckCatalog:
    """Open a catalog file or partitioned directory.

    Parameters
    ----------
    engine
        ``memory``: `GeoCatalog`. ``duckdb``: `DuckCatalog`, which reads nothing until an answer is asked for.
        ``auto``:
        memory up to a million rows.
    """
    choose("engine", engine, ("auto", "memory", "duckdb"))
    if engine == "auto":
        local = "://" not in str(path)
        rows = sum(pq.read_metadata(p).num_rows for p in live_parts(path)) if local else 0
        engine = "memory" if rows <= IN_MEMORY else "duckdb"
    return GeoCatalog.from_geoparquet(path) if engine == "memory" else DuckCatalog(path)
