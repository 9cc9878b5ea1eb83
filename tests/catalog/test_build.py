from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from rasterio.transform import Affine

from gdal_gndc.catalog import (
    GeoCatalog,
    build_gndc_catalog,
    build_raster_catalog,
    build_vector_catalog,
    build_xarray_catalog,
)
from gdal_gndc.catalog.dates import period_of, times_of
from gdal_gndc.errors import CatalogError, FileFormatError
from tests.catalog.catalog_frames import key_rows

DATE = r"(?P<date>\d{8})"


def from_origin(west: float, north: float, width: float, height: float) -> Affine:
    return Affine(width, 0, west, 0, -height, north)


def raster(path: Path, crs: str | None, transform: Affine, shape: tuple[int, int] = (10, 20)) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", height=shape[0], width=shape[1], count=2, dtype="uint8", crs=crs, transform=transform
    ) as sink:
        sink.write(np.ones((2, *shape), dtype=np.uint8))
    return path


def test_rows_say_what_the_files_are(flanders: GeoCatalog) -> None:
    assert len(flanders) == 118
    row = flanders.gdf.iloc[0]
    assert Path(row["location"]).is_absolute()
    assert row["backend"] == "raster"
    assert row["bands"] == 10
    assert list(row["band_names"])[:3] == ["B02", "B03", "B04"]
    assert (row["dtype"], row["res_x"], row["res_y"], row["native_crs"]) == ("uint16", 10.0, 10.0, "EPSG:32631")
    assert (row["width"], row["height"], row["nodata"], row["n_timesteps"]) == (64, 64, 0, 1)
    assert list(row["transform"]) == [10, 0, 501360, 0, -10, 5629680]
    assert row["size"] == Path(row["location"]).stat().st_size
    assert row["mtime"].timestamp() == pytest.approx(Path(row["location"]).stat().st_mtime, abs=1e-5)
    assert str(flanders.gdf.index[0].right) == "2017-08-04 23:59:59.999999+00:00"
    assert flanders.crs.to_epsg() == 32631


def test_mixed_zones_meet_in_lonlat(stacks: Path) -> None:
    zones = [stacks / "s2_puglia" / z for z in ("utm33", "utm34")]
    catalog = build_raster_catalog(zones, DATE)
    assert catalog.crs.to_epsg() == 4326
    assert set(catalog.gdf["native_crs"]) == {"EPSG:32633", "EPSG:32634"}
    west, south, east, north = catalog.total_bounds
    assert 17.6 < west < east < 17.8
    assert 40.5 < south < north < 40.7


def test_modis_sinusoidal(stacks: Path) -> None:
    catalog = build_raster_catalog(stacks / "modis_mt_vi", DATE)
    assert len(catalog) == 137
    lonlat = catalog.to_crs(4326)
    assert lonlat.total_bounds == pytest.approx((-55.997, -12.044, -55.907, -11.988), abs=1e-3)
    # A sheared footprint covers less than its box.
    assert lonlat.gdf.geometry.iloc[0].area < 0.999 * shapely.box(*lonlat.total_bounds).area


def test_antimeridian_and_pole(tmp_path: Path) -> None:
    raster(tmp_path / "date_line.tif", "EPSG:32660", from_origin(600000, 7300020, 10980, 10980), (10, 10))
    raster(tmp_path / "pole.tif", "EPSG:3413", from_origin(-1e6, 1e6, 1e5, 1e5), (20, 20))
    catalog = build_raster_catalog(tmp_path)
    assert catalog.crs.to_epsg() == 4326
    assert catalog.query((179, 65, 180, 66)).gdf["location"].tolist() == [str(tmp_path / "date_line.tif")]
    assert catalog.query((-180, 65, -179, 66)).gdf["location"].tolist() == [str(tmp_path / "date_line.tif")]
    assert catalog.query((-5, 65, 5, 66)).gdf["location"].tolist() == []
    assert catalog.query((100, 89, 101, 90)).gdf["location"].tolist() == [str(tmp_path / "pole.tif")]


def test_a_turned_raster_has_a_turned_footprint(tmp_path: Path) -> None:
    turned = Affine(7, 7, 5e5, 7, -7, 5e6)
    raster(tmp_path / "turned.tif", "EPSG:32633", turned, (10, 10))
    catalog = build_raster_catalog(tmp_path)
    row = catalog.gdf.iloc[0]
    assert row["geometry"].area == pytest.approx(98 * 100)
    assert row["res_x"] == pytest.approx(np.sqrt(98))
    assert len(catalog.query((5e5, 5e6 + 60, 5e5 + 1, 5e6 + 61))) == 0


def test_a_crs_in_a_sidecar_file_is_found(tmp_path: Path) -> None:
    path = raster(tmp_path / "bare.tif", None, from_origin(5e5, 5e6, 10, 10))
    (tmp_path / "bare.tif.aux.xml").write_text("<PAMDataset><SRS>EPSG:32633</SRS></PAMDataset>")
    assert build_raster_catalog(path).crs.to_epsg() == 32633


