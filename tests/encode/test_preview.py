from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.io import MemoryFile

from gdal_gndc.encode.encoder import encode
from gdal_gndc.encode.preview import colour_bands
from gdal_gndc.format.meta import Band


def test_colours_are_found_by_name_or_wavelength() -> None:
    s2 = tuple(Band(f"B{i}", center_wavelength=w) for i, w in enumerate((443.0, 490.0, 560.0, 665.0, 842.0)))
    assert colour_bands(s2) == [3, 2, 1]
    assert colour_bands((Band("blue"), Band("x", common_name="green"), Band("Red"))) == [2, 1, 0]
    assert colour_bands((Band("blue"), Band("red"), Band("nir"))) == [0]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_preview_is_stored_when_asked_for(write_raster: Any, tmp_path: Path) -> None:
    values = np.arange(40 * 600, dtype="int16").reshape(1, 40, 600)
    values[0, :, :100] = -1
    source = write_raster("x_20200101.tif", values, nodata=-1)
    options: dict[str, Any] = {"preset": "fast", "steps": 400, "rate_weight": 0.0, "progress": False, "device": "cpu"}
    encode(source, tmp_path / "none.gndc", **options)
    encode(source, tmp_path / "with.gndc", preview=True, **options)
    with zipfile.ZipFile(tmp_path / "none.gndc") as archive:
        assert "preview.png" not in archive.namelist()  # it would be a large part of so small a file
    with zipfile.ZipFile(tmp_path / "with.gndc") as archive:
        data = archive.read("preview.png")
    with MemoryFile(data) as memory, memory.open() as picture:
        pixels = picture.read()
    assert pixels.shape == (1, 17, 256)
    assert (pixels[0, :, :40] == 0).all() and pixels[0, :, 50:].max() == 255
