"""Cubes as netCDF and Zarr."""

from __future__ import annotations

import numpy as np
import pytest

import gdal_gndc
from gdal_gndc import export_nd
from gdal_gndc.errors import CoordinateError, TimeError
from tests.conftest import CASES

xr = pytest.importorskip("xarray")
CUBE = CASES / "tiles22_ov8_mask_res.gndc"


@pytest.fixture
def cube():
    with gdal_gndc.open(CUBE) as dataset:
        yield dataset


@pytest.fixture
def small_slabs(monkeypatch):
    # two frames of two bands at once
    monkeypatch.setattr(export_nd, "_SLAB", 61 * 83 * 2 * 2)


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


def test_netcdf(cube, tmp_path, small_slabs):
    pytest.importorskip("h5netcdf")
    path = export_nd.to_netcdf(cube, tmp_path / "a.nc", progress=False)
    assert list(tmp_path.iterdir()) == [path]
    with xr.open_dataset(path, engine="h5netcdf", decode_coords="all") as data:
        _check(data, cube)
        assert data["LAI"].encoding["chunksizes"] == (1, 61, 83)
        assert np.isnan(data["LAI"].encoding["_FillValue"])


def test_zarr(cube, tmp_path, small_slabs):
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


def test_an_interrupted_netcdf_leaves_nothing(cube, tmp_path, small_slabs, monkeypatch):
    pytest.importorskip("h5netcdf")
    _interrupt_after(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        export_nd.to_netcdf(cube, tmp_path / "a.nc", progress=False)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_zarr_goes_on(cube, tmp_path, small_slabs, monkeypatch):
    pytest.importorskip("zarr")
    with monkeypatch.context() as patch:
        _interrupt_after(3, patch)
        with pytest.raises(KeyboardInterrupt):
            export_nd.to_zarr(cube, tmp_path / "a.zarr", progress=False)
    assert not (tmp_path / "a.zarr").exists()
    read = []
    slabs = export_nd._slabs

    def counted(data, progress, label, skip=0):
        for index, values in slabs(data, progress, label, skip):
            read.append(index.start)
            yield index, values

    monkeypatch.setattr(export_nd, "_slabs", counted)
    path = export_nd.to_zarr(cube, tmp_path / "a.zarr", progress=False)
    assert read == [4, 6]
    with xr.open_dataset(path, engine="zarr", consolidated=False, decode_coords="all") as data:
        _check(data, cube)
    assert list(tmp_path.iterdir()) == [path]


def test_another_export_does_not_go_on_with_it(cube, tmp_path, small_slabs, monkeypatch):
    pytest.importorskip("zarr")
    with monkeypatch.context() as patch:
        _interrupt_after(3, patch)
        with pytest.raises(KeyboardInterrupt):
            export_nd.to_zarr(cube, tmp_path / "a.zarr", progress=False)
    path = export_nd.to_zarr(cube, tmp_path / "a.zarr", bands=["B2"], progress=False)
    with xr.open_dataset(path, engine="zarr", consolidated=False, decode_coords="all") as data:
        assert list(data.data_vars) == ["B2"]
        assert data["B2"].shape == (7, 61, 83)


def _interrupt_after(slabs, patch):
    original = export_nd._slabs

    def interrupted(data, progress, label, skip=0):
        for i, item in enumerate(original(data, progress, label, skip)):
            if i == slabs - 1:
                raise KeyboardInterrupt
            yield item

    patch.setattr(export_nd, "_slabs", interrupted)


def test_what_is_not_there_is_refused(cube, tmp_path):
    with pytest.raises(CoordinateError, match="no band 'X'"):
        export_nd.to_zarr(cube, tmp_path / "a.zarr", bands=["X"])
    with pytest.raises(TimeError):
        export_nd.to_netcdf(cube, tmp_path / "a.nc", times=["1999-01-01"])
    assert not list(tmp_path.iterdir())
