"""Residuals with an in-band stream, which other writers may store: the driver's pixels are those of Python."""

from __future__ import annotations

import json
import lzma
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

import gdal_gndc
from gdal_gndc.errors import GNDCError
from tests.conftest import CASES, VALID
from tests.driver.conftest import Gdal, sanitised

CUBE = CASES / "i16_all_residual_native.gndc"
SHAPE = next(case.shape for case in VALID if case.path == CUBE)


def packed(codec: str, data: bytes) -> bytes:
    return zstandard.ZstdCompressor(3).compress(data) if codec == "zstd" else lzma.compress(data)


def in_band(target: Path, codec: str, dtype: str, outliers: bool, stream: bytes | None = None) -> Path:
    """The cube of CUBE with a value for every pixel in its residual section, besides the outliers or instead."""
    info: dict[str, Any]
    values = np.random.default_rng(7).integers(-3, 4, SHAPE).astype(dtype)
    values[1] = 0
    with zipfile.ZipFile(CUBE) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith(".gndcc"):
                parts = []
                while data:
                    (length,) = struct.unpack_from("<I", data)
                    parts.append(data[4 : 4 + length])
                    data = data[4 + length :]
                header = json.loads(parts[0])
                info = header["residual_info"]
                # outliers are of the section's type as well
                assert not outliers or dtype == info.get("dtype", "int16")
                info.update(main_codec=codec, scale=0.015625, dtype=dtype)
                body = packed(codec, values.tobytes()) if stream is None else stream
                parts[0] = json.dumps(header).encode()
                parts[3] = struct.pack("<I", len(body)) + body + (parts[3][4:] if outliers else b"\0")
                data = b"".join(struct.pack("<I", len(part)) + part for part in parts)
            new.writestr(name, data)
    return target


@pytest.mark.parametrize(("codec", "dtype", "outliers"), [("zstd", "int16", True), ("lzma", "int8", False)])
def test_the_stream_is_added(gdal: Gdal, osgeo: Gdal, tmp_path: Path, codec: str, dtype: str, outliers: bool) -> None:
    path = in_band(tmp_path / "in_band.gndc", codec, dtype, outliers)
    t, h, w, _ = SHAPE
    frames = osgeo.reads([{"name": f"GNDC:{path}:t={k}"} for k in range(t)], tmp_path)
    (series,) = osgeo.reads([{"name": f"GNDC:{path}:band=1", "window": [w // 2, h // 2, 1, 1]}], tmp_path)
    plain = osgeo.reads([{"name": f"GNDC:{CUBE}:t={k}"} for k in range(t)], tmp_path)
    with gdal_gndc.open(path) as dataset:
        for k, frame in enumerate(frames):
            np.testing.assert_array_equal(np.moveaxis(frame, 0, -1), dataset.read(k))
            assert np.array_equal(frame, plain[k], equal_nan=True) == (k == 1 and outliers)
        one = dataset.pixel_series(h // 2, w // 2)
        np.testing.assert_array_equal(series[:, 0, 0], np.asarray(one)[:, 0])


def test_streams_that_lie(gdal: Gdal, check: Path, tmp_path: Path) -> None:
    """Of another length, cut, or of far more than they can hold: one error, under the sanitisers too."""
    size = int(np.prod(SHAPE)) * 2
    whole = packed("zstd", bytes(size))
    bad = {
        "short": packed("zstd", bytes(size - 2)),
        "long": packed("zstd", bytes(size + 2)),
        "cut": whole[:-3],
        "noise": b"\x28\xb5\x2f\xfd" + bytes(range(40)),
        "few": b"\x01",
    }
    files = [in_band(tmp_path / f"{name}.gndc", "zstd", "int16", True, stream) for name, stream in bad.items()]
    files.append(in_band(tmp_path / "lzma.gndc", "lzma", "int16", True, whole))
    said = sanitised(check, files)
    assert all("residuals, in-band stream" in said[path.name] for path in files), said
    good = [in_band(tmp_path / "a.gndc", "zstd", "int16", True), in_band(tmp_path / "b.gndc", "lzma", "int8", False)]
    assert not any("residuals" in text for text in sanitised(check, good).values())
    for path in files:
        with pytest.raises(GNDCError, match="in-band stream"), gdal_gndc.open(path) as dataset:
            dataset.read(0), dataset.read(SHAPE[0] - 1)


def test_the_layout_before_the_container_is_named(gdal: Gdal, tmp_path: Path) -> None:
    path = tmp_path / "old.gndc"
    header = json.dumps({"version": "0.5", "dataset_meta": {}}).encode()
    path.write_bytes(struct.pack("<I", len(header)) + header + bytes(8))
    for name in (path, f"GNDC:{path}:t=0"):
        done = gdal.run("gdalinfo", name)
        assert done.returncode == 1
        assert f"{path}: found the single-file layout from before version 0.9" in done.stderr
        assert "gndc-vrt" in done.stderr
    other = tmp_path / "other.gndc"
    other.write_bytes(b"no cube at all, whatever it is called")
    assert "not recognized as a supported file format" in gdal.run("gdalinfo", other).stderr
