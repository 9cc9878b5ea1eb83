"""STAC Items of cubes."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

import gdal_gndc
from gdal_gndc.cli.stac import main
from gdal_gndc.stac import MEDIA_TYPE, stac_item
from tests.conftest import CASES

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


@pytest.mark.parametrize("name", ["basic_i8dec", "notemporal_t1_block", "sensors"])
def test_the_core_schema_holds(name):
    pytest.importorskip("jsonschema")
    pystac = pytest.importorskip("pystac")
    with gdal_gndc.open(CASES / f"{name}.gndc") as dataset:
        item = stac_item(dataset)
    # pystac brings the core's schemas; those of extensions it would fetch
    item["stac_extensions"] = []
    pystac.Item.from_dict(item).validate()
    item["properties"]["start_datetime"] = 5
    with pytest.raises(pystac.STACValidationError):
        pystac.Item.from_dict(item).validate()


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


@pytest.mark.parametrize("name", ["basic_i8dec", "notemporal_t1_block", "sensors", "real"])
def test_the_extensions_schemas_hold(name, real_cube):
    """Against the published schemas, EXTENSION/VERSION/schema.json, in a folder that GNDC_STAC_SCHEMAS names."""
    folder = os.environ.get("GNDC_STAC_SCHEMAS")
    if not folder:
        pytest.skip(
            "GNDC_STAC_SCHEMAS names no folder with the schemas of the STAC extensions; they are on the web only"
        )
    pystac = pytest.importorskip("pystac")
    from pystac.validation.stac_validator import JsonSchemaSTACValidator

    with gdal_gndc.open(real_cube if name == "real" else CASES / f"{name}.gndc") as dataset:
        item = stac_item(dataset)
    validator = JsonSchemaSTACValidator()
    for uri in item["stac_extensions"]:
        path = Path(folder, *uri.split("/")[-3:])
        validator.schema_cache[uri] = json.loads(path.read_text())
    # only for a CRS given as PROJJSON, which ours are not
    for version in ("v0.4", "v0.7"):
        validator.schema_cache[f"https://proj.org/schemas/{version}/projjson.schema.json"] = {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "not": {},
        }
    checked = pystac.Item.from_dict(item).validate(validator=validator)
    assert len(checked) == 1 + len(item["stac_extensions"])
    item["properties"]["cube:dimensions"]["x"]["extent"] = "wide"
    with pytest.raises(pystac.STACValidationError):
        pystac.Item.from_dict(item).validate(validator=validator)


def test_the_command(tmp_path):
    out = tmp_path / "item.json"
    run = CliRunner().invoke
    assert run(main, [str(CUBE), "-o", str(out), "--id", "mine", "--href", "a.gndc"]).exit_code == 0
    item = json.loads(out.read_text())
    assert (item["id"], item["assets"]["data"]["href"]) == ("mine", "a.gndc")
    printed = run(main, [str(CUBE), "--id", "mine", "--href", "a.gndc"])
    assert json.loads(printed.output) == item
