from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from numpy.testing import assert_allclose
from pyproj import Transformer

from gdal_gndc.errors import TimeError
from gdal_gndc.vrt.stac import write_stac
from gdal_gndc.vrt.writer import write_vrts
from tests.stac_schemas import validate


def test_items_and_collection(large: Path, tmp_path: Path) -> None:
    files = write_vrts(large, tmp_path, times=[0, "2020-02-01"], stac=True)
    collection = json.loads((tmp_path / "collection.json").read_text())
    assert collection["type"] == "Collection"
    assert collection["stac_version"] == "1.1.0"
    assert collection["extent"]["temporal"]["interval"] == [["2020-01-03T10:30:00Z", "2020-02-01T00:00:00Z"]]
    items = [link["href"] for link in collection["links"] if link["rel"] == "item"]
    assert items == [f"./{file.with_suffix('.json').name}" for file in files]
    to_degrees = Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True)
    corners = [to_degrees.transform(x, y) for x in (399960, 408260) for y in (5293940, 5300040)]
    for file, href, time, observed in zip(
        files, items, ["2020-01-03T10:30:00Z", "2020-02-01T00:00:00Z"], [True, False], strict=True
    ):
        item = json.loads((tmp_path / href).read_text())
        validate(item)
        assert item["type"] == "Feature"
        assert item["id"] == file.stem
        assert item["collection"] == collection["id"]
        assert item["properties"]["datetime"] == time
        assert item["properties"]["gndc:observed"] is observed
        assert item["properties"]["proj:code"] == "EPSG:32633"
        assert item["properties"]["proj:shape"] == [610, 830]
        assert item["properties"]["proj:transform"] == [10, 0, 399960, 0, -10, 5300040]
        assert (tmp_path / item["assets"]["raster"]["href"]).samefile(file)
        assert Path(item["assets"]["cube"]["href"]).samefile(large)
        assert [band["name"] for band in item["assets"]["raster"]["bands"]] == ["B2", "LAI", "T"]
        ring = item["geometry"]["coordinates"][0]
        assert ring[0] == ring[-1]
        area = sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring))
        assert area > 0
        for corner in corners:
            assert min(abs(x - corner[0]) + abs(y - corner[1]) for x, y in ring) < 1e-8
        west, south, east, north = item["bbox"]
        assert_allclose(west, min(x for x, _ in corners), atol=1e-8)
        assert south <= min(y for _, y in corners) + 1e-8
        assert_allclose(east, max(x for x, _ in corners), atol=1e-8)
        assert north >= max(y for _, y in corners) - 1e-8
    assert collection["extent"]["spatial"]["bbox"] == [item["bbox"]]


def test_a_relative_cube_is_found_from_the_item(large: Path, tmp_path: Path) -> None:
    file = write_vrts(large, tmp_path / "a", times=[0], relative=True, stac=True)[0]
    item = json.loads(file.with_suffix(".json").read_text())
    assert Path(item["assets"]["cube"]["href"]).samefile(large)


def test_frames_without_dates(large: Path, tmp_path: Path) -> None:
    from gdal_gndc.time_axis import Moment

    file = write_vrts(large, tmp_path, times=[0])[0]
    with pytest.raises(TimeError, match="needs a date"):
        write_stac(tmp_path, "x", [str(large)], [(file.name, Moment(0, None))])
    assert not (tmp_path / "collection.json").exists()
