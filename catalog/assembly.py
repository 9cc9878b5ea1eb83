"""From headers to a catalog: footprints from grids of many systems, times, and rows kept from an earlier
build."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from gdal_gndc.catalog.crs import as_crs, crs_name, densified_ring, reproject, reproject_boxes
from gdal_gndc.catalog.gather import BuildReport, Reader, gather
from gdal_gndc.catalog.geocatalog import GeoCatalog
from gdal_gndc.catalog.intervals import interval_index
from gdal_gndc.catalog.sources import stats


@dataclass(slots=True)
class Header:
    """What one file says of itself. ``corners``: an affine transform (6 numbers) with width and height, or a
    box."""

    location: str
    native_crs: str
    transform: tuple[float, ...] | None
    width: int
    height: int
    bounds: tuple[float, float, float, float] | None = None
    bands: int = 0
    band_names: tuple[str, ...] = ()
    dtype: str | None = None
    nodata: float | None = None
    n_timesteps: int = 1
    time_resolution: str | None = None
    start: Any = None
    stop: Any = None


@dataclass(slots=True)
class Failure:
    """Why a file gave no header."""

    location: str
    why: str


def build(
    names: Sequence[str],
    backend: str,
    reader: Reader,
    *,
    dates: Callable[[list[str]], tuple[pd.DatetimeIndex, pd.DatetimeIndex, dict[int, str]]] | None,
    target_crs: Any,
    target_resolution: float | None,
    previous: GeoCatalog | None,
    errors: str,
    workers: int | None,
    progress: bool,
    locations: Callable[[str], str] = str,
    processes: bool = True,
) -> GeoCatalog:
    """The common course of every builder.

    Files whose size and modification time are those of a row in ``previous`` keep that row; only the others
    are read.
    """
    paths = [locations(n) for n in names]
    size, mtime = stats(paths)
    report = BuildReport(files=len(paths))
    kept, fresh = _unchanged(paths, size, mtime, previous)
    report.reused = len(paths) - fresh.size
    todo = [paths[k] for k in fresh]
    results = gather(todo, reader, workers=workers, progress=progress, processes=processes)
    report.failed.update({r.location: r.why for r in results if isinstance(r, Failure)})
    good = np.flatnonzero([isinstance(r, Header) for r in results])
    headers: list[Header] = [results[k] for k in good]
    report.read = len(headers)
    files = fresh[good]
    starts, stops = _times(headers, dates, report)
    alive = np.array([h.location not in report.failed for h in headers], dtype=bool)
    report.settle(errors)
    headers = [h for h, ok in zip(headers, alive, strict=True) if ok]
    new = None
    if headers:
        target = as_crs(target_crs) if target_crs is not None else None
        if target is None and kept is not None and len(kept):
            target = kept.crs
        columns = {"size": size[files[alive]], "mtime": mtime[files[alive]]}
        frame = to_frame(headers, backend, starts[alive], stops[alive], columns, target)
        if target_resolution is not None:
            frame["target_resolution"] = float(target_resolution)
        new = GeoCatalog(frame)
    if kept is not None and len(kept):
        if target_crs is not None:
            kept = kept.to_crs(target_crs)
        catalog = kept if new is None else kept.union(new)
    else:
        catalog = new if new is not None else GeoCatalog.empty(target_crs or "EPSG:4326")
    if new is not None and kept is not None and len(kept):
        order = pd.Series(range(len(paths)), index=paths)[catalog.gdf["location"].to_numpy()].to_numpy()
        catalog = catalog.take(np.argsort(order, kind="stable"))
    catalog.report = report
    return catalog


def to_frame(
    headers: Sequence[Header],
    backend: str,
    starts: pd.DatetimeIndex,
    stops: pd.DatetimeIndex,
    columns: dict[str, Any],
    target: pyproj.CRS | None,
) -> gpd.GeoDataFrame:
    """Headers as a catalog frame; without a target, in the files' own CRS if there is one, else EPSG:4326."""
    systems = pd.Series([h.native_crs for h in headers])
    kinds = pd.unique(systems)
    if target is None:
        target = as_crs(kinds[0]) if len(kinds) == 1 else as_crs("EPSG:4326")
    geometry = footprints(headers, systems, target)
    matrix = np.array([h.transform if h.transform is not None else (np.nan,) * 6 for h in headers], dtype=np.float64)
    frame = gpd.GeoDataFrame(
        {
            "location": pd.array([h.location for h in headers], dtype="str"),
            "backend": backend,
            "bands": np.array([h.bands for h in headers], dtype=np.int32),
            "band_names": pd.Series([list(h.band_names) for h in headers], dtype="object"),
            "dtype": pd.array([h.dtype for h in headers], dtype="str"),
            "res_x": np.hypot(matrix[:, 0], matrix[:, 3]),
            "res_y": np.hypot(matrix[:, 1], matrix[:, 4]),
            "native_crs": systems.map({k: crs_name(as_crs(k)) for k in kinds}).astype("str"),
            "width": np.array([h.width for h in headers], dtype=np.int32),
            "height": np.array([h.height for h in headers], dtype=np.int32),
            "transform": pd.Series([list(h.transform) if h.transform else None for h in headers], dtype="object"),
            "nodata": np.array([np.nan if h.nodata is None else h.nodata for h in headers], dtype=np.float64),
            "n_timesteps": np.array([h.n_timesteps for h in headers], dtype=np.int32),
            "time_resolution": pd.array([h.time_resolution for h in headers], dtype="str"),
            "size": columns["size"],
            "mtime": pd.DatetimeIndex(columns["mtime"].astype("M8[us]")).tz_localize("UTC"),
            "static": np.asarray(starts.isna()),
        },
        geometry=geometry,
        crs=target,
    )
    frame.index = interval_index(starts, stops)
    return frame


