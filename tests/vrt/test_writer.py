from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ElementTree
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
import rasterio
from numpy.testing import assert_array_equal

import gdal_gndc
from gdal_gndc.errors import CoordinateError, GNDCError, TimeError
from gdal_gndc.vrt.document import _dividing
from gdal_gndc.vrt.writer import write_vrts

CASES = Path(__file__).parents[1] / "cases"


def test_the_raster_describes_itself(large: Path) -> None:
    with gdal_gndc.open(large) as dataset, rasterio.open(gdal_gndc.vrt(large, 2)) as raster:
        assert raster.crs == dataset.crs
        assert raster.transform == dataset.transform
        assert raster.bounds == dataset.bounds
        assert raster.shape == (610, 830)
        assert raster.descriptions == ("B2", "LAI", "T")
        assert raster.units == ("1", "m^2/m^2", "K")
        assert all(value != value for value in raster.nodatavals)
        assert raster.block_shapes == [(256, 256)] * 3
        assert raster.colorinterp[0] == rasterio.enums.ColorInterp.blue
        tags = raster.tags()
        assert tags["TIFFTAG_DATETIME"] == "2020:03:07 10:29:00"
        assert tags["time"] == "2020-03-07T10:29:00Z"
        assert tags["observed"] == "YES"
        assert tags["AREA_OR_POINT"] == "Area"
        assert raster.tags(ns="IMAGERY")["ACQUISITIONDATETIME"] == "2020-03-07 10:29:00"


@pytest.mark.parametrize(
    ("t", "argument", "observed"),
    [
        (2, "2020-03-07T10:29:00Z", "YES"),
        (-1, "2020-12-28T10:30:30Z", "YES"),
        ("2020-03-07", "2020-03-07T10:29:00Z", "YES"),
        ("2020-03-07T10:29:00.400Z", "2020-03-07T10:29:00Z", "YES"),
        ("2020-02-01", "2020-02-01T00:00:00Z", "NO"),
        (datetime(2020, 2, 1, 6, 30, tzinfo=UTC), "2020-02-01T06:30:00Z", "NO"),
    ],
)
def test_the_moment(large: Path, t: int | str | datetime, argument: str, observed: str) -> None:
    root = ElementTree.fromstring(gdal_gndc.vrt(large, t))
    arguments = root.find("VRTRasterBand/PixelFunctionArguments")
    assert arguments is not None
    assert arguments.attrib == {"path": str(large), "t": argument, "band": "1"}
    assert root.findtext("Metadata/MDI[@key='observed']") == observed


