"""Cubes of several chunks."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

import gdal_gndc
from gdal_gndc.encode.chunks import chunk_boxes
from gdal_gndc.encode.encoder import encode
from gdal_gndc.encode.planner import make_plan

QUICK: dict[str, Any] = {"preset": "fast", "steps": 300, "progress": False, "device": "cpu"}


def test_boxes_cover_the_cube_once() -> None:
    plan = make_plan((3, 50, 71, 2), chunk_size=30)
    count = np.zeros((50, 71), int)
    for entry in chunk_boxes(plan):
        assert entry.time == (0, 3)
        count[slice(*entry.y), slice(*entry.x)] += 1
    assert (count == 1).all()


def test_no_seam_is_seen_between_chunks(modis_files: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "x.gndc"
    encode(modis_files[:6], output, chunk_size=20, **QUICK)
    with gdal_gndc.open(output, device="cpu") as cube:
        values = np.stack([cube.read(k) for k in range(6)])
    with zipfile.ZipFile(output) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert len(manifest["chunks"]) == 4 and manifest["overlap"] > 0
    border = manifest["chunks"][0]["bounds"]["x"][1]
    whole = tmp_path / "whole.gndc"
    encode(modis_files[:6], whole, **QUICK)
    with gdal_gndc.open(whole, device="cpu") as cube:
        single = np.stack([cube.read(k) for k in range(6)])

    def at_border(cube: np.ndarray) -> float:
        steps = np.abs(np.diff(cube, axis=2)).mean(axis=(0, 1, 3))
        return float(steps[border - 1] / np.delete(steps, border - 1).mean())

    # the scene may have an edge there: one chunk for all tells
    assert at_border(values) < 1.3 * at_border(single)


def test_a_chunk_without_data_is_missing(write_raster: Any, tmp_path: Path) -> None:
    rows, cols = np.mgrid[0:40, 0:40]
    values = (rows + cols)[np.newaxis].astype("int16")
    values[:, 15:, 15:] = -1
    files = [write_raster(f"x_2020010{k}.tif", values + np.int16(0), nodata=-1) for k in (1, 2)]
    output = tmp_path / "x.gndc"
    encode(files, output, chunk_size=20, **QUICK)
    with zipfile.ZipFile(output) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert [item["id"] for item in manifest["missing"]] == [[0, 1, 1]]
    with gdal_gndc.open(output, device="cpu") as cube:
        read = cube.read(0)[..., 0]
    np.testing.assert_array_equal(np.isnan(read), values[0] == -1)
