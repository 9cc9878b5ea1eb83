"""metrics.json: in columns and rounded, read as rows."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdal_gndc.encode.metrics import Metrics
from gdal_gndc.format.metrics import packed, unpacked

NAMES = ("a", "b", "c")


@given(
    scale=st.floats(1e-6, 1e6),
    offset=st.floats(-1e3, 1e3),
    noise=st.floats(1e-6, 0.5),
    seed=st.integers(0, 99),
)
def test_what_is_stored_is_what_was_measured(scale: float, offset: float, noise: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    source = scale * (offset + rng.normal(size=(7, 9, 3)))
    metrics = Metrics(NAMES, source.size)
    metrics.add(source, source + noise * scale * rng.normal(size=source.shape))
    document = metrics.summary()
    stored = json.loads(json.dumps(packed(document)))
    assert isinstance(stored["bands"], dict) and "n_valid" not in stored["bands"]
    found = unpacked(stored, NAMES, 1000)
    assert found["max_error"] == document["max_error"] and found["bytes"] == 1000
    for one, other in zip([found, *found["bands"]], [document, *document["bands"]], strict=True):
        assert {*other} <= {*one}
        for key in ("rmse", "mae", "max_error", "n_valid"):
            assert one[key] == pytest.approx(other[key], rel=6e-4)
        assert one["psnr"] == pytest.approx(other["psnr"], abs=6e-3)
        assert 1 - one["r2"] == pytest.approx(1 - other["r2"], rel=6e-3, abs=2e-6)
    for one, other in zip(found["bands"], document["bands"], strict=True):
        for key in ("min", "max", "mean", "p2", "p98", "stddev"):
            room = 2e-3 * other["stddev"] + 2e-5 * abs(other[key])
            assert one[key] == pytest.approx(other[key], abs=room)


def test_bands_that_differ_stay_rows() -> None:
    values = np.ones((4, 3))
    values[:, 1] = np.nan
    metrics = Metrics(NAMES, 12)
    metrics.add(values, values)
    document = metrics.summary()
    stored = packed(document)
    assert isinstance(stored["bands"], list)
    assert unpacked(stored, NAMES)["bands"][1] == {"name": "b", "n_valid": 0, "rmse": None, "r2": None}


@pytest.mark.parametrize("bands", [{}, {"rmse": [1, 2]}, {"rmse": 3}, [1, 2], None, "x"])
def test_strange_documents_are_told_as_far_as_they_go(bands: object) -> None:
    found = unpacked({"bands": bands, "n_valid": 9}, NAMES)
    if isinstance(bands, dict):
        assert found["bands"] == [{"name": name, "n_valid": 3} for name in NAMES]
    else:
        assert found["bands"] == bands
