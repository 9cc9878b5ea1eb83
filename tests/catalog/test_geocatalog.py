from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given

from gdal_gndc.catalog import GeoCatalog, GeoSlice
from gdal_gndc.catalog.footprints import FootprintIndex
from gdal_gndc.catalog.intervals import ticks
from gdal_gndc.errors import CoordinateError, FileFormatError, TimeError
from tests.catalog.catalog_frames import (
    PROPERTY,
    brute_query,
    catalog_of,
    catalogs,
    key_rows,
    questions,
    random_catalog,
)

NEVER = pd.DatetimeIndex([pd.NaT, pd.NaT])


@PROPERTY
@given(catalogs(), questions())
def test_query_is_brute_force(catalog: GeoCatalog, question: tuple) -> None:
    bounds, interval = question
    rows = catalog.query(bounds, interval)
    expected = catalog.take(brute_query(catalog, bounds, interval))
    pd.testing.assert_frame_equal(rows.gdf, expected.gdf)


@PROPERTY
@given(catalogs(max_rows=30), questions())
def test_every_plan_gives_the_same_rows(catalog: GeoCatalog, question: tuple) -> None:
    bounds, interval = question
    geometry = None if bounds is None else shapely.box(*bounds)
    span = None if interval is None else tuple(int(t.value // 1000) for t in interval)
    found = {}
    for name, guess in (("time", 10**9), ("space", -(10**9))):
        index = FootprintIndex(np.asarray(catalog.gdf.geometry.array, dtype=object), *ticks(catalog.gdf.index))
        index._guess = lambda _, g=guess: g  # type: ignore[method-assign]
        found[name] = index.search(geometry, span).tolist()
    assert found["time"] == found["space"] == brute_query(catalog, bounds, interval)


@PROPERTY
@given(catalogs(), questions(), questions())
def test_query_is_monotone_and_repeatable(catalog: GeoCatalog, one: tuple, two: tuple) -> None:
    first = catalog.query(*one)
    assert key_rows(first.query(*one)) == key_rows(first)
    assert set(key_rows(first.query(*two))) <= set(key_rows(first))
    assert key_rows(first.query(*two)) == key_rows(catalog.query(*two).query(*one))


def test_the_geopandas_idiom_agrees() -> None:
    catalog = random_catalog(3000, 1)
    when = pd.Interval(pd.Timestamp("2018-01-01", tz="UTC"), pd.Timestamp("2019-07-01", tz="UTC"), closed="both")
    gdf = catalog.gdf
    plain = gdf[gdf.index.overlaps(when)].cx[-60:80, -20:70]
    pd.testing.assert_frame_equal(catalog.query((-60, -20, 80, 70), when).gdf, plain)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:3035", "EPSG:32633"])
def test_query_does_not_depend_on_the_crs(crs: str) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.uniform(8, 16, 200), rng.uniform(44, 54, 200)
    day = np.full(200, np.datetime64("2024-05-01", "us"))
    catalog = catalog_of(np.column_stack([x, y, x + 0.3, y + 0.3]), day, day, "EPSG:4326").to_crs(crs)
    where = GeoSlice((10.05, 46.05, 13.13, 50.21), "2024-05", None, "EPSG:4326")
    expected = (x <= 13.13) & (x + 0.3 >= 10.05) & (y <= 50.21) & (y + 0.3 >= 46.05)
    found = catalog.query(where).gdf["location"].tolist()
    # Curved edges move a little between systems: rows within a kilometre of the edge may go either way.
    margin = 0.015
    sure = (x <= 13.13 - margin) & (x + 0.3 >= 10.05 + margin) & (y <= 50.21 - margin) & (y + 0.3 >= 46.05 + margin)
    maybe = (x <= 13.13 + margin) & (x + 0.3 >= 10.05 - margin) & (y <= 50.21 + margin) & (y + 0.3 >= 46.05 - margin)
    names = np.array([f"/data/{k}.tif" for k in range(200)])
    assert expected.sum() > 20
    assert set(names[sure]) <= set(found) <= set(names[maybe])


def test_an_area_in_any_crs_gives_the_right_rows(puglia: GeoCatalog) -> None:
    place = gpd.GeoSeries([shapely.Point(17.69, 40.60).buffer(0.001)], crs="EPSG:4326")
    by_own = puglia.query(aoi=place)
    by_name = puglia.query(aoi=place.iloc[0], aoi_crs="EPSG:4326")
    moved = puglia.query(aoi=place.to_crs("EPSG:32634").iloc[0], aoi_crs="EPSG:32634")
    native = puglia.query(aoi=place.to_crs("EPSG:32633").iloc[0])
    assert len(by_own) > 0
    assert key_rows(by_own) == key_rows(by_name) == key_rows(moved) == key_rows(native)
    mapping = puglia.query(aoi=place.iloc[0].__geo_interface__, aoi_crs=4326)
    assert key_rows(mapping) == key_rows(by_own)
    assert len(puglia.query(aoi=shapely.Point(10, 50), aoi_crs=4326)) == 0


def test_a_triangle_leaves_out_what_only_its_box_holds() -> None:
    day = np.array(["2024-01-01"] * 2, dtype="M8[us]")
    catalog = catalog_of([(0, 0, 1, 1), (8, 8, 9, 9)], day, day)
    triangle = shapely.Polygon([(0, 0), (9, 0), (0, 9)])
    assert catalog.query(aoi=triangle).gdf["location"].tolist() == ["/data/0.tif"]
    assert len(catalog.query(triangle.bounds)) == 2


def test_box_and_area_together_mean_their_common_part() -> None:
    day = np.array(["2024-01-01"], dtype="M8[us]")
    catalog = catalog_of([(0, 0, 10, 10)], day, day)
    assert len(catalog.query((0, 0, 4, 4), aoi=shapely.box(3, 3, 6, 6))) == 1
    assert len(catalog.query((0, 0, 2, 2), aoi=shapely.box(3, 3, 6, 6))) == 0


@pytest.mark.parametrize(
    "area", [shapely.Polygon(), shapely.Point(np.nan, 0), "POINT (1 2)", shapely.Point(500000, 4500000)]
)
def test_an_area_that_cannot_be_meant_is_an_error_not_no_rows(area: object) -> None:
    catalog = random_catalog(10, 1)
    with pytest.raises(CoordinateError):
        catalog.query(aoi=area, aoi_crs="EPSG:4326")


def test_a_query_over_the_antimeridian() -> None:
    day = np.array(["2024-01-01"] * 3, dtype="M8[us]")
    catalog = catalog_of([(178, 0, 179, 1), (-179, 0, -178, 1), (0, 0, 1, 1)], day, day, "EPSG:4326")
    assert catalog.query((170, -5, 190, 5)).gdf["location"].tolist() == ["/data/0.tif", "/data/1.tif"]
    where = GeoSlice((-2e6, -5e5, 2e6, 5e5), None, None, "+proj=aeqd +lon_0=180 +lat_0=0")
    assert catalog.query(where).gdf["location"].tolist() == ["/data/0.tif", "/data/1.tif"]


def test_touching_edges_and_instants_count() -> None:
    start = np.array(["2024-01-01", "2024-01-03"], dtype="M8[us]")
    catalog = catalog_of([(0, 0, 1, 1), (1, 0, 2, 1)], start, start + np.timedelta64(2, "D"))
    assert len(catalog.query((1, 1, 1, 1))) == 2
    assert len(catalog.query(None, pd.Timestamp("2024-01-03", tz="UTC"))) == 2
    assert len(catalog.query(None, pd.Timestamp("2024-01-03T00:00:00.000001", tz="UTC"))) == 1


def test_time_zones_are_one_time() -> None:
    local = pd.DatetimeIndex(["2024-07-01T01:00"]).tz_localize("Europe/Rome")
    catalog = catalog_of([(0, 0, 1, 1)], local, local)
    assert len(catalog.query(None, "2024-06-30")) == 1
    assert len(catalog.query(None, "2024-07-01")) == 0
    assert catalog.gdf.index[0].left == pd.Timestamp("2024-06-30T23:00", tz="UTC")


def test_static_rows_are_in_every_interval_and_hold_no_date() -> None:
    catalog = catalog_of([(0, 0, 1, 1), (0, 0, 1, 1)], NEVER, NEVER)
    assert len(catalog.query(None, "1850")) == 2
    assert catalog.gdf.index.isna().all()
    assert catalog.gdf["static"].all()
    assert catalog.temporal_extent is None
    assert "static" in repr(catalog)


def frame(**columns: object) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        {
            "location": ["a", "b"],
            "start": ["2024-01-01", "2024-01-02"],
            "stop": ["2024-01-01", "2024-01-02"],
            **columns,
        },
        geometry=[shapely.box(0, 0, 1, 1), shapely.box(1, 1, 2, 2)],
        crs=4326,
    )


def test_frames_that_are_no_catalog_name_the_first_bad_row() -> None:
    with pytest.raises(TimeError, match="row 1"):
        GeoCatalog(frame(start=["2024-01-01", None]))
    with pytest.raises(TimeError, match="'b'"):
        GeoCatalog(frame(start=["2024-01-01", None], stop=["2024-01-01", None]))
    with pytest.raises(TimeError, match="ends"):
        GeoCatalog(frame(stop=["2023-01-01", "2024-01-02"]))
    with pytest.raises(TimeError, match="static rows have a time"):
        GeoCatalog(frame(static=[False, True]))
    lost = frame()
    lost.loc[1, "geometry"] = None
    with pytest.raises(FileFormatError, match="row 1"):
        GeoCatalog(lost)
    with pytest.raises(FileFormatError, match="no CRS"):
        GeoCatalog(frame().set_crs(None, allow_override=True))
    with pytest.raises(FileFormatError, match="location"):
        GeoCatalog(frame().drop(columns="location"))
    with pytest.raises(FileFormatError, match="row 0"):
        GeoCatalog(frame(location=[None, "b"]))
    with pytest.raises(FileFormatError, match="zip"):
        GeoCatalog(frame(backend=["raster", "zip"]))
    with pytest.raises(FileFormatError, match="DataFrame"):
        GeoCatalog(pd.DataFrame({"location": ["a"]}))  # type: ignore[arg-type]


def test_an_empty_catalog_answers() -> None:
    nothing = GeoCatalog.empty("EPSG:3035")
    assert len(nothing) == 0
    assert len(nothing.query((0, 0, 1, 1), "2024")) == 0
    assert nothing.crs.to_epsg() == 3035
    assert "empty" in repr(nothing)
    assert nothing.backends == ()
    assert nothing._repr_html_()
    with pytest.raises(CoordinateError):
        _ = nothing.total_bounds
    full = random_catalog(5, 1)
    assert key_rows(full | GeoCatalog.empty()) == key_rows(GeoCatalog.empty() | full) == key_rows(full)
    assert len(full & GeoCatalog.empty()) == len(GeoCatalog.empty() & full) == 0


@PROPERTY
@given(catalogs())
def test_padding_is_what_it_says(catalog: GeoCatalog) -> None:
    padded = catalog.with_interval_padding(days=2)
    index, wide = catalog.gdf.index, padded.gdf.index
    dated = ~index.isna()
    assert ((index.left - wide.left)[dated] == pd.Timedelta(days=2)).all()
    assert ((wide.right - index.right)[dated] == pd.Timedelta(days=2)).all()
    assert (wide.isna() == index.isna()).all()
    assert key_rows(padded.with_interval_padding(days=-2)) == key_rows(catalog)


def test_padding_that_turns_inside_out_is_an_error() -> None:
    with pytest.raises(TimeError):
        random_catalog(3, 1).with_interval_padding(days=-5)


def test_iter_rows_gives_named_rows(puglia: GeoCatalog) -> None:
    row = next(iter(puglia.iter_rows()))
    assert row.location == puglia.gdf["location"].iloc[0]
    assert row.datetime == puglia.gdf.index[0]
    assert row.geometry.equals(puglia.gdf.geometry.iloc[0])
    assert len(list(puglia.iter_rows())) == 38


def test_a_query_is_a_view_until_asked(puglia: GeoCatalog) -> None:
    some = puglia.query(None, "2023-08-17")
    assert some._frame is puglia._frame
    assert len(some) == 2
    assert len(some.gdf) == 2
    assert len(puglia) == 38


def test_explain_says_what_goes_first() -> None:
    catalog = random_catalog(2000, 1).index()
    assert catalog.explain((0, 0, 1, 1), "2000/2030").first == "space"
    assert catalog.explain((-180, -90, 180, 90), "2018-03-01").first == "time"
    assert "of 2000 rows" in str(catalog.explain((0, 0, 1, 1)))


def test_extent_and_resolution(flanders: GeoCatalog, puglia: GeoCatalog) -> None:
    assert flanders.total_bounds == (501360, 5629040, 502000, 5629680)
    extent = flanders.temporal_extent
    assert extent is not None
    assert str(extent.left.date()) == "2017-08-04"
    assert str(extent.right) == "2018-11-27 23:59:59.999999+00:00"
    assert flanders.resolution == 10
    assert puglia.resolution == 10
    assert flanders.to_crs(4326).resolution is None


def test_notebook_card_and_plot(puglia: GeoCatalog) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    card = puglia._repr_html_()
    assert card.count("<rect") == 38
    assert "GeoCatalog 38 rows" in card
    axes = puglia.plot()
    assert len(axes.collections) >= 1
    import matplotlib.pyplot as plt

    plt.close(axes.figure)