def test_static_files_have_no_date(flanders_scl: GeoCatalog, stacks: Path) -> None:
    still = build_raster_catalog(stacks / "s2_flanders" / "scl")
    assert still.gdf["static"].all()
    assert still.temporal_extent is None
    assert len(still.query(None, "2050")) == 118
    assert not flanders_scl.gdf["static"].any()


def test_errors_are_collected(tmp_path: Path, stacks: Path) -> None:
    good = next((stacks / "s2_flanders").glob("*20180613.tif"))
    shutil.copy(good, tmp_path / "a_20180613.tif")
    shutil.copy(good, tmp_path / "undated.tif")
    (tmp_path / "broken_20180101.tif").write_bytes(b"II*\0 no raster")
    raster(tmp_path / "nowhere_20180101.tif", None, from_origin(5, 5, 2, 2))
    with pytest.raises(FileFormatError, match="3 of 4"):
        build_raster_catalog(tmp_path, DATE)
    catalog = build_raster_catalog(tmp_path, DATE, errors="skip")
    assert len(catalog) == 1
    assert catalog.report is not None
    assert {Path(p).name for p in catalog.report.failed} == {
        "undated.tif",
        "broken_20180101.tif",
        "nowhere_20180101.tif",
    }
    assert "no CRS" in catalog.report.failed[str(tmp_path / "nowhere_20180101.tif")]
    assert "3 failed" in str(catalog.report)
    with pytest.raises(CatalogError, match="errors='ignore'"):
        build_raster_catalog(tmp_path, DATE, errors="ignore")
    with pytest.raises(FileFormatError, match="match"):
        build_raster_catalog(tmp_path / "*.jp2")


def test_a_rebuild_reads_only_what_changed(tmp_path: Path, stacks: Path) -> None:
    files = sorted((stacks / "s2_flanders").glob("*.tif"))[:6]
    for file in files:
        shutil.copy(file, tmp_path)
    first = build_raster_catalog(tmp_path, DATE)
    again = build_raster_catalog(tmp_path, DATE, previous=first)
    assert again.report is not None
    assert (again.report.read, again.report.reused) == (0, 6)
    pd.testing.assert_frame_equal(again.gdf, first.gdf)
    os.utime(tmp_path / files[2].name, (1e9, 1e9))
    (tmp_path / files[0].name).unlink()
    shutil.copy(files[0], tmp_path / "z_20300101.tif")
    new = build_raster_catalog(tmp_path, DATE, previous=again)
    assert new.report is not None
    assert (new.report.read, new.report.reused) == (2, 4)
    fresh = build_raster_catalog(tmp_path, DATE)
    pd.testing.assert_frame_equal(new.gdf, fresh.gdf)


def test_processes_threads_and_one_after_another_agree(stacks: Path) -> None:
    files = sorted((stacks / "modis_mt_vi").glob("*.tif")) * 3
    many = files + sorted((stacks / "s2_flanders").glob("*.tif"))
    alone = build_raster_catalog(many, DATE, workers=1)
    pooled = build_raster_catalog(many, DATE, workers=2, progress=False)
    pd.testing.assert_frame_equal(alone.gdf, pooled.gdf)


def test_globs_lists_and_urls(stacks: Path) -> None:
    folder = stacks / "s2_puglia"
    by_glob = build_raster_catalog(str(folder / "utm*" / "*2023081*.tif"), DATE)
    assert len(by_glob) == 4
    urls = build_raster_catalog(f"file://{folder}/utm33/*2023081*.tif", DATE)
    assert key_rows(urls.to_crs(4326)) == key_rows(by_glob.where("contains(location, 'utm33')"))


@pytest.mark.parametrize(
    ("date_format", "name", "start", "stop"),
    [
        ("%Y%m%d", "x_20240229.tif", "2024-02-29", "2024-02-29T23:59:59.999999"),
        ("%Y%j", "x_2024060.tif", "2024-02-29", "2024-02-29T23:59:59.999999"),
        ("%Y%m", "x_202402.tif", "2024-02-01", "2024-02-29T23:59:59.999999"),
        ("%Y", "x_2024.tif", "2024-01-01", "2024-12-31T23:59:59.999999"),
        ("%Y%m%dT%H%M%S", "x_20240229T101112.tif", "2024-02-29T10:11:12", "2024-02-29T10:11:12"),
        ("%Y%m%dT%H", "x_20240229T10.tif", "2024-02-29T10:00", "2024-02-29T10:59:59.999999"),
    ],
)
def test_a_date_stands_for_its_whole_period(date_format: str, name: str, start: str, stop: str) -> None:
    starts, stops, problems = times_of([f"/d/{name}"], r"_(?P<date>[\dT]+)\.", date_format)
    assert not problems
    assert starts[0] == pd.Timestamp(start, tz="UTC")
    assert stops[0] == pd.Timestamp(stop, tz="UTC")