def footprints(headers: Sequence[Header], systems: pd.Series, target: pyproj.CRS) -> np.ndarray:
    """The outline of each file in ``target``, (N,) geometries; files of one CRS are transformed together."""
    out = np.empty(len(headers), dtype=object)
    flat = np.array([_box(h) for h in headers], dtype=np.float64).reshape(-1, 4)
    turned = np.array([h.transform is not None and (h.transform[1] != 0 or h.transform[3] != 0) for h in headers])
    for name, rows in systems.groupby(systems).groups.items():
        source = as_crs(name)
        here = np.asarray(rows)
        plain, rotated = here[~turned[here]], here[turned[here]]
        if plain.size:
            out[plain] = reproject_boxes(flat[plain], source, target)
        if rotated.size:
            unit = densified_ring([(0.0, 0.0, 1.0, 1.0)])[0]
            t = np.array([headers[k].transform for k in rotated], dtype=np.float64)
            u = unit[:, 0] * np.array([[headers[k].width] for k in rotated])
            v = unit[:, 1] * np.array([[headers[k].height] for k in rotated])
            x = t[:, 0, None] * u + t[:, 1, None] * v + t[:, 2, None]
            y = t[:, 3, None] * u + t[:, 4, None] * v + t[:, 5, None]
            rings = shapely.polygons(np.stack([x, y], axis=-1))
            out[rotated] = reproject(np.asarray(rings, dtype=object), source, target)
    return out


def _box(header: Header) -> tuple[float, float, float, float]:
    if header.bounds is not None:
        return header.bounds
    assert header.transform is not None
    a, _, c, _, e, f = header.transform[:6]
    x, y = sorted((c, c + a * header.width)), sorted((f, f + e * header.height))
    return x[0], y[0], x[1], y[1]


def _times(headers: list[Header], dates: Any, report: BuildReport) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex]:
    if dates is not None:
        starts, stops, problems = dates([h.location for h in headers])
        report.failed.update({headers[row].location: why for row, why in problems.items()})
        return starts, stops
    starts = pd.DatetimeIndex(pd.to_datetime(pd.Series([h.start for h in headers], dtype="object"), utc=True))
    stops = pd.DatetimeIndex(pd.to_datetime(pd.Series([h.stop for h in headers], dtype="object"), utc=True))
    return starts.as_unit("us"), stops.as_unit("us")


def _unchanged(
    paths: Sequence[str], size: np.ndarray, mtime: np.ndarray, previous: GeoCatalog | None
) -> tuple[GeoCatalog | None, np.ndarray]:
    """The rows of ``previous`` that still hold, and the positions of the paths that must be read."""
    if previous is None or not len(previous):
        return None, np.arange(len(paths))
    old = previous.gdf
    before = pd.DataFrame(
        {
            "location": old["location"].to_numpy(),
            "size": old["size"].to_numpy(),
            "mtime": pd.DatetimeIndex(old["mtime"]).as_unit("us").asi8,
            "row": np.arange(len(old)),
        }
    )
    now = pd.DataFrame({"location": list(paths), "size": size, "mtime": mtime, "file": np.arange(len(paths))})
    # Where nothing can be said of a file (remote), it is read again.
    same = before.merge(now[now["mtime"] != 0], on=["location", "size", "mtime"], how="inner").sort_values("file")
    fresh = np.setdiff1d(np.arange(len(paths)), same["file"].to_numpy())
    return previous.take(same["row"].to_numpy()), fresh
