from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from pyproj import Transformer

import gdal_gndc
from gdal_gndc.catalog import (
    GeoCatalog,
    GeoSlice,
    build_gndc_catalog,
    build_raster_catalog,
    build_vector_catalog,
    build_xarray_catalog,
    load_gndc,
    load_raster_timeseries,
    load_vector,
    load_xarray,
)
from gdal_gndc.errors import CatalogError, CoordinateError, FileFormatError, TimeError

CUBE = Path(__file__).parents[1] / "cases" / "basic_i8dec.gndc"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A field that is its own longitude, latitude and day, 0 to 360 degrees."""
    xr = pytest.importorskip("xarray")
    pytest.importorskip("netCDF4")
    path = tmp_path_factory.mktemp("nc") / "world.nc"
    times = pd.date_range("2024-01-01", periods=10, freq="D")
    lon, lat = np.arange(0.5, 360), np.arange(-59.5, 60)
    east = np.where(lon > 180, lon - 360, lon)
    day = np.arange(10.0)[:, None, None]
    grid = np.ones((10, lat.size, lon.size), dtype=np.float32)
    data = xr.Dataset(
        {
            "lon_is": (("time", "lat", "lon"), grid * east.astype(np.float32)),
            "lat_is": (("time", "lat", "lon"), grid * lat[:, None].astype(np.float32)),
            "day_is": (("time", "lat", "lon"), (grid * day).astype(np.float32)),
        },
        {"time": times, "lat": lat, "lon": lon},
    )
    data.to_netcdf(path, engine="netcdf4")
    return path


def test_an_archive_on_its_own_grid(archive: Path) -> None:
    catalog = build_xarray_catalog(archive)
    where = GeoSlice((10, 40, 20, 50), ("2024-01-03", "2024-01-05"), 1, "EPSG:4326")
    got = load_xarray(catalog, where)
    assert got.dims == ("time", "band", "y", "x")
    assert got.shape == (3, 3, 10, 10)
    assert list(got.band.values) == ["lon_is", "lat_is", "day_is"]
    np.testing.assert_allclose(got.values[0, 0], np.broadcast_to(where.x, (10, 10)))
    np.testing.assert_allclose(got.values[0, 1], np.broadcast_to(where.y[:, None], (10, 10)))
    np.testing.assert_array_equal(got.values[:, 2, 0, 0], [2, 3, 4])
    assert got.valid.values.all()


@pytest.mark.parametrize("bounds", [(-100, -20, -90, -10), (-5, 0, 5, 10)])
def test_western_longitudes_of_an_archive_from_0_to_360(archive: Path, bounds: tuple) -> None:
    where = GeoSlice(bounds, "2024-01-01", 1, "EPSG:4326")
    got = load_xarray(build_xarray_catalog(archive), where, ["lon_is"])
    np.testing.assert_allclose(got.values[0, 0], np.broadcast_to(where.x, (10, 10)))


def test_an_archive_in_another_crs(archive: Path) -> None:
    where = GeoSlice((4e5, 5.2e6, 6e5, 5.4e6), "2024-01-01", 5000, "EPSG:32633")
    got = load_xarray(build_xarray_catalog(archive), where, ["lon_is", "lat_is"], "bilinear")
    from pyproj import Transformer

    x, y = np.meshgrid(where.x, where.y)
    lon, lat = Transformer.from_crs(32633, 4326, always_xy=True).transform(x, y)
    np.testing.assert_allclose(got.values[0, 0], lon, atol=0.01)
    np.testing.assert_allclose(got.values[0, 1], lat, atol=0.01)


def test_a_real_archive_equals_its_tiffs(stacks: Path, tmp_path: Path) -> None:
    pytest.importorskip("netCDF4")
    tiffs = build_raster_catalog(stacks / "sst_gulfstream", r"(?P<date>\d{8})")
    where = GeoSlice(tiffs.total_bounds, "2022", 0.05, tiffs.crs)
    stack = load_raster_timeseries(tiffs, where)
    array = stack.isel(band=0, drop=True).drop_vars("valid").rename("sst")
    array.to_netcdf(tmp_path / "sst.nc", engine="netcdf4")
    archive = build_xarray_catalog(tmp_path / "sst.nc")
    assert archive.gdf["n_timesteps"].tolist() == [12]
    got = load_xarray(archive, where)
    np.testing.assert_array_equal(got.values, stack.values)
    np.testing.assert_array_equal(got.valid.values, stack.valid.values)
    np.testing.assert_array_equal(got.time.values, stack.time.values)


def test_archives_that_do_not_answer(archive: Path) -> None:
    catalog = build_xarray_catalog(archive)
    where = GeoSlice((10, 40, 20, 50), "2024-01-03", 1, "EPSG:4326")
    with pytest.raises(CoordinateError, match="wind"):
        load_xarray(catalog, where, ["wind"])
    between = (pd.Timestamp("2024-01-03T06:00"), pd.Timestamp("2024-01-03T07:00"))
    with pytest.raises(CatalogError, match="no time"):
        load_xarray(catalog, replace(where, interval=between))


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> GeoCatalog:
    """Two fields in Flanders, in longitude and latitude."""
    path = tmp_path_factory.mktemp("fields") / "fields.gpkg"
    shapes = gpd.GeoSeries(
        [shapely.box(501400, 5629100, 501600, 5629300), shapely.box(501700, 5629500, 502100, 5629600)], crs=32631
    )
    frame = gpd.GeoDataFrame({"crop": ["wheat", "maize"], "code": [4, 7]}, geometry=shapes.to_crs(4326))
    frame.to_file(path)
    return build_vector_catalog(path)


GRID = GeoSlice((501360, 5629040, 502000, 5629680), None, 10, "EPSG:32631")


def test_labels_are_burnt_where_they_lie(fields: GeoCatalog) -> None:
    got = load_vector(fields, GRID, label_field="code")
    mask = got["mask"]
    assert mask.shape == (64, 64)
    at = mask.sel(x=501505, y=5629205, method="nearest")
    assert int(at) == 4
    assert int((mask == 4).sum()) == 400
    assert int((mask == 7).sum()) == 300
    assert int((mask == 0).sum()) == 64 * 64 - 700
    assert got.attrs["classes"] == {"4": 4, "7": 7}
    assert mask.spatial_ref.attrs["GeoTransform"].startswith("501360.0 10.0")


def test_words_become_classes(fields: GeoCatalog) -> None:
    got = load_vector(fields, GRID, label_field="crop")
    assert got.attrs["classes"] == {"maize": 1, "wheat": 2}
    assert int((got["mask"] == 2).sum()) == 400
    fixed = load_vector(fields, GRID, label_field="crop", classes={"wheat": 5, "maize": 6})
    assert int((fixed["mask"] == 5).sum()) == 400
    with pytest.raises(FileFormatError, match="no class"):
        load_vector(fields, GRID, label_field="crop", classes={"wheat": 5})
    with pytest.raises(FileFormatError, match="no field"):
        load_vector(fields, GRID, label_field="owner")


def test_boxes_and_instances(fields: GeoCatalog) -> None:
    found = load_vector(fields, GRID, "object_detection", "code")
    np.testing.assert_allclose(found["boxes"].values, [[4, 38, 24, 58], [34, 8, 64, 18]], atol=0.05)
    assert found["labels"].values.tolist() == [4, 7]
    both = load_vector(fields, GRID, "instance_segmentation", "code")
    assert np.unique(both["instances"].values).tolist() == [0, 1, 2]
    np.testing.assert_array_equal(both["mask"].values == 7, both["instances"].values == 2)
    corner = replace(GRID, bounds=(501360, 5629640, 501400, 5629680))
    with pytest.raises(CatalogError, match="no row"):
        load_vector(fields, replace(corner, bounds=(501360, 5639640, 501400, 5639680)))
    gap = replace(GRID, bounds=(501460, 5629400, 501500, 5629440))
    empty = load_vector(fields, gap, "instance_segmentation", "code")
    assert empty["boxes"].shape == (0, 4)
    assert not empty["mask"].values.any()


@pytest.fixture(scope="module")
def cubes() -> GeoCatalog:
    return build_gndc_catalog(CUBE)


def test_a_cube_on_its_own_grid_is_its_frames(cubes: GeoCatalog) -> None:
    where = GeoSlice(cubes.total_bounds, "2020-01", 10, cubes.crs)
    got = load_gndc(cubes, where)
    with gdal_gndc.open(CUBE) as cube:
        assert got.shape == (2, 3, 61, 83)
        np.testing.assert_array_equal(np.moveaxis(got.values[1], 0, -1), cube.read(1))
        assert list(got.band.values) == cube.band_names
        middle = cube.timestamps[0] + timedelta(days=5)
        part = load_gndc(cubes, where, times=[middle], bands=[cube.band_names[2]])
        np.testing.assert_array_equal(part.values[0, 0], cube.read_at_time(middle)[:, :, 2])


def test_a_cube_is_evaluated_at_the_centres_of_any_grid(cubes: GeoCatalog) -> None:
    left, bottom, right, top = cubes.total_bounds
    # Twice as fine: every centre lies on a quarter pixel, those of the cube's own fine read.
    fine = GeoSlice((left, bottom, right, top), None, 5, cubes.crs)
    got = load_gndc(cubes, fine, times="2020-02-01")
    with gdal_gndc.open(CUBE) as cube:
        expected = cube.read_at_time("2020-02-01", out_shape=(122, 166))
        np.testing.assert_array_equal(np.moveaxis(got.values[0], 0, -1), expected)
        # A window that overhangs by less than half a pixel keeps its sample points.
        shifted = GeoSlice((left - 3, bottom - 3, right + 7, top + 7), None, 10, cubes.crs)
        moved = load_gndc(cubes, shifted, times="2020-02-01")
        assert moved.shape[2:] == shifted.shape
        inner = cube.read_at_time("2020-02-01", window=(0.7, 0.3, 82, 60))
        np.testing.assert_allclose(np.moveaxis(moved.values[0], 0, -1)[1:61, 1:83], inner, atol=1e-5)
        # The first row and the last column have their centres outside.
        assert moved.valid.values[..., 1:, :-1].all()
        assert not moved.valid.values[..., 0, :].any()
        assert not moved.valid.values[..., -1].any()


def test_outside_the_cube_is_not_valid(cubes: GeoCatalog) -> None:
    left, bottom, right, top = cubes.total_bounds
    where = GeoSlice((left - 50, bottom, right, top + 20), "2020-01-03", 10, cubes.crs)
    got = load_gndc(cubes, where)
    assert not got.valid.values[..., :5].any()
    assert not got.valid.values[..., :2, :].any()
    assert got.valid.values[..., 2:, 5:].all()
    with gdal_gndc.open(CUBE) as cube:
        np.testing.assert_array_equal(np.moveaxis(got.values[0, :, 2:, 5:], 0, -1), cube.read(0))


def test_a_cube_in_another_crs_is_the_field_at_the_pixel_centres(cubes: GeoCatalog) -> None:
    where = GeoSlice(cubes.total_bounds, None, 10, cubes.crs).to_crs("EPSG:3035")
    moments = ["2020-01-15T06:00", "2020-02-01"]
    moved = load_gndc(cubes, where, times=moments)
    inside = moved.valid.values[0, 0]
    assert 0.7 < inside.mean() < 1
    to_cube = Transformer.from_crs(3035, cubes.crs, always_xy=True)
    with gdal_gndc.open(CUBE) as cube:
        for row, col in np.random.default_rng(1).permutation(np.argwhere(inside))[:25].tolist():
            x, y = to_cube.transform(where.x[col], where.y[row])
            box = (x - 1e-3, y - 1e-3, x + 1e-3, y + 1e-3)
            for step, moment in enumerate(moments):
                expected = cube.read_at_time(moment, bbox=box, out_shape=(1, 1))[0, 0]
                np.testing.assert_allclose(moved.values[step, :, row, col], expected, rtol=1e-5, atol=1e-5)
        # What lies outside is just what the cube's edges leave out.
        x, y = to_cube.transform(*np.meshgrid(where.x, where.y))
        left, bottom, right, top = cube.bounds
        np.testing.assert_array_equal(inside, (x >= left) & (x < right) & (y > bottom) & (y <= top))


def test_cubes_say_what_they_cannot_do(cubes: GeoCatalog) -> None:
    where = GeoSlice(cubes.total_bounds, None, 10, cubes.crs)
    with pytest.raises(CatalogError, match="no row"):
        load_gndc(cubes, where, times="2030-01-01")
    with pytest.raises(TimeError, match="no cube covers"):
        load_gndc(cubes, where, times=["2020-02-01", "2030-01-01"])
    with pytest.raises(TimeError, match="no observation"):
        load_gndc(cubes, replace(where, interval="2020-02-15"))
    with pytest.raises(TimeError, match="empty"):
        load_gndc(cubes, where, times=[])
