from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.warp import reproject

from gdal_gndc.catalog import GeoCatalog, GeoSlice, build_raster_catalog, load_raster, load_raster_timeseries
from gdal_gndc.catalog.handles import dataset
from gdal_gndc.catalog.reducers import METHODS, Reducer
from gdal_gndc.errors import CatalogError, CoordinateError, FileFormatError, TimeError

DATE = r"(?P<date>\d{8})"


def whole(catalog: GeoCatalog, interval: object = None) -> GeoSlice:
    return GeoSlice(catalog.total_bounds, interval, 10, catalog.crs)


def read(path: str) -> np.ndarray:
    with rasterio.open(path) as source:
        return source.read()


def test_one_file_on_its_own_grid_is_the_file(flanders: GeoCatalog) -> None:
    got = load_raster(flanders, whole(flanders, "2018-06-13"))
    path = flanders.query(None, "2018-06-13").gdf["location"].iloc[0]
    np.testing.assert_array_equal(got.values, read(path))
    assert got.dims == ("band", "y", "x")
    assert got.dtype == np.uint16
    assert list(got.band.values) == ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"]
    assert got.valid.values.all()
    assert got.attrs["_FillValue"] == 0


def test_a_window_reaching_outside_is_filled(flanders: GeoCatalog) -> None:
    left, bottom, right, top = flanders.total_bounds
    where = GeoSlice((left - 50, bottom, right - 100, top + 30), "2018-06-13", 10, flanders.crs)
    got = load_raster(flanders, where, ["B08", 1])
    path = flanders.query(None, "2018-06-13").gdf["location"].iloc[0]
    full = read(path)
    assert got.shape == (2, 67, 59)
    np.testing.assert_array_equal(got.values[:, 3:, 5:], full[[6, 0], :, :54])
    assert not got.valid.values[:, :3].any()
    assert not got.valid.values[:, :, :5].any()
    assert (got.values[:, :3] == 0).all()


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "average"])
def test_another_grid_is_what_gdal_warps(flanders: GeoCatalog, resampling: str) -> None:
    where = replace(whole(flanders, "2018-06-13").to_crs("EPSG:3035"), resolution=(25.0, 25.0))
    got = load_raster(flanders, where, ["B04"], resampling)
    path = flanders.query(None, "2018-06-13").gdf["location"].iloc[0]
    expected = np.zeros(where.shape, dtype=np.uint16)
    with rasterio.open(path) as source:
        reproject(
            source.read(3),
            expected,
            src_transform=source.transform,
            src_crs=source.crs,
            src_nodata=0,
            dst_transform=where.transform,
            dst_crs="EPSG:3035",
            dst_nodata=0,
            resampling=Resampling[resampling],
        )
    np.testing.assert_array_equal(got.values[0], expected)
    np.testing.assert_array_equal(got.valid.values[0], expected != 0)
    assert 0.5 < got.valid.values.mean() < 1


def test_a_coarse_read_takes_the_overview(tmp_path: Path) -> None:
    path = tmp_path / "big_20240101.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=512,
        width=512,
        count=1,
        dtype="uint8",
        crs="EPSG:32633",
        tiled=True,
        transform=Affine(10, 0, 5e5, 0, -10, 5e6),
    ) as sink:
        stripes = np.where(np.arange(512) % 2, 201, 1).astype(np.uint8)
        sink.write(np.broadcast_to(stripes, (1, 512, 512)))
        sink.build_overviews([2, 4, 8], Resampling.average)
    catalog = build_raster_catalog(path, DATE)
    fine = load_raster(catalog, GeoSlice(catalog.total_bounds, None, 10, catalog.crs))
    assert set(np.unique(fine.values)) == {1, 201}
    # Only an averaged overview holds the value between the stripes.
    coarse = load_raster(catalog, GeoSlice(catalog.total_bounds, None, 45, catalog.crs))
    assert set(np.unique(coarse.values)) == {101}
    lonlat = GeoSlice(catalog.total_bounds, None, 45, catalog.crs).to_crs(4326)
    warped = load_raster(catalog, lonlat)
    assert set(np.unique(warped.values[warped.valid.values])) == {101}


