"""Cubes as netCDF and Zarr."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import rasterio

import gdal_gndc
from gdal_gndc import export_nd
from gdal_gndc.errors import CoordinateError, GNDCError, TimeError
from gdal_gndc.journal import Journal
from tests.conftest import CASES

xr = pytest.importorskip("xarray")
CUBE = CASES / "tiles22_ov8_mask_res.gndc"


@pytest.fixture
def cube():
    with gdal_gndc.open(CUBE) as dataset:
        yield dataset


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(export_nd, "_BYTES", 1)


def _check(data, cube):
    assert sorted(data.data_vars) == ["B2", "LAI"]
    expected = np.stack([cube.read(t) for t in range(7)])
    for i, name in enumerate(cube.band_names):
        assert data[name].dtype == np.float32
        np.testing.assert_array_equal(data[name], expected[..., i])
        assert data[name].encoding["grid_mapping"] == "spatial_ref"
    assert data["B2"].attrs["long_name"]
    times = np.array([t.replace(tzinfo=None) for t in cube.timestamps], "datetime64[ns]")
    np.testing.assert_array_equal(data.time, times)
    left, _, _, top = cube.bounds
    assert (data.x[0], data.y[0]) == (left + 5, top - 5)
    assert data.spatial_ref.attrs["grid_mapping_name"] == "transverse_mercator"
    assert data.attrs["Conventions"] == "CF-1.8"
    assert data.attrs["gndc_source"] == CUBE.name


def test_netcdf(cube, tmp_path, small_blocks):
    pytest.importorskip("h5netcdf")
    path = export_nd.to_netcdf(cube, tmp_path / "a.nc", progress=False)
    assert list(tmp_path.iterdir()) == [path]
    with xr.open_dataset(path, engine="h5netcdf", decode_coords="all") as data:
        _check(data, cube)
        assert data["LAI"].encoding["chunksizes"] == (1, 61, 83)
        assert np.isnan(data["LAI"].encoding["_FillValue"])


def test_zarr(cube, tmp_path, small_blocks):
    pytest.importorskip("zarr")
    path = export_nd.to_zarr(cube, tmp_path / "a.zarr", progress=False)
    assert list(tmp_path.iterdir()) == [path]
    with xr.open_dataset(path, engine="zarr", consolidated=False, decode_coords="all") as data:
        _check(data, cube)
        assert data["LAI"].encoding["chunks"] == (1, 61, 83)
    with pytest.raises(FileExistsError):
        export_nd.to_zarr(cube, path, progress=False)
    export_nd.to_zarr(cube, path, overwrite=True, bands=["LAI"], progress=False)
    with xr.open_dataset(path, engine="zarr", consolidated=False, decode_coords="all") as data:
        assert list(data.data_vars) == ["LAI"]


def test_a_regular_series_of_some_bands(cube, tmp_path):
    pytest.importorskip("h5netcdf")
    path = export_nd.to_netcdf(
        cube, tmp_path / "a.nc", every="20d", start="2020-02-01", end="2020-04-30", bands=[1], progress=False
    )
    with xr.open_dataset(path, engine="h5netcdf", decode_coords="all") as data:
        assert list(data.data_vars) == ["LAI"]
        assert data.sizes["time"] == 5
        np.testing.assert_array_equal(data["LAI"][2], cube.read_at_time("2020-03-12T00:00:00Z")[..., 1])


WRITERS = {"a.nc": export_nd.to_netcdf, "a.zarr": export_nd.to_zarr}


def _opened(path):
    engine = "zarr" if path.suffix == ".zarr" else "h5netcdf"
    return xr.open_dataset(path, engine=engine, decode_coords="all")


class _Counted:
    """Counts the blocks that are decoded, and stops an export after some."""

    def __init__(self, patch, most=None):
        self.blocks, self.most, self.lock = [], most, threading.Lock()
        original = export_nd._Work.values

        def values(work, block):
            with self.lock:
                if self.most is not None and len(self.blocks) >= self.most:
                    raise KeyboardInterrupt
                self.blocks.append(block)
            return original(work, block)

        patch.setattr(export_nd._Work, "values", values)


@pytest.mark.parametrize("name", WRITERS)
def test_an_interrupted_export_goes_on(cube, tmp_path, small_blocks, monkeypatch, name):
    with monkeypatch.context() as patch:
        first = _Counted(patch, most=4)
        with pytest.raises(KeyboardInterrupt):
            WRITERS[name](cube, tmp_path / name, progress=False, jobs=2)
        assert len(first.blocks) == 4
    assert not (tmp_path / name).exists()
    rest = _Counted(monkeypatch)
    path = WRITERS[name](cube, tmp_path / name, progress=False)
    assert len(rest.blocks) == 3
    assert len({*first.blocks, *rest.blocks}) == 7
    with _opened(path) as data:
        _check(data, cube)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", WRITERS)
def test_another_export_does_not_go_on_with_it(cube, tmp_path, small_blocks, monkeypatch, name):
    with monkeypatch.context() as patch:
        _Counted(patch, most=3)
        with pytest.raises(KeyboardInterrupt):
            WRITERS[name](cube, tmp_path / name, progress=False)
    path = WRITERS[name](cube, tmp_path / name, bands=["B2"], progress=False)
    with _opened(path) as data:
        assert list(data.data_vars) == ["B2"]
        np.testing.assert_array_equal(data["B2"], np.stack([cube.read(t, "B2")[..., 0] for t in range(7)]))


CHILD = """
import sys, time
from gdal_gndc import cube, export_nd
from gdal_gndc.cli.main import main
export_nd._BYTES = 1
read = cube.Cube.read_grid
def slow(*args, **options):
    read(*args, **options)
    time.sleep(0.1)
