"""backend= and device= through the whole SDK, and what the log says of the choice."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import rasterio

import gdal_gndc
from gdal_gndc.errors import DeviceError
from tests.conftest import CASES

CUBE = CASES / "tiles22_ov8_mask_res.gndc"
WINDOW = (20, 15, 30, 25)
BETWEEN = "2020-02-10T00:00:00Z"


def _answers(tmp_path, **options):
    """What every road of the SDK answers, by its name."""
    with gdal_gndc.open(CUBE, **options) as ds:
        left, _, _, top = ds.bounds
        yield "read", ds.read(3, window=WINDOW)
        yield "read_at_time", ds.read_at_time(BETWEEN, window=WINDOW)
        yield "clamp", ds.read_at_time("2030-01-01", window=WINDOW, extrapolate="clamp")
        yield "out_shape", ds.read(3, window=WINDOW, out_shape=(7, 11))
        yield "average", ds.read(3, window=WINDOW, out_shape=(5, 6), resampling="average")
        yield "read_region", ds.read_region((left + 100, top - 300, left + 300, top - 100), 2)
        yield "ndvi", ds.ndvi(3, 0, 1, window=WINDOW)
        yield "evi", ds.evi(3, 0, 1, 0, window=WINDOW)
        yield "ndwi", ds.ndwi(3, 0, 1, window=WINDOW)
        yield "ndmi", ds.ndmi(3, 0, 1, window=WINDOW)
        yield "to_numpy", ds.to_numpy([1, BETWEEN], window=WINDOW)
        with rasterio.open(ds.to_tif(tmp_path / "x.tif", BETWEEN)) as raster:
            yield "to_tif", raster.read()
        with ds.to_rasterio(3) as memory, memory.open() as raster:
            yield "to_rasterio", raster.read()
        yield "sample", ds.sample(left + 405, top - 305, crs=ds.crs)
        yield "samples", ds.sample([left + 405, left + 12], [top - 305, top - 13], BETWEEN, crs=ds.crs)
        yield "pixel_series", ds.pixel_series(30, 41, [1])
        yield "series", ds.series([[3, 4], [30, 41], [31, 41], [60, 82]])
        yield "series_at", ds.series_at([[3, 4], [30, 41]], [BETWEEN, "2020-03-01"], "LAI")
        yield "evaluate", ds.evaluate([3.1, 30.7, 31.0], [4.9, 41.2, 40.0], [BETWEEN, 2])
        for mode in ("spatial", "dx", "dy", "mag"):
            yield f"gradient {mode}", np.stack(ds.gradient(BETWEEN, mode, window=WINDOW))
        yield "gradient metric", ds.gradient(2, "mag", window=WINDOW, metric=True, out_shape=(9, 8))
        yield "derivative", ds.derivative(BETWEEN, axis="t", window=WINDOW)
        yield "velocity", ds.temporal_derivative(BETWEEN, 1, 0, 1, window=WINDOW)
        yield "acceleration", ds.temporal_derivative(BETWEEN, 2, 0, 1, window=WINDOW)
        season = ds.phenology(index=None, bands="LAI", step="20d", window=WINDOW)
        yield "phenology", np.stack([season.peak_value, season.amplitude, season.integral])
        yield "climatology", ds.climatology("2020-03-01", window=WINDOW).mean
        yield "anomaly", ds.anomaly(2, window=WINDOW)
        with gdal_gndc.GNDCReader(backend=options["backend"], device="cpu").load(CUBE, chunk=1) as reader:
            yield "reconstruct_window", reader.reconstruct_window(2)
            yield "reconstruct_pixel_series", reader.reconstruct_pixel_series(3, 4)
            yield "compute_spatial_derivatives", np.stack(reader.compute_spatial_derivatives(0.4))


def _table_answers(**options):
    """Those that need libraries which may not be there."""
    pytest.importorskip("xarray")
    with gdal_gndc.open(CUBE, **options) as ds, ds.to_xarray([BETWEEN, "2020-03-01"], bands=["LAI"]) as data:
        yield "to_xarray", data["LAI"].isel(y=slice(5, 25), x=slice(0, None, 7)).values
        import xarray

        rows, cols = (xarray.DataArray(places, dims="place") for places in ([3, 30, 31], [4, 41, 41]))
        yield "points of xarray", data["LAI"].isel(y=rows, x=cols).values
        yield "at", data.gndc.at("2020-03-01", resolution=50)["LAI"].values
        geopandas = pytest.importorskip("geopandas")
        pytest.importorskip("exactextract")
        from shapely.geometry import box

        left, _, _, top = ds.bounds
        zones = geopandas.GeoDataFrame(geometry=[box(left + 15, top - 395, left + 305, top - 105)], crs=ds.crs)
        yield "zonal_statistics", ds.zonal_statistics(zones)["mean"].to_numpy()


def _agree(name, found, expected):
    """Equal NaNs; within the rounding of float32: a 100,000th of the largest number (accelerations are differences)."""
    assert found.shape == expected.shape, name
    assert found.dtype == expected.dtype, name
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected), err_msg=name)
    assert np.isfinite(expected).any(), name
    share = 1e-3 if name in ("acceleration", "phenology") else 3e-5 if name in RATIOS else 1e-5
    np.testing.assert_allclose(found, expected, rtol=0, atol=share * np.nanmax(np.abs(expected)), err_msg=name)


# quotients of values of which some are small
RATIOS = ("ndvi", "evi", "ndwi", "ndmi", "velocity")


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    answers = dict(_answers(tmp_path_factory.mktemp("native"), backend="native"))
    return answers | dict(_table_answers(backend="native"))


@pytest.mark.parametrize("backend", ["torch", "numpy"])
def test_backends_agree(native, tmp_path, backend):
    if backend == "torch":
        pytest.importorskip("torch", reason="the torch backend needs PyTorch")
    for name, found in _answers(tmp_path, backend=backend, device="cpu"):
        _agree(name, found, native[name])
    for name, found in _table_answers(backend=backend, device="cpu"):
        _agree(name, found, native[name])


class _CoreWithoutNetwork:
    """The compiled core, of which nothing may be called that evaluates a network."""

    def __init__(self, lib):
        self._lib = lib

    def __getattr__(self, name):
        assert name not in ("gndc_grid_add", "gndc_tangents_add", "gndc_field_points"), f"{name} is called"
        found = getattr(self._lib, name)
        if name != "gndc_series_add":
            return found

        def of_no_points(series, *others):
            assert series.n_points == 0, "gndc_series_add is called"
            return found(series, *others)

        return of_no_points


def test_torch_is_all_that_evaluates(tmp_path, monkeypatch):
    field = pytest.importorskip("gdal_gndc.field.torch", reason="the torch backend needs PyTorch")
    import gdal_gndc.chunk_model

    evaluated = []
    evaluate = field.TorchField.tangents

    def counting(self, x, y, t, axes):
        evaluated.append(np.broadcast_shapes(x.shape, y.shape, t.shape))
        return evaluate(self, x, y, t, axes)

    monkeypatch.setattr(field.TorchField, "tangents", counting)
    monkeypatch.setattr(gdal_gndc.chunk_model, "lib", _CoreWithoutNetwork(gdal_gndc.chunk_model.lib))
    options = {"backend": "torch", "device": "cpu"}
    for answers in (_answers(tmp_path, **options), _table_answers(**options)):
        for name, _ in answers:
            assert evaluated, name
            evaluated.clear()
    with gdal_gndc.open(CUBE, backend="native") as ds, pytest.raises(AssertionError, match="gndc_grid_add is called"):
        ds.read(0)


def test_torch_agrees_on_every_case(case, monkeypatch):
    """Masks, residuals, halos in space and time, blocks, logarithms, sensors: all frames, points and derivatives."""
    pytest.importorskip("torch", reason="the torch backend needs PyTorch")
    monkeypatch.setattr("gdal_gndc.chunk_model._PARALLEL", 200)
    rng = np.random.default_rng(1)
    with (
        gdal_gndc.open(case.path, backend="native") as native,
        gdal_gndc.open(case.path, backend="torch", device="cpu", n_threads=3) as ds,
    ):
        rows, cols = rng.uniform(0, ds.height, 80), rng.uniform(0, ds.width, 80)
        moments = [ds.resolve_time(i) for i in range(ds.n_timestamps)]
        if len(set(ds.timestamps)) > 1:
            first, last = ds.timestamps[0], ds.timestamps[-1]
            moments.append(ds.resolve_time(first + (last - first) * 0.37))
        bands = range(ds.n_bands)
        axes = "" if ds.cube.decodes_blocks(moments[0], rows, cols) else "xy"
        axes += "t" if ds.timestamps else ""
        span = np.maximum(case.span, 1e-30)

        def close(found, expected, share):
            np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
            # the larger of a band's span and its largest value, which float32 rounds
            size = np.maximum(span, np.nanmax(np.abs(expected), axis=tuple(range(expected.ndim - 1)), initial=0.0))
            assert np.nanmax(np.abs(found - expected) / size, initial=0.0) < share

        for i in range(ds.n_timestamps):
            close(ds.read(i), native.read(i), 1e-5)
        close(*(d.cube.read_series(moments, rows, cols, bands) for d in (ds, native)), 1e-5)
        for moment in (moments[0], moments[-1]):
            found, expected = (d.cube.read_tangents(moment, rows, cols, bands, axes) for d in (ds, native))
            close(found[0], expected[0], 1e-5)
            for by, exact in zip(found[1:], expected[1:], strict=True):
                np.testing.assert_array_equal(np.isnan(by), np.isnan(exact))
                largest = np.nanmax(np.abs(exact), axis=0, initial=0.0)
                assert (np.nanmax(np.abs(by - exact), axis=0, initial=0.0) <= 1e-4 * largest).all()


@pytest.mark.parametrize("mode", [2, 1, 0])
def test_the_models_of_older_files(mode):
    """norm_mode 2, 1 and 0, which place pixels by longitude and latitude: no case has them, so one is changed."""
    pytest.importorskip("torch", reason="the torch backend needs PyTorch")
    found = {}
    rng = np.random.default_rng(2)
    rows, cols = rng.uniform(0, 61, 90), rng.uniform(0, 83, 90)
    for backend in ("native", "torch", "numpy"):
        with gdal_gndc.open(CASES / "basic_i8dec.gndc", backend=backend, device="cpu") as ds:
            struct = ds.cube.chunk(0).struct
            struct.norm_mode, struct.has_xyz_params = mode, 1 if mode == 1 else 0
            struct.transform = (0.3, 0.0, 8.0, 0.0, -0.3, 49.0)
            struct.params = (8.0, 25.0, 30.0, 19.1, 0.0, 0.0) if mode == 2 else (0.5, 0.45, 0.05, 0.5, 0.4, 0.4)
            moment = ds.resolve_time(ds.timestamps[3])
            found[backend] = [
                ds.read(3, window=(10, 5, 20, 21)),
                ds.cube.read_series([moment], rows, cols, range(3)),
                *ds.cube.read_tangents(moment, rows, cols, range(3), "xyt"),
            ]
    for backend in ("torch", "numpy"):
        for i, (got, expected) in enumerate(zip(found[backend], found["native"], strict=True)):
            largest = np.abs(expected).max(axis=tuple(range(expected.ndim - 1)))
            # sines and cosines of float32, and what they are multiplied with in fine cells
            assert (np.abs(got - expected) <= (1e-4 if i < 3 else 2e-3) * largest).all(), (backend, i)


def test_the_choice_is_explained(caplog):
    caplog.set_level(logging.INFO, "gdal_gndc")

    def said(**options):
        caplog.clear()
        with gdal_gndc.open(CUBE, **options) as ds:
            return ds.backend, caplog.messages[0]

    name, line = said()
    assert name == "native"
    assert line.startswith("backend native (")
    assert "(auto, the default: the compiled core needs no torch; device='cuda' takes torch)" in line
    assert "(auto, device='cpu': the compiled core" in said(device="cpu")[1]
    assert said(backend="numpy") == ("numpy", "backend numpy on cpu, the slow reference (as asked)")


def test_the_choice_of_torch_is_explained(caplog):
    pytest.importorskip("torch", reason="the torch backend needs PyTorch")
    caplog.set_level(logging.INFO, "gdal_gndc")
    with gdal_gndc.open(CUBE, backend="torch", device="cpu") as ds:
        assert ds.backend == "torch"
    assert caplog.messages[0] == "backend torch on cpu, not compiled (as asked)"


def test_cuda_that_is_not_there(monkeypatch):
    torch = pytest.importorskip("torch", reason="the torch backend needs PyTorch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for backend in ("auto", "torch"):
        with pytest.raises(DeviceError, match="torch finds no CUDA device"):
            gdal_gndc.open(CUBE, backend=backend, device="cuda")
    with pytest.raises(DeviceError, match="runs on the CPU only"):
        gdal_gndc.open(CUBE, backend="native", device="cuda")


def test_a_pickled_dataset_keeps_its_backend():
    import pickle

    with gdal_gndc.open(CUBE, backend="numpy", device="cpu") as ds, pickle.loads(pickle.dumps(ds)) as again:
        assert again.backend == "numpy"
