"""What the driver says of a raster, and what GDAL's programs make of it."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdal_gndc
from tests.conftest import CASES
from tests.driver.conftest import PYTHON, Gdal
from tests.driver.containers import rewritten

CUBE = CASES / "basic_i8dec.gndc"
SINGLE = CASES / "notemporal_t1_block.gndc"


def test_container(gdal: Gdal) -> None:
    info = gdal.info(str(CUBE))
    assert info["driverShortName"] == "GNDC"
    assert info["size"] == [83, 61]
    assert info["bands"] == []
    subdatasets = info["metadata"]["SUBDATASETS"]
    assert len(subdatasets) == 14
    assert subdatasets["SUBDATASET_4_NAME"] == f'GNDC:"{CUBE}":t=2020-03-08T22:00:00Z'
    assert subdatasets["SUBDATASET_4_DESC"] == "2020-03-08T22:00:00Z, 83x61 pixels, 3 bands"
    assert info["metadata"][""]["bands"] == "B2,LAI,T"
    done = gdal.run("gdalinfo", "-json", "-sd", "4", CUBE)
    assert json.loads(done.stdout)["metadata"][""]["time"] == "2020-03-08T22:00:00Z"


def test_single_frame_is_a_raster(gdal: Gdal) -> None:
    info = gdal.info(str(SINGLE))
    assert len(info["bands"]) == 1
    assert "SUBDATASETS" not in info["metadata"]
    assert info["files"] == [str(SINGLE)]


def test_frame(gdal: Gdal) -> None:
    info = gdal.info(f"GNDC:{CUBE}:t=3")
    assert info["size"] == [83, 61]
    assert info["geoTransform"] == [399960.0, 10.0, 0.0, 5300040.0, 0.0, -10.0]
    assert 'ID["EPSG",32633]' in info["coordinateSystem"]["wkt"]
    assert info["coordinateSystem"]["dataAxisToSRSAxisMapping"] == [1, 2]
    assert info["files"] == [str(CUBE)]
    metadata = info["metadata"]
    assert metadata[""]["TIFFTAG_DATETIME"] == "2020:03:08 22:00:00"
    assert metadata[""]["AREA_OR_POINT"] == "Area"
    assert metadata["IMAGE_STRUCTURE"]["INTERLEAVE"] == "PIXEL"
    bands = info["bands"]
    assert [band["description"] for band in bands] == ["B2", "LAI", "T"]
    assert [band.get("unit") for band in bands] == ["1", "m^2/m^2", "K"]
    assert {band["type"] for band in bands} == {"Float32"}
    assert {band["noDataValue"] for band in bands} == {"NaN"}
    assert bands[0]["colorInterpretation"] == "Blue"
    assert bands[0]["metadata"][""]["CENTRAL_WAVELENGTH"] == "490"
    assert "scale" not in bands[0]
    imagery = gdal.info(f"GNDC:{CUBE}:t=3", "-mdd", "IMAGERY")["metadata"]["IMAGERY"]
    assert imagery["ACQUISITIONDATETIME"] == "2020-03-08 22:00:00"


def test_geographic_axis_order(gdal: Gdal, tmp_path: Path) -> None:
    transform = {"a": 0.5, "b": 0.0, "c": 10.0, "d": 0.0, "e": -0.5, "f": 50.0}
    meta = {"crs": "EPSG:4326", "transform": transform, "pixel_anchor": "center"}
    info = gdal.info(f"GNDC:{rewritten(CUBE, tmp_path / 'geo.gndc', meta=meta)}:t=0")
    assert info["coordinateSystem"]["dataAxisToSRSAxisMapping"] == [2, 1]
    assert info["geoTransform"] == [9.75, 0.5, 0.0, 50.25, 0.0, -0.5]
    assert info["metadata"][""]["AREA_OR_POINT"] == "Point"


def test_no_georeference(gdal: Gdal, tmp_path: Path) -> None:
    path = rewritten(CUBE, tmp_path / "none.gndc", meta={"crs": None, "transform": None})
    info = gdal.info(f"GNDC:{path}:t=0")
    assert "geoTransform" not in info
    assert "coordinateSystem" not in info


@pytest.mark.parametrize("crs", ["nonsense", "/etc/passwd", "http://127.0.0.1:1/crs"])
def test_crs_that_is_none(gdal: Gdal, tmp_path: Path, crs: str) -> None:
    """It is warned of; nothing is opened or fetched for it, and the pixels are there."""
    path = rewritten(CUBE, tmp_path / "crs.gndc", meta={"crs": crs})
    done = gdal.run("gdalinfo", "-json", f"GNDC:{path}:t=0")
    assert done.returncode == 0
    assert "Warning" in done.stderr
    assert crs in done.stderr
    assert "coordinateSystem" not in json.loads(done.stdout)


def test_deflated_container(osgeo: Gdal, tmp_path: Path) -> None:
    path = rewritten(CUBE, tmp_path / "deflated.gndc", compression=zipfile.ZIP_DEFLATED)
    jobs = [{"name": f"GNDC:{p}:t=2"} for p in (CUBE, path)]
    plain, deflated = osgeo.reads(jobs, tmp_path)
    np.testing.assert_array_equal(plain, deflated)


def test_flipped_bit_is_found(gdal: Gdal, tmp_path: Path) -> None:
    """Every byte of a chunk is covered by the archive's checksum."""
    data = bytearray(CUBE.read_bytes())
    with zipfile.ZipFile(CUBE) as archive:
        chunk = archive.getinfo("chunks/t0000_y0000_x0000.gndcc")
    data[chunk.header_offset + chunk.file_size // 2] ^= 4
    path = tmp_path / "flipped.gndc"
    path.write_bytes(data)
    done = gdal.run("gdal_translate", f"GNDC:{path}:t=0", tmp_path / "out.tif")
    assert done.returncode == 1
    assert "checksum" in done.stderr
    assert not (tmp_path / "out.tif").exists()


@pytest.mark.parametrize("columns", [False, True])
def test_statistics_of_the_sidecar(gdal: Gdal, tmp_path: Path, columns: bool) -> None:
    numbers: Any = [{"min": i - 1.0, "max": i + 1.0, "mean": i + 0.25, "stddev": 0.5} for i in range(3)]
    if columns:
        numbers = {key: [band[key] for band in numbers] for key in numbers[0]}
    path = rewritten(CUBE, tmp_path / "stats.gndc", metrics_json={"bands": numbers})
    bands = gdal.info(f"GNDC:{path}:t=1")["bands"]
    for i, band in enumerate(bands):
        statistics = band["metadata"][""]
        assert float(statistics["STATISTICS_MINIMUM"]) == i - 1.0
        assert float(statistics["STATISTICS_MEAN"]) == i + 0.25
        assert statistics["STATISTICS_APPROXIMATE"] == "YES"
    assert [p.name for p in tmp_path.iterdir()] == ["stats.gndc"]


def test_strange_sidecar_is_passed_over(gdal: Gdal, tmp_path: Path) -> None:
    for strange in ([{"min": "x"}], {"min": [1, 2], "max": [1, 2], "mean": [1, 2], "stddev": [1, 2]}, {"min": 3}, 7):
        path = rewritten(CUBE, tmp_path / "stats.gndc", metrics_json={"bands": strange})
        assert len(gdal.info(f"GNDC:{path}:t=1")["bands"]) == 3


def test_computed_statistics_go_beside(gdal: Gdal, tmp_path: Path) -> None:
    path = tmp_path / "cube.gndc"
    shutil.copy(CUBE, path)
    with gdal_gndc.open(path) as dataset:
        expected = dataset.read(1).reshape(-1, 3).mean(0)
    for _ in range(2):
        info = gdal.info(f"GNDC:{path}:t=1", "-stats")
        means = [float(band["metadata"][""]["STATISTICS_MEAN"]) for band in info["bands"]]
        np.testing.assert_allclose(means, expected, rtol=1e-5)
    assert info["files"] == [str(path), f"{path}.aux.xml"]
    assert "STATISTICS_MEAN" not in gdal.info(f"GNDC:{path}:t=2")["bands"][0].get("metadata", {}).get("", {})


def test_translate(gdal: Gdal, osgeo: Gdal, tmp_path: Path) -> None:
    for time, observed in (("2020-03-08", "YES"), ("2020-05-01", "NO")):
        out = tmp_path / "out.tif"
        done = gdal.run("gdal_translate", f"GNDC:{CUBE}:t={time}", out)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        info = gdal.info(str(out))
        assert [band["description"] for band in info["bands"]] == ["B2", "LAI", "T"]
        assert info["metadata"][""]["observed"] == observed
        assert info["metadata"][""]["TIFFTAG_DATETIME"].startswith(time.replace("-", ":"))
        with gdal_gndc.open(CUBE) as dataset:
            expected = dataset.read_at_time(time) if observed == "NO" else dataset.read(time)
        (got,) = osgeo.reads([{"name": str(out)}], tmp_path)
        np.testing.assert_array_equal(np.moveaxis(got, 0, -1), expected)


def test_writing_is_refused(gdal: Gdal, tmp_path: Path) -> None:
    out = tmp_path / "out.gndc"
    done = gdal.run("gdal_translate", "-of", "GNDC", f"GNDC:{CUBE}:t=0", out)
    assert done.returncode == 1
    assert "gndc encode" in done.stderr
    assert not out.exists()


def test_update_is_refused(osgeo: Gdal) -> None:
    code = f"from osgeo import gdal; gdal.UseExceptions(); gdal.Open({str(CUBE)!r}, gdal.GA_Update)"
    done = osgeo.run(PYTHON, "-c", code)
    assert done.returncode == 1
    assert "cannot update" in done.stderr


def test_format_is_described(gdal: Gdal) -> None:
    text = gdal.run("gdalinfo", "--format", "GNDC").stdout
    for word in ("Neural data cube", "gndc", "Supports: Raster", "<OpenOptionList>", "NUM_THREADS"):
        assert word in text


def test_rasterio_of_the_system(gdal: Gdal) -> None:
    code = (
        "import json, sys, rasterio\n"
        "with rasterio.open(sys.argv[1]) as d:\n"
        "    total = float(d.read().sum())\n"
        "    names = list(d.descriptions)\n"
        "    print(json.dumps([d.driver, d.count, names, d.crs.to_epsg(), str(d.nodata), total]))\n"
    )
    done = gdal.run(PYTHON, "-c", code, f"GNDC:{CUBE}:t=2")
    if "No module named 'rasterio'" in done.stderr:
        pytest.skip(f"{PYTHON} has no rasterio (apt-get install python3-rasterio)")
    assert done.returncode == 0, done.stderr
    driver, count, names, epsg, nodata, total = json.loads(done.stdout)
    assert (driver, count, names, epsg, nodata) == ("GNDC", 3, ["B2", "LAI", "T"], 32633, "nan")
    with gdal_gndc.open(CUBE) as dataset:
        assert total == pytest.approx(float(dataset.read(2).sum(dtype=np.float64)), rel=1e-5)


@pytest.mark.parametrize("wrapper", ["/vsizip/{zip}/inner.gndc", "/vsigzip/{gz}"])
def test_virtual_files(gdal: Gdal, tmp_path: Path, wrapper: str) -> None:
    import gzip

    with zipfile.ZipFile(tmp_path / "outer.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(CUBE, "inner.gndc")
    (tmp_path / "cube.gndc.gz").write_bytes(gzip.compress(CUBE.read_bytes()))
    path = wrapper.format(zip=tmp_path / "outer.zip", gz=tmp_path / "cube.gndc.gz")
    assert len(gdal.info(f"GNDC:{path}:t=1", "-stats")["bands"]) == 3
