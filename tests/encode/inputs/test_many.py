"""Several files a date, files that are bad, and dates without data."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import gdal_gndc
from gdal_gndc.cli.main import main
from gdal_gndc.encode.inputs import open_source
from gdal_gndc.errors import EncodeError


def tile(*values: float) -> Any:
    return np.array(values, "float32").reshape(1, 1, -1)


@pytest.mark.parametrize(
    ("merge", "expected"),
    [
        ("first", [1, 5, 3, np.nan]),
        ("last", [7, 5, 9, np.nan]),
        ("mean", [4, 5, 6, np.nan]),
        ("median", [4, 5, 6, np.nan]),
        ("min", [1, 5, 3, np.nan]),
        ("max", [7, 5, 9, np.nan]),
    ],
)
def test_files_of_one_date_are_merged(write_raster: Any, merge: Any, expected: list[float]) -> None:
    a = write_raster("a_20200101.tif", tile(1, -9, 3, -9), nodata=-9)
    b = write_raster("b_20200101.tif", tile(7, 5, 9, -9), nodata=-9)
    c = write_raster("c_20200105.tif", tile(2, 2, 2, 2), nodata=-9)
    with pytest.raises(EncodeError, match="same date") as caught:
        open_source([a, b, c])
    assert str(a) in str(caught.value) and str(b) in str(caught.value) and "merge" in str(caught.value)
    source = open_source([a, b, c], merge=merge)
    assert source.shape == (2, 1, 4, 1)
    np.testing.assert_array_equal(source.read()[0, 0, :, 0], np.array(expected, np.float32))


def test_passes_of_one_day_become_one_frame(write_raster: Any) -> None:
    a = write_raster("a_20200101T103000.tif", tile(1, -9), nodata=-9)
    b = write_raster("b_20200101T103015.tif", tile(7, 5), nodata=-9)
    assert open_source([a, b]).shape[0] == 2
    source = open_source([b, a], merge="last", group_by="day")
    assert [time.isoformat() for time in source.times] == ["2020-01-01T10:30:15+00:00"]
    np.testing.assert_array_equal(source.read().ravel(), [1, 5])
    with pytest.raises(EncodeError, match="merge 'best', expected one of first, last"):
        open_source([a, b], merge="best")  # type: ignore[arg-type]


@pytest.fixture
def mixed(write_raster: Any, tmp_path: Path) -> list[Path]:
    """Three good dates; one file that is none, one whose pixels are damaged, one without a date."""
    values = np.arange(40000, dtype="int32").reshape(1, 200, 200)
    files = [write_raster(f"good_2020010{k}.tif", values + k, compress="deflate") for k in (1, 3, 5)]
    (tmp_path / "junk_20200102.tif").write_bytes(b"not a raster")
    damaged = write_raster("damaged_20200104.tif", values, compress="deflate")
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    damaged.write_bytes(bytes(data))
    return [tmp_path / "junk_20200102.tif", *files, damaged, write_raster("undated.tif", values)]


def test_bad_files_are_left_out_and_reported(mixed: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(EncodeError, match="junk_20200102"):
        open_source(mixed)
    with caplog.at_level(logging.WARNING):
        source = open_source(mixed, skip_bad=True)
    assert [time.day for time in source.times] == [1, 3, 5]
    for text, name in zip(source.skipped, ("junk_20200102", "damaged_20200104", "undated"), strict=True):
        assert name in text
        assert any(name in record.message for record in caplog.records)
    with pytest.raises(EncodeError, match=r"none of 1 inputs can be used.*junk"):
        open_source(mixed[0], skip_bad=True)


def test_the_report_tells_what_was_left_out(mixed: list[Path], tmp_path: Path, quick_options: Any) -> None:
    arguments = ["encode", *map(str, mixed), "-o", str(tmp_path / "x.gndc"), *quick_options(3, 200, 200, 1)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1 and done.stderr.startswith("gndc: ") and "junk_20200102.tif" in done.stderr
    done = CliRunner().invoke(main, [*arguments, "--skip-bad"])
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert len(report["skipped"]) == 3 and report["shape"] == [3, 200, 200, 1]


def test_a_constant_band_and_a_date_without_data(write_raster: Any, tmp_path: Path, quick_encode: Any) -> None:
    rng = np.random.default_rng(0)
    files = []
    for k in range(4):
        values = np.stack([np.full((20, 30), 7), rng.integers(0, 9, (20, 30))]).astype("int16")
        values[:, :, :3] = -1
        files.append(write_raster(f"a_2020010{k + 1}.tif", values if k != 2 else 0 * values - 1, nodata=-1))
    report = quick_encode(files, tmp_path / "x.gndc")
    assert report.metrics["bands"][0]["r2"] is None
    with gdal_gndc.open(tmp_path / "x.gndc") as cube:
        assert np.isnan(cube.read(2)).all()
        assert np.isnan(cube.read(1)[:, :3]).all() and np.isfinite(cube.read(1)[:, 3:]).all()
        assert np.abs(cube.read(1)[:, 3:, 0] - 7).max() < 2
    flat = [write_raster(f"c_2020010{k}.tif", np.full((1, 9, 9), 5, "uint8")) for k in (1, 2)]
    quick_encode(flat, tmp_path / "flat.gndc")
    with gdal_gndc.open(tmp_path / "flat.gndc") as cube:
        assert np.abs(cube.read(0) - 5).max() < 0.5


def test_a_chunk_without_data_is_written_as_missing(write_raster: Any, tmp_path: Path, quick_encode: Any) -> None:
    rows, cols = np.mgrid[0:32, 0:64]
    values = (rows + cols).astype("float32")[np.newaxis]
    values[:, :, 24:] = np.nan
    files = [write_raster(f"a_2020010{k}.tif", values + k) for k in (1, 2)]
    quick_encode(files, tmp_path / "x.gndc", chunk_size=32)
    with gdal_gndc.open(tmp_path / "x.gndc") as cube:
        manifest = cube.cube.container.manifest
        assert len(manifest.chunks) == 1 and manifest.missing[0]["id"] == [0, 0, 1]
        assert np.isnan(cube.read(0)[:, 24:]).all() and np.isfinite(cube.read(0)[:, :24]).all()
    nothing = write_raster("n_20200101.tif", np.full((1, 8, 8), np.nan, "float32"))
    with pytest.raises(EncodeError, match="everything is nodata"):
        quick_encode(nothing, tmp_path / "n.gndc")
