"""STAC Items of cubes."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from click.testing import CliRunner

import gdal_gndc
from gdal_gndc.cli.stac import main
from gdal_gndc.stac import MEDIA_TYPE, stac_item
from tests.conftest import CASES, VALID
from tests.stac_schemas import validate

CUBE = CASES / "basic_i8dec.gndc"


@pytest.fixture
def cube():
    with gdal_gndc.open(CUBE) as dataset:
        yield dataset


def test_place_and_time(cube):
    item = stac_item(cube, href="https://example.org/a.gndc")
    assert item["id"] == "basic_i8dec"
    properties = item["properties"]
    assert properties["datetime"] is None
    assert properties["start_datetime"] == "2020-01-03T10:30:00Z"
    assert properties["end_datetime"] == "2020-12-28T10:30:30Z"
    assert properties["proj:code"] == "EPSG:32633"
    assert properties["proj:shape"] == [61, 83]
    assert properties["proj:transform"] == [10, 0, 399960, 0, -10, 5300040]
    west, south, east, north = item["bbox"]
    # 830 m by 610 m near 13.66 E, 47.85 N
    assert 13.65 < west < east < 13.68
    assert 47.84 < south < north < 47.86
    assert (north - south) * 111_200 == pytest.approx(620, abs=25)
    ring = item["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]
    area = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise(ring))
    assert area > 0  # counter-clockwise


def test_bands_and_dimensions(cube):
    item = stac_item(cube)
    asset = item["assets"]["data"]
    assert asset["type"] == MEDIA_TYPE
    assert asset["href"] == str(CUBE)
    first = asset["bands"][0]
    assert first["name"] == "B2"
    assert first["eo:center_wavelength"] == 0.49
    assert first["data_type"] == "float32"
    dimensions = item["properties"]["cube:dimensions"]
    assert list(dimensions) == ["time", "y", "x", "bands"]
    assert len(dimensions["time"]["values"]) == 7
    assert dimensions["x"] == {
        "type": "spatial", "axis": "x", "extent": [399960, 400790], "step": 10, "reference_system": 32633
    }  # fmt: skip
    assert dimensions["bands"]["values"] == ["B2", "LAI", "T"]
    assert item["properties"]["cube:variables"]["T"]["dimensions"] == ["time", "y", "x"]


def test_a_cube_without_a_place(cube):
    cube.__dict__.update(crs=None, transform=None)
    item = stac_item(cube)
    assert item["geometry"] is None
    assert "bbox" not in item
    assert not any("projection" in extension for extension in item["stac_extensions"])


def test_pystac_takes_it(cube):
    pystac = pytest.importorskip("pystac")
    item = pystac.Item.from_dict(stac_item(cube))
    from pystac.extensions.projection import ProjectionExtension

    assert ProjectionExtension.ext(item).epsg == 32633
    assert item.assets["data"].media_type == MEDIA_TYPE
    assert json.loads(json.dumps(item.to_dict()))["id"] == item.id


def test_pystacs_extensions_read_it(real_cube):
    pystac = pytest.importorskip("pystac")
    from pystac.extensions.datacube import DatacubeExtension, DimensionType
    from pystac.extensions.projection import ProjectionExtension

    with gdal_gndc.open(real_cube) as dataset:
        item = pystac.Item.from_dict(stac_item(dataset))
        place = ProjectionExtension.ext(item)
        assert (place.code, place.shape, place.transform) == ("EPSG:32631", [64, 64], list(dataset.transform)[:6])
        assert place.bbox == list(dataset.bounds)
        found = DatacubeExtension.ext(item)
        assert {name: d.dim_type for name, d in found.dimensions.items()} == {
            "time": DimensionType.TEMPORAL, "y": DimensionType.SPATIAL, "x": DimensionType.SPATIAL, "bands": "bands"
        }  # fmt: skip
        assert found.dimensions["x"].extent == [501360, 502000]
        assert found.dimensions["x"].reference_system == 32631
        assert list(found.variables) == dataset.band_names
        assert found.variables["B08"].dimensions == ["time", "y", "x"]


@pytest.fixture
def _no_network(monkeypatch):
    pystac = pytest.importorskip("pystac")

    def refuse(self, source, *args, **options):
        raise AssertionError(f"{source} is fetched")

    monkeypatch.setattr(pystac.stac_io.DefaultStacIO, "read_text", refuse)


@pytest.mark.parametrize("name", [*(case.name for case in VALID), "real"])
def test_the_schemas_hold(name, real_cube, _no_network):
    """Of the core and of every extension, as they are published."""
    with gdal_gndc.open(real_cube if name == "real" else CASES / f"{name}.gndc") as dataset:
        validate(stac_item(dataset))


def test_the_schemas_hold_for_a_crs_without_a_code(cube, _no_network):
    from rasterio.crs import CRS

    cube.__dict__.update(crs=CRS.from_proj4("+proj=laea +lat_0=10 +lon_0=20 +ellps=WGS84 +units=m"))
    item = stac_item(cube)
    assert item["properties"]["proj:code"] is None
    assert item["properties"]["proj:wkt2"].startswith("PROJCRS[")
    validate(item)


WRONG = {
    "a code that is a number": lambda i: i["properties"].update({"proj:code": 32633}),
    "one number for a shape": lambda i: i["properties"].update({"proj:shape": [61]}),
    "half a transform": lambda i: i["properties"].update({"proj:transform": [10, 0, 0]}),
    "three numbers for a box": lambda i: i["properties"].update({"proj:bbox": [1, 2, 3]}),
    "no PROJJSON": lambda i: i["properties"].update({"proj:projjson": {"type": "Nonsense"}}),
    "no time": lambda i: i["properties"].update({"start_datetime": 5}),
    "no dimensions": lambda i: i["properties"].pop("cube:dimensions"),
    "no extent in time": lambda i: i["properties"]["cube:dimensions"]["time"].update(extent=["yesterday"]),
    "no extent in space": lambda i: i["properties"]["cube:dimensions"]["x"].update(extent="wide"),
    "no axis": lambda i: i["properties"]["cube:dimensions"]["x"].update(axis="u"),
    "no CRS": lambda i: i["properties"]["cube:dimensions"]["x"].update(reference_system={"type": "Nonsense"}),
    "no list of dimensions": lambda i: i["properties"]["cube:variables"]["T"].update(dimensions="time"),
    "a colour that is none": lambda i: _first(i).update({"eo:common_name": "ultrared"}),
    "a wavelength with its unit": lambda i: _first(i).update({"eo:center_wavelength": "490nm"}),
    "nothing of eo": lambda i: _drop(i, "eo:"),
    "no resolution": lambda i: _first(i).update({"raster:spatial_resolution": "ten"}),
    "no property of raster": lambda i: _first(i).update({"raster:resolution": 10}),
    "nothing of raster": lambda i: _drop(i, "raster:"),
    "no type of data": lambda i: _first(i).update(data_type="f4"),
    "a word for nodata": lambda i: _first(i).update(nodata="none"),
}


def _first(item):
    return item["assets"]["data"]["bands"][0]


def _drop(item, prefix):
    for band in item["assets"]["data"]["bands"]:
        for key in [key for key in band if key.startswith(prefix)]:
            del band[key]


@pytest.mark.parametrize("wrong", WRONG)
def test_the_schemas_find(cube, wrong, _no_network):
    pystac = pytest.importorskip("pystac")
    item = stac_item(cube)
    WRONG[wrong](item)
    with pytest.raises(pystac.STACValidationError):
        validate(item)


def test_the_command(tmp_path):
    out = tmp_path / "item.json"
    run = CliRunner().invoke
    assert run(main, [str(CUBE), "-o", str(out), "--id", "mine", "--href", "a.gndc"]).exit_code == 0
    item = json.loads(out.read_text())
    assert (item["id"], item["assets"]["data"]["href"]) == ("mine", "a.gndc")
    printed = run(main, [str(CUBE), "--id", "mine", "--href", "a.gndc"])
    assert json.loads(printed.output) == item