def test_the_path_is_absolute_whatever_is_given(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(large.parent)
    root = ElementTree.fromstring(gdal_gndc.vrt(large.name, 0))
    arguments = root.find("VRTRasterBand/PixelFunctionArguments")
    assert arguments is not None
    assert arguments.get("path") == str(large)


def with_metrics(cube: Path, target: Path, metrics: dict[str, object]) -> Path:
    shutil.copy(cube, target)
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("metrics.json", json.dumps(metrics))
    return target


def test_statistics_of_the_metrics(large: Path, tmp_path: Path) -> None:
    one = {"name": "B2", "min": 0.125, "max": 0.5, "mean": 0.25, "stddev": 0.0625, "rmse": 0.01}
    cube = with_metrics(large, tmp_path / "m.gndc", {"bands": [one, {"name": "LAI", "max": 3.0}, {}]})
    with rasterio.open(gdal_gndc.vrt(cube, 0, bands=[1, 0])) as raster:
        assert raster.tags(1) == {}
        assert raster.tags(2) == {
            "STATISTICS_APPROXIMATE": "YES",
            "STATISTICS_MINIMUM": "0.125",
            "STATISTICS_MAXIMUM": "0.5",
            "STATISTICS_MEAN": "0.25",
            "STATISTICS_STDDEV": "0.0625",
        }


def test_bands_in_the_order_asked(large: Path) -> None:
    with (
        gdal_gndc.open(large) as dataset,
        rasterio.open(gdal_gndc.vrt(large, 0, bands=["T", 0], block_size=(128, 64))) as raster,
    ):
        assert raster.descriptions == ("T", "B2")
        assert raster.block_shapes == [(64, 128)] * 2
        assert_array_equal(raster.read().transpose(1, 2, 0), dataset.read(0, bands=[2, 0]))


def test_a_template_of_ones_own(large: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.vrt"
    file.write_text(
        '<VRTDataset rasterXSize="${width}" rasterYSize="${height}"><SRS>${srs}</SRS>'
        "<GeoTransform>${geotransform}</GeoTransform>"
        '<VRTRasterBand dataType="Float32" band="1" subClass="VRTDerivedRasterBand">'
        "<PixelFunctionType>gdal_gndc.vrt_pixels</PixelFunctionType>"
        "<PixelFunctionLanguage>Python</PixelFunctionLanguage>"
        '<PixelFunctionArguments path="${path}" t="${t}" band="LAI"/></VRTRasterBand></VRTDataset>'
    )
    with gdal_gndc.open(large) as dataset, rasterio.open(gdal_gndc.vrt(large, 1, template=file)) as raster:
        assert raster.count == 1
        assert_array_equal(raster.read(1), dataset.read(1, bands="LAI")[..., 0])


def test_errors(large: Path) -> None:
    with pytest.raises(TimeError, match="outside the cube's times"):
        gdal_gndc.vrt(large, "2021-06-01")
    with pytest.raises(CoordinateError):
        gdal_gndc.vrt(large, 7)
    with pytest.raises(CoordinateError, match="no band 'B9' in the cube; expected one of B2, LAI, T"):
        gdal_gndc.vrt(large, 0, bands=["B9"])
    with pytest.raises(CoordinateError, match="no band is selected"):
        gdal_gndc.vrt(large, 0, bands=[])
    with pytest.raises(GNDCError, match="block size is 0x0"):
        gdal_gndc.vrt(large, 0, block_size=0)
    with pytest.raises(FileNotFoundError):
        gdal_gndc.vrt(large.with_name("none.gndc"), 0)


def test_one_file_an_observation_and_an_index(large: Path, tmp_path: Path) -> None:
    out = tmp_path / "vrts" / "deep"
    files = write_vrts(large, out)
    with gdal_gndc.open(large) as dataset:
        times = dataset.timestamps
    assert [file.name for file in files] == [f"{large.stem}_{time:%Y%m%d}.vrt" for time in times]
    assert sorted(file.name for file in out.iterdir()) == sorted(
        [*(f.name for f in files), "index.json", "index.gti.gpkg"]
    )
    index = json.loads((out / "index.json").read_text())
    assert index["cubes"] == [str(large)]
    assert [entry["file"] for entry in index["rasters"]] == [file.name for file in files]
    assert [entry["frame"] for entry in index["rasters"]] == list(range(7))
    assert all(entry["observed"] for entry in index["rasters"])
    for i, file in enumerate(files):
        assert file.read_text() == gdal_gndc.vrt(large, i)


def test_a_regular_series(large: Path, tmp_path: Path) -> None:
    files = write_vrts(large, tmp_path, every="5d", start="2020-01-19T10:32:10Z", end="2020-02-20")
    index = json.loads((tmp_path / "index.json").read_text())
    assert [entry["time"][:10] for entry in index["rasters"]] == [
        "2020-01-19", "2020-01-24", "2020-01-29", "2020-02-03", "2020-02-08", "2020-02-13", "2020-02-18",
    ]  # fmt: skip
    assert [entry["observed"] for entry in index["rasters"]] == [True] + [False] * 6
    assert files[1].name == f"{large.stem}_20200124T103210Z.vrt"
    with gdal_gndc.open(large) as dataset, rasterio.open(files[1]) as raster:
        assert_array_equal(raster.read().transpose(1, 2, 0), dataset.read_at_time("2020-01-24T10:32:10Z"))


def test_single_times_sorted_and_once(large: Path, tmp_path: Path) -> None:
    files = write_vrts(large, tmp_path, times=["2020-06-30", 0, "2020-02-01", "0"])
    assert [file.name.rpartition("_")[2] for file in files] == [
        "20200103.vrt",
        "20200201.vrt",
        "20200630.vrt",
    ]


def test_a_period_includes_its_last_day(large: Path, tmp_path: Path) -> None:
    files = write_vrts(large, tmp_path, start="2020-01-19", end="2020-03-08")
    assert [file.name.rpartition("_")[2] for file in files] == [
        "20200119.vrt",
        "20200307.vrt",
        "20200308.vrt",
    ]


def test_a_selection_of_nothing_is_an_error_and_writes_nothing(large: Path, tmp_path: Path) -> None:
    out = tmp_path / "vrts"
    with pytest.raises(TimeError, match="no date"):
        write_vrts(large, out, start="2020-04-01", end="2020-05-01")
    with pytest.raises(TimeError, match="not both"):
        write_vrts(large, out, times=[0], every="5d")
    with pytest.raises(TimeError):
        write_vrts(large, out, times=["2030-01-01"])
    assert not out.exists()


def test_all_cases_write(case: Path, tmp_path: Path) -> None:
    files = write_vrts(case, tmp_path)
    with gdal_gndc.open(case) as dataset:
        assert len(files) == dataset.n_timestamps
        for frame, file in enumerate(files):
            with rasterio.open(file) as raster:
                assert_array_equal(raster.read().transpose(1, 2, 0), dataset.read(frame))


def test_a_cube_behind_a_url(large: Path, tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/vrt-test/cube.gndc", large.read_bytes())
    try:
        url = "memory://vrt-test/cube.gndc"
        files = write_vrts(url, tmp_path, times=[1])
        assert f'path="{url}"' in files[0].read_text()
        with gdal_gndc.open(large) as dataset, rasterio.open(files[0]) as raster:
            assert_array_equal(raster.read().transpose(1, 2, 0), dataset.read(1))
    finally:
        memory.rm("/vrt-test", recursive=True)


@pytest.mark.parametrize(("sides", "block"), [(300, 300), (1000, 250), (509, 509), (100, 256), (2400, 240)])
def test_blocks_suit_the_chunks(sides: int, block: int) -> None:
    """Near 256, with the borders of the chunks where these are regular."""
    regular = {(start, min(start + sides, 3 * sides - 7)) for start in range(0, 3 * sides - 7, sides)}
    assert _dividing(regular) == block
    assert _dividing({(0, sides)}) == 256
    assert _dividing({(0, sides), (sides + 1, 2 * sides)}) == 256
