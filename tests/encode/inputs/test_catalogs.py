"""Catalogs: tiles of many files, mosaicked to one grid a date."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner
from rasterio.windows import Window

pytest.importorskip("geopandas", reason="the catalog needs geopandas, pyarrow and duckdb")

import gdal_gndc
from gdal_gndc.catalog import DuckCatalog, GeoCatalog, build_gndc_catalog, build_raster_catalog
from gdal_gndc.cli.main import main
from gdal_gndc.encode.inputs import open_source
from gdal_gndc.errors import EncodeError
from tests.conftest import CASES, DATA

DATE = r"(?P<date>\d{8})"
FILES = sorted((DATA / "s2_flanders").glob("s2_flanders_201806*.tif"))
SCL = DATA / "s2_flanders" / "scl"
# of 64 x 64 pixels: tiles of different sizes, overlapping in columns 24 to 28
TILES = {"nw": (0, 0, 28, 40), "ne": (24, 0, 40, 40), "sw": (0, 40, 28, 24), "se": (24, 40, 40, 24)}


def cut(path: Path, folder: Path) -> None:
    """Split a raster into tiles; those of one date are of one instant."""
    with rasterio.open(path) as source:
        for name, box in TILES.items():
            window = Window(*box)
            profile = source.profile | {
                "width": window.width,
                "height": window.height,
                "transform": source.transform @ Affine.translation(*box[:2]),
                "tiled": False,
            }
            with rasterio.open(folder / f"{path.stem}_{name}.tif", "w", **profile) as target:
                target.write(source.read(window=window))
                target.descriptions, target.scales, target.offsets = source.descriptions, source.scales, source.offsets
                for i in source.indexes:
                    target.update_tags(i, ns="IMAGERY", **source.tags(i, ns="IMAGERY"))


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiles")
    for path in FILES:
        cut(path, folder)
    return folder


@pytest.fixture(scope="module")
def catalog(tiles: Path) -> GeoCatalog:
    return build_raster_catalog(tiles, DATE)


@pytest.fixture(scope="module")
def scl_tiles(tmp_path_factory: pytest.TempPathFactory) -> GeoCatalog:
    folder = tmp_path_factory.mktemp("scl")
    for path in sorted(SCL.glob("*_201806*.tif")):
        cut(path, folder)
    return build_raster_catalog(folder, DATE)


def test_tiles_are_the_stack_they_were_cut_from(catalog: GeoCatalog) -> None:
    whole, source = open_source(FILES), open_source(catalog)
    assert len(catalog) == 4 * len(FILES) and source.shape == whole.shape
    assert (source.grid, source.times, source.bands, source.dtype) == (
        whole.grid, whole.times, whole.bands, whole.dtype,
    )  # fmt: skip
    np.testing.assert_array_equal(source.read(), whole.read())
    window = pickle.loads(pickle.dumps(source)).read((2, 4), (30, 50), (20, 33))
    np.testing.assert_array_equal(window, whole.read((2, 4), (30, 50), (20, 33)))


def test_a_cube_of_a_catalog_has_the_bytes_of_that_of_its_files(
    catalog: GeoCatalog, tmp_path: Path, quick_options: Any
) -> None:
    catalog.to_geoparquet(tmp_path / "tiles.parquet")
    options = quick_options(*open_source(FILES).shape)
    for name, inputs in (("whole", FILES), ("tiles", [tmp_path / "tiles.parquet"])):
        done = CliRunner().invoke(main, ["encode", *map(str, inputs), "-o", str(tmp_path / f"{name}.gndc"), *options])
        assert done.exit_code == 0, done.stderr
    whole, made = (gdal_gndc.open(tmp_path / f"{name}.gndc") for name in ("whole", "tiles"))
    with whole, made:
        np.testing.assert_array_equal(made.read("2018-06-08"), whole.read("2018-06-08"))
        chunk = whole.cube.container.manifest.chunks[0].file
        assert made.cube.container.read(chunk) == whole.cube.container.read(chunk)


def test_only_tiles_in_a_window_are_opened(catalog: GeoCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    from gdal_gndc.encode.inputs import stored

    source, opened = open_source(catalog), []
    real = stored.reading
    monkeypatch.setattr(
        stored, "reading", lambda path, read: (opened.append(Path(path).stem[-2:]), real(path, read))[1]
    )
    source.read((0, 1), (50, 60), (40, 60))
    assert opened == ["se"]


def test_rows_of_several_crs_are_warped_to_one_grid() -> None:
    zones = build_raster_catalog([DATA / "s2_puglia" / zone for zone in ("utm33", "utm34")], DATE)
    # two columns of CRSs, footprints in longitude and latitude: so is the grid
    assert open_source(zones).crs == "EPSG:4326"
    source = open_source(zones, crs="EPSG:32633", resolution=20, resampling="bilinear")
    files = sorted(zones.gdf["location"])
    plain = open_source(files, crs="EPSG:32633", resolution=20, resampling="bilinear", bounds="union", merge="first")
    assert source.times == plain.times and source.shape == plain.shape
    inner = (slice(None), *(slice(n // 4, 3 * n // 4) for n in plain.shape[1:3]))
    assert np.isfinite(plain.read()[inner]).any()
    np.testing.assert_array_equal(np.nan_to_num(source.read()), np.nan_to_num(plain.read()))


def test_bounds_leave_out_rows_beyond(catalog: GeoCatalog, tiles: Path) -> None:
    with rasterio.open(next(tiles.glob("*_se.tif"))) as source:
        box, crs = tuple(source.bounds), source.crs.to_string()
    cropped = open_source(catalog, bounds=box, crs=crs)
    assert {Path(file).stem[-2:] for file in cropped.files} == {"se", "sw"}  # ne only touches
    left, bottom, right, top = box
    cropped = open_source(catalog, bounds=(left + 50, bottom, right, top), crs=crs)
    assert {Path(file).stem[-2:] for file in cropped.files} == {"se"}
    np.testing.assert_array_equal(cropped.read(), open_source(FILES).read()[:, 40:, 29:])
    with pytest.raises(EncodeError, match="has no row within"):
        open_source(catalog, bounds=(0, 0, 9, 9), crs=crs)


def test_the_pixel_size_that_a_catalog_was_built_for(tiles: Path) -> None:
    built = build_raster_catalog(tiles, DATE, target_resolution=20)
    assert open_source(built).shape[1:3] == (32, 32)
    assert open_source(built, resolution=10).shape[1:3] == (64, 64)


def test_a_catalog_masks(catalog: GeoCatalog, scl_tiles: GeoCatalog, tmp_path: Path) -> None:
    expected = open_source(FILES, mask=SCL, mask_preset="scl")
    scl_tiles.to_geoparquet(tmp_path / "scl.parquet")
    for inputs, mask in (
        (FILES, tmp_path / "scl.parquet"),
        (catalog, scl_tiles),
        (FILES, DuckCatalog(tmp_path / "scl.parquet")),
    ):
        source = open_source(inputs, mask=mask, mask_preset="scl")
        assert source.times == expected.times
        np.testing.assert_array_equal(source.read(), expected.read())


def test_a_catalog_masks_on_the_command_line(scl_tiles: GeoCatalog, tmp_path: Path, quick_options: Any) -> None:
    scl_tiles.to_geoparquet(tmp_path / "scl.parquet")
    arguments = ["encode", *map(str, FILES), "-o", str(tmp_path / "x.gndc"), "--mask", str(tmp_path / "scl.parquet")]
    done = CliRunner().invoke(main, [*arguments, "--mask-values", "3,8,9,10", *quick_options(len(FILES), 64, 64, 10)])
    assert done.exit_code == 0, done.stderr
    expected = np.isfinite(open_source(FILES, mask=SCL, mask_values=[3, 8, 9, 10]).read()).sum()
    assert json.loads(done.stdout)["metrics"]["n_valid"] == expected


def test_what_is_no_stack_is_told(catalog: GeoCatalog, tiles: Path, tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match="rows of the kind 'gndc', expected rasters only"):
        open_source(build_gndc_catalog(CASES / "basic_i8dec.gndc"))
    with pytest.raises(EncodeError, match=r"_ne\.tif has no time in the catalog"):
        open_source(build_raster_catalog(tiles))
    with pytest.raises(EncodeError, match=r"has no row$"):
        open_source(GeoCatalog.empty())
    with pytest.raises(EncodeError, match="variables"):
        open_source(catalog, variables=["a"])
    (tmp_path / "junk.parquet").write_bytes(b"no parquet")
    with pytest.raises(EncodeError, match=r"junk\.parquet"):
        open_source(tmp_path / "junk.parquet")


def test_without_the_extra_one_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name.startswith("gdal_gndc.catalog")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(gdal_gndc, "catalog", raising=False)
    monkeypatch.setitem(sys.modules, "geopandas", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "c.parquet").write_bytes(b"")
    with pytest.raises(EncodeError, match=r"not installed: pip install 'gdal-gndc\[catalog\]'"):
        open_source(tmp_path / "c.parquet")
