from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st

from gdal_gndc.catalog import (
    GeoCatalog,
    GeoSlice,
    grid_sampler,
    load_raster,
    polygons_from_mask,
    random_sampler,
    spatial_block_folds,
    stitch,
    temporal_pair_sampler,
)
from gdal_gndc.catalog.stitch import cosine_taper
from gdal_gndc.errors import CatalogError, CoordinateError, TimeError
from tests.catalog.catalog_frames import PROPERTY, catalog_of, random_catalog

DAY = np.array(["2024-01-01"], dtype="M8[us]")


def boxes(*bounds: tuple[float, float, float, float]) -> GeoCatalog:
    return catalog_of(bounds, np.repeat(DAY, len(bounds)), np.repeat(DAY, len(bounds)))


def test_random_chips_lie_within_and_are_seeded(flanders: GeoCatalog) -> None:
    chips = random_sampler(flanders, (16, 24), 200, seed=3)
    again = random_sampler(flanders, (16, 24), 200, seed=3)
    other = random_sampler(flanders, (16, 24), 200, seed=4)
    np.testing.assert_array_equal(chips.bounds, again.bounds)
    assert not np.array_equal(chips.bounds, other.bounds)
    left, bottom, right, top = flanders.total_bounds
    assert (chips.bounds[:, 0] >= left).all() and (chips.bounds[:, 2] <= right).all()
    assert (chips.bounds[:, 1] >= bottom).all() and (chips.bounds[:, 3] <= top).all()
    assert {c.shape for c in chips} == {(16, 24)}
    # On the files' pixels, so that loading a chip is reading a window.
    np.testing.assert_allclose((chips.bounds[:, 0] - left) % 10, 0)
    assert chips[5].interval == flanders.gdf.index[chips.rows[5]]
    assert len(set(chips.rows.tolist())) > 50
    assert len(chips[10:20]) == 10
    got = load_raster(flanders, chips[0], ["B04"])
    assert got.valid.values.all()


def test_rows_are_drawn_by_their_area() -> None:
    catalog = boxes((0, 0, 100, 100), (1000, 0, 1300, 100))
    chips = random_sampler(catalog, 5, 4000, resolution=1)
    assert (chips.rows == 1).mean() == pytest.approx(0.75, abs=0.03)
    here = chips.bounds[chips.rows == 1]
    assert np.histogram(here[:, 0], bins=5, range=(1000, 1295))[0].min() > 450


@pytest.mark.parametrize("sampler", [random_sampler, grid_sampler])
def test_unions_and_intersections_are_sampled(sampler: Callable[..., Any]) -> None:
    days = np.array(["2024-01-01", "2024-01-03"], dtype="M8[us]")
    first = catalog_of([(0, 0, 100, 100)], days[:1], days[1:], names=["a"])
    second = catalog_of([(60, 0, 160, 100)], days[1:], days[1:] + np.timedelta64(2, "D"), names=["b"])
    count = (300,) if sampler is random_sampler else ()
    both = sampler(first | second, 10, *count, resolution=1, **({"seed": 1} if count else {}))
    assert (both.bounds[:, 0].min(), both.bounds[:, 2].max()) == pytest.approx((0, 160), abs=5)
    assert set(both.rows.tolist()) == {0, 1}
    common = sampler(first & second, 10, *count, resolution=1, **({"seed": 1} if count else {}))
    assert common.bounds[:, 0].min() >= 60
    assert common.bounds[:, 2].max() <= 100
    assert common[0].interval.left == common[0].interval.right == pd.Timestamp("2024-01-03", tz="UTC")


def test_chips_of_odd_footprints_are_centred_within() -> None:
    plain = boxes((0, 0, 100, 100))
    gdf = plain.gdf.copy()
    triangle = shapely.Polygon([(0, 0), (100, 0), (0, 100)])
    gdf["geometry"] = type(gdf.geometry)([triangle], index=gdf.index, crs=gdf.crs)
    chips = random_sampler(GeoCatalog(gdf), 4, 500, resolution=1)
    middle = (chips.bounds[:, :2] + chips.bounds[:, 2:]) / 2
    assert shapely.dwithin(shapely.points(middle), triangle, 1.5).all()
    small = random_sampler(boxes((0, 0, 3, 3)), 5, 3, resolution=1)
    assert {tuple(b) for b in small.bounds.tolist()} == {(-1, -1, 4, 4)}
    roi = shapely.box(0, 0, 20, 20)
    within = random_sampler(plain, 4, 100, resolution=1, roi=roi)
    assert (within.bounds.max(axis=0)[2:] <= 22).all()
    with pytest.raises(CoordinateError, match="no area"):
        random_sampler(plain, 4, 1, resolution=1, roi=shapely.box(500, 500, 600, 600))
    with pytest.raises(CoordinateError, match="resolution"):
        random_sampler(plain, 4, 1)
    with pytest.raises(CoordinateError, match="empty"):
        random_sampler(GeoCatalog.empty(), 4, 1, resolution=1)


