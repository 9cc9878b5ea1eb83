"""Points from files: CSV, GeoJSON, or any vector file that geopandas reads."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import CoordinateError

Doubles = NDArray[np.float64]

LONLAT = "EPSG:4326"
# what the columns of a CSV are usually called, x before y
_NAMES = (("lon", "lat"), ("longitude", "latitude"), ("long", "lat"), ("x", "y"), ("easting", "northing"))


@dataclass(frozen=True)
class Points:
    """Points of a file.

    Attributes
    ----------
    x, y
        (N,) coordinates in ``crs``, x before y whatever its authority says.
    crs
        Anything pyproj understands.
    columns
        What x and y are called: as in a CSV, else ``lon`` and ``lat``, or ``x`` and ``y``.
    labels
        What names each point: a column of the file, or its place in it, from 0.
    """

    x: Doubles
    y: Doubles
    crs: Any
    columns: tuple[str, str]
    labels: Sequence[Any]

    def __len__(self) -> int:
        return self.x.size


def read_points(path: str | os.PathLike[str], *, crs: Any = None, id_column: str | None = None) -> Points:
    """Read points.

    Parameters
    ----------
    path
        ``.csv``: columns ``lon`` and ``lat``, ``longitude`` and ``latitude``, ``x`` and ``y`` or ``easting`` and
        ``northing``, in any case. ``.geojson`` or ``.json``: features of type Point. Else what geopandas reads.
    crs
        Of the coordinates; by default what the file says, else EPSG:4326.
    id_column
        Column or property that names the points.

    Raises
    ------
    CoordinateError
        If the file has no such columns, no point, or something that is none.
    FileNotFoundError
        If there is no such file.
    ModuleNotFoundError
        If the file needs geopandas, and that is not installed.
    """
    file = Path(path)
    suffix = file.suffix.lower()
    found = (_csv if suffix == ".csv" else _geojson if suffix in (".geojson", ".json") else _vector)(
        file, crs, id_column
    )
    if not len(found):
        raise CoordinateError(f"{file}: no points")
    bad = np.flatnonzero(~(np.isfinite(found.x) & np.isfinite(found.y)))
    if bad.size:
        raise CoordinateError(f"{file}: point {found.labels[bad[0]]} has no coordinates")
    return found


def _csv(file: Path, crs: Any, id_column: str | None) -> Points:
    with file.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines)
        names = {name.strip().lower(): name for name in reversed(reader.fieldnames or [])}
        pair = next(((names[x], names[y]) for x, y in _NAMES if x in names and y in names), None)
        if pair is None:
            there = ", ".join(reader.fieldnames or []) or "none"
            raise CoordinateError(f"{file}: columns {there}; expected lon and lat, or x and y")
        if id_column is not None and id_column not in (reader.fieldnames or []):
            raise CoordinateError(
                f"{file}: no column {id_column!r}; expected one of {', '.join(reader.fieldnames or [])}"
            )
        rows = list(reader)
    try:
        x, y = (np.array([float(row[name]) for row in rows], np.float64) for name in pair)
    except (TypeError, ValueError) as error:
        raise CoordinateError(f"{file}: a coordinate is not a number: {error}") from None
    labels = range(len(rows)) if id_column is None else [row[id_column] for row in rows]
    return Points(x, y, LONLAT if crs is None else crs, (pair[0].strip(), pair[1].strip()), labels)


def _geojson(file: Path, crs: Any, id_column: str | None) -> Points:
    try:
        document = json.loads(file.read_text("utf-8"))
        features = document["features"] if document["type"] == "FeatureCollection" else [document]
        geometries = [feature["geometry"] for feature in features]
        kinds = {geometry["type"] for geometry in geometries}
        if kinds - {"Point"}:
            raise CoordinateError(f"{file}: a {', '.join(sorted(kinds - {'Point'}))} is not a point")
        places = np.array([geometry["coordinates"][:2] for geometry in geometries], np.float64).reshape(-1, 2)
        labels = _properties(features, id_column)
        if crs is None:
            # RFC 7946 knows only one; files from before it name theirs
            crs = document.get("crs", {}).get("properties", {}).get("name", LONLAT)
    except CoordinateError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CoordinateError(f"{file}: not a GeoJSON of points: {error!r}") from None
    return Points(places[:, 0], places[:, 1], crs, _columns(crs), labels)


def _properties(features: Sequence[dict[str, Any]], name: str | None) -> Sequence[Any]:
    if name is None:
        return range(len(features))
    missing = [i for i, feature in enumerate(features) if name not in (feature.get("properties") or {})]
    if missing:
        raise CoordinateError(f"feature {missing[0]} has no property {name!r}")
    return [feature["properties"][name] for feature in features]


def _vector(file: Path, crs: Any, id_column: str | None) -> Points:
    if not file.exists():
        raise FileNotFoundError(2, "No such file or directory", str(file))
    import geopandas

    frame = geopandas.read_file(file)
    kinds = sorted(set(frame.geometry.geom_type.dropna()) - {"Point"})
    if kinds:
        raise CoordinateError(f"{file}: a {', '.join(kinds)} is not a point")
    if id_column is not None and id_column not in frame.columns:
        raise CoordinateError(f"{file}: no column {id_column!r}; expected one of {', '.join(frame.columns[:-1])}")
    named = crs if crs is not None else frame.crs.to_wkt() if frame.crs is not None else LONLAT
    labels = range(len(frame)) if id_column is None else frame[id_column].tolist()
    x, y = (np.asarray(a, np.float64) for a in (frame.geometry.x, frame.geometry.y))
    return Points(x, y, named, _columns(named), labels)


def _columns(crs: Any) -> tuple[str, str]:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return ("lon", "lat") if CRS.from_user_input(crs).is_geographic else ("x", "y")
    except CRSError as error:
        raise CoordinateError(f"{crs!r} is not a CRS: {error}") from None
