from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given

from gdal_gndc.catalog import GeoCatalog
from gdal_gndc.catalog.box_pairs import BoxGrid
from gdal_gndc.catalog.footprints import FootprintIndex
from gdal_gndc.catalog.intervals import ticks
from gdal_gndc.errors import CatalogError
from tests.catalog.catalog_frames import DAY, PROPERTY, catalog_of, catalogs, key_rows, random_catalog


def brute_pairs(left: GeoCatalog, right: GeoCatalog, spatial_only: bool) -> list[tuple]:
    """Every pair, one by one."""
    found = []
    one = list(zip(left.gdf["location"], left.gdf.index, left.gdf.geometry, strict=True))
    two = list(zip(right.gdf["location"], right.gdf.index, right.gdf.geometry, strict=True))
    for name_a, when_a, area_a in one:
        for name_b, when_b, area_b in two:
            common = area_a.intersection(area_b)
            if common.area == 0:
                continue
            times = [w for w in (when_a, when_b) if hasattr(w, "left")]
            when: object = np.nan
            if times and spatial_only:
                when = pd.Interval(min(t.left for t in times), max(t.right for t in times), closed="both")
            elif times:
                start, stop = max(t.left for t in times), min(t.right for t in times)
                if start > stop:
                    continue
                when = pd.Interval(start, stop, closed="both")
            found.append((name_a, name_b, tuple(np.round(common.bounds, 6)), str(when)))
    return sorted(found)


@pytest.mark.parametrize("spatial_only", [False, True])
@PROPERTY
@given(left=catalogs(), right=catalogs(names="b"))
def test_intersect_is_brute_force(spatial_only: bool, left: GeoCatalog, right: GeoCatalog) -> None:
    assert key_rows(left.intersect(right, spatial_only)) == brute_pairs(left, right, spatial_only)


@PROPERTY
@given(catalogs(), catalogs(names="b"))
def test_intersect_is_commutative(left: GeoCatalog, right: GeoCatalog) -> None:
    swapped = [(b, a, *rest) for a, b, *rest in key_rows(right & left)]
    assert sorted(map(tuple, swapped)) == key_rows(left & right)


@PROPERTY
@given(catalogs(max_rows=25), catalogs(max_rows=25, names="b"))
def test_both_ways_to_pair_rows_agree(left: GeoCatalog, right: GeoCatalog) -> None:
    def pairs(guess: float) -> list:
        sides = [
            FootprintIndex(np.asarray(c.gdf.geometry.array, dtype=object), *ticks(c.gdf.index)) for c in (left, right)
        ]
        sides[0]._guess_space_pairs = lambda _: guess  # type: ignore[method-assign]
        return list(zip(*(side.tolist() for side in sides[0].pairs(sides[1], in_time=True)), strict=True))

    assert pairs(1e12) == pairs(0.0)


@PROPERTY
@given(catalogs(max_rows=25), catalogs(max_rows=25, names="b"))
def test_the_grid_finds_what_the_tree_finds(left: GeoCatalog, right: GeoCatalog) -> None:
    if not len(left) or not len(right):
        return
    found = BoxGrid(right._index.sides).meet(left._index.sides)
    assert found is not None
    tree = right._index.tree.query(left._index.geometries)
    assert sorted(zip(*map(np.ndarray.tolist, found), strict=True)) == sorted(zip(*tree.tolist(), strict=True))


def test_the_grid_leaves_uneven_sizes_to_the_tree() -> None:
    small = random_catalog(2000, 1)
    whole = catalog_of([(-180, -90, 180, 90)], ["2020-01-01"], ["2020-01-02"], "EPSG:4326", ["world"])
    uneven = small.union(whole)
    assert uneven._index.grid.meet(uneven._index.sides) is None
    left, right = uneven._index.pairs(uneven._index, in_time=False)
    assert np.bincount(left)[-1] == np.bincount(right)[-1] == 2001
    # points, all of them at one place: no extent, no size
    place = np.zeros((4, 3))
    found = BoxGrid(place).meet(place)
    assert found is not None
    assert len(found[0]) == 9


def test_gpd_overlay_agrees() -> None:
    left, right = random_catalog(2000, 1), random_catalog(2000, 2)
    plain = gpd.overlay(
        left.gdf.reset_index(drop=True)[["location", "geometry"]],
        right.gdf.reset_index(drop=True)[["location", "geometry"]],
        keep_geom_type=True,
    )
    ours = left.intersect(right, spatial_only=True).gdf
    expected = dict(zip(zip(plain["location_1"], plain["location_2"], strict=True), plain.geometry, strict=True))
    found = dict(zip(zip(ours["location"], ours["location_2"], strict=True), ours.geometry, strict=True))
    assert len(found) == len(plain) > 50
    assert found.keys() == expected.keys()
    assert all(shapely.equals_exact(found[k].normalize(), expected[k].normalize(), 1e-9) for k in found)