@PROPERTY
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 12), st.integers(1, 12))
def test_grid_chips_cover_every_pixel_within_the_edges(height: int, width: int, size: int, stride: int) -> None:
    catalog = boxes((0, 0, width, height), (100, 50, 100 + width, 50 + height))
    stride = min(size, stride)
    chips = grid_sampler(catalog, size, stride, resolution=1)
    seen = np.zeros((2, height, width), dtype=int)
    for bounds, row in zip(chips.bounds, chips.rows, strict=True):
        x, y = (0, 0) if row == 0 else (100, 50)
        left, top = round(bounds[0] - x), round(y + height - bounds[3])
        assert left >= 0 and top >= 0
        if size <= min(height, width):
            assert left + size <= width and top + size <= height
        seen[row, top : top + size, left : left + size] += 1
    assert seen.min() >= 1


def test_grid_sampler_options(flanders: GeoCatalog) -> None:
    one = flanders.query(None, "2018-06-13")
    assert len(grid_sampler(one, 32)) == 4
    assert len(grid_sampler(one, 32, 16)) == 9
    assert len(grid_sampler(one, 32, roi=shapely.box(501360, 5629040, 501380, 5629060))) == 1
    with pytest.raises(CoordinateError, match="gaps"):
        grid_sampler(one, 32, 33)


