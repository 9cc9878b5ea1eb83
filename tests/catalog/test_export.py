from __future__ import annotations

import json
import math
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
from click.testing import CliRunner

from gdal_gndc.catalog import (
    GeoCatalog,
    GeoSlice,
    build_gndc_catalog,
    build_raster_catalog,
    build_stac_catalog,
    gdal_names,
    load_raster,
    to_gti,
    to_stac_geoparquet,
)
from gdal_gndc.cli.catalog import catalog as command
from gdal_gndc.errors import CatalogError, CoordinateError, FileFormatError, TimeError
from tests.catalog.catalog_frames import key_rows

CUBE = Path(__file__).parents[1] / "cases" / "basic_i8dec.gndc"


def gti_supported() -> bool:
    with rasterio.Env() as env:
        return "GTI" in env.drivers()


needs_gti = pytest.mark.skipif(not gti_supported(), reason="this GDAL has no GTI driver (3.9 and later)")


@needs_gti
def test_gti_opens_two_zones_as_one_mosaic(puglia: GeoCatalog, tmp_path: Path) -> None:
    day = puglia.query(None, "2023-08-17")
    path = to_gti(day, tmp_path / "day.gti")
    index = gpd.read_file(tmp_path / "day.gti.gpkg")
    assert set(index["src_srs"]) == {"EPSG:32633", "EPSG:32634"}
    assert index["location"].tolist() == day.gdf["location"].tolist()
    with rasterio.open(path) as mosaic:
        assert mosaic.driver == "GTI"
        assert mosaic.count == 3
        assert mosaic.nodata == -1
        assert mosaic.descriptions == ("B02", "B03", "B04")
        assert mosaic.crs.to_epsg() == 32633
        got = mosaic.read()
        where = GeoSlice(tuple(mosaic.bounds), None, 10, "EPSG:32633")
    # The later file lies above: GDAL sorts by start, and these two share it, so compare where only one has a
    # value.
    one = load_raster(day.where("contains(location, 'utm33')"), where)
    two = load_raster(day.where("contains(location, 'utm34')"), where)
    only = one.valid.values & ~two.valid.values
    assert only.sum() > 5000
    np.testing.assert_array_equal(got[only], one.values[only])
    other = two.valid.values & ~one.valid.values
    assert (got[other] != -1).mean() > 0.99
    nowhere = ~one.valid.values & ~two.valid.values
    assert (got[nowhere] == -1).mean() > 0.99


@needs_gti
def test_gti_puts_the_latest_on_top(flanders: GeoCatalog, tmp_path: Path) -> None:
    some = flanders.query(None, "2018-06")
    with rasterio.open(to_gti(some, tmp_path / "june.gti")) as mosaic:
        got = mosaic.read()
        assert mosaic.shape == (64, 64)
    latest = some.gdf.sort_index()["location"].iloc[-1]
    with rasterio.open(latest) as source:
        np.testing.assert_array_equal(got, source.read())


@needs_gti
def test_gti_by_mtime_puts_files_without_one_below(flanders: GeoCatalog, tmp_path: Path) -> None:
    gdf = flanders.query(None, "2018-06").gdf.head(3).copy()
    for known in (0, 2):
        gdf["mtime"] = pd.Series([pd.NaT] * 3, index=gdf.index, dtype="datetime64[us, UTC]")
        gdf.iloc[known, gdf.columns.get_loc("mtime")] = pd.Timestamp("1960-01-01", tz="UTC")
        with rasterio.open(to_gti(GeoCatalog(gdf), tmp_path / "m.gti", sort_by="mtime")) as mosaic:
            got = mosaic.read()
        with rasterio.open(gdf["location"].iloc[known]) as source:
            np.testing.assert_array_equal(got, source.read())


@needs_gti
def test_gti_of_cubes_by_vrt(tmp_path: Path) -> None:
    import gdal_gndc

    cubes = build_gndc_catalog(CUBE)
    with pytest.raises(CatalogError, match="locations"):
        to_gti(cubes, tmp_path / "cubes.gti")
    vrt = tmp_path / "cube.vrt"
    vrt.write_text(gdal_names(cubes, "2020-02-01", cubes="vrt")[0])
    path = to_gti(cubes, tmp_path / "cubes.gti", locations=[str(vrt)])
    with rasterio.open(path) as mosaic, gdal_gndc.open(CUBE) as cube:
        np.testing.assert_array_equal(np.moveaxis(mosaic.read(), 0, -1), cube.read_at_time("2020-02-01"))


