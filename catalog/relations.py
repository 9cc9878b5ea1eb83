"""Set algebra on whole frames: intersection of two catalogs, union with duplicates removed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import shapely

from gdal_gndc.catalog.columns import Columns, frame_of
from gdal_gndc.catalog.footprints import FootprintIndex
from gdal_gndc.catalog.intervals import STATIC_START, STATIC_STOP, interval_index, known_intervals, ticks

if TYPE_CHECKING:
    import geopandas as gpd


def intersect(
    left: Columns,
    right: Columns,
    left_index: FootprintIndex,
    right_index: FootprintIndex,
    *,
    spatial_only: bool,
) -> Joined:
    """Pairs of rows whose footprints share area (and, unless ``spatial_only``, an instant).

    Both frames lie in one CRS. Columns of ``right`` get the next free number (``location_2``), with its times
    as ``start_2`` and ``stop_2``. The footprint is the common part; the time the common part too, or the hull
    of both with ``spatial_only``. An overlap counts when it has the dimension of the lesser footprint:
    polygons that only touch make no pair.
    """
    i, j = left_index.pairs(right_index, in_time=not spatial_only)
    common, keep = _overlap(left_index, right_index, i, j)
    if not keep.all():
        i, j, common = i[keep], j[keep], common.take(keep)
    start, stop = _common_time(left_index, right_index, i, j, spatial_only=spatial_only)
    return Joined(left, right, i, j, common, start, stop)


@dataclass(frozen=True)
class Overlap:
    """Common parts of pairs of footprints: boxes as their sides (4, N), the others as geometries (N,)."""

    sides: np.ndarray
    odd: np.ndarray
    others: np.ndarray

    def take(self, keep: np.ndarray) -> Overlap:
        """Those that a mask (N,) chooses."""
        return Overlap(self.sides[:, keep], self.odd[keep], self.others[keep])

    def geometries(self) -> np.ndarray:
        """All of them as geometries, (N,)."""
        out: np.ndarray = np.asarray(shapely.box(*self.sides), dtype=object)
        out[self.odd] = self.others[self.odd]
        return out


@dataclass(frozen=True)
class Joined:
    """The pairs of an intersection before they are a frame: rows ``i`` of ``left`` and ``j`` of ``right``, their
    common parts, their times in microseconds."""

    left: Columns
    right: Columns
    i: np.ndarray
    j: np.ndarray
    common: Overlap
    start: np.ndarray
    stop: np.ndarray

    def __len__(self) -> int:
        return int(self.i.size)

    @property
    def crs(self) -> Any:
        """The CRS of the footprints, that of ``left``."""
        return self.left.crs

    def frame(self) -> gpd.GeoDataFrame:
        """The pairs as a catalog frame."""
        pairs, theirs = _attributes(self.left, self.i), _attributes(self.right, self.j)
        names = _renumber(list(theirs), layers(theirs), layers(pairs))
        pairs |= dict(zip(names, theirs.values(), strict=True))
        pairs["static"] = (self.start == STATIC_START) & (self.stop == STATIC_STOP)
        return frame_of(pairs, self.common.geometries(), self.crs, index_of_ticks(self.start, self.stop))


def _attributes(columns: Columns, rows: np.ndarray) -> dict[str, Any]:
    found = columns.gather(rows)
    if "start_1" not in found:
        found["start_1"], found["stop_1"] = columns.ends_of(rows)
    return found


def _renumber(names: list[str], count: int, shift: int) -> list[str]:
    """Column names of an operand of ``count`` layers, each layer's number raised by ``shift``."""
    known = frozenset(names)

    def renamed(name: str) -> str:
        stem, number = _split_name(name, known, count)
        return f"{stem}_{number + shift}"

    return [renamed(name) for name in names]


def _split_name(name: str, known: frozenset[str], count: int) -> tuple[str, int]:
    stem, _, tail = name.rpartition("_")
    if tail.isdigit() and 1 <= int(tail) <= count and (stem in known or stem in ("start", "stop")):
        return stem, int(tail)
    return name, 1


