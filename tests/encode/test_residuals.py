from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdal_gndc
from gdal_gndc.encode.encoder import encode
from gdal_gndc.encode.inputs import open_rasters
from gdal_gndc.encode.residuals import ErrorBound
from gdal_gndc.errors import EncodeError

QUICK: dict[str, Any] = {"preset": "fast", "steps": 200, "progress": False, "device": "cpu"}


def _decoded(path: Path, n: int) -> np.ndarray:
    with gdal_gndc.open(path, device="cpu") as cube:
        return np.stack([cube.read(k) for k in range(n)])


@pytest.mark.parametrize("bound", [0.1, 0.01, [0.002, 0.004, 0.01, 0.02, 0.01, 0.01]])
def test_every_sample_keeps_the_bound(modis_files: list[Path], tmp_path: Path, bound: Any) -> None:
    files, output = modis_files[:5], tmp_path / "x.gndc"
    report = encode(files, output, max_error=bound, **QUICK)
    source = open_rasters(files).read()
    error = np.abs(_decoded(output, 5) - source)
    assert np.all(np.nanmax(error, axis=(0, 1, 2)) <= np.broadcast_to(bound, 6))
    assert report.metrics["max_error"] == pytest.approx(float(np.nanmax(error)), rel=1e-4)


def test_a_coarser_bound_costs_less(modis_files: list[Path], tmp_path: Path) -> None:
    sizes = [
        encode(modis_files[:4], tmp_path / f"{k}.gndc", max_error=bound, **QUICK).bytes
        for k, bound in enumerate((None, 0.1, 0.01))
    ]
    assert sizes[0] < sizes[1] < sizes[2]


def test_the_bound_holds_in_blended_halos(modis_files: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "x.gndc"
    report = encode(modis_files[:3], output, max_error=0.01, chunk_size=20, **QUICK)
    assert report.plan.overlap > 0
    error = np.abs(_decoded(output, 3) - open_rasters(modis_files[:3]).read())
    assert np.nanmax(error) <= 0.01


def test_another_decoder_keeps_the_bound(modis_files: list[Path], tmp_path: Path, peer_python: str) -> None:
    output, saved = tmp_path / "x.gndc", tmp_path / "peer.npy"
    encode(modis_files[:3], output, max_error=0.005, chunk_size=20, **QUICK)
    code = (
        "import sys, numpy, pygndc; c = pygndc.open(sys.argv[1], mode='native_cpu'); "
        "numpy.save(sys.argv[2], numpy.stack([c.read(time=k) for k in range(3)]))"
    )
    subprocess.run([peer_python, "-c", code, os.fspath(output), os.fspath(saved)], check=True, timeout=120)
    assert np.nanmax(np.abs(np.load(saved) - open_rasters(modis_files[:3]).read())) <= 0.005


def test_bounds_that_are_refused() -> None:
    for bound in (0.0, -1.0, float("nan"), float("inf"), [0.1, 0.1]):
        with pytest.raises(EncodeError):
            ErrorBound.of(bound, 3)
    with pytest.raises(EncodeError, match="too fine for float32"):
        ErrorBound.of(1e-6, 1).steps(np.full((1, 2, 2, 1), 5000.0, np.float32))