def test_two_zones_become_one_mosaic(puglia: GeoCatalog, stacks: Path) -> None:
    where = GeoSlice(puglia.total_bounds, "2023-08-17", 10, "EPSG:32633").snap()
    got = load_raster(puglia, where, ["B03"])
    own = read(str(stacks / "s2_puglia/utm33/s2_puglia_utm33_20230817.tif"))[1]
    alone = load_raster(puglia.where("contains(location, 'utm34')"), where, ["B03"])
    row = round((where.bounds[3] - 4498690) / 10)
    part = got.values[0, row : row + 82, :87]
    np.testing.assert_array_equal(part[own != -1], own[own != -1])
    gaps = ~np.pad(own != -1, ((row, where.shape[0] - 82 - row), (0, where.shape[1] - 87)))
    np.testing.assert_array_equal(got.values[0][gaps], alone.values[0][gaps])
    assert got.valid.values.sum() > (own != -1).sum() + 2000


@pytest.mark.parametrize("merge", METHODS)
def test_merges_are_numpy_on_the_masked_stack(flanders: GeoCatalog, flanders_scl: GeoCatalog, merge: str) -> None:
    where = whole(flanders, "2018-05-15/2018-06-20")
    got = load_raster(flanders, where, ["B04"], merge=merge, qa=flanders_scl, mask_values=[3, 8, 9, 10])
    rows = flanders.query(where).gdf.sort_index()
    stack = np.stack([read(p)[2] for p in rows["location"]]).astype(float)
    scl = np.stack([read(_scl(p))[0] for p in rows["location"]])
    stack[np.isin(scl, [0, 3, 8, 9, 10]) | (stack == 0)] = np.nan
    none = np.isnan(stack).all(axis=0)
    order = stack if merge != "last" else stack[::-1]
    first = np.take_along_axis(order, np.argmax(~np.isnan(order), axis=0)[None], axis=0)[0]
    expected = {
        "first": first,
        "last": first,
        "count": (~np.isnan(stack)).sum(axis=0),
        "min": np.nanmin(stack, axis=0),
        "max": np.nanmax(stack, axis=0),
        "mean": np.nanmean(stack, axis=0),
        "median": np.nanmedian(stack, axis=0),
    }[merge]
    assert len(rows) > 8
    if merge == "count":
        np.testing.assert_array_equal(got.values[0], expected)
        return
    np.testing.assert_array_equal(got.valid.values[0], ~none)
    np.testing.assert_allclose(got.values[0][~none], expected[~none], rtol=1e-6)


def _scl(path: str) -> str:
    p = Path(path)
    return str(p.parent / "scl" / p.name.replace("s2_flanders_", "s2_flanders_scl_"))


def test_bits_and_a_band_of_the_file_itself(tmp_path: Path) -> None:
    flags = np.array([[0, 1, 2, 4], [8, 3, 12, 255]], dtype=np.uint8)
    with rasterio.open(
        tmp_path / "a_20240101.tif",
        "w",
        driver="GTiff",
        height=2,
        width=4,
        count=2,
        dtype="uint8",
        crs="EPSG:32633",
        transform=Affine(10, 0, 5e5, 0, -10, 5e6),
    ) as sink:
        sink.write(np.stack([np.arange(1, 9, dtype=np.uint8).reshape(2, 4), flags]))
    catalog = build_raster_catalog(tmp_path, DATE)
    where = GeoSlice(catalog.total_bounds, None, 10, catalog.crs)
    got = load_raster(catalog, where, [1], mask_band=2, mask_bits=[1, 3])
    np.testing.assert_array_equal(got.valid.values[0], (flags & 0b1010) == 0)
    with pytest.raises(CatalogError, match="mask_bits"):
        load_raster(catalog, where, mask_band=2)
    with pytest.raises(CatalogError, match="mask_band"):
        load_raster(catalog, where, mask_values=[1])
    with pytest.raises(CoordinateError, match="no bands"):
        load_raster(catalog, where, mask_band="QA", mask_bits=[1])


def test_files_without_a_quality_partner_are_dropped(flanders: GeoCatalog, flanders_scl: GeoCatalog) -> None:
    where = whole(flanders, "2018-06-13")
    got = load_raster(flanders, where, ["B04"], qa=flanders_scl.query(None, "2017"), mask_values=[3])
    assert not got.valid.values.any()