def test_start_and_stop_groups() -> None:
    regex = r"(?P<start>\d{8})_(?P<stop>\d{8})"
    starts, stops, problems = times_of(["a_20240101_20240131.tif", "b.tif"], regex, "%Y%m%d")
    assert str(stops[0]) == "2024-01-31 23:59:59.999999+00:00"
    assert str(starts[0].date()) == "2024-01-01"
    assert list(problems) == [1]
    with pytest.raises(CatalogError, match="group"):
        times_of(["a"], r"\d+", "%Y")
    with pytest.raises(CatalogError, match="regular expression"):
        times_of(["a"], r"(?P<date>", "%Y")
    with pytest.raises(CatalogError, match="directive"):
        period_of("year")


def test_target_crs_and_resolution(stacks: Path) -> None:
    catalog = build_raster_catalog(stacks / "s2_puglia" / "utm34", DATE, target_crs=32633, target_resolution=20)
    assert catalog.crs.to_epsg() == 32633
    assert catalog.resolution == 20


def test_xarray_archives(tmp_path: Path) -> None:
    xr = pytest.importorskip("xarray")
    pytest.importorskip("netCDF4")
    pytest.importorskip("zarr")
    times = pd.date_range("2024-01-01", periods=5, freq="8D")
    lon, lat = np.arange(0.5, 360, 1.0), np.arange(-9.5, 10, 1.0)
    data = xr.Dataset(
        {"t2m": (("time", "lat", "lon"), np.zeros((5, 20, 360), dtype=np.float32)), "n": 3},
        {"time": times, "lat": lat, "lon": lon},
    )
    data.to_netcdf(tmp_path / "a.nc", engine="netcdf4")
    data.isel(lon=slice(10, 30)).to_zarr(tmp_path / "b.zarr", consolidated=False)
    catalog = build_xarray_catalog([tmp_path / "a.nc", tmp_path / "b.zarr"])
    assert catalog.total_bounds == pytest.approx((-180, -10, 180, 10))
    row = catalog.gdf.iloc[0]
    assert (row["n_timesteps"], row["time_resolution"], row["bands"]) == (5, "P8D", 1)
    assert list(row["band_names"]) == ["t2m"]
    assert str(catalog.gdf.index[0].right) == "2024-02-02 00:00:00+00:00"
    assert catalog.query((15, 0, 16, 1)).gdf["location"].str.endswith((".nc", ".zarr")).all()
    assert len(catalog.query((15, 0, 16, 1))) == 2
    assert len(catalog.query((-20, 0, -19, 1))) == 1
    bad = data.rename(lon="p", lat="q")
    bad.to_netcdf(tmp_path / "bad.nc", engine="netcdf4")
    with pytest.raises(FileFormatError, match="no x and y"):
        build_xarray_catalog(tmp_path / "bad.nc")


def test_vector_files(tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame(
        {"crop": ["wheat", "maize"]},
        geometry=shapely.box([17.59, 17.69], [40.49, 40.59], [17.61, 17.71], [40.51, 40.61]),
        crs=4326,
    )
    frame.to_file(tmp_path / "fields_2023.gpkg")
    frame.to_crs(32633).to_parquet(tmp_path / "fields_2024.parquet")
    catalog = build_vector_catalog(tmp_path, r"_(?P<date>\d{4})", "%Y", target_crs=4326)
    assert len(catalog) == 2
    assert catalog.total_bounds == pytest.approx((17.59, 40.49, 17.71, 40.61), abs=4e-3)
    assert all(list(names) == ["crop"] for names in catalog.gdf["band_names"])
    assert str(catalog.gdf.index[0].right.date()) == "2023-12-31"
    frame.iloc[:0].to_file(tmp_path / "none_2023.gpkg")
    with pytest.raises(FileFormatError, match="no features"):
        build_vector_catalog(tmp_path / "none_2023.gpkg", r"_(?P<date>\d{4})", "%Y")


def test_cubes() -> None:
    import gdal_gndc

    case = Path(__file__).parents[1] / "cases" / "basic_i8dec.gndc"
    catalog = build_gndc_catalog(case)
    row = catalog.gdf.iloc[0]
    with gdal_gndc.open(case) as cube:
        assert (row["n_timesteps"], row["height"], row["width"], row["bands"]) == cube.shape
        assert list(row["band_names"]) == cube.band_names
        assert catalog.gdf.index[0].left == cube.timestamps[0]
        assert catalog.gdf.index[0].right == cube.timestamps[-1]
        assert catalog.total_bounds == tuple(cube.bounds)
    broken = case.with_name("bad_truncated.gndc")
    both = build_gndc_catalog([case, broken], errors="skip")
    assert both.report is not None
    assert (len(both), list(both.report.failed)) == (1, [str(broken)])


def test_cubes_with_and_without_metrics(real_cube: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.gndc"
    with zipfile.ZipFile(real_cube) as whole, zipfile.ZipFile(bare, "w") as part:
        sidecars = {"metrics.json", "provenance.json"}
        assert sidecars <= set(whole.namelist())
        for entry in whole.infolist():
            if entry.filename not in sidecars:
                part.writestr(entry, whole.read(entry))
    first, second = build_gndc_catalog([real_cube, bare]).gdf.to_dict("records")
    assert (first["n_timesteps"], first["bands"], first["width"]) == (118, 10, 64)
    for name in ("location", "size", "mtime"):
        assert first.pop(name) != second.pop(name)
    assert str(first) == str(second)
