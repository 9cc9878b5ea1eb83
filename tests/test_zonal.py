"""Statistics over polygons against exactextract on arrays, and against numpy."""

from __future__ import annotations

import numpy as np
import pytest

import gdal_gndc
from gdal_gndc import zonal
from gdal_gndc.errors import CoordinateError
from tests.conftest import CASES

geopandas = pytest.importorskip("geopandas")
exactextract = pytest.importorskip("exactextract")
shapely = pytest.importorskip("shapely")

CUBE = CASES / "tiles22_ov8_mask_res.gndc"
STATISTICS = ["mean", "std", "min", "max", "sum", "count"]


@pytest.fixture(scope="module")
def cube():
    with gdal_gndc.open(CUBE) as dataset:
        yield dataset


@pytest.fixture(scope="module")
def zones(cube):
    left, _, _, top = cube.bounds
    shapes = [
        shapely.box(left + 100, top - 200, left + 200, top - 100),
        shapely.Point(left + 400, top - 300).buffer(113),
        shapely.Point(left, top).buffer(55),  # partly outside
        shapely.Polygon([(left + 10, top - 600), (left + 800, top - 590), (left + 500, top - 20)]),
    ]
    return geopandas.GeoDataFrame({"name": list("abcd")}, geometry=shapes, crs=cube.crs.to_wkt())


def _expected(cube, zones, operations, t, band):
    from exactextract.raster import NumPyRasterSource

    left, bottom, right, top = cube.bounds
    values = cube.read(t)[..., band].astype(np.float64)
    raster = NumPyRasterSource(values, left, bottom, right, top, nodata=np.nan)
    return exactextract.exact_extract(raster, zones, operations, output="pandas")


@pytest.mark.parametrize("most_pixels", [0, 10_000])
def test_statistics_are_exactextracts(cube, zones, monkeypatch, most_pixels):
    monkeypatch.setattr(zonal, "_SERIES_PIXELS", most_pixels)
    table = cube.zonal_statistics(zones, STATISTICS, times=[0, 4])
    assert list(table.columns) == ["zone", "time", "band", *STATISTICS]
    assert len(table) == 4 * 2 * 2
    operations = ["mean", "stdev", "min", "max", "sum", "count"]
    for k, t in enumerate((0, 4)):
        for band, name in enumerate(cube.band_names):
            part = table[(table["band"] == name) & (table["time"] == cube.timestamps[t])]
            assert list(part["zone"]) == [0, 1, 2, 3]
            expected = _expected(cube, zones, operations, (0, 4)[k], band)
            for ours, theirs in zip(STATISTICS, operations, strict=True):
                np.testing.assert_allclose(part[ours], expected[theirs], rtol=1e-4, atol=1e-5)


def test_whole_pixels_are_numpys(cube, zones):
    table = zonal.zonal_statistics(cube, zones[:1], ["mean", "median", "q0.9", "q0", "q1", "count"], bands=["LAI"])
    assert list(table["time"]) == cube.timestamps
    for t, row in enumerate(table.itertuples()):
        inside = cube.read(t)[10:20, 10:20, 1].ravel().astype(float)
        known = inside[~np.isnan(inside)]
        assert row.count == pytest.approx(known.size)
        assert row.mean == pytest.approx(known.mean(), rel=1e-5)
        for value, share in ((row.median, 0.5), (row[6], 0.9), (row[7], 0.0), (row[8], 1.0)):
            assert value == pytest.approx(np.quantile(known, share, method="inverted_cdf"), rel=1e-4)


def test_weighted_quantiles():
    values, weights = np.array([3.0, 1.0, 2.0, np.nan]).reshape(4, 1, 1), np.array([0.2, 0.5, 0.3, 9.0])
    assert zonal._statistic("median", values, weights) == 1
    assert zonal._statistic("q0.6", values, weights) == 2
    assert zonal._statistic("q0.9", values, weights) == 3


def test_ndvi_of_fields_in_a_real_cube(real_cube):
    """Against exactextract on the frames themselves, as rasters."""
    from exactextract.raster import NumPyRasterSource

    with gdal_gndc.open(real_cube) as ds:
        left, bottom, right, top = ds.bounds
        shapes = [shapely.Point(left + x, top - y).buffer(r) for x, y, r in ((200, 200, 87), (400, 130, 33))]
        fields = geopandas.GeoDataFrame({"crop": ["maize", "beet"]}, geometry=shapes, crs=ds.crs.to_wkt())
        days = ["2018-05-06", "2018-06-30", "2018-07-06T00:00:00Z"]
        names = ["mean", "median", "q0.25", "count"]
        table = ds.zonal_statistics(fields, names, times=days, index="ndvi", id_column="crop")
        assert list(table.columns) == ["zone", "time", "band", *names]
        assert list(table["zone"].unique()) == ["maize", "beet"]
        assert set(table["band"]) == {"ndvi"}
        for day in days:
            raster = NumPyRasterSource(ds.ndvi(day).astype(float), left, bottom, right, top, nodata=np.nan)
            expected = exactextract.exact_extract(raster, fields, ["mean", "median", "count"], output="pandas")
            found = table[table["time"] == ds.resolve_time(day).time]
            np.testing.assert_allclose(found["mean"], expected["mean"], rtol=1e-4)
            np.testing.assert_allclose(found["count"], expected["count"], rtol=1e-5)
            # exactextract interpolates between two values, ours is one of them
            np.testing.assert_allclose(found["median"], expected["median"], atol=0.02)
            assert (found["q0.25"] <= found["median"]).all()
        # pi r^2 in pixels of 100 square metres; the circle has 64 corners
        np.testing.assert_allclose(found["count"], np.pi * np.array([87, 33]) ** 2 / 100, rtol=0.01)
        with pytest.raises(CoordinateError, match="1 bands for ndvi"):
            ds.zonal_statistics(fields, bands=["B04"], index="ndvi")


def test_zones_of_another_crs_from_a_file(cube, zones, tmp_path):
    path = tmp_path / "zones.geojson"
    zones.to_crs("EPSG:4326").to_file(path)
    table = zonal.zonal_statistics(cube, path, times=["2020-02-10T00:00:00Z"], bands=1, id_column="name")
    assert list(table["zone"]) == list("abcd")
    assert table["time"].dt.tz is not None
    expected = zonal.zonal_statistics(cube, zones, times=["2020-02-10T00:00:00Z"], bands=1)
    np.testing.assert_allclose(table["mean"], expected["mean"], rtol=1e-3)


def test_a_zone_elsewhere_has_no_data(cube):
    zones = geopandas.GeoSeries([shapely.box(0, 0, 1, 1)], crs=cube.crs.to_wkt())
    table = zonal.zonal_statistics(cube, zones, ["mean", "median", "min", "count"], times=[0])
    assert table[["mean", "median", "min"]].isna().all(axis=None)
    assert (table["count"] == 0).all()


def test_what_cannot_be_asked_is_refused(cube, zones):
    with pytest.raises(CoordinateError, match="statistic 'mode', expected one of mean"):
        zonal.zonal_statistics(cube, zones, ["mode"])
    with pytest.raises(CoordinateError, match="no column 'x'"):
        zonal.zonal_statistics(cube, zones, id_column="x")
    with pytest.raises(CoordinateError, match="the CRS of the zones is None"):
        zonal.zonal_statistics(cube, zones.set_crs(None, allow_override=True))
