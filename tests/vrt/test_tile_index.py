from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
import rasterio
from numpy.testing import assert_array_equal

import gdal_gndc
from gdal_gndc.vrt.writer import write_vrts


def test_rasters_and_times(large: Path, tmp_path: Path) -> None:
    files = write_vrts(large, tmp_path, times=[0, "2020-02-01"])
    with closing(sqlite3.connect(tmp_path / "index.gti.gpkg")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        rows = database.execute('SELECT location, time, observed FROM "index" ORDER BY fid').fetchall()
    assert rows == [
        (str(files[0]), "2020-01-03T10:30:00.000Z", 1),
        (str(files[1]), "2020-02-01T00:00:00.000Z", 0),
    ]


def test_gdals_tile_index_driver_reads_it(large: Path, tmp_path: Path) -> None:
    if tuple(map(int, rasterio.__gdal_version__.split(".")[:2])) < (3, 9):
        pytest.skip(f"rasterio's GDAL {rasterio.__gdal_version__} has no GTI driver; 3.9 is the first")
    write_vrts(large, tmp_path)
    name = f"GTI:{tmp_path / 'index.gti.gpkg'}"
    with gdal_gndc.open(large) as dataset:
        for frame, time in [(2, "2020-03-07T10:29:00.000Z"), (5, "2020-09-01T00:00:00.000Z")]:
            with rasterio.open(name, FILTER=f"time='{time}'") as raster:
                assert raster.shape == (610, 830)
                assert raster.crs.to_epsg() == 32633
                assert_array_equal(raster.read().transpose(1, 2, 0), dataset.read(frame))


@pytest.mark.system_gdal
def test_ogrinfo(large: Path, tmp_path: Path) -> None:
    if shutil.which("ogrinfo") is None:
        pytest.skip("ogrinfo is not installed")
    write_vrts(large, tmp_path, times=[0, 1])
    command = ["ogrinfo", "-al", str(tmp_path / "index.gti.gpkg")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert "Warning" not in result.stdout
    assert "Feature Count: 2" in result.stdout
    assert 'ID["EPSG",32633]' in result.stdout
    assert "Extent: (399960.000000, 5293940.000000) - (408260.000000, 5300040.000000)" in result.stdout
    assert "time (DateTime) = 2020/01/19 10:32:10+00" in result.stdout


def test_a_cube_without_a_place_has_no_tile_index(tmp_path: Path) -> None:
    cube = tmp_path / "nowhere.gndc"
    source = Path(__file__).parents[1] / "cases" / "basic_i8dec.gndc"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(cube, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "meta.json":
                meta = json.loads(data)
                meta["crs"] = meta["transform"] = None
                data = json.dumps(meta).encode()
            new.writestr(name, data)
    files = write_vrts(cube, tmp_path / "out", times=[0])
    assert {file.name for file in (tmp_path / "out").iterdir()} == {files[0].name, "index.json"}


def test_geoparquet(large: Path, tmp_path: Path) -> None:
    """The same rows, for readers of GeoParquet."""
    geopandas = pytest.importorskip("geopandas")
    files = write_vrts(large, tmp_path, times=[0, "2020-02-01"], geoparquet=True)
    frame = geopandas.read_parquet(tmp_path / "index.parquet")
    assert frame["location"].tolist() == [str(file) for file in files]
    assert [str(time) for time in frame["time"]] == ["2020-01-03 10:30:00+00:00", "2020-02-01 00:00:00+00:00"]
    assert frame["observed"].tolist() == [True, False]
    assert frame.crs.to_epsg() == 32633
    with gdal_gndc.open(large) as dataset:
        assert frame.total_bounds.tolist() == list(dataset.bounds)
    assert frame.geometry.is_valid.all()
    packaged = geopandas.read_file(tmp_path / "index.gti.gpkg")
    assert packaged.geometry.geom_equals(frame.geometry).all()