def layers(columns: Iterable[str]) -> int:
    """How many catalogs the rows of a frame with these columns combine."""
    known = frozenset(columns)
    number = 1
    while f"location_{number + 1}" in known:
        number += 1
    return number


def layer(frame: gpd.GeoDataFrame, number: int) -> gpd.GeoDataFrame:
    """The rows of one operand, with the pair's footprint and their own times; equal ones once."""
    count = layers(frame.columns)
    known = frozenset(str(c) for c in frame.columns)
    split = {name: _split_name(name, known, count) for name in map(str, frame.columns) if name != "geometry"}
    columns = {stem: frame[name].array for name, (stem, owner) in split.items() if owner == number}
    index = frame.index if count == 1 else interval_index(columns.pop("start"), columns.pop("stop"))
    columns["static"] = np.asarray(pd.isna(index))
    out = frame_of(columns, np.asarray(frame.geometry.array, dtype=object), frame.crs, index)
    return drop_duplicates(out, geometry=True)


def _overlap(left: FootprintIndex, right: FootprintIndex, i: np.ndarray, j: np.ndarray) -> tuple[Overlap, np.ndarray]:
    a, b = left.sides, right.sides
    # Side by side rather than box by box: contiguous columns are gathered and compared several times faster.
    merged = (np.maximum(a[k][i], b[k][j]) if k < 2 else np.minimum(a[k][i], b[k][j]) for k in range(4))
    sides = np.stack(list(merged))
    odd = ~(left.boxes[i] & right.boxes[j])
    keep: np.ndarray = (sides[2] > sides[0]) & (sides[3] > sides[1])
    others = np.empty(i.size, dtype=object)
    rest = np.flatnonzero(odd)
    if rest.size:
        first, second = left.geometries[i[rest]], right.geometries[j[rest]]
        common = shapely.intersection(first, second)
        least = np.minimum(shapely.get_dimensions(first), shapely.get_dimensions(second))
        keep[rest] = ~shapely.is_empty(common) & (shapely.get_dimensions(common) >= least)
        others[rest] = _pure(common, least)
    return Overlap(sides, odd, others), keep


def _pure(geometry: np.ndarray, dimension: np.ndarray) -> np.ndarray:
    """Collections reduced to their parts of the wanted dimension (an area with a touching line beside it)."""
    mixed = np.flatnonzero(shapely.get_type_id(geometry) == 7)
    if not mixed.size:
        return geometry
    parts, owner = shapely.get_parts(geometry[mixed], return_index=True)
    wanted = shapely.get_dimensions(parts) == dimension[mixed][owner]
    out = geometry.copy()
    some = np.unique(owner[wanted])
    dense = np.searchsorted(some, owner[wanted])
    merged = shapely.geometrycollections(parts[wanted], indices=dense) if some.size else np.empty(0, dtype=object)
    out[mixed[some]] = (
        shapely.union_all(np.asarray(merged, dtype=object).reshape(-1, 1), axis=1) if some.size else merged
    )
    return out


def _common_time(
    left: FootprintIndex, right: FootprintIndex, i: np.ndarray, j: np.ndarray, *, spatial_only: bool
) -> tuple[np.ndarray, np.ndarray]:
    a_start, a_stop, b_start, b_stop = left.starts[i], left.stops[i], right.starts[j], right.stops[j]
    if spatial_only:
        # A static row has no time of its own, so the hull is the other one's.
        a_static, b_static = a_start == STATIC_START, b_start == STATIC_START
        start = np.where(a_static, b_start, np.where(b_static, a_start, np.minimum(a_start, b_start)))
        stop = np.where(a_static, b_stop, np.where(b_static, a_stop, np.maximum(a_stop, b_stop)))
    else:
        start, stop = np.maximum(a_start, b_start), np.minimum(a_stop, b_stop)
    return start, stop