@pytest.mark.parametrize("method", ["average", "max", "first", "last", "weighted"])
@pytest.mark.parametrize("out", [None, "a.tif", "a.zarr"])
def test_stitching_a_raster_gives_it_back(flanders: GeoCatalog, tmp_path: Path, method: str, out: str | None) -> None:
    if out == "a.zarr":
        pytest.importorskip("zarr")
    where = GeoSlice(flanders.total_bounds, "2018-06-13", 10, flanders.crs)
    full = load_raster(flanders, where, ["B04", "B08"])
    chips = list(where.split(24, 16))
    parts = [load_raster(flanders, c, ["B04", "B08"], workers=1) for c in chips]
    target = None if out is None else tmp_path / out
    got = stitch(iter(parts), chips, method, over=where, out=target, names=["red", "nir"])
    if target is None:
        values = got.values
        assert got.valid.values.all()
    elif target.suffix == ".tif":
        with rasterio.open(target) as source:
            values = source.read()
            assert source.descriptions == ("red", "nir")
            assert tuple(source.transform)[:6] == tuple(where.transform)[:6]
            assert source.crs.to_epsg() == 32631
    else:
        xr = pytest.importorskip("xarray")
        with xr.open_zarr(target, consolidated=False) as store:
            values = store["prediction"].values
            np.testing.assert_array_equal(store["y"].values, where.y)
            assert store["band"].values.tolist() == ["red", "nir"]
    np.testing.assert_allclose(values, full.values, rtol=1e-5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ([] if out is None else [out])


@pytest.mark.parametrize("out", ["a.tif", "a.zarr"])
def test_stitching_to_a_file_needs_a_block_not_the_whole(tmp_path: Path, out: str) -> None:
    over = GeoSlice((0, 0, 1024, 8192), None, 1, "EPSG:32633")
    chip = np.ones((1, 512, 1024), dtype=np.float32)
    chips = list(over.split((512, 1024)))
    stitch([chip], chips[:1], "weighted", over=chips[0], out=tmp_path / out)  # imports
    tracemalloc.start()
    try:
        stitch((chip for _ in chips), chips, "weighted", over=over, out=tmp_path / out)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # a block of 512 rows and what it is made of, where the sums and weights of the whole take 67 MB
    assert peak < 20e6, peak


def test_what_the_methods_mean() -> None:
    over = GeoSlice((0, 0, 6, 2), None, 1, "EPSG:32633")
    a, b = GeoSlice((0, 0, 4, 2), None, 1, "EPSG:32633"), GeoSlice((2, 0, 8, 2), None, 1, "EPSG:32633")
    one, two = np.full((1, 2, 4), 1.0), np.full((1, 2, 6), 3.0)
    rows = {m: stitch([one, two], [a, b], m, over=over).values[0, 0] for m in ("average", "max", "first", "last")}
    assert rows["average"].tolist() == [1, 1, 2, 2, 3, 3]
    assert rows["max"].tolist() == [1, 1, 3, 3, 3, 3]
    assert rows["first"].tolist() == [1, 1, 1, 1, 3, 3]
    assert rows["last"].tolist() == [1, 1, 3, 3, 3, 3]
    weighted = stitch([one, two], [a, b], "weighted", over=over).values[0, 0]
    assert 1 < weighted[2] < weighted[3] < 3
    gap = stitch([one], [a], over=over).values[0, 0]
    assert np.isnan(gap[4:]).all()
    holes = one.copy()
    holes[0, 0, 0] = np.nan
    assert np.isnan(stitch([holes], [a], over=over).values[0, 0, 0])


def test_a_taper_is_symmetric_positive_and_low_at_the_edge() -> None:
    taper = cosine_taper(9, 16)
    np.testing.assert_allclose(taper, taper[::-1, ::-1], rtol=1e-5)
    assert taper.min() > 0
    assert taper[4, 8] > 0.9
    assert taper[0].max() < 0.05


def test_stitching_refuses_what_does_not_fit(tmp_path: Path) -> None:
    over = GeoSlice((0, 0, 6, 6), None, 1, "EPSG:32633")
    chip = np.zeros((1, 2, 2))
    with pytest.raises(CoordinateError, match="grid"):
        stitch([chip], [GeoSlice((0.4, 0, 2.4, 2), None, 1, "EPSG:32633")], over=over)
    with pytest.raises(CoordinateError, match="CRS"):
        stitch([chip], [GeoSlice((0, 0, 2, 2), None, 1, "EPSG:32634")], over=over)
    with pytest.raises(CoordinateError, match="shape"):
        stitch([np.zeros((1, 3, 2))], [GeoSlice((0, 0, 2, 2), None, 1, "EPSG:32633")], over=over)
    with pytest.raises(CatalogError, match="no predictions"):
        stitch([], [], over=over)
    with pytest.raises(CatalogError, match="ends in"):
        stitch([chip], [over], over=over, out=tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_temporal_pairs(flanders: GeoCatalog) -> None:
    pairs = temporal_pair_sampler(flanders, 16, 50, min_gap="30D", max_gap="60D", seed=1)
    assert len(pairs) == 50
    for before, after in pairs:
        assert before.bounds == after.bounds
        gap = after.interval.left - before.interval.right
        assert 30 <= gap.total_seconds() / 86400 <= 60
    assert pairs == temporal_pair_sampler(flanders, 16, 50, min_gap="30D", max_gap="60D", seed=1)
    with pytest.raises(TimeError, match="apart"):
        temporal_pair_sampler(flanders, 16, 5, min_gap="3000D")


def test_spatial_folds_are_a_partition_of_blocks() -> None:
    catalog = random_catalog(800, 5)
    folds = spatial_block_folds(catalog, 15.0, 4, seed=1)
    tests = [set(test.gdf["location"]) for _, test in folds]
    assert set().union(*tests) == set(catalog.gdf["location"])
    assert sum(map(len, tests)) == 800
    assert max(map(len, tests)) - min(map(len, tests)) < 30
    for train, test in folds:
        assert not set(train.gdf["location"]) & set(test.gdf["location"])

        def blocks(side: GeoCatalog) -> set[tuple]:
            middle = side.gdf.bounds.to_numpy().reshape(-1, 2, 2).mean(axis=1)
            return set(map(tuple, np.floor(middle / 15).astype(int)))

        assert not blocks(train) & blocks(test)
    for train, test in spatial_block_folds(catalog, 15.0, 4, buffer=2.0, seed=1):
        tree = shapely.STRtree(test.gdf.geometry.to_numpy())
        assert tree.query(train.gdf.geometry.to_numpy(), predicate="dwithin", distance=1.999).size == 0
    with pytest.raises(CoordinateError, match="too few"):
        spatial_block_folds(boxes((0, 0, 1, 1)), 10, 2)


def test_polygons_from_a_mask(flanders: GeoCatalog) -> None:
    where = GeoSlice(flanders.total_bounds, "2018-06-13", 10, flanders.crs)
    red = load_raster(flanders, where, ["B04"]).isel(band=0)
    bright = red > np.median(red.values)
    found = polygons_from_mask(bright)
    assert found.crs.to_epsg() == 32631
    assert found["area"].sum() == pytest.approx(int(bright.sum()) * 100)
    assert (found["value"] == 1).all()
    large = polygons_from_mask(bright, min_area=1000)
    assert 0 < len(large) < len(found)
    with pytest.raises(CoordinateError, match="bool or integer"):
        polygons_from_mask(red.astype(float))
    with pytest.raises(CoordinateError, match="georeferenced"):
        polygons_from_mask(bright.drop_vars("spatial_ref"))


def test_torch_workers_share_the_chips(flanders: GeoCatalog) -> None:
    torch = pytest.importorskip("torch")
    from gdal_gndc.catalog.torch_data import ChipDataset, ChipStream

    chips = random_sampler(flanders, 16, 12, seed=1)

    def load(where: GeoSlice) -> object:
        return load_raster(flanders, where, ["B04", "B08"], scaled=True, workers=1)

    by_index = ChipDataset(chips, load)
    assert by_index[0]["data"].shape == (2, 16, 16)
    assert by_index[0]["valid"].dtype == torch.bool
    alone = torch.stack([by_index[k]["data"] for k in range(12)])
    mapped = torch.utils.data.DataLoader(by_index, batch_size=4, num_workers=2)
    assert torch.equal(torch.cat([b["data"] for b in mapped]), alone)
    stream = ChipStream(chips, load)
    streamed = torch.cat([b["data"] for b in torch.utils.data.DataLoader(stream, batch_size=3, num_workers=2)])
    assert streamed.shape == alone.shape
    assert sorted(streamed.sum(dim=(1, 2, 3)).tolist()) == sorted(alone.sum(dim=(1, 2, 3)).tolist())
    shuffled = ChipStream(chips, load, shuffle_seed=1)
    order = [x["data"].sum().item() for x in shuffled]
    assert order == [x["data"].sum().item() for x in shuffled]
    shuffled.set_epoch(1)
    assert order != [x["data"].sum().item() for x in shuffled]
