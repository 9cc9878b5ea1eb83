from __future__ import annotations

import json

import numpy as np
import pytest

from gdal_gndc.encode.metrics import Metrics


def test_figures_are_those_of_numpy() -> None:
    rng = np.random.default_rng(0)
    source = rng.normal(5.0, [1.0, 3.0], (6, 20, 30, 2)).astype(np.float32)
    decoded = source + rng.normal(0, 0.1, source.shape).astype(np.float32)
    source[0, :5, :5, 0] = np.nan
    metrics = Metrics(["a", "b"], source.size)
    for s, d in zip(source, decoded, strict=True):
        metrics.add(s, d)
    found = metrics.summary()
    valid = np.isfinite(source)
    error = (decoded.astype(float) - source)[valid]
    spread = np.subtract(*np.percentile(source[valid], (99.9, 0.1)))
    rmse = np.sqrt(np.mean(error**2))
    assert found["n_valid"] == valid.sum()
    assert found["rmse"] == pytest.approx(rmse, rel=1e-5)
    assert found["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
    assert found["max_error"] == pytest.approx(np.abs(error).max(), rel=1e-5)
    assert found["psnr"] == pytest.approx(20 * np.log10(spread / rmse), abs=1e-3)
    r2 = []
    for b, band in enumerate(found["bands"]):
        s, d = source[..., b][valid[..., b]].astype(float), decoded[..., b][valid[..., b]].astype(float)
        r2.append(1 - ((s - d) ** 2).sum() / ((s - s.mean()) ** 2).sum())
        assert band["r2"] == pytest.approx(r2[-1], rel=1e-5)
        assert band["mean"] == pytest.approx(d.mean(), rel=1e-5)
        assert band["stddev"] == pytest.approx(d.std(), rel=1e-4)
        assert (band["min"], band["max"]) == pytest.approx((d.min(), d.max()), rel=1e-5)
        assert (band["p2"], band["p98"]) == pytest.approx(tuple(np.percentile(d, (2, 98))), rel=1e-4)
    assert found["r2"] == pytest.approx(np.mean(r2), rel=1e-5)
    json.dumps(found, allow_nan=False)


def test_samples_that_are_lost_are_counted() -> None:
    metrics = Metrics(["a"], 4)
    metrics.add(np.array([[1.0], [2.0], [np.nan]]), np.array([[1.0], [np.nan], [3.0]]))
    assert (metrics.lost, metrics.n_valid) == (1, 1)


def test_a_band_without_data_and_an_exact_one() -> None:
    metrics = Metrics(["none", "exact"], 8)
    source = np.array([[np.nan, 1.0], [np.nan, 2.0]])
    metrics.add(source, source)
    found = metrics.summary()
    assert found["bands"][0] == {"name": "none", "n_valid": 0, "rmse": None, "r2": None}
    assert found["bands"][1]["rmse"] == 0 and found["psnr"] is None and found["r2"] == 1
    json.dumps(found, allow_nan=False)