cube.Cube.read_grid = slow
main(["decompress", "-i", sys.argv[1], "-o", sys.argv[2], "--format", sys.argv[3], "--jobs", "2", "-q"])
"""


@pytest.mark.parametrize("kind", ["tif", "cog", "nc", "zarr"])
def test_a_killed_run_leaves_no_half_file_and_is_gone_on_with(cube, tmp_path, small_blocks, monkeypatch, kind):
    target = tmp_path / {"nc": "a.nc", "zarr": "a.zarr"}.get(kind, "tifs")
    place = target if kind in ("tif", "cog") else tmp_path / f".{target.name}.partial"

    def written():
        if kind in ("tif", "cog"):
            return sorted(place.glob("[!.]*.tif"))
        journal = place / "journal"
        return journal.read_text().splitlines()[2:] if journal.exists() else []

    child = subprocess.Popen([sys.executable, "-c", CHILD, str(CUBE), str(target), kind])
    try:
        until = time.monotonic() + 60
        while len(written()) < 3 and time.monotonic() < until and child.poll() is None:
            time.sleep(0.005)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == -9
    done = written()
    assert 3 <= len(done) < 7
    counted = _Counted(monkeypatch)
    if kind in ("nc", "zarr"):
        assert not target.exists()
        WRITERS[target.name](cube, target, progress=False)
        assert len(counted.blocks) == 7 - len(done)
        with _opened(target) as data:
            _check(data, cube)
        assert list(tmp_path.iterdir()) == [target]
        return
    before = {}
    for file in done:
        with rasterio.open(file) as raster:
            frame = int(raster.tags()["frame"])
            np.testing.assert_array_equal(raster.read().transpose(1, 2, 0), cube.read(frame))
        before[file] = file.stat().st_mtime_ns
    files = cube.to_tifs(target, format=kind, progress=False)
    assert len(files) == 7
    assert {file: file.stat().st_mtime_ns for file in done} == before


def test_two_processes_do_not_write_one_export(cube, tmp_path, small_blocks):
    folder = tmp_path / ".a.nc.partial"
    folder.mkdir()
    code = "import sys, fcntl\nf = open(sys.argv[1], 'a')\nfcntl.flock(f, fcntl.LOCK_EX)\nprint(1, flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder / "journal")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "1\n"
        with pytest.raises(GNDCError, match="another process is at this export"):
            cube.to_netcdf(tmp_path / "a.nc", progress=False)
        other.communicate("\n")
    assert cube.to_netcdf(tmp_path / "a.nc", progress=False).is_file()


def test_a_torn_journal_counts_whole_lines_only(tmp_path):
    with Journal(tmp_path / "j", "mine") as journal:
        journal.add(1)
        journal.add(23)
    with (tmp_path / "j").open("a") as file:
        file.write("4")
    with Journal(tmp_path / "j", "mine") as journal:
        assert journal.done == {1, 23}
        journal.add(45)
    with Journal(tmp_path / "j", "mine") as journal:
        assert journal.done == {1, 23, 45}
    with Journal(tmp_path / "j", "another") as journal:
        assert journal.done == set()


@pytest.mark.parametrize("name", WRITERS)
def test_packed_integers(cube, tmp_path, name):
    path = WRITERS[name](cube, tmp_path / name, dtype="int16", scale=[0.001, 0.01], offset=1, progress=False)
    with _opened(path) as data:
        for i, (band, scale) in enumerate((("B2", 0.001), ("LAI", 0.01))):
            assert data[band].encoding["dtype"] == np.int16
            assert (data[band].encoding["scale_factor"], data[band].encoding["add_offset"]) == (scale, 1)
            assert "half to even" in data[band].attrs["comment"]
            expected = np.stack([cube.read(t)[..., i] for t in range(7)])
            np.testing.assert_array_equal(np.isnan(data[band]), np.isnan(expected))
            assert np.nanmax(np.abs(data[band] - expected)) <= scale / 2 + 1e-6


@pytest.mark.parametrize("name", WRITERS)
def test_chunks_at_the_edge(real_cube, tmp_path, monkeypatch, name):
    monkeypatch.setattr(export_nd, "_CHUNK", 24)
    monkeypatch.setattr(export_nd, "_BYTES", 24 * 24 * 4 * 2 * 4)
    with gdal_gndc.open(real_cube) as dataset:
        left, _, _, top = dataset.bounds
        box = (left, top - 640, left + 500, top)
        options = {"bbox": box, "end": "2017-08-20", "bands": ["B08", "B04"], "progress": False, "jobs": 1}
        path = WRITERS[name](dataset, tmp_path / name, **options)
        expected = np.stack([dataset.read(t, ["B08", "B04"], bbox=box) for t in range(2)])
        assert expected.shape == (2, 64, 50, 2)
    with _opened(path) as data:
        for i, band in enumerate(("B08", "B04")):
            np.testing.assert_array_equal(data[band], expected[..., i])
        assert data["B08"].encoding["preferred_chunks"] == {"time": 1, "y": 24, "x": 24}


@pytest.mark.parametrize("name", WRITERS)
def test_another_resolution_and_times_between(real_cube, tmp_path, name):
    with gdal_gndc.open(real_cube) as dataset:
        path = WRITERS[name](
            dataset, tmp_path / name, resolution=20, bands=["B08"], times=["2018-06-30", "2018-07-06T12:00:00.25Z"],
            progress=False,
        )  # fmt: skip
        with _opened(path) as data:
            assert data["B08"].shape == (2, 32, 32)
            expected = dataset.read_at_time("2018-07-06T12:00:00.25Z", "B08", out_shape=(32, 32))[..., 0]
            np.testing.assert_array_equal(data["B08"][1], expected)
            assert data.time.values[1] == np.datetime64("2018-07-06T12:00:00.25")
            assert data.observed.values.tolist() == [1, 0]
            assert data.observed.attrs["flag_meanings"] == "continuous_reconstruction observation"
            numbers = [float(v) for v in data.spatial_ref.attrs["GeoTransform"].split()]
            assert numbers == pytest.approx([501360, 20, 0, 5629680, 0, -20])


def test_geozarr(real_cube, tmp_path):
    zarr = pytest.importorskip("zarr")
    with gdal_gndc.open(real_cube) as dataset:
        path = dataset.to_zarr(tmp_path / "a.zarr", times=[0], progress=False)
    attributes = dict(zarr.open_group(path, mode="r").attrs)
    assert attributes["proj:code"] == "EPSG:32631"
    assert attributes["spatial:dimensions"] == ["y", "x"]
    assert attributes["spatial:transform"] == [10, 0, 501360, 0, -10, 5629680]
    assert attributes["spatial:bbox"] == [501360, 5629040, 502000, 5629680]
    assert attributes["spatial:shape"] == [64, 64]
    assert {c["uuid"] for c in attributes["zarr_conventions"]} == {
        "f17cb550-5864-4468-aeb7-f3180cfb622f", "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4"
    }  # fmt: skip
    assert zarr.open_array(path / "B08", mode="r").metadata.dimension_names == ("time", "y", "x")
    # nothing is warned of, and the metadata of all arrays are found at once
    assert zarr.open_consolidated(path)["B08"].shape == (1, 64, 64)
    with xr.open_zarr(path) as data:
        assert data.rio.crs.to_epsg() == 32631 if hasattr(data, "rio") else True


MEMORY = """
import resource, sys
import gdal_gndc
from gdal_gndc import export, export_nd
export._BYTES = export_nd._BYTES = 2 << 20
import h5netcdf, rasterio, xarray, zarr, dask.array
with gdal_gndc.open(sys.argv[1]) as dataset:
    options = {"times": [70], "bands": ["B04", "B08", "B11", "B12"], "progress": False}
    # all that is imported, and the threads that are made, once for a small one
    for size in (10, 0.5):
        write = {"tif": dataset.to_tifs, "nc": dataset.to_netcdf, "zarr": dataset.to_zarr}[sys.argv[2]]
        write(f"{sys.argv[3]}/{size}.{sys.argv[2]}", resolution=size, **options)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("kind", ["tif", "nc", "zarr"])
def test_memory_is_bounded(real_cube, tmp_path, kind):
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(real_cube), kind, str(tmp_path)], capture_output=True, text=True, check=True,
        env={**os.environ, "GDAL_CACHEMAX": "4"},
    )  # fmt: skip
    small, large = (int(line) * 1024 for line in done.stdout.split())
    # a frame of 1280 x 1280 pixels and four bands: 26 MB
    assert large - small < 15e6


def test_what_is_not_there_is_refused(cube, tmp_path):
    with pytest.raises(CoordinateError, match="no band 'X'"):
        export_nd.to_zarr(cube, tmp_path / "a.zarr", bands=["X"])
    with pytest.raises(TimeError):
        export_nd.to_netcdf(cube, tmp_path / "a.nc", times=["1999-01-01"])
    assert not list(tmp_path.iterdir())
