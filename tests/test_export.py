from __future__ import annotations

from pathlib import Path

import pytest
import rasterio
from numpy.testing import assert_array_equal

import gdal_gndc
from gdal_gndc import export
from gdal_gndc.errors import CoordinateError, GNDCError

CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize("name", ["tiles22_ov8_mask_res.gndc", "notemporal_t1_block.gndc", "sensors.gndc"])
def test_strips_make_no_difference(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_STRIP_BYTES", 1)
    monkeypatch.setattr(export, "_TILE", 16)
    with gdal_gndc.open(CASES / name) as dataset:
        assert len(list(export._strips(dataset, dataset.n_bands))) == 4
        path = export.to_tif(dataset, tmp_path / "x.tif", -1)
        with rasterio.open(path) as raster:
            assert raster.block_shapes[0] == (16, 16)
            assert_array_equal(raster.read().transpose(1, 2, 0), dataset.read(-1))


def test_a_file_in_memory() -> None:
    with (
        gdal_gndc.open(CASES / "basic_i8dec.gndc") as dataset,
        export.to_rasterio(dataset, "2020-02-01", bands=["T"]) as memory,
        memory.open() as raster,
    ):
        assert_array_equal(raster.read(1), dataset.read_at_time("2020-02-01", bands="T")[..., 0])
        assert raster.tags()["time"] == "2020-02-01T00:00:00Z"


def test_a_file_that_was_there_stays_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.tif"
    path.write_bytes(b"precious")
    with gdal_gndc.open(CASES / "basic_i8dec.gndc") as dataset:
        with pytest.raises(CoordinateError):
            export.to_tif(dataset, path, 99)
        with pytest.raises(GNDCError, match="format is 'png'"):
            export.to_tif(dataset, path, 0, format="png")  # type: ignore[arg-type]
        monkeypatch.setattr(dataset, "read_moment", lambda *a, **k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export.to_tif(dataset, path, 0)
        with pytest.raises(ZeroDivisionError):
            export.to_tif(dataset, path, 0, format="cog")
    assert path.read_bytes() == b"precious"
    assert [file.name for file in tmp_path.iterdir()] == ["x.tif"]
