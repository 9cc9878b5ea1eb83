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


@pytest.fixture
def evaluated(monkeypatch):
    """Counts the points that torch evaluates."""
    field = pytest.importorskip("gdal_gndc.field.torch", reason="the torch backend needs PyTorch")
    counted = []
    forward = field.TorchField.forward

    def counting(self, xyt):
        counted.append(len(xyt))
        return forward(self, xyt)

    monkeypatch.setattr(field.TorchField, "forward", counting)
    return counted


def _answers(tmp_path, **options):
    """What every road of the SDK answers, by its name."""
    with gdal_gndc.open(CUBE, **options) as ds:
        between = "2020-02-10T00:00:00Z"
        yield "read", ds.read(3, window=WINDOW)
        yield "read_at_time", ds.read_at_time(between, window=WINDOW)
        yield "out_shape", ds.read(3, window=WINDOW, out_shape=(7, 11))
        left, _, _, top = ds.bounds
        yield "read_region", ds.read_region((left + 100, top - 300, left + 300, top - 100), 2)
        yield "ndvi", ds.ndvi(3, 0, 1, window=WINDOW)
        yield "to_numpy", ds.to_numpy([1, between], window=WINDOW)
        with rasterio.open(ds.to_tif(tmp_path / "x.tif", between)) as raster:
            yield "to_tif", raster.read()
        with ds.to_xarray([between], bands=["LAI"]) as data:
            yield "to_xarray", data["LAI"].isel(y=slice(5, 25), x=slice(0, None, 7)).values
            yield "at", data.gndc.at("2020-03-01", resolution=50)["LAI"].values
        yield "sample", ds.sample(left + 405, top - 305, crs=ds.crs)
        yield "series", ds.series([[3, 4], [30, 41], [31, 41]])
        yield "gradient", np.stack(ds.gradient(between, window=WINDOW))
        yield "velocity", ds.temporal_derivative(between, 1, 0, 1, window=WINDOW)


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    return dict(_answers(tmp_path_factory.mktemp("native"), backend="native"))


@pytest.mark.parametrize("backend", ["torch", "numpy"])
def test_backends_agree(native, tmp_path, backend):
    if backend == "torch":
        pytest.importorskip("torch", reason="the torch backend needs PyTorch")
    for name, found in _answers(tmp_path, backend=backend, device="cpu"):
        assert found.shape == native[name].shape, name
        np.testing.assert_array_equal(np.isnan(found), np.isnan(native[name]), err_msg=name)
        # the cube's values span some units
        np.testing.assert_allclose(found, native[name], rtol=1e-3, atol=2e-4, err_msg=name)


def test_torch_is_what_evaluates(evaluated, tmp_path):
    # grids are torch's; series, samples and derivatives the compiled core's with every backend, as the docs say
    for name, _ in _answers(tmp_path, backend="torch", device="cpu"):
        assert bool(evaluated) == (name not in ("sample", "series", "gradient", "velocity")), name
        evaluated.clear()
    reader = gdal_gndc.GNDCReader(backend="torch", device="cpu").load(CUBE)
    evaluated.clear()
    reader.reconstruct_window(2, (0, 0, 4, 5))
    assert sum(evaluated) == 20
    reader.reset()


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
    assert caplog.messages[0] == "backend torch on cpu (as asked)"


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