def test_gti_refusals(puglia: GeoCatalog, flanders: GeoCatalog, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"\*\.gti"):
        to_gti(puglia, tmp_path / "a.xml")
    with pytest.raises(CoordinateError, match="resolution"):
        to_gti(puglia, tmp_path / "a.gti", crs=4326)
    with pytest.raises(CatalogError, match="one data type"):
        to_gti(puglia | flanders, tmp_path / "a.gti")
    with pytest.raises(CatalogError, match="empty"):
        to_gti(GeoCatalog.empty(), tmp_path / "a.gti", resolution=1)
    assert not list(tmp_path.glob("*.gti"))


def test_names_that_gdal_opens(tmp_path: Path) -> None:
    cubes = build_gndc_catalog(CUBE)
    assert gdal_names(cubes, "2020-02-01T10:30") == [f'GNDC:"{CUBE}":t=2020-02-01T10:30:00']
    middle = gdal_names(cubes)[0]
    assert middle.startswith(f'GNDC:"{CUBE}":t=2020-07-')
    with pytest.raises(TimeError):
        gdal_names(cubes, "soon")


def test_stac_geoparquet_is_stac(puglia: GeoCatalog, tmp_path: Path) -> None:
    path = tmp_path / "c.stac.parquet"
    to_stac_geoparquet(puglia, path, collection="puglia")
    back = build_stac_catalog(path)
    assert len(back) == 38
    assert back.gdf["location"].tolist() == puglia.gdf["location"].tolist()
    assert list(back.gdf.index) == list(puglia.gdf.index)
    assert back.gdf["native_crs"].tolist() == puglia.gdf["native_crs"].tolist()
    assert list(back.gdf["transform"].iloc[0]) == list(puglia.gdf["transform"].iloc[0])
    same = shapely.equals_exact(back.gdf.geometry, puglia.to_crs(4326).gdf.geometry.to_numpy(), 1e-9)
    assert same.all()
    pystac = pytest.importorskip("pystac")
    library = pytest.importorskip("stac_geoparquet.arrow")
    items = [pystac.Item.from_dict(i) for i in library.stac_table_to_items(pq.read_table(path))]
    assert len({i.id for i in items}) == 38
    assert items[0].assets["data"].href == puglia.gdf["location"].iloc[0]
    assert items[0].collection_id == "puglia"
    assert items[0].properties["proj:code"] == "EPSG:32633"
    collection = pystac.ItemCollection(items)
    by_json = tmp_path / "items.json"
    by_json.write_text(json.dumps(collection.to_dict(transform_hrefs=False)))
    assert [r[0] for r in key_rows(build_stac_catalog(by_json))] == [r[0] for r in key_rows(back)]
    assert len(build_stac_catalog(collection)) == 38


def test_stac_items_by_asset() -> None:
    def item(name: str, lon: float) -> dict:
        ring = [[lon, 0], [lon + 1, 0], [lon + 1, 1], [lon, 1], [lon, 0]]
        return {
            "type": "Feature",
            "id": name,
            "collection": "s2",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {"datetime": "2024-06-01T10:00:00Z", "eo:cloud_cover": 12.5, "proj:epsg": 32631},
            "assets": {
                "red": {"href": "https://a.example/red.tif", "roles": ["data"], "proj:shape": [10, 20]},
                "nir": {"href": "s3://bucket/nir.tif", "roles": ["data"]},
                "thumb": {"href": "./t.png", "roles": ["thumbnail"]},
            },
        }

    items = {"type": "FeatureCollection", "features": [item("a", 0), item("b", 179.5)]}
    catalog = build_stac_catalog(items)
    assert catalog.gdf["location"].tolist()[:2] == ["/vsicurl/https://a.example/red.tif", "/vsis3/bucket/nir.tif"]
    assert len(catalog) == 4
    assert catalog.gdf["height"].tolist() == [10, 0, 10, 0]
    assert catalog.gdf["native_crs"].tolist() == ["EPSG:32631"] * 4
    assert len(catalog.where("eo_cloud_cover < 20 and asset == 'red'")) == 2
    # An item beyond 180 degrees is split at the antimeridian.
    assert catalog.query((-180, 0, -179.8, 1)).gdf["item_id"].unique().tolist() == ["b"]
    assert build_stac_catalog(items, "thumb").gdf["asset"].tolist() == ["thumb", "thumb"]
    with pytest.raises(FileFormatError, match="green"):
        build_stac_catalog(items, "green")
    with pytest.raises(FileFormatError, match="not a STAC"):
        build_stac_catalog({"type": "Catalog"})
    assert len(build_stac_catalog({"type": "FeatureCollection", "features": []})) == 0


