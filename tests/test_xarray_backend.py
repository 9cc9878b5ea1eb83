"""Cubes in xarray: lazy, aligned, picklable, georeferenced, and continuous in time."""

from __future__ import annotations

import math
import pickle
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gdal_gndc
from gdal_gndc.errors import CoordinateError, TimeError
from tests.conftest import CASES

xr = pytest.importorskip("xarray")
BLENDED = CASES / "tiles22_ov8_mask_res.gndc"


def _close(found, expected):
    """Equal but for the rounding in which grids of consecutive pixels, other grids and series differ."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def cube():
    with gdal_gndc.open(BLENDED) as dataset:
        yield dataset


@pytest.fixture(scope="module")
def values(cube):
    """(T, H, W, C)"""
    return np.stack([cube.read(t) for t in range(cube.n_timestamps)])


@pytest.fixture(scope="module")
def data():
    with xr.open_dataset(BLENDED, engine="gndc") as found:
        yield found


def test_variables_and_coordinates(data, cube):
    assert dict(data.sizes) == {"time": 7, "y": 61, "x": 83}
    assert list(data.data_vars) == cube.band_names
    lai = data["LAI"]
    assert lai.dims == ("time", "y", "x")
    assert lai.dtype == np.float32
    assert lai.attrs["long_name"]
    assert data["B2"].attrs["wavelength"] == 490
    np.testing.assert_array_equal(
        data.time.values, np.array([t.replace(tzinfo=None) for t in cube.timestamps], "datetime64[ns]")
    )
    left, bottom, right, top = cube.bounds
    assert (data.x[0], data.x[-1]) == (left + 5, right - 5)
    assert (data.y[0], data.y[-1]) == (top - 5, bottom + 5)
    assert data.x.attrs["standard_name"] == "projection_x_coordinate"
    assert data.x.attrs["units"] == "metre"
    assert data.attrs["Conventions"] == "CF-1.8"


def test_the_name_alone_is_enough():
    with xr.open_dataset(BLENDED) as data:
        assert data.sizes["time"] == 7


def test_only_names_of_cubes_are_guessed():
    from gdal_gndc.xarray_backend import GNDCBackendEntrypoint

    entrypoint = GNDCBackendEntrypoint()
    for name in (BLENDED, str(BLENDED), "https://a.org/b.GNDC?token=x", "s3://a/b.gndc"):
        assert entrypoint.guess_can_open(name)
    for name in ("cube.nc", "gndc", 3, b"x.gndc"):
        assert not entrypoint.guess_can_open(name)


def test_opening_reads_no_pixel():
    with xr.open_dataset(BLENDED, engine="gndc") as data:
        assert data.gndc.dataset.cache_info()["chunks"].items == 0
        data["LAI"][0, 0, 0].load()
        assert data.gndc.dataset.cache_info()["chunks"].items == 1


def axis(n):
    index = st.integers(-n, n - 1)
    # not below -n: xarray's lazy arrays take slice(-n - 1, None, -1) for everything, whatever backend is below
    ends = st.none() | st.integers(-n, n + 5)
    slices = st.tuples(ends, ends, st.sampled_from([1, 2, 5, -1, -3])).map(lambda t: slice(*t))
    return slices | index | st.lists(index, min_size=0, max_size=4).map(np.array)


@given(axis(7), axis(61), axis(83))
@settings(max_examples=60, deadline=None)
def test_outer_indexing_is_that_of_numpy(data, values, t, y, x):
    found = data["LAI"].isel(time=_integers(t), y=_integers(y), x=_integers(x)).values
    expected = values[..., 1][_integers(t)]
    axis = 0 if isinstance(t, int) else 1
    expected = expected[(slice(None),) * axis + (_integers(y),)]
    axis += 0 if isinstance(y, int) else 1
    _close(found, expected[(slice(None),) * axis + (_integers(x),)])


def _integers(key):
    return key.astype(int) if isinstance(key, np.ndarray) else key


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 60), st.integers(0, 82)), min_size=1, max_size=30))
@settings(max_examples=30, deadline=None)
def test_scattered_points_are_read_as_points(data, values, points):
    t, y, x = (xr.DataArray(list(axis), dims="point") for axis in zip(*points, strict=True))
    b2 = data["B2"]
    _close(b2.isel(time=t, y=y, x=x), values[t, y, x, 0])
    _close(b2.isel(y=y, x=x), values[:, y.values, x.values, 0])
    _close(b2.isel(time=t, x=x).transpose("point", "y"), values[t.values, :, x.values, 0])
    with xr.open_dataset(BLENDED, engine="gndc", stack_bands=True) as stacked:
        found = stacked["values"].isel(y=y, x=x).transpose("point", "time", "band")
        _close(found, values[:, y.values, x.values].transpose(1, 0, 2))


def test_stacked_bands(cube, values):
    with xr.open_dataset(BLENDED, engine="gndc", stack_bands=True, bands=["LAI", "B2"]) as data:
        assert data["values"].dims == ("time", "band", "y", "x")
        assert list(data.band.values) == ["LAI", "B2"]
        np.testing.assert_array_equal(data.wavelength, [np.nan, 490])
        np.testing.assert_array_equal(data["values"], values[..., [1, 0]].transpose(0, 3, 1, 2))
        np.testing.assert_array_equal(data["values"].sel(band="B2"), values[..., 0])


def test_variables_can_be_chosen_and_dropped():
    with xr.open_dataset(BLENDED, engine="gndc", drop_variables="B2") as data:
        assert list(data.data_vars) == ["LAI"]
    with xr.open_dataset(BLENDED, engine="gndc", bands="LAI") as data:
        assert list(data.data_vars) == ["LAI"]
    with pytest.raises(CoordinateError, match="no band 'X'"):
        xr.open_dataset(BLENDED, engine="gndc", bands="X")


def test_dask_blocks_are_the_cubes_chunks(values):
    pytest.importorskip("dask")
    with xr.open_dataset(BLENDED, engine="gndc", chunks={}) as data:
        blocks = data["LAI"].chunksizes
        bounds = [chunk.y for chunk in data.gndc.dataset.cube.container.manifest.chunks]
        assert set(np.cumsum(blocks["y"])) == {end for _, end in bounds}
        np.testing.assert_array_equal(data["LAI"].compute(scheduler="threads"), values[..., 1])


def test_dask_processes(values):
    pytest.importorskip("dask")
    with xr.open_dataset(BLENDED, engine="gndc", chunks={"time": 7, "y": 61, "x": 42}) as data:
        found = data["LAI"].mean("time", skipna=False).compute(scheduler="processes", num_workers=2)
        np.testing.assert_allclose(found, values[..., 1].mean(0), rtol=1e-5)


def test_distributed_workers(values, tmp_path):
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with (
        distributed.LocalCluster(local_directory=str(tmp_path), **options) as cluster,
        distributed.Client(cluster) as client,
        xr.open_dataset(BLENDED, engine="gndc", chunks={}) as data,
    ):
        assert len(data["LAI"].data.dask.layers) >= 1
        pids = client.run(lambda: __import__("os").getpid())
        assert len(set(pids.values())) == 2
        np.testing.assert_array_equal(data["LAI"].compute(), values[..., 1])
        mean = data.to_array("band").mean(("y", "x")).compute()
        np.testing.assert_allclose(mean, np.nanmean(values, axis=(1, 2)).T, rtol=1e-4)


def test_a_dask_block_reads_its_own_chunk_only():
    pytest.importorskip("dask")
    with xr.open_dataset(BLENDED, engine="gndc", chunks={}) as data:
        lai = data["LAI"].data
        chunks = data.gndc.dataset.cube.container.manifest.chunks
        assert lai.numblocks == (1, 2, 2)
        # one corner, away from the seams where neighbours are blended
        data["LAI"].isel(y=slice(0, 16), x=slice(0, 16)).compute(scheduler="synchronous")
        assert data.gndc.dataset.cache_info()["chunks"].items == 1
        lai.compute(scheduler="synchronous")
        assert data.gndc.dataset.cache_info()["chunks"].items == len(chunks)


def test_pickling_by_path(data, values, monkeypatch, tmp_path):
    frozen = pickle.dumps(data)
    monkeypatch.chdir(tmp_path)
    with pickle.loads(frozen) as again:
        np.testing.assert_array_equal(again["B2"][3], values[3, ..., 0])
    assert len(pickle.dumps(data["LAI"].variable)) < 20_000


def test_large_blocks_are_divided_along_the_cubes_chunks():
    from types import SimpleNamespace

    from gdal_gndc.xarray_coords import axis_blocks

    def dataset(*ends):
        edges = [0, *ends]
        chunks = [SimpleNamespace(time=(0, 400), y=p, x=(0, 10)) for p in zip(edges, ends, strict=False)]
        cube = SimpleNamespace(container=SimpleNamespace(manifest=SimpleNamespace(chunks=chunks)))
        return SimpleNamespace(cube=cube, shape=(400, ends[-1], 10, 4), height=ends[-1], width=10, n_bands=4)

    assert axis_blocks(dataset(3000), 1, 3000) == 1000
    assert axis_blocks(dataset(500, 1000, 1300), 1, 1300) == 500
    assert axis_blocks(dataset(2000, 2500), 1, 2500) == 1000
    assert axis_blocks(dataset(500, 2500, 2600), 1, 2600) == (500, 1000, 1000, 100)
    assert axis_blocks(dataset(300, 1000), 1, 1000) == (300, 700)
    # another grid has no chunks of its own
    assert axis_blocks(dataset(300, 1000), 1, 10) == 10
    assert axis_blocks(dataset(3000), 0, 400) == 400


def test_any_moment_is_evaluated_not_interpolated(data, cube):
    time = "2020-02-10T00:00:00Z"
    found = data.gndc.at(time)
    assert dict(found.sizes) == {"y": 61, "x": 83}
    assert found.time.values == np.datetime64("2020-02-10")
    np.testing.assert_array_equal(found["LAI"], cube.read_at_time(time)[..., 1])
    linear = data["LAI"].interp(time="2020-02-10")
    assert not np.allclose(found["LAI"], linear, equal_nan=True)


def test_many_moments(data, cube):
    pd = pytest.importorskip("pandas")
    times = pd.date_range("2020-02-01", periods=4, freq="17D")
    found = data.gndc.interp(time=times)
    assert found["LAI"].dims == ("time", "y", "x")
    np.testing.assert_array_equal(found.time, times)
    for i, time in enumerate(times):
        _close(found["B2"][i], cube.read_at_time(time)[..., 0])
    # a DataArray of times works as well
    _close(data.gndc.interp(time=found.time)["B2"][2], found["B2"][2])
    with pytest.raises(TimeError, match="outside the cube's times"):
        data.gndc.interp(["1999-01-01"])


def test_times_outside_are_clamped_where_asked(data, cube):
    found = data.gndc.interp(["1999-01-01", cube.timestamps[2], "2100-01-01"], extrapolate="clamp")
    expected = [cube.timestamps[i] for i in (0, 2, -1)]
    np.testing.assert_array_equal(found.time, np.array([t.replace(tzinfo=None) for t in expected], "M8[ns]"))
    for i, frame in enumerate((0, 2, cube.n_timestamps - 1)):
        _close(found["LAI"][i], cube.read(frame)[..., 1])
    _close(data.gndc.at("1999-01-01", extrapolate="clamp")["LAI"], cube.read(0)[..., 1])
    with pytest.raises(TimeError, match="expected error or clamp"):
        data.gndc.at("1999-01-01", extrapolate="nearest")


def test_the_accessor_keeps_a_selection(data, cube):
    part = data[["LAI"]].isel(x=slice(10, 30, 3), y=slice(40, 5, -4))
    found = part.gndc.at(cube.timestamps[2])
    assert list(found.data_vars) == ["LAI"]
    _close(found["LAI"], cube.read(2)[40:5:-4, 10:30:3, 1])
    np.testing.assert_array_equal(found.x, part.x)
    np.testing.assert_array_equal(found.y, part.y)


def test_another_resolution(data, cube):
    found = data.gndc.at(cube.timestamps[2], resolution=(2.5, 20))
    assert dict(found.sizes) == {"y": 30, "x": 332}
    expected = cube.read(2, window=(0, 0, 83, 60), out_shape=(30, 332))[..., 1]
    _close(found["LAI"], expected)
    left, _, _, top = cube.bounds
    assert (found.x[0], found.y[0]) == (left + 1.25, top - 10)
    numbers = [float(v) for v in found.spatial_ref.attrs["GeoTransform"].split()]
    assert numbers == pytest.approx([left, 2.5, 0, top, 0, -20])
    with pytest.raises(CoordinateError, match="no pixel of the resolution fits"):
        data.gndc.at(0, resolution=1e6)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # affine 3 says so of rioxarray
def test_rioxarray_sees_where_it_is(data, cube):
    pytest.importorskip("rioxarray")
    assert data.rio.crs == cube.crs
    assert data["LAI"].rio.transform() == cube.transform
    left, _, _, top = cube.bounds
    box = data.rio.clip_box(left + 100, top - 200, left + 300, top - 100)
    assert dict(box.sizes) == {"time": 7, "y": 10, "x": 20}
    with np.errstate(invalid="ignore"):
        small = data[["LAI"]].isel(time=0).rio.reproject("EPSG:4326")
    assert small.rio.crs.to_epsg() == 4326
    from rasterio.warp import transform_bounds

    np.testing.assert_allclose(small.rio.bounds(), transform_bounds(cube.crs, "EPSG:4326", *cube.bounds), atol=3e-4)
    frame = cube.read(0, "LAI")
    known = small["LAI"].values[np.isfinite(small["LAI"].values)]
    assert known.size > 0.5 * frame.size
    # the nearest pixel, as rioxarray takes it
    assert np.isin(known, frame).all()


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # affine 3 says so of rioxarray
def test_rioxarray_clips_by_a_polygon(data, cube):
    pytest.importorskip("rioxarray")
    shapely = pytest.importorskip("shapely")
    features = pytest.importorskip("rasterio.features")
    left, _, _, top = cube.bounds
    zone = shapely.Polygon([(left + 105, top - 405), (left + 405, top - 355), (left + 255, top - 105)])
    clipped = data[["LAI"]].isel(time=[1, 4]).rio.clip([zone], crs=cube.crs)
    rows, cols = slice(10, 41), slice(10, 41)
    inside = features.geometry_mask([zone], (61, 83), cube.transform, invert=True)
    box = np.argwhere(inside)
    (r0, c0), (r1, c1) = box.min(axis=0), box.max(axis=0) + 1
    assert 10 <= r0 < r1 <= rows.stop
    assert 10 <= c0 < c1 <= cols.stop
    for i, t in enumerate((1, 4)):
        expected = np.where(inside, cube.read(t, "LAI")[..., 0], np.nan)[r0:r1, c0:c1]
        np.testing.assert_array_equal(clipped["LAI"][i], expected)


def test_what_bands_are(tmp_path):
    with xr.open_dataset(CASES / "basic_i8dec.gndc") as data, gdal_gndc.open(CASES / "basic_i8dec.gndc") as cube:
        assert data["LAI"].attrs["units"] == "m^2/m^2"
        assert data["B2"].attrs["wavelength"] == 490
        assert data["B2"].attrs["wavelength_units"] == "nm"
        for band in cube.bands_meta:
            assert data[band.name].attrs["long_name"] == (band.description or band.name)
            assert data[band.name].encoding["grid_mapping"] == "spatial_ref"
            assert data[band.name].encoding["dtype"] == np.float32
        assert data.spatial_ref.attrs["crs_wkt"].startswith("PROJCRS")
        assert data.spatial_ref.attrs["spatial_ref"] == data.spatial_ref.attrs["crs_wkt"]


def test_a_part_at_another_resolution(cube):
    left, _, _, top = cube.bounds
    box = (left + 100, top - 300, left + 400, top - 100)
    with xr.open_dataset(BLENDED, engine="gndc", bbox=box) as data:
        np.testing.assert_array_equal(data["LAI"][3], cube.read(3, "LAI", bbox=box)[..., 0])
        assert (data.x[0], data.y[0]) == (left + 105, top - 105)
    with cube.to_xarray(bbox=box, resolution=(5, 20), stack_bands=True) as data:
        assert dict(data.sizes) == {"time": 7, "band": 2, "y": 10, "x": 60}
        _close(data["values"][3, 1], cube.read(3, "LAI", bbox=box, out_shape=(10, 60))[..., 0])


def test_round_trip_through_netcdf(data, cube, values, tmp_path):
    pytest.importorskip("h5netcdf")
    data.to_netcdf(tmp_path / "cube.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "cube.nc", engine="h5netcdf", decode_coords="all") as again:
        np.testing.assert_array_equal(again["LAI"], values[..., 1])
        assert again["LAI"].encoding["grid_mapping"] == "spatial_ref"
        assert again.spatial_ref.attrs["grid_mapping_name"] == "transverse_mercator"
        np.testing.assert_array_equal(again.time, data.time)


def test_from_a_dataset(cube):
    between = cube.timestamps[1] + timedelta(days=1)
    with cube.to_xarray(times=[0, between], bands=["LAI"]) as data:
        assert list(data.data_vars) == ["LAI"]
        np.testing.assert_array_equal(data["LAI"][1], cube.read_at_time(between)[..., 1])
    with cube.to_xarray(chunks={}, stack_bands=True) as data:
        assert data["values"].chunks[2] == (30, 31)


def test_a_cube_without_dates_or_place(tmp_path):
    from gdal_gndc.xarray_coords import coordinates

    with gdal_gndc.open(BLENDED) as dataset:
        dataset.__dict__["transform"] = None
        moments = [type(dataset.resolve_time(i))(i, None) for i in range(7)]
        found = coordinates(dataset, moments, *dataset.sample_grid())
    assert set(found) == {"time"}
    np.testing.assert_array_equal(found["time"], range(7))


def test_sums_of_variables_share_what_they_decode(cube):
    with xr.open_dataset(BLENDED, engine="gndc") as data:
        ratio = (data["B2"] / data["LAI"]).isel(time=2).values
    frame = cube.read(2)
    np.testing.assert_array_equal(ratio, frame[..., 0] / frame[..., 1])


def test_an_index_of_variables_decodes_a_block_once_on_any_threads(cube, monkeypatch):
    from gdal_gndc.cube import Cube

    evaluated = []
    read_grid = Cube.read_grid

    def counted(self, moment, rows, cols, *rest):
        evaluated.append((moment.frame, rows[0], cols[0]))
        return read_grid(self, moment, rows, cols, *rest)

    monkeypatch.setattr(Cube, "read_grid", counted)
    with xr.open_dataset(BLENDED, engine="gndc", chunks={}) as data:
        n_blocks = math.prod(len(sizes) for sizes in data["B2"].chunks[1:])
        found = ((data["B2"] - data["LAI"]) / (data["B2"] + data["LAI"])).compute(scheduler="threads", num_workers=4)
    assert len(set(evaluated)) == len(evaluated) == cube.n_timestamps * n_blocks > cube.n_timestamps
    frame = cube.read(2)
    expected = (frame[..., 0] - frame[..., 1]) / (frame[..., 0] + frame[..., 1])
    np.testing.assert_allclose(found[2], expected, rtol=1e-6)
