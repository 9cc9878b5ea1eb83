"""Inputs of several grids, warped to one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner
from rasterio.warp import Resampling, reproject

from gdal_gndc.cli.main import main
from gdal_gndc.encode.inputs import open_source
from gdal_gndc.encode.inputs.grid import Alignment
from gdal_gndc.errors import EncodeError

PUGLIA = Path(__file__).parents[2] / "data" / "s2_puglia"


@pytest.fixture
def zones() -> list[Path]:
    """Dates of a real stack, in three CRSs."""
    folders = ("utm33", "utm34", "laea")
    return [sorted((PUGLIA / folder).glob("*.tif"))[k] for k, folder in enumerate(folders)]


def test_grids_that_differ_are_an_error_that_tells_the_remedy(zones: list[Path]) -> None:
    with pytest.raises(EncodeError, match="align") as caught:
        open_source(zones)
    assert str(zones[1]) in str(caught.value) and str(zones[0]) in str(caught.value)


def test_the_grid_of_the_first_file_by_default(zones: list[Path]) -> None:
    source = open_source(zones, align=True, resampling="bilinear")
    plain = open_source(zones[0])
    assert source.grid == plain.grid and source.shape[0] == 3
    np.testing.assert_array_equal(source.read(frames=(0, 1)), plain.read())
    # against the warper of rasterio, on physical values
    with rasterio.open(zones[2]) as laea:
        expected = np.full(source.shape[1:3], -1, "int16")
        reproject(
            rasterio.band(laea, 1),
            expected,
            dst_crs=source.crs,
            dst_transform=source.grid.affine,
            dst_nodata=-1,
            resampling=Resampling.bilinear,
            XSCALE=1,
            YSCALE=1,
        )
    got = source.read_frame(2, (0, source.height), (0, source.width))[..., 0]
    valid = (expected != -1) & np.isfinite(got)
    assert valid.mean() > 0.5 and (np.isfinite(got) == (expected != -1)).mean() > 0.99
    assert np.percentile(np.abs(got - expected * 1e-4)[valid], 99) < 2e-4


def test_a_window_has_the_values_of_the_whole(zones: list[Path]) -> None:
    source = open_source(zones, align=True, resampling="cubic")
    whole = source.read()
    np.testing.assert_array_equal(source.read((1, 3), (11, 53), (7, 61)), whole[1:3, 11:53, 7:61])


def test_crs_resolution_and_bounds(zones: list[Path]) -> None:
    source = open_source(zones, crs="EPSG:3035", resolution=20, bounds="union", resampling="average")
    assert source.crs == "EPSG:3035" and source.transform is not None
    assert source.transform[0] == 20 and source.transform[4] == -20
    boxes = [rasterio.warp.transform_bounds(d.crs, "EPSG:3035", *d.bounds) for d in map(rasterio.open, zones)]
    left, bottom, right, top = source.grid.bounds
    assert left <= min(b[0] for b in boxes) + 0.1 and right >= max(b[2] for b in boxes) - 0.1
    assert bottom <= min(b[1] for b in boxes) + 0.1 and top >= max(b[3] for b in boxes) - 0.1
    assert (np.isfinite(source.read()).mean(axis=(1, 2, 3)) > 0.3).all()
    box = (left + 100, bottom + 100, left + 500, bottom + 700)
    cut = open_source(zones, crs="EPSG:3035", resolution=(10, 20), bounds=box)
    assert cut.grid.bounds == box and cut.shape[1:3] == (30, 40)


def test_tiles_of_one_grid_are_mosaicked_without_resampling(write_raster: Any) -> None:
    values = np.arange(1, 81, dtype="int16").reshape(1, 8, 10)
    left = write_raster("l_20200101.tif", values[:, :, :6], nodata=0)
    right = write_raster("r_20200101.tif", values[:, :, 4:], transform=Affine(10, 0, 500040, 0, -10, 5600000), nodata=0)
    source = open_source([right, left], merge="first", bounds="union")
    assert source.transform == (10, 0, 500000, 0, -10, 5600000)
    np.testing.assert_array_equal(source.read()[0, ..., 0], values[0])


def test_what_lies_outside_a_file_without_nodata_is_no_data(write_raster: Any) -> None:
    path = write_raster("a_20200101.tif", np.full((1, 4, 4), 3, "uint8"))
    source = open_source(path, bounds=(499980, 5599980, 500040, 5600000))
    np.testing.assert_array_equal(source.read()[0, ..., 0], np.array([[np.nan] * 2 + [3] * 4] * 2, np.float32))


def test_a_south_up_raster_is_turned_by_align_and_kept_without(write_raster: Any, tmp_path: Path) -> None:
    values = np.arange(1, 81, dtype="int16").reshape(1, 8, 10)
    up = write_raster("u_20200101.tif", values[:, ::-1], transform=Affine(10, 0, 500000, 0, 10, 5599920))
    down = write_raster("d_20200102.tif", values)
    source = open_source([down, up], align=True)
    np.testing.assert_array_equal(*source.read()[..., 0])
    assert open_source(up).transform == (10, 0, 500000, 0, 10, 5599920)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"resampling": "magic"}, "resampling 'magic', expected one of nearest"),
        ({"bounds": "all"}, "bounds 'all', expected first, union"),
        ({"bounds": (1, 0, 0, 1)}, "expected left < right"),
        ({"resolution": 0}, "expected a positive number"),
        ({"crs": "EPSG:nonsense"}, "not a coordinate reference system"),
    ],
)
def test_options_that_mean_nothing(zones: list[Path], options: dict[str, Any], said: str) -> None:
    with pytest.raises(EncodeError, match=said):
        open_source(zones, align=True, **options)


def test_a_raster_without_place_cannot_be_aligned(write_raster: Any) -> None:
    with pytest.raises(EncodeError, match="has no CRS"):
        Alignment().grid_for([open_source(write_raster("a_20200101.tif", crs=None)).grid], "a.tif")


def test_on_the_command_line(zones: list[Path], tmp_path: Path, quick_options: Any) -> None:
    names = [str(path) for path in zones]
    options = ["--crs", "EPSG:3035", "--resolution", "30", "--bounds", "union", "--resampling", "average"]
    shape = open_source(names, crs="EPSG:3035", resolution=30, bounds="union").shape
    arguments = ["encode", *names, "-o", str(tmp_path / "x.gndc"), *options, *quick_options(*shape)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["shape"] == list(shape)
    done = CliRunner().invoke(main, ["encode", *names, "-o", "y.gndc", "--bounds", "1,2,3"])
    assert done.exit_code == 2 and "expected left,bottom,right,top" in done.stderr