def test_static_rows_are_no_stac_items(stacks: Path, tmp_path: Path) -> None:
    still = build_raster_catalog(stacks / "s2_flanders" / "scl")
    with pytest.raises(TimeError, match="static"):
        to_stac_geoparquet(still, tmp_path / "a.parquet")


def run(*args: object) -> str:
    result = CliRunner().invoke(command, [str(a) for a in args])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_line_from_build_to_export(stacks: Path, tmp_path: Path) -> None:
    folder = stacks / "s2_puglia"
    regex = r"(?P<date>\d{8})"
    made = tmp_path / "p.parquet"
    options = ("--regex", regex, "--crs", "EPSG:32633", "--quiet")
    out = run("build", folder / "utm33", folder / "utm34", "-o", made, *options)
    assert "38 read" in out
    assert "GeoCatalog 38 rows" in out
    assert "38 unchanged" in run("build", folder / "utm33", folder / "utm34", "-o", made, *options, "--update")
    facts = json.loads(run("info", made, "--json"))
    assert facts["rows"] == 38
    assert facts["backends"] == {"raster": 38}
    assert facts["start"].startswith("2023-06-23")
    assert "EPSG:32634" in run("info", made)
    day = run("query", made, "--time", "2023-08-17").splitlines()
    assert len(day) == 2
    assert all(line.endswith("20230817.tif") for line in day)
    assert run("query", made, "--time", "2023-08-17", "--where", "contains(location, 'utm33')").count("\n") == 1
    assert run("query", made, "--bbox", 17.69, 40.59, 17.7, 40.61, "--crs", "EPSG:4326", "--time", "2023-08-17")
    rows = json.loads(run("query", made, "--time", "2023-08-17", "--json"))
    assert [r["location"] for r in rows] == day
    assert rows[0]["start"] == "2023-08-17T00:00:00.000000Z"
    assert len(rows[0]["bounds"]) == 4
    assert "row groups" in run("query", made, "--time", "2023-08", "--explain")
    assert json.loads(run("query", made, "--time", "2023-08", "--explain", "--json"))["of_rows"] == 38
    area = tmp_path / "area.geojson"
    gpd.GeoSeries([shapely.box(17.69, 40.59, 17.7, 40.61)], crs=4326).to_file(area)
    assert run("query", made, "--aoi", area).count("\n") == 38
    run("query", made, "--time", "2023-07", "-o", tmp_path / "july.parquet")
    july = GeoCatalog.from_geoparquet(tmp_path / "july.parquet")
    assert math.isclose(len(july), 12)
    pairs = json.loads(run("intersect", tmp_path / "july.parquet", made, "-o", tmp_path / "i.parquet", "--json"))
    assert pairs["output"] == str(tmp_path / "i.parquet")
    assert pairs["layers"] == 2
    assert GeoCatalog.from_geoparquet(tmp_path / "i.parquet").layers == 2
    assert "38 rows" in run("union", made, tmp_path / "july.parquet", "-o", tmp_path / "u.parquet")
    run("export", made, tmp_path / "a.stac.parquet")
    assert len(build_stac_catalog(tmp_path / "a.stac.parquet")) == 38
    gti = json.loads(run("export", made, tmp_path / "a.gti", "--time", "2023-08-17", "--json"))
    assert gti == {"rows": 2, "output": str(tmp_path / "a.gti")}
    assert (tmp_path / "a.gti").read_text().startswith("<GDALTileIndexDataset>")
    run("export", made, tmp_path / "a.geojson", "--crs-out", "EPSG:4326")
    assert len(gpd.read_file(tmp_path / "a.geojson")) == 38
    run("export", made, tmp_path / "b.parquet", "--crs-out", "EPSG:4326")


def test_the_command_line_reports_errors_in_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["query", str(tmp_path / "none.parquet")])
    assert result.exit_code == 1
    assert result.output == f"Error: {tmp_path / 'none.parquet'}: there is no such catalog\n"
    result = CliRunner().invoke(command, ["build", str(tmp_path / "*.tif"), "-o", "x.parquet"])
    assert result.exit_code == 1
    assert "no files match" in result.output
    result = CliRunner().invoke(command, ["query", "c.parquet", "--bbox", "1", "2"])
    assert result.exit_code == 2
    result = CliRunner().invoke(command, ["build", "a.json", "b.json", "--kind", "stac", "-o", "x.parquet"])
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_the_package_needs_no_torch_and_no_rasterio_to_query() -> None:
    import subprocess
    import sys

    code = (
        "import sys, gdal_gndc.catalog as c; c.GeoCatalog.empty().query((0, 0, 1, 1), '2024');"
        "bad = {'torch', 'rasterio', 'xarray', 'zarr', 'matplotlib', 'loguru', 'duckdb'} & set(sys.modules);"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
