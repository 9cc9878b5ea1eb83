"""Grids through torch.compile and in tiles; a compiler that fails. No CUDA is needed: the path is the same."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import gdal_gndc
from gdal_gndc.errors import DeviceError
from tests.conftest import CASES

torch = pytest.importorskip("torch", reason="the torch backend needs PyTorch")

CUBE = CASES / "tiles22_ov8_mask_res.gndc"
COMPILE = "GNDC_TORCH_COMPILE"


@pytest.fixture
def small(monkeypatch):
    """Even small grids are compiled, in tiles of 500 samples."""
    import gdal_gndc.field.torch_evaluator as module

    monkeypatch.setattr(module, "_WORTH_COMPILING", 100)
    monkeypatch.setattr(module, "_BATCH", {"cpu": 500, "cuda": 500})
    torch.compiler.reset()
    yield module
    torch.compiler.reset()


def test_compiled_grids_are_the_cores(small, monkeypatch):
    graphs, sizes = [], []

    def counting(graph, inputs):
        graphs.append(graph)

        def run(*arguments):
            sizes.append(max(a.numel() for a in arguments if isinstance(a, torch.Tensor) and a.dtype == torch.float64))
            return graph.forward(*arguments)

        return run

    torch._dynamo.register_backend(counting, name="counting")
    monkeypatch.setenv(COMPILE, "counting")
    with gdal_gndc.open(CUBE, backend="torch", device="cpu") as ds, gdal_gndc.open(CUBE) as native:
        for t, window in ((3, (0, 0, 83, 61)), (1, (7, 5, 60, 50)), (4, (30, 20, 31, 37))):
            found, expected = (d.read(t, window=window) for d in (ds, native))
            np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.nanmax(np.abs(expected)))
        assert ds.cube.cache_info()["chunks"].items == 4
    # all chunks have one configuration, and windows may have any size
    assert len(graphs) == 1
    assert len(sizes) > 20
    assert max(sizes) <= 500


def test_a_compiler_that_fails_is_left_out(small, monkeypatch, caplog):
    asked = []

    def failing(graph, inputs):
        asked.append(graph)
        raise RuntimeError("no C++ compiler\nin this place")

    torch._dynamo.register_backend(failing, name="failing")
    monkeypatch.setenv(COMPILE, "failing")
    caplog.set_level(logging.INFO, "gdal_gndc")
    with gdal_gndc.open(CUBE, backend="torch", device="cpu") as ds, gdal_gndc.open(CUBE) as native:
        assert caplog.messages[0] == "backend torch on cpu, compiled (as asked)"
        for t in (2, 3):
            found, expected = (d.read(t) for d in (ds, native))
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.nanmax(np.abs(expected)))
        assert not ds.cube.backend.torch.compiles
    assert len(asked) == 1
    (warning,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert warning.getMessage().startswith("torch.compile (failing) cannot compile the network on cpu (")
    assert "no C++ compiler in this place" in warning.getMessage()


def test_what_the_variable_may_say(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "gdal_gndc")
    for value, how in ((None, "not compiled"), ("0", "not compiled"), ("1", "compiled")):
        if value is None:
            monkeypatch.delenv(COMPILE, raising=False)
        else:
            monkeypatch.setenv(COMPILE, value)
        caplog.clear()
        with gdal_gndc.open(CUBE, backend="torch", device="cpu"):
            assert caplog.messages[0] == f"backend torch on cpu, {how} (as asked)"
    monkeypatch.setenv(COMPILE, "gcc")
    with pytest.raises(DeviceError, match="GNDC_TORCH_COMPILE is 'gcc', expected 0, 1 or one of "):
        gdal_gndc.open(CUBE, backend="torch", device="cpu")


def test_cuda_compiles_by_default(monkeypatch):
    from gdal_gndc.field.torch_evaluator import TorchEvaluator

    monkeypatch.delenv(COMPILE, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    evaluator = TorchEvaluator("auto")
    assert (evaluator.device, evaluator.compiles) == ("cuda", True)
    monkeypatch.setenv(COMPILE, "0")
    assert not TorchEvaluator("cuda").compiles
