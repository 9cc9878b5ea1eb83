from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gdal_gndc.encode.between import STRENGTHS, choose_strength, smooth, with_virtual_frames
from gdal_gndc.encode.encoder import encode
from gdal_gndc.encode.train import Samples
from gdal_gndc.errors import EncodeError


def _dense(values: np.ndarray, times: np.ndarray, strength: float) -> np.ndarray:
    """The same minimum by a full matrix."""
    n = len(times)
    h = np.diff(times) / np.sort(np.diff(times))[(n - 1) // 2]
    c = 2 / (h[:-1] + h[1:])
    d = np.zeros((n - 2, n))
    rows = np.arange(n - 2)
    d[rows, rows], d[rows, rows + 1], d[rows, rows + 2] = c / h[:-1], -c * (1 / h[:-1] + 1 / h[1:]), c / h[1:]
    q = d.T @ (((h[:-1] + h[1:]) / 2)[:, None] * d)
    seen = np.isfinite(values)
    return np.linalg.solve(np.diag(seen + 1e-6) + strength * q, np.where(seen, values, 0.0))


@pytest.mark.parametrize("strength", [0.1, 10.0])
def test_it_is_the_minimum(strength: float) -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(1, 5, 30))
    values = rng.standard_normal((30, 6)).astype(np.float32)
    values[5:9, 0] = np.nan
    values[::2, 1] = np.nan
    values[:4, 2] = np.nan
    found = smooth(values, times, strength)
    for s in range(6):
        seen = np.flatnonzero(np.isfinite(values[:, s]))
        inside = slice(seen[0], seen[-1] + 1)
        np.testing.assert_allclose(found[inside, s], _dense(values[:, s], times, strength)[inside], atol=1e-4)
        assert np.isnan(np.delete(found[:, s], np.arange(30)[inside])).all()


def test_a_straight_line_stays_one_and_nothing_stays_nothing() -> None:
    times = np.array([0.0, 1.0, 4.0, 5.0, 9.0])
    values = np.stack([2 * times, np.full(5, np.nan)], axis=1).astype(np.float32)
    values[2, 0] = np.nan
    found = smooth(values, times, 3.0)
    np.testing.assert_allclose(found[:, 0], 2 * times, atol=1e-3)
    assert np.isnan(found[:, 1]).all()


def test_strength_follows_the_noise() -> None:
    rng = np.random.default_rng(0)
    times = np.arange(60.0)
    season = np.sin(times / 6)[:, None, None, None] * np.ones((1, 5, 5, 2))
    calm, score = choose_strength((season + 0.01 * rng.standard_normal(season.shape)).astype(np.float32), times)
    noisy, _ = choose_strength((season + 0.8 * rng.standard_normal(season.shape)).astype(np.float32), times)
    assert calm < noisy and {calm, noisy} <= set(STRENGTHS)
    assert score > 0.99


def test_virtual_frames_lie_between_the_dates() -> None:
    times = np.array([0.0, 10.0, 20.0, 40.0, 50.0, 60.0, 70.0, 90.0, 100.0])
    values = (times / 50 - 1)[:, None, None, None].astype(np.float32) * np.ones((1, 3, 4, 2), np.float32)
    samples, _ = with_virtual_frames(Samples(values, (times / 100).astype(np.float32)), times)
    assert samples.values.shape[0] == 33 and samples.rate_samples == values.size
    assert samples.frame_weights is not None
    np.testing.assert_array_equal(samples.frame_weights[:5], np.float32([1, 0.5, 0.5, 0.5, 1]))
    np.testing.assert_allclose(samples.times[:5], [0, 0.025, 0.05, 0.075, 0.1], atol=1e-6)
    np.testing.assert_array_equal(samples.values[::4], values)
    np.testing.assert_allclose(samples.values[:, 0, 0, 0], samples.times * 2 - 1, atol=1e-2)


def test_what_is_refused() -> None:
    with pytest.raises(EncodeError, match="ascend"):
        smooth(np.zeros((3, 1), np.float32), np.array([0.0, 2.0, 1.0]), 1.0)
    with pytest.raises(EncodeError, match="three times"):
        smooth(np.zeros((2, 1), np.float32), np.array([0.0, 1.0]), 1.0)
    with pytest.raises(EncodeError, match="3 frames at 2 times"):
        smooth(np.zeros((3, 1), np.float32), np.array([0.0, 1.0]), 1.0)


def test_dates_left_out_come_back_better(tmp_path: Path) -> None:
    import gdal_gndc
    from gdal_gndc.encode.inputs import open_rasters

    files = sorted((Path(__file__).parents[1] / "data" / "modis_mt_vi").glob("*.tif"))[:33]
    held = files[2:-1:4]
    kept = [path for path in files if path not in held]
    truth = open_rasters(held).read()
    errors = []
    for k, interpolate in enumerate((False, True)):
        output = tmp_path / f"{k}.gndc"
        encode(
            kept, output, preset="fast", steps=1000, rate_weight=0.05, interpolate=interpolate, progress=False,
            device="cpu",
        )  # fmt: skip
        with gdal_gndc.open(output, device="cpu") as cube:
            found = np.stack([cube.read_at_time(when) for when in open_rasters(held).times])
        errors.append(float(np.nanmean((found - truth) ** 2)))
    assert errors[1] < 0.95 * errors[0]
