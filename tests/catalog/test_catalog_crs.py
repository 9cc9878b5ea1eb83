from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from gdal_gndc.catalog import DuckCatalog, GeoCatalog
from gdal_gndc.catalog.crs import as_crs, crs_name, reproject, reproject_boxes, same_crs
from gdal_gndc.errors import CoordinateError

LONLAT = as_crs("EPSG:4326")


def test_antimeridian_footprints_are_split() -> None:
    # A Sentinel-2 tile of UTM zone 60 that reaches over 180 degrees east.
    tile = reproject_boxes([(600000, 7190220, 709800, 7300020)], as_crs("EPSG:32660"), LONLAT)[0]
    assert tile.geom_type == "MultiPolygon"
    assert (tile.bounds[0], tile.bounds[2]) == (-180, 180)
    assert tile.intersects(shapely.Point(179.9, 65.2))
    assert tile.intersects(shapely.Point(-179.9, 65.2))
    assert not tile.intersects(shapely.Point(0, 65.2))
    # The split loses no ground: equal areas on the sphere to a per mille.
    back = reproject(np.array(list(tile.geoms), dtype=object), LONLAT, as_crs("EPSG:32660"))
    assert shapely.area(back).sum() == pytest.approx(109800**2, rel=2e-3)


@pytest.mark.parametrize(("code", "latitude"), [("EPSG:3413", 90.0), ("EPSG:3031", -90.0)])
def test_a_tile_over_a_pole_reaches_it(code: str, latitude: float) -> None:
    cap = reproject_boxes([(-1e6, -1e6, 1e6, 1e6)], as_crs(code), LONLAT)[0]
    assert cap.is_valid
    assert cap.bounds[0] == pytest.approx(-180)
    assert cap.bounds[2] == pytest.approx(180)
    assert max(cap.bounds[1::2], key=abs) == latitude
    inner = latitude - np.sign(latitude) * 5
    assert shapely.covers(cap, shapely.points(np.linspace(-179.5, 179.5, 40), inner)).all()
    assert not cap.intersects(shapely.Point(45, 0))


def test_a_polar_tile_beside_the_pole_does_not_reach_it() -> None:
    tile = reproject_boxes([(500000, 500000, 600000, 600000)], as_crs("EPSG:3413"), LONLAT)[0]
    assert tile.geom_type == "Polygon"
    assert tile.bounds[3] < 84
    assert tile.bounds[2] - tile.bounds[0] < 15


def test_longitudes_of_0_to_360_come_home() -> None:
    whole, east = reproject_boxes([(0, -90, 360, 90), (190, 0, 200, 10)], LONLAT, LONLAT)
    assert whole.bounds == (-180, -90, 180, 90)
    assert whole.area == pytest.approx(360 * 180)
    assert east.bounds == (-170, 0, -160, 10)


def test_the_world_stays_the_world() -> None:
    world = reproject_boxes([(-180, -90, 180, 90), (-170, -80, 170, 80)], LONLAT, LONLAT)
    assert [g.bounds for g in world] == [(-180, -90, 180, 90), (-170, -80, 170, 80)]


def test_edges_are_densified() -> None:
    wide = reproject_boxes([(2e6, 1e6, 7e6, 5e6)], as_crs("EPSG:3035"), LONLAT)[0]
    corners = shapely.Polygon([(0, 0), (1, 0), (1, 1), (0, 1)])
    assert shapely.get_num_coordinates(wide) > shapely.get_num_coordinates(corners)
    # The middle of the upper edge lies north of both upper corners.
    x, y = as_xy(wide)
    assert y.max() > max(y[np.argmin(x)], y[np.argmax(x)]) + 1


def as_xy(geometry: shapely.Geometry) -> tuple[np.ndarray, np.ndarray]:
    xy = shapely.get_coordinates(geometry)
    return xy[:, 0], xy[:, 1]


def test_a_footprint_partly_off_the_map_is_the_hull_of_the_rest() -> None:
    # Mercator has no image of the pole: the hull of what it has is kept.
    tile = reproject_boxes([(0, 60, 30, 90)], LONLAT, as_crs("EPSG:3395"))[0]
    assert np.isfinite(tile.bounds).all()
    assert tile.bounds[0] == pytest.approx(0, abs=1)


def test_a_footprint_wholly_off_the_map_is_an_error() -> None:
    far = as_crs("+proj=ortho +lat_0=0 +lon_0=0")
    with pytest.raises(CoordinateError, match="no image"):
        reproject_boxes([(170, -5, 175, 5)], LONLAT, far)


def test_names() -> None:
    assert crs_name(as_crs(4326)) == "EPSG:4326"
    custom = as_crs("+proj=sinu +R=6371007.181 +units=m")
    assert as_crs(crs_name(custom)) == custom
    assert same_crs(as_crs("EPSG:4326"), as_crs("OGC:CRS84"))
    assert not same_crs(as_crs("EPSG:32633"), as_crs("EPSG:32634"))
    with pytest.raises(CoordinateError):
        as_crs("EPSG:0")


def test_degrees_beside_a_projected_catalog_are_never_silently_nowhere(puglia: GeoCatalog, tmp_path: Path) -> None:
    place = shapely.Point(17.6905, 40.6003).buffer(0.0002)
    with pytest.raises(CoordinateError, match='aoi_crs="EPSG:4326"'):
        puglia.query(aoi=place)
    with pytest.raises(CoordinateError, match=' crs="EPSG:4326"'):
        puglia.query(place.bounds)
    assert len(puglia.query(aoi=place, aoi_crs=4326)) == len(puglia.query(place.bounds, crs=4326)) > 0
    assert not len(puglia.query((0.0, 0.0, 1.0, 1.0), crs=puglia.crs))
    puglia.to_geoparquet(tmp_path / "c.parquet")
    with pytest.raises(CoordinateError, match=r"c\.parquet: the box .* reads as degrees"):
        GeoCatalog.from_geoparquet(tmp_path / "c.parquet", bbox=place.bounds)
    with pytest.raises(CoordinateError, match="reads as degrees"):
        DuckCatalog(tmp_path / "c.parquet").query(place.bounds)
