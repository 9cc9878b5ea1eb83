"""Footprints from one reference system into another: densified edges, antimeridian and poles."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
import shapely
from pyproj.exceptions import CRSError

from gdal_gndc.errors import CoordinateError

EDGE_POINTS = 20
_WORLD = shapely.box(-180.0, -90.0, 180.0, 90.0)


def as_crs(value: Any) -> pyproj.CRS:
    """A coordinate reference system from an authority code, EPSG number, WKT, pyproj or rasterio object.

    Raises
    ------
    CoordinateError
        If nothing is given or it cannot be understood.
    """
    if isinstance(value, pyproj.CRS):
        return value
    if value is None:
        raise CoordinateError("a coordinate reference system is missing")
    if isinstance(value, (str, int, np.integer)):
        return _parse(int(value) if isinstance(value, np.integer) else value)
    to_wkt = getattr(value, "to_wkt", None)
    return _parse(to_wkt() if to_wkt else value)


@lru_cache(maxsize=512)
def _parse(value: str | int) -> pyproj.CRS:
    try:
        return pyproj.CRS.from_user_input(value)
    except CRSError as error:
        raise CoordinateError(f"{value!r} is not a coordinate reference system") from error


def crs_name(crs: pyproj.CRS) -> str:
    """The shortest exact text of a CRS: ``AUTHORITY:CODE`` when it has one, else WKT."""
    return _crs_name(crs.to_wkt())


@lru_cache(maxsize=512)
def _crs_name(wkt: str) -> str:
    authority = pyproj.CRS.from_wkt(wkt).to_authority(min_confidence=100)
    return f"{authority[0]}:{authority[1]}" if authority else wkt


def same_crs(first: pyproj.CRS, second: pyproj.CRS) -> bool:
    """Whether coordinates of the two are the same numbers (axis order set aside: x is always east)."""
    return first is second or _same(first.to_wkt(), second.to_wkt())


@lru_cache(maxsize=1024)
def _same(first: str, second: str) -> bool:
    if first == second:
        return True
    return pyproj.CRS.from_wkt(first).equals(pyproj.CRS.from_wkt(second), ignore_axis_order=True)


def transformer(source: pyproj.CRS, target: pyproj.CRS) -> pyproj.Transformer:
    """The transformation between two systems, x before y; cached."""
    return _transformer(source.to_wkt(), target.to_wkt())


@lru_cache(maxsize=256)
def _transformer(source: str, target: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def densified_ring(bounds: Any) -> np.ndarray:
    """Boxes (N, 4) as closed counter-clockwise rings (N, 4 * EDGE_POINTS + 1, 2)."""
    box = np.asarray(bounds, dtype=np.float64).reshape(-1, 4)
    step = np.linspace(0.0, 1.0, EDGE_POINTS, endpoint=False)
    zero, one = np.zeros_like(step), np.ones_like(step)
    u = np.concatenate([step, one, 1.0 - step, zero, [0.0]])
    v = np.concatenate([zero, step, one, 1.0 - step, [0.0]])
    x = box[:, 0, None] * (1.0 - u) + box[:, 2, None] * u
    y = box[:, 1, None] * (1.0 - v) + box[:, 3, None] * v
    return np.stack([x, y], axis=-1)


def reproject_boxes(bounds: Any, source: pyproj.CRS, target: pyproj.CRS) -> np.ndarray:
    """Boxes (N, 4) of ``source`` as footprints (N,) in ``target``; see `reproject`."""
    box = np.asarray(bounds, dtype=np.float64).reshape(-1, 4)
    plain = np.asarray(shapely.box(box[:, 0], box[:, 1], box[:, 2], box[:, 3]), dtype=object)
    if same_crs(source, target):
        return wrap_longitudes(plain) if target.is_geographic else plain
    return _project(np.asarray(shapely.polygons(densified_ring(box)), dtype=object), source, target)


def reproject(geometries: Any, source: pyproj.CRS, target: pyproj.CRS) -> np.ndarray:
    """Geometries (N,) from one system into another, edges densified before.

    In a geographic target a footprint that crosses the antimeridian is split into parts within [-180, 180],
    and one that holds a pole reaches up to it. Where vertices have no image in the target, the footprint is
    the convex hull of those that have one.

    Raises
    ------
    CoordinateError
        If fewer than three vertices of a polygon can be transformed.
    """
    geoms = np.asarray(geometries, dtype=object).reshape(-1)
    if same_crs(source, target):
        return wrap_longitudes(geoms) if target.is_geographic else geoms
    reach = np.asarray(shapely.length(geoms)) / (4 * EDGE_POINTS)
    lines = reach > 0
    if lines.any():
        geoms = geoms.copy()
        geoms[lines] = shapely.segmentize(geoms[lines], reach[lines])
    return _project(geoms, source, target)


def _project(geoms: np.ndarray, source: pyproj.CRS, target: pyproj.CRS) -> np.ndarray:
    coords, owner = shapely.get_coordinates(geoms, return_index=True)
    x, y = transformer(source, target).transform(coords[:, 0], coords[:, 1])
    moved = np.column_stack([x, y])
    finite = np.isfinite(moved).all(axis=1)
    moved[~finite] = 0.0
    out: np.ndarray = shapely.set_coordinates(geoms.copy(), moved)
    if not finite.all():
        broken = np.unique(owner[~finite])
        out[broken] = _hulls(moved[finite], owner[finite], broken, len(geoms), target)
    return wrap_longitudes(out) if target.is_geographic else out


def _hulls(points: np.ndarray, owner: np.ndarray, broken: np.ndarray, count: int, target: pyproj.CRS) -> np.ndarray:
    counts = np.bincount(owner, minlength=count)[broken]
    if (counts < 3).any():
        row = int(broken[np.flatnonzero(counts < 3)[0]])
        raise CoordinateError(f"footprint {row} has no image in {crs_name(target)[:60]}: choose another target CRS")
    chosen = np.isin(owner, broken)
    dense = np.searchsorted(broken, owner[chosen])
    clouds = shapely.multipoints(shapely.points(points[chosen]), indices=dense)
    return np.asarray(shapely.convex_hull(clouds), dtype=object)


def wrap_longitudes(geometries: np.ndarray) -> np.ndarray:
    """Lon/lat geometries (N,) split at the antimeridian; rings around a pole are closed over it.

    A step of more than 180 degrees between neighbouring vertices is read as a crossing. Holes of such
    polygons are filled.
    """
    coords, owner = shapely.get_coordinates(geometries, return_index=True)
    if coords.shape[0] < 2:
        return geometries
    jump = (np.abs(np.diff(coords[:, 0])) > 180.0) & (owner[1:] == owner[:-1])
    wide = np.zeros(len(geometries), dtype=bool)
    if jump.any():
        wide[owner[1:][jump]] = True
    outside = np.abs(coords[:, 0]) > 180.0 + 1e-9
    if outside.any():
        wide[owner[outside]] = True
    # A box spanning the world has 360 degrees between neighbouring corners and is right as it is.
    if wide.any():
        bounds = shapely.bounds(geometries[wide])
        width = bounds[:, 2] - bounds[:, 0]
        whole = np.asarray(shapely.area(geometries[wide])) >= 0.999 * width * (bounds[:, 3] - bounds[:, 1])
        simple = (shapely.get_num_coordinates(geometries[wide]) <= 5) & whole & (np.abs(bounds[:, 0]) <= 180.0 + 1e-9)
        rows = np.flatnonzero(wide)
        wide[rows[simple & (bounds[:, 2] <= 180.0 + 1e-9)]] = False
    if not wide.any():
        return geometries
    out = geometries.copy()
    out[wide] = _unwrap(geometries[wide])
    return out


def _unwrap(geometries: np.ndarray) -> np.ndarray:
    if (shapely.get_dimensions(geometries) < 2).any():
        raise CoordinateError("points and lines must lie within longitudes -180 to 180")
    parts, part_owner = shapely.get_parts(geometries, return_index=True)
    rings = shapely.get_exterior_ring(parts)
    coords, ring = shapely.get_coordinates(rings, return_index=True)
    lon, lat = coords[:, 0], coords[:, 1]
    turn = np.zeros(lon.shape[0])
    turn[1:] = np.where(ring[1:] == ring[:-1], -np.round(np.diff(lon) / 360.0), 0.0)
    # A four-vertex box is taken literally: its long edges are wide, not crossings.
    literal = np.asarray(shapely.get_num_coordinates(rings) <= 5)
    turn[literal[ring]] = 0.0
    first = np.searchsorted(ring, np.arange(len(rings)))
    last = np.searchsorted(ring, np.arange(len(rings)), side="right") - 1
    total = np.cumsum(turn)
    lon = lon + 360.0 * (total - total[first][ring])
    winding = np.abs(lon[last] - lon[first]) > 180.0
    pole = np.where(np.add.reduceat(lat, first) >= 0.0, 90.0, -90.0)
    extra_ring = np.repeat(np.flatnonzero(winding), 3)
    pick = np.tile([2, 1, 0], int(winding.sum()))
    start_lon, end_lon = lon[first][extra_ring], lon[last][extra_ring]
    extra_lon = np.choose(pick, [start_lon, start_lon, end_lon])
    extra_lat = np.where(pick == 0, lat[first][extra_ring], pole[extra_ring])
    all_ring = np.concatenate([ring, extra_ring])
    order = np.argsort(all_ring, kind="stable")
    path = np.column_stack([np.concatenate([lon, extra_lon]), np.concatenate([lat, extra_lat])])[order]
    flat = shapely.make_valid(shapely.polygons(shapely.linearrings(path, indices=all_ring[order])))
    turns = np.array([-720.0, -360.0, 0.0, 360.0, 720.0])
    sheets = [shapely.intersection(_shift(flat, shift), _WORLD) for shift in turns]
    merged = shapely.union_all(np.stack(sheets, axis=1), axis=1)
    pieces, piece_part = shapely.get_parts(np.asarray(merged, dtype=object), return_index=True)
    areal = shapely.get_dimensions(pieces) == 2
    joined = shapely.multipolygons(pieces[areal], indices=part_owner[piece_part[areal]])
    single = shapely.get_num_geometries(joined) == 1
    joined = np.asarray(joined, dtype=object)
    joined[single] = shapely.get_geometry(joined[single], 0)
    return joined


def _shift(geometries: np.ndarray, degrees: float) -> np.ndarray:
    if degrees == 0.0:
        return geometries
    coords = shapely.get_coordinates(geometries)
    coords[:, 0] += degrees
    return np.asarray(shapely.set_coordinates(geometries.copy(), coords), dtype=object)
