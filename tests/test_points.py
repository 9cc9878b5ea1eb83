"""Points from CSV, GeoJSON and other vector files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gdal_gndc.errors import CoordinateError
from gdal_gndc.points import read_points


def _geojson(path: Path, *coordinates: tuple[float, ...], crs: str | None = None, kind: str = "Point") -> Path:
    features = [
        {"type": "Feature", "properties": {"name": f"p{i}"}, "geometry": {"type": kind, "coordinates": list(c)}}
        for i, c in enumerate(coordinates)
    ]
    document = {"type": "FeatureCollection", "features": features}
    if crs:
        document["crs"] = {"type": "name", "properties": {"name": crs}}
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("lon,lat", ("lon", "lat")),
        ("name, Longitude ,LATITUDE", ("Longitude", "LATITUDE")),
        ("y,x", ("x", "y")),
        ("Easting,Northing,lon", ("Easting", "Northing")),
    ],
)
def test_columns_of_a_csv(tmp_path: Path, header: str, columns: tuple[str, str]) -> None:
    path = tmp_path / "p.csv"
    names = [name.strip() for name in header.split(",")]
    path.write_text(f"{header}\n" + ",".join("1.5" if n == columns[0] else "2" for n in names) + "\n", "utf-8-sig")
    found = read_points(path)
    assert found.columns == columns
    assert (found.x.tolist(), found.y.tolist(), list(found.labels)) == ([1.5], [2.0], [0])
    assert found.crs == "EPSG:4326"
    assert read_points(path, crs="EPSG:3857").crs == "EPSG:3857"


def test_geojson(tmp_path: Path) -> None:
    path = _geojson(tmp_path / "p.geojson", (3, 50), (4, 51, 100.0))
    found = read_points(path, id_column="name")
    np.testing.assert_array_equal([found.x, found.y], [[3, 4], [50, 51]])
    assert (found.labels, found.columns, found.crs) == (["p0", "p1"], ("lon", "lat"), "EPSG:4326")
    old = read_points(_geojson(tmp_path / "q.geojson", (5e5, 5.6e6), crs="urn:ogc:def:crs:EPSG::32631"))
    assert (old.columns, old.crs) == (("x", "y"), "urn:ogc:def:crs:EPSG::32631")


def test_what_geopandas_reads(tmp_path: Path) -> None:
    geopandas = pytest.importorskip("geopandas")
    frame = geopandas.GeoDataFrame(
        {"name": ["a", "b"]}, geometry=geopandas.points_from_xy([1, 2], [3, 4]), crs="EPSG:32631"
    )
    frame.to_file(tmp_path / "p.gpkg")
    found = read_points(tmp_path / "p.gpkg", id_column="name")
    np.testing.assert_array_equal([found.x, found.y], [[1, 2], [3, 4]])
    assert (found.labels, found.columns) == (["a", "b"], ("x", "y"))
    frame.buffer(1).to_file(tmp_path / "q.gpkg")
    with pytest.raises(CoordinateError, match="a Polygon is not a point"):
        read_points(tmp_path / "q.gpkg")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "a,b\n1,2\n", "columns a, b; expected lon and lat, or x and y"),
        ("a.csv", "lon,lat\n1,north\n", "a coordinate is not a number"),
        ("a.csv", "lon,lat\n1,2\n3,nan\n", "point 1 has no coordinates"),
        ("a.csv", "lon,lat\n1\n", "a coordinate is not a number"),
        ("a.csv", "lon,lat\n", "no points"),
        ("a.geojson", "{", "not a GeoJSON of points"),
        ("a.geojson", "[]", "not a GeoJSON of points"),
        ("a.geojson", '{"type": "FeatureCollection", "features": []}', "no points"),
        ("a.geojson", '{"type": "Feature", "geometry": null}', "not a GeoJSON of points"),
    ],
)
def test_what_is_no_file_of_points(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(CoordinateError, match=says):
        read_points(tmp_path / name)


def test_what_is_not_there(tmp_path: Path) -> None:
    for name in ("a.csv", "a.geojson", "a.gpkg"):
        with pytest.raises(FileNotFoundError):
            read_points(tmp_path / name)
    path = _geojson(tmp_path / "p.geojson", (0, 0))
    with pytest.raises(CoordinateError, match="no property 'id'"):
        read_points(path, id_column="id")
    with pytest.raises(CoordinateError, match="a LineString is not a point"):
        read_points(_geojson(tmp_path / "l.geojson", (0, 0), kind="LineString"))
    with pytest.raises(CoordinateError, match="'nowhere' is not a CRS"):
        read_points(path, crs="nowhere")
