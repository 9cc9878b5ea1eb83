"""Cubes of several chunks."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import gdal_gndc
from gdal_gndc.encode.chunks import chunk_boxes
from gdal_gndc.encode.encoder import encode
from gdal_gndc.encode.planner import make_plan
from gdal_gndc.encode.seams import measure_seams
from gdal_gndc.format.chunk import Chunk

QUICK: dict[str, Any] = {"preset": "fast", "steps": 300, "progress": False, "device": "cpu"}


def test_boxes_cover_the_cube_once() -> None:
    plan = make_plan((3, 50, 71, 2), chunk_size=30)
    count = np.zeros((50, 71), int)
    for entry in chunk_boxes(plan):
        assert entry.time == (0, 3)
        count[slice(*entry.y), slice(*entry.x)] += 1
    assert (count == 1).all()


def test_no_seam_is_seen_between_chunks(modis_files: list[Path], tmp_path: Path) -> None:
    """Chunks in space and in time, trained long enough: steps across their borders are those of the scenery."""
    output = tmp_path / "x.gndc"
    files = sorted((modis_files[0].parents[1] / "s2_flanders").glob("*.tif"))[:16]
    report = encode(files, output, chunk_size=40, chunk_dates=8, interpolate=False, **{**QUICK, "steps": 800})
    with zipfile.ZipFile(output) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert len(manifest["chunks"]) == 8 and manifest["overlap"] > 0 and manifest["t_overlap"] > 0
    seams = report.metrics["seams"]
    assert set(seams) == {f"{axis}{where}" for axis in ("time", "y", "x") for where in ("", "_halo")}
    assert max(seams.values()) <= 1.1, seams


def test_a_seam_is_found(modis_files: list[Path], tmp_path: Path) -> None:
    """Chunks whose ranges of values are shifted apart show."""
    output, broken = tmp_path / "x.gndc", tmp_path / "broken.gndc"
    encode(modis_files[:4], output, chunk_size=20, interpolate=False, **QUICK)
    with zipfile.ZipFile(output) as archive, zipfile.ZipFile(broken, "w") as target:
        for info in archive.infolist():
            data = archive.read(info)
            if info.filename.endswith("x0001.gndcc"):
                chunk = Chunk.from_bytes(data, n_bands=6)
                data = replace(chunk, data_range=tuple((a + 1.0, b + 1.0) for a, b in chunk.data_range)).to_bytes()
            if info.filename == "manifest.json":
                manifest = json.loads(data)
                for item in manifest["chunks"]:
                    del item["size_bytes"]
                data = json.dumps(manifest).encode()
            target.writestr(info, data)
    with gdal_gndc.open(output) as one, gdal_gndc.open(broken) as other:
        whole, shifted = measure_seams(one), measure_seams(other)
    assert shifted["x"] > 1.3 * whole["x"] and shifted["x"] > 1.3


def test_a_chunk_without_data_is_missing(write_raster: Any, tmp_path: Path) -> None:
    rows, cols = np.mgrid[0:40, 0:40]
    values = (rows + cols)[np.newaxis].astype("int16")
    values[:, 12:, 12:] = -1
    files = [write_raster(f"x_2020010{k}.tif", values + np.int16(0), nodata=-1) for k in (1, 2)]
    output = tmp_path / "x.gndc"
    encode(files, output, chunk_size=20, **QUICK)
    with zipfile.ZipFile(output) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert [item["id"] for item in manifest["missing"]] == [[0, 1, 1]]
    with gdal_gndc.open(output, device="cpu") as cube:
        read = cube.read(0)[..., 0]
    np.testing.assert_array_equal(np.isnan(read), values[0] == -1)
