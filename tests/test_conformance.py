"""Every valid case gives its expected arrays, every invalid one a clear error, on every backend."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest

import gdal_gndc
from gdal_gndc.field.core import ffi, lib


def evaluate(dataset, call):
    if call["call"] == "series":
        return dataset.pixel_series(*call["rowcol"])
    read = dataset.read if call["call"] == "read" else dataset.read_at_time
    window = call.get("window")
    if "rowcol" in call:
        row, col = call["rowcol"]
        window = (col, row, 1, 1)
    out = read(call["time"], bands=call.get("bands"), window=window)
    return out[0, 0] if "rowcol" in call else out


def tolerance(case):
    """Of the band's span; the cases allow 1e-4. Where expm1 amplifies rounding, more than elsewhere."""
    return 3e-5 if case.use_log else 1e-5


@pytest.mark.parametrize("backend", ["native", "numpy", "torch"])
def test_case_gives_expected_arrays(case, backend):
    if backend == "torch":
        pytest.importorskip("torch", reason="the torch backend needs PyTorch")
    with gdal_gndc.open(case.path, backend=backend, device="cpu") as dataset:
        for name, call in case.calls.items():
            case.check(evaluate(dataset, call), name, tolerance(case))


@pytest.mark.parametrize("isa", ["generic", "avx2", "avx512"])
def test_case_on_every_instruction_set(case, isa):
    before = ffi.string(lib.gndc_isa())
    if not lib.gndc_set_isa(isa.encode()):
        pytest.skip(f"this machine has no {isa}")
    try:
        with gdal_gndc.open(case.path) as dataset:
            for name, call in case.calls.items():
                case.check(evaluate(dataset, call), name, tolerance(case))
    finally:
        lib.gndc_set_isa(before)


def test_invalid_file_gives_one_clear_error(invalid: Path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(gdal_gndc.FileFormatError) as caught, gdal_gndc.open(invalid) as dataset:
        for frame in range(dataset.n_timestamps):
            dataset.read(frame)
    message = str(caught.value)
    assert message.startswith(str(invalid))
    assert len(message) < 600
    # the largest claims a gibibyte: nothing near it may be taken
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_a_series_is_what_reads_give(case):
    with gdal_gndc.open(case.path) as dataset:
        frames = np.stack([dataset.read(t) for t in range(dataset.n_timestamps)])
        rows, cols = np.mgrid[: dataset.height, : dataset.width]
        series = dataset.series(np.stack([rows.ravel(), cols.ravel()], axis=1))
    got = np.moveaxis(series.reshape(*rows.shape, *series.shape[1:]), 2, 0)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(frames))
    # reads follow rows of pixels, series do not: another order of the same sums
    assert np.nanmax(np.abs(got - frames) / case.span) <= tolerance(case)