def test_footprints_that_are_not_boxes() -> None:
    day = np.array(["2024-01-01"], dtype="M8[us]")
    square = catalog_of([(0, 0, 4, 4)], day, day)
    gdf = square.gdf.copy()
    gdf["geometry"] = gpd.GeoSeries([shapely.Polygon([(3, 3), (9, 3), (9, 9)])], index=gdf.index, crs=gdf.crs)
    triangle = GeoCatalog(gdf)
    assert (square & triangle).gdf.geometry.iloc[0].area == pytest.approx(0.5)
    gdf["geometry"] = gpd.GeoSeries([shapely.Polygon([(4, 3), (9, 3), (9, 9)])], index=gdf.index, crs=gdf.crs)
    assert len(square & GeoCatalog(gdf)) == 0
    gdf["geometry"] = gpd.GeoSeries([shapely.Point(2, 2)], index=gdf.index, crs=gdf.crs)
    assert (square & GeoCatalog(gdf)).gdf.geometry.iloc[0].equals(shapely.Point(2, 2))


def test_spatial_only_spans_both_epochs(flanders: GeoCatalog) -> None:
    before, after = flanders.query(None, "2017-08"), flanders.query(None, "2018-08")
    assert len(before & after) == 0
    pairs = before.intersect(after, spatial_only=True)
    assert len(pairs) == len(before) * len(after)
    row = pairs.gdf.iloc[0]
    assert pairs.gdf.index[0].left == row["start_1"]
    assert pairs.gdf.index[0].right == row["stop_2"]


def test_operands_in_other_crs_are_moved(puglia: GeoCatalog) -> None:
    lonlat = puglia.to_crs(4326)
    assert len(puglia & lonlat) == len(puglia & puglia)
    assert (lonlat & puglia).crs.to_epsg() == 4326


def test_layers_come_apart_again() -> None:
    day = np.array(["2024-01-01", "2024-01-02"], dtype="M8[us]")
    never = pd.DatetimeIndex([pd.NaT])
    a = catalog_of([(0, 0, 4, 4), (2, 0, 6, 4)], day, day + DAY, names=["a0", "a1"], cloud=[1.0, 2.0])
    b = catalog_of([(1, 1, 3, 3)], day[:1], day[:1] + 2 * DAY, names=["b0"])
    c = catalog_of([(0, 0, 9, 9)], never, never, names=["dem"])
    whole = a & b & c
    assert whole.layers == 3
    assert whole.gdf["location_3"].tolist() == ["dem", "dem"]
    assert key_rows(whole) == key_rows(a & (b & c))
    assert whole.layer(1).gdf["location"].tolist() == ["a0", "a1"]
    assert whole.layer(1).gdf["cloud"].tolist() == [1.0, 2.0]
    assert list(whole.layer(1).gdf.index) == list(a.gdf.index)
    assert set(whole.layer(2).gdf["location"]) == {"b0"}
    assert whole.layer(3).gdf["static"].all()
    assert a.layer(1).gdf["location"].tolist() == ["a0", "a1"]
    with pytest.raises(CatalogError):
        whole.layer(4)
    assert key_rows(whole | whole) == key_rows(whole)


@PROPERTY
@given(catalogs(), catalogs(), catalogs())
def test_union_laws(a: GeoCatalog, b: GeoCatalog, c: GeoCatalog) -> None:
    def keys(catalog: GeoCatalog) -> set[tuple[str, str]]:
        return {(r[0], r[-1]) for r in key_rows(catalog)}

    assert keys(a | b) == keys(b | a) == keys(a) | keys(b)
    assert len(a | b) == len(keys(a | b))
    assert key_rows((a | b) | b) == key_rows(a | b)
    assert keys((a | b) | c) == keys(a | (b | c))
    assert len(a.union(b, dedupe=False)) == len(a) + len(b)
    assert keys(a) <= keys(a | b)


def test_union_keeps_the_newest_row() -> None:
    day = np.array(["2024-01-01"], dtype="M8[us]")
    old = catalog_of([(0, 0, 1, 1)], day, day, mtime=pd.DatetimeIndex(["2024-01-01"], tz="UTC"), version=["old"])
    new = catalog_of([(0, 0, 2, 2)], day, day, mtime=pd.DatetimeIndex(["2024-02-01"], tz="UTC"), version=["new"])
    assert (old | new).gdf["version"].tolist() == (new | old).gdf["version"].tolist() == ["new"]


def test_a_row_without_mtime_is_the_oldest() -> None:
    day = np.array(["2024-01-01"] * 2, dtype="M8[us]")
    box = [(0, 0, 1, 1)] * 2
    times = pd.DatetimeIndex([pd.NaT, "1960-01-01"], tz="UTC")
    both = catalog_of(box, day, day, names=["a", "a"], mtime=times, version=["unknown", "dated"])
    assert both.union(both).gdf["version"].tolist() == ["dated"]
    never = catalog_of(box, day, day, names=["a", "a"], version=["first", "second"])
    assert never.gdf["mtime"].isna().all()
    assert never.union(never).gdf["version"].tolist() == ["first"]


def test_union_of_different_columns() -> None:
    day = np.array(["2024-01-01"], dtype="M8[us]")
    a = catalog_of([(0, 0, 1, 1)], day, day, names=["a"], cloud=[10.0])
    b = catalog_of([(0, 0, 1, 1)], day, day, names=["b"], sensor=["S2"], flag=[True])
    both = (a | b).gdf
    assert both["location"].tolist() == ["a", "b"]
    assert both["cloud"].tolist()[0] == 10.0
    assert np.isnan(both["cloud"].tolist()[1])
    assert both["sensor"].tolist()[1] == "S2"
    assert pd.isna(both["sensor"].tolist()[0])
    assert len((a | b).where("cloud < 20")) == 1