def test_scale_and_offset(flanders: GeoCatalog) -> None:
    where = whole(flanders, "2018-06-13")
    stored, physical = load_raster(flanders, where, ["B04"]), load_raster(flanders, where, ["B04"], scaled=True)
    assert physical.dtype == np.float32
    np.testing.assert_allclose(physical.values, stored.values * 0.0001, rtol=1e-6)


def test_nan_nodata(stacks: Path) -> None:
    catalog = build_raster_catalog(stacks / "sst_gulfstream", DATE)
    where = GeoSlice(catalog.total_bounds, "2022-01", 0.05, catalog.crs)
    got = load_raster(catalog, where)
    np.testing.assert_array_equal(got.valid.values, ~np.isnan(got.values))
    assert got.valid.values.mean() == pytest.approx(0.756, abs=0.01)
    warped = load_raster(catalog, where.to_crs("EPSG:3857"), resampling="bilinear")
    np.testing.assert_array_equal(warped.valid.values, ~np.isnan(warped.values))


def test_series_without_a_step_has_every_time(flanders: GeoCatalog) -> None:
    where = whole(flanders, "2018-06")
    got = load_raster_timeseries(flanders, where, ["B04"])
    rows = flanders.query(where).gdf.sort_index()
    assert got.dims == ("time", "band", "y", "x")
    assert list(got.time.values) == list(rows.index.left.tz_localize(None).to_numpy())
    np.testing.assert_array_equal(got.values[:, 0], np.stack([read(p)[2] for p in rows["location"]]))


@pytest.mark.parametrize("method", ["mean", "median", "first", "last", "max", "min", "nearest"])
def test_steps_aggregate_the_times_within(flanders: GeoCatalog, method: str) -> None:
    where = whole(flanders, "2018-06")
    got = load_raster_timeseries(flanders, where, ["B04"], t_step="10D", temporal_aggregation=method)
    labels = pd.date_range("2018-06-01", periods=3, freq="10D", tz="UTC")
    assert list(got.time.values) == list(labels.tz_localize(None).to_numpy())
    rows = flanders.query(where).gdf.sort_index()
    for k, label in enumerate(labels):
        inside = (rows.index.left >= label) & (rows.index.left < label + pd.Timedelta("10D"))
        stack = np.stack([read(p)[2] for p in rows["location"][inside]]).astype(float)
        if method == "nearest":
            distance = np.abs(rows.index.left[inside] - (label + pd.Timedelta("5D")))
            expected = stack[int(np.argmin(distance))]
        elif method in ("first", "last"):
            expected = stack[0 if method == "first" else -1]
        else:
            expected = getattr(np, method)(stack, axis=0)
        np.testing.assert_allclose(got.values[k, 0], expected, rtol=1e-6)


def test_steps_without_a_raster_are_there(flanders: GeoCatalog) -> None:
    got = load_raster_timeseries(flanders, whole(flanders, "2017-06/2017-09"), ["B04"], t_step="MS")
    assert [str(t)[:7] for t in got.time.values] == ["2017-06", "2017-07", "2017-08", "2017-09"]
    assert got.valid.values.any(axis=(1, 2, 3)).tolist() == [False, False, True, True]
    weeks = load_raster_timeseries(flanders, whole(flanders, "2018-06-10/2018-07-20"), ["B04"], t_step="MS")
    assert [str(t)[:10] for t in weeks.time.values] == ["2018-06-01", "2018-07-01"]


def test_georeference_is_read_by_rioxarray(flanders: GeoCatalog) -> None:
    got = load_raster(flanders, whole(flanders, "2018-06-13"), ["B04"])
    attrs = got.spatial_ref.attrs
    assert attrs["GeoTransform"].split() == ["501360.0", "10.0", "0.0", "5629680.0", "0.0", "-10.0"]
    pytest.importorskip("rioxarray")
    assert got.rio.crs.to_epsg() == 32631
    assert got.rio.nodata == 0


