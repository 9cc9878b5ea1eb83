from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import HealthCheck, given, settings

from gdal_gndc.catalog import (
    DuckCatalog,
    GeoCatalog,
    GeoSlice,
    compact,
    gdal_names,
    grid_sampler,
    load_raster,
    open_catalog,
    random_sampler,
    spatial_block_folds,
)
from gdal_gndc.catalog import geoparquet as gp
from gdal_gndc.errors import FileFormatError
from tests.catalog.catalog_frames import PROPERTY, catalogs, key_rows, questions, random_catalog

FILE = settings(PROPERTY, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)


@FILE
@given(catalogs())
def test_round_trip_is_identical(tmp_path: Path, catalog: GeoCatalog) -> None:
    path = tmp_path / "c.parquet"
    catalog.to_geoparquet(path, sort=False)
    back = GeoCatalog.from_geoparquet(path)
    pd.testing.assert_frame_equal(pd.DataFrame(back.gdf), pd.DataFrame(catalog.gdf))
    assert back.crs == catalog.crs
    catalog.to_geoparquet(path)
    assert key_rows(GeoCatalog.from_geoparquet(path)) == key_rows(catalog)


def test_real_rows_come_back_with_every_column(puglia: GeoCatalog, tmp_path: Path) -> None:
    puglia.to_geoparquet(tmp_path / "c.parquet", sort=False)
    back = GeoCatalog.from_geoparquet(tmp_path / "c.parquet")
    pd.testing.assert_frame_equal(pd.DataFrame(back.gdf), pd.DataFrame(puglia.gdf))
    pairs = puglia & puglia
    pairs.to_geoparquet(tmp_path / "p.parquet", sort=False)
    assert GeoCatalog.from_geoparquet(tmp_path / "p.parquet").layer(2).layers == 1
    assert key_rows(GeoCatalog.from_geoparquet(tmp_path / "p.parquet")) == key_rows(pairs)


