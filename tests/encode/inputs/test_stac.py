"""STAC ItemCollections as sources."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest

from gdal_gndc.encode.inputs import open_source
from gdal_gndc.errors import EncodeError


@pytest.fixture
def collection(write_raster: Any, tmp_path: Path) -> Path:
    """Two items of two bands and a classification each, as Sentinel-2 archives write them."""
    items = []
    for k in (1, 2):
        item = pystac.Item(
            f"scene{k}", {"type": "Point", "coordinates": [3, 50]}, [3, 50, 3, 50], datetime(2020, 1, k, tzinfo=UTC), {}
        )
        for key, number, length in (("red", 100 * k, 0.665), ("nir", 200 * k, 0.842)):
            values = np.full((1, 8, 10), number, "uint16")
            values[0, 0, 0] = 0
            path = write_raster(f"{key}{k}.tif", values)
            asset = pystac.Asset(f"./{path.name}", media_type=pystac.MediaType.COG, roles=["data"])
            asset.extra_fields["eo:bands"] = [{"name": "B", "common_name": key, "center_wavelength": length}]
            asset.extra_fields["raster:bands"] = [{"scale": 0.0001, "offset": -0.1, "nodata": 0, "unit": "1"}]
            item.add_asset(key, asset)
        classes = np.full((1, 8, 10), 4, "uint8")
        classes[0, 5, k] = 9
        path = write_raster(f"scl{k}.tif", classes)
        item.add_asset("scl", pystac.Asset(f"./{path.name}", media_type=pystac.MediaType.COG, roles=["data"]))
        items.append(item)
    pystac.ItemCollection(items).save_object(str(tmp_path / "items.json"))
    return tmp_path / "items.json"


def test_assets_are_bands(collection: Path) -> None:
    source = open_source(collection, assets=["red", "nir"])
    assert source.shape == (2, 8, 10, 2) and [time.day for time in source.times] == [1, 2]
    red, nir = source.bands
    assert (red.name, red.common_name, red.center_wavelength, red.unit) == ("red", "red", 665.0, "1")
    assert (nir.scale_factor, nir.add_offset, nir.fill_value) == (0.0001, -0.1, 0)
    values = source.read()
    assert np.isnan(values[:, 0, 0]).all()
    np.testing.assert_allclose(values[:, 1, 1], [[-0.09, -0.08], [-0.08, -0.06]], atol=1e-6)
    one = open_source(collection, assets=["nir"])
    np.testing.assert_array_equal(one.read()[..., 0], values[..., 1])


def test_an_asset_masks(collection: Path) -> None:
    source = open_source(collection, mask="band:scl", mask_values="scl")
    assert [band.name for band in source.bands] == ["red", "nir"]
    assert np.isnan(source.read()[0, 5, 1]).all() and np.isfinite(source.read()[0, 5, 2]).all()
    assert np.isnan(source.read()[1, 5, 2]).all()


def test_what_is_wrong_is_said(collection: Path, tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match="scene1 has no asset 'blue', only red, nir, scl"):
        open_source(collection, assets=["blue"])
    (tmp_path / "x.json").write_text(json.dumps({"a": 1}))
    with pytest.raises(EncodeError, match=r"x\.json: is no STAC ItemCollection"):
        open_source(tmp_path / "x.json")
    (tmp_path / "red2.tif").unlink()
    with pytest.raises(EncodeError, match=r"red2\.tif"):
        open_source(collection)
    assert open_source(collection, skip_bad=True).shape[0] == 1