def test_what_cannot_be_loaded_says_why(flanders: GeoCatalog, stacks: Path) -> None:
    with pytest.raises(CatalogError, match="no row"):
        load_raster(flanders, whole(flanders, "1999"))
    with pytest.raises(CoordinateError, match="resolution"):
        load_raster(flanders, GeoSlice(flanders.total_bounds, None, None, flanders.crs))
    with pytest.raises(CoordinateError, match="B99"):
        load_raster(flanders, whole(flanders, "2018-06-13"), ["B99"])
    with pytest.raises(CatalogError, match="merge='sum'"):
        load_raster(flanders, whole(flanders, "2018-06-13"), merge="sum")
    with pytest.raises(CatalogError, match="resampling='gauss'"):
        load_raster(flanders, whole(flanders, "2018-06-13"), resampling="gauss")
    still = build_raster_catalog(stacks / "s2_flanders" / "scl")
    with pytest.raises(TimeError, match="static"):
        load_raster_timeseries(still, whole(still))
    with pytest.raises(TimeError, match="t_step"):
        load_raster_timeseries(flanders, whole(flanders, "2018-06"), t_step="often")
    gone = flanders.gdf.copy()
    gone["location"] = "/nowhere/" + gone["location"]
    with pytest.raises(FileFormatError, match="/nowhere/"):
        load_raster(GeoCatalog(gone), whole(flanders, "2018-06-13"))


def _child(catalog: GeoCatalog, where: GeoSlice, queue: multiprocessing.Queue) -> None:
    queue.put(load_raster(catalog, where, ["B04"], workers=1).values)


def test_a_forked_child_opens_its_own_handles(flanders: GeoCatalog) -> None:
    where = whole(flanders, "2018-06-13")
    here = load_raster(flanders, where, ["B04"], workers=1)
    handle = dataset(flanders.query(where).gdf["location"].iloc[0])
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_child, args=(flanders, where, queue))
    child.start()
    there = queue.get(timeout=60)
    child.join(60)
    assert child.exitcode == 0
    np.testing.assert_array_equal(here.values, there)
    assert not handle.closed
    np.testing.assert_array_equal(load_raster(flanders, where, ["B04"], workers=1).values, there)


def test_threads_may_load_at_once(flanders: GeoCatalog) -> None:
    days = ["2018-06-13", "2018-06-30", "2018-07-18", "2018-09-08"] * 4
    places = [whole(flanders, day) for day in days]
    alone = [load_raster(flanders, where, ["B04", "B08"], workers=1).values for where in places[:4]]
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(lambda where: load_raster(flanders, where, ["B04", "B08"], workers=2).values, places))
    for k, values in enumerate(loaded):
        np.testing.assert_array_equal(values, alone[k % 4])
    assert not np.array_equal(alone[0], alone[1])


def test_a_rewritten_file_is_opened_anew(tmp_path: Path, stacks: Path) -> None:
    path = tmp_path / "a_20240101.tif"
    first, second = (next((stacks / "s2_flanders").glob(f"*{d}.tif")) for d in ("20180613", "20180630"))
    path.write_bytes(first.read_bytes())
    catalog = build_raster_catalog(path, DATE)
    before = load_raster(catalog, whole(catalog), ["B04"])
    path.unlink()
    path.write_bytes(second.read_bytes())
    after = load_raster(catalog, whole(catalog), ["B04"])
    np.testing.assert_array_equal(before.values, read(str(first))[2:3])
    np.testing.assert_array_equal(after.values, read(str(second))[2:3])


def test_reducers_on_random_stacks() -> None:
    rng = np.random.default_rng(0)
    stack = rng.integers(0, 50, (7, 3, 4, 5)).astype(np.int16)
    valid = rng.random(stack.shape) < 0.6
    masked = np.ma.masked_array(stack, ~valid)
    for method, expected in (
        ("min", masked.min(axis=0)),
        ("max", masked.max(axis=0)),
        ("mean", masked.mean(axis=0)),
        ("median", np.ma.median(masked, axis=0)),
    ):
        reducer = Reducer(method)
        for data, known in zip(stack, valid, strict=True):
            reducer.add(data, known)
        found = reducer.result()
        assert found is not None
        np.testing.assert_array_equal(found[1], valid.any(axis=0))
        np.testing.assert_allclose(found[0][found[1]], np.asarray(expected)[found[1]], rtol=1e-6)
    assert Reducer("mean").result() is None