def index_of_ticks(start: np.ndarray, stop: np.ndarray) -> pd.IntervalIndex:
    """Microseconds, all-of-time included, as the catalog's index."""
    missing = (start == STATIC_START) & (stop == STATIC_STOP)
    ends = []
    for end in (start, stop):
        moments = end.astype("M8[us]")
        moments[missing] = np.datetime64("NaT")
        ends.append(pd.DatetimeIndex(moments).tz_localize("UTC"))
    return known_intervals(*ends)


def concat(first: gpd.GeoDataFrame, second: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Rows of both, in one CRS; a column that one lacks is missing there."""
    names = [str(c) for c in first.columns if c != "geometry"]
    names += [str(c) for c in second.columns if c != "geometry" and c not in first.columns]
    columns: dict[str, Any] = {}
    total = len(first) + len(second)
    for name in names:
        mine, theirs = (f[name].reset_index(drop=True) if name in f.columns else None for f in (first, second))
        if mine is None and theirs is not None:
            columns[name] = theirs.set_axis(range(len(first), total)).reindex(range(total)).array
        elif theirs is None and mine is not None:
            columns[name] = mine.reindex(range(total)).array
        else:
            columns[name] = pd.concat([mine, theirs], ignore_index=True).array
    start_a, stop_a = ticks(first.index)
    start_b, stop_b = ticks(second.index)
    index = index_of_ticks(np.concatenate([start_a, start_b]), np.concatenate([stop_a, stop_b]))
    geometry = np.concatenate(
        [np.asarray(first.geometry.array, dtype=object), np.asarray(second.geometry.array, dtype=object)]
    )
    return frame_of(columns, geometry, first.crs, index)


def drop_duplicates(frame: gpd.GeoDataFrame, *, geometry: bool = False) -> gpd.GeoDataFrame:
    """One row for each identity: its locations and time (and footprint, if asked); the newest ``mtime`` wins.

    Among equally new rows the first stays. Order is kept.
    """
    keep = distinct(frame, geometry=geometry)
    return frame if keep.size == len(frame) else Columns(frame).take(keep)


def distinct(frame: gpd.GeoDataFrame, *, geometry: bool = False) -> np.ndarray:
    """Positions, ascending, of the rows that stay when duplicates go."""
    count = layers(frame.columns)
    keys = {"location": _codes(frame["location"])}
    # Most files are there once: only rows that share their (first) location can be duplicates.
    again = np.flatnonzero(np.bincount(keys["location"])[keys["location"]] > 1) if len(frame) else np.arange(0)
    if not again.size:
        return np.arange(len(frame))
    keys = {name: codes[again] for name, codes in keys.items()}
    keys |= {f"location_{n}": _codes(frame[f"location_{n}"])[again] for n in range(2, count + 1)}
    keys["start"], keys["stop"] = (end[again] for end in ticks(frame.index))
    for number in range(1, count + 1):
        for end in ("start", "stop"):
            if f"{end}_{number}" in frame.columns:
                keys[f"{end}_{number}"] = pd.DatetimeIndex(frame[f"{end}_{number}"]).asi8[again]
    if geometry:
        wkb = shapely.to_wkb(np.asarray(frame.geometry.array, dtype=object)[again])
        keys["geometry"] = pd.factorize(wkb)[0]
    table = pd.DataFrame(keys)
    duplicated = table.duplicated().to_numpy(copy=True)
    if "mtime" in frame.columns and duplicated.any():
        age = pd.DatetimeIndex(frame["mtime"]).asi8[again]
        if (age != age[0]).any():
            # ~ rather than -: what has no time is the oldest, and -NaT would be NaT
            newest = np.argsort(~age, kind="stable")
            duplicated[newest] = table.iloc[newest].duplicated().to_numpy()
    keep = np.ones(len(frame), dtype=bool)
    keep[again[duplicated]] = False
    return np.flatnonzero(keep)


def _codes(values: pd.Series) -> np.ndarray:
    array = pa.array(values.array, from_pandas=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return np.asarray(array.dictionary_encode(null_encoding="encode").indices)