def test_the_file_is_geoparquet_1_1(puglia: GeoCatalog, tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    puglia.to_geoparquet(path)
    geo = json.loads(pq.read_schema(path).metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    column = geo["columns"]["geometry"]
    assert column["encoding"] == "WKB"
    assert column["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    assert set(pq.read_table(path)["schema_version"].to_pylist()) == {1}
    # Another reader understands it, the covering included.
    plain = gpd.read_parquet(path)
    assert plain.crs == puglia.crs
    assert len(plain) == 38
    left, bottom, _, top = puglia.total_bounds
    assert len(gpd.read_parquet(path, bbox=(left, bottom, left + 1, top))) == 19


def test_rows_lie_along_a_hilbert_curve(tmp_path: Path) -> None:
    catalog = random_catalog(4000, 1)
    catalog.to_geoparquet(tmp_path / "c.parquet")
    sorted_rows = GeoCatalog.from_geoparquet(tmp_path / "c.parquet").gdf.bounds[["minx", "miny"]].to_numpy()
    loose = catalog.gdf.bounds[["minx", "miny"]].to_numpy()
    step = np.linalg.norm(np.diff(sorted_rows, axis=0), axis=1).mean()
    assert step < np.linalg.norm(np.diff(loose, axis=0), axis=1).mean() / 10


def test_filters_leave_row_groups_out_and_rows_in(tmp_path: Path) -> None:
    catalog = random_catalog(5000, 2)
    path = tmp_path / "c.parquet"
    catalog.to_geoparquet(path, row_group_size=250)
    box, when = (0, 0, 20, 20), "2018/2019"
    scan = gp.scan(path, bbox=box, interval=when)
    assert scan.of_row_groups == 20
    assert scan.row_groups <= 5
    assert scan.of_rows == 5000
    assert "of 20 row groups" in str(scan)
    found = GeoCatalog.from_geoparquet(path, bbox=box, interval=when)
    assert key_rows(found) == key_rows(catalog.query(box, when))
    assert len(found) > 0


def test_static_rows_are_not_pushed_out(tmp_path: Path) -> None:
    catalog = random_catalog(50, 2)
    columns = catalog.gdf.reset_index(drop=True).assign(static=True)
    still = GeoCatalog(columns)
    (catalog | GeoCatalog(columns.assign(location="/x/" + columns["location"]))).to_geoparquet(
        tmp_path / "c.parquet", row_group_size=10
    )
    found = GeoCatalog.from_geoparquet(tmp_path / "c.parquet", interval="1999")
    assert len(found) == len(still) == 50


@FILE
@given(catalogs(max_rows=20), questions())
def test_duckdb_answers_as_memory_does(tmp_path: Path, catalog: GeoCatalog, question: tuple) -> None:
    path = tmp_path / "c.parquet"
    catalog.to_geoparquet(path, row_group_size=5)
    disk = DuckCatalog(path)
    assert len(disk) == len(catalog)
    bounds, interval = question
    assert key_rows(disk.query(bounds, interval).collect()) == key_rows(catalog.query(bounds, interval))
    assert len(disk.query(bounds, interval)) == len(catalog.query(bounds, interval))
    padded = disk.with_interval_padding(2).query(bounds, interval).collect()
    assert key_rows(padded) == key_rows(catalog.with_interval_padding(2).query(bounds, interval))


def test_duckdb_behind_the_same_methods(puglia: GeoCatalog, tmp_path: Path) -> None:
    puglia.to_geoparquet(tmp_path / "c.parquet")
    disk = open_catalog(tmp_path / "c.parquet", "duckdb")
    assert isinstance(disk, DuckCatalog)
    assert disk.total_bounds == puglia.total_bounds
    assert disk.temporal_extent == puglia.temporal_extent
    assert disk.crs == puglia.crs
    assert disk.columns == puglia.columns
    place = gpd.GeoSeries([shapely.Point(17.6905, 40.6003).buffer(0.0002)], crs=4326)
    with_aoi = puglia.query(aoi=place, interval="2023-08")
    assert key_rows(disk.query(aoi=place, interval="2023-08").collect()) == key_rows(with_aoi)
    assert len(disk.query(aoi=place)) == len(puglia.query(aoi=place))
    assert key_rows(disk.intersect(puglia)) == key_rows(puglia.intersect(puglia))
    assert key_rows(disk.union(puglia)) == key_rows(puglia)
    assert len(list(disk.query(None, "2023-08-17").iter_rows())) == 2
    plan = disk.query(puglia.total_bounds, "2023-08-17").explain()
    assert "Row Groups" in plan
    assert "read_parquet" in plan
    assert isinstance(open_catalog(tmp_path / "c.parquet"), GeoCatalog)
    wide = {"before": "1D", "after": "3D"}
    padded = disk.with_interval_padding(**wide).query(None, "2023-08-16").collect()
    assert key_rows(padded) == key_rows(puglia.with_interval_padding(**wide).query(None, "2023-08-16"))
    assert disk.query(aoi=place).backends == disk.backends == puglia.backends
    assert disk.resolution == puglia.resolution
    assert disk.layers == 1
    assert disk.footprint().equals(puglia.footprint())


def test_loaders_and_samplers_take_a_catalog_on_disk(puglia: GeoCatalog, tmp_path: Path) -> None:
    puglia.to_geoparquet(tmp_path / "c.parquet", sort=False)
    disk = open_catalog(tmp_path / "c.parquet", "duckdb")
    where = GeoSlice(puglia.total_bounds, "2023-08", resolution=40, crs=puglia.crs)
    ours, theirs = (load_raster(c, where, [1], merge="median") for c in (disk, puglia))
    np.testing.assert_array_equal(ours, theirs)
    assert list(random_sampler(disk, 16, 5)) == list(random_sampler(puglia, 16, 5))
    assert list(grid_sampler(disk, 16)) == list(grid_sampler(puglia, 16))
    assert gdal_names(disk) == gdal_names(puglia)
    folds = [[key_rows(part) for part in pair] for pair in spatial_block_folds(disk, 500.0, 2)]
    assert folds == [[key_rows(part) for part in pair] for pair in spatial_block_folds(puglia, 500.0, 2)]


def test_sql_pushdown_reaches_the_row_groups(tmp_path: Path) -> None:
    random_catalog(20_000, 3).to_geoparquet(tmp_path / "c.parquet", row_group_size=1000)
    plan = DuckCatalog(tmp_path / "c.parquet").query((0, 0, 5, 5)).explain()
    scanned, total = plan.split("Row Groups Scanned:")[1].split("\n")[0].strip(" │").split("/")
    assert int(total) == 20
    assert int(scanned) <= 4


def append_some(directory: str, seed: int) -> None:
    for part in range(3):
        random_catalog(20, 100 * seed + part).append(directory)


def test_two_processes_that_append_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append_some, args=(str(tmp_path / "d"), seed)) for seed in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
        assert writer.exitcode == 0
    whole = GeoCatalog.from_geoparquet(tmp_path / "d")
    expected = GeoCatalog.empty()
    for seed in (1, 2):
        for part in range(3):
            expected = expected | random_catalog(20, 100 * seed + part)
    assert key_rows(whole) == key_rows(expected)
    assert len(whole) == 120


def test_compaction_keeps_rows_and_what_is_appended_meanwhile(tmp_path: Path) -> None:
    for seed in range(4):
        random_catalog(10, seed).append(tmp_path)
    random_catalog(10, 0).append(tmp_path)
    before = GeoCatalog.from_geoparquet(tmp_path)
    assert len(before) == 50
    one = compact(tmp_path)
    assert list(tmp_path.glob("*.parquet")) == [one]
    after = GeoCatalog.from_geoparquet(tmp_path)
    assert len(after) == 40
    assert set(key_rows(after)) == set(key_rows(before))
    random_catalog(10, 9).append(tmp_path)
    assert len(GeoCatalog.from_geoparquet(tmp_path)) == 50
    assert len(DuckCatalog(tmp_path)) == 50


def test_a_compaction_cut_short_shows_no_row_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3):
        random_catalog(10, seed).append(tmp_path)

    def fail(self: Path, missing_ok: bool = False) -> None:
        if self.name.startswith("part-"):
            raise OSError("the power went")
        Path.__dict__["_real_unlink"](self, missing_ok)

    monkeypatch.setattr(Path, "_real_unlink", Path.unlink, raising=False)
    monkeypatch.setattr(Path, "unlink", fail)
    with pytest.raises(OSError, match="power"):
        compact(tmp_path)
    monkeypatch.undo()
    assert len(list(tmp_path.glob("part-*.parquet"))) == 4
    assert len(GeoCatalog.from_geoparquet(tmp_path)) == 30
    (tmp_path / gp.LOCK).touch()
    with pytest.raises(FileFormatError, match="compacting"):
        compact(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.parquet"
    random_catalog(10, 1).to_geoparquet(path)

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(pq, "write_table", fail)
    with pytest.raises(OSError, match="no space"):
        random_catalog(20, 2).to_geoparquet(path)
    monkeypatch.undo()
    assert len(GeoCatalog.from_geoparquet(path)) == 10
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileFormatError, match="directory"):
        random_catalog(1, 1).to_geoparquet(tmp_path / "no" / "c.parquet")


def test_older_and_newer_versions(tmp_path: Path) -> None:
    path = tmp_path / "old.parquet"
    frame = gpd.GeoDataFrame(
        {"location": ["/a.tif"], "datetime": pd.DatetimeIndex(["2024-03-01T10:00"]).tz_localize("UTC")},
        geometry=gpd.points_from_xy([1], [2]).buffer(1),
        crs=4326,
    )
    frame.to_parquet(path)
    old = GeoCatalog.from_geoparquet(path)
    assert old.gdf.index[0].left == pd.Timestamp("2024-03-01T10:00", tz="UTC")
    random_catalog(3, 1).to_geoparquet(path)
    table = pq.read_table(path)
    place = table.column_names.index("schema_version")
    pq.write_table(table.set_column(place, "schema_version", pa.array([99] * 3, pa.int16())), path)
    with pytest.raises(FileFormatError, match="99 is newer"):
        GeoCatalog.from_geoparquet(path)


def test_files_that_are_no_catalog(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no such"):
        GeoCatalog.from_geoparquet(tmp_path / "none.parquet")
    with pytest.raises(FileFormatError, match="part-"):
        GeoCatalog.from_geoparquet(tmp_path)
    text = tmp_path / "t.parquet"
    text.write_text("hello")
    with pytest.raises(FileFormatError, match="Parquet"):
        GeoCatalog.from_geoparquet(text)
    pq.write_table(pa.table({"x": [1]}), text)
    with pytest.raises(FileFormatError, match="geo"):
        GeoCatalog.from_geoparquet(text)
    with pytest.raises(FileFormatError, match="bbox"):
        DuckCatalog(text)


def test_urls_and_chosen_columns(tmp_path: Path) -> None:
    catalog = random_catalog(10, 1)
    catalog.to_geoparquet(tmp_path / "c.parquet")
    assert key_rows(GeoCatalog.from_geoparquet(f"file://{tmp_path}/c.parquet")) == key_rows(catalog)
    with pytest.raises(FileFormatError, match="cloud"):
        GeoCatalog.from_geoparquet(tmp_path / "c.parquet", columns=["cloud"])
    assert GeoCatalog.from_geoparquet(tmp_path / "c.parquet", columns=[]).columns == catalog.columns
