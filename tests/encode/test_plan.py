from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdal_gndc.encode.planner import PRESETS, make_plan
from gdal_gndc.errors import EncodeError
from gdal_gndc.field.layout import Layout


@settings(max_examples=150, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 800), st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 40)),
    preset=st.sampled_from(PRESETS),
)
def test_every_shape_gives_a_model_that_can_be_built(shape: tuple[int, int, int, int], preset: str) -> None:
    plan = make_plan(shape, preset=preset)  # type: ignore[arg-type]
    layout = Layout.of(plan.config)
    assert layout.n_outputs == shape[3]
    assert sum(layout.counts) < 2**28
    assert 0 < plan.time_span <= 1
    assert plan.config.disable_temporal == (shape[0] == 1)
    assert plan.config.spatial_scale <= 1
    assert all(1 <= part <= n for part, n in zip(plan.chunk, shape, strict=False))
    assert plan.explain().startswith("cube: ")


def test_the_finest_levels_follow_the_cube() -> None:
    plan = make_plan((118, 64, 64, 10))
    layout = Layout.of(plan.config)
    assert layout.spatial[-1].resolution in (64, 65)
    assert layout.temporal[-1].resolution in (118, 119)
    assert plan.config.spatial_scale == pytest.approx(4 / 118, abs=1e-5)
    assert plan.quantisation == "int8_per_tensor"  # the decoder would be a large part of so small a file


def test_large_images_are_cut_with_a_halo() -> None:
    plan = make_plan((24, 2048, 2048, 4))
    assert plan.chunk == (24, 1024, 1024) and plan.overlap > 0
    assert make_plan((24, 500, 500, 4)).overlap == 0
    assert plan.batch > make_plan((24, 64, 64, 4)).batch


def test_options_win_over_the_preset() -> None:
    plan = make_plan((10, 64, 64, 3), steps=123, rate_weight=0.25, decoder="float16", seed=7)
    assert (plan.steps, plan.rate_weight, plan.rate_relative, plan.seed) == (123, 0.25, 0.0, 7)
    assert plan.quantisation == "int8_per_tensor_f16dec"


@pytest.mark.parametrize(
    "options",
    [
        {"preset": "huge"},
        {"steps": 0},
        {"rate_weight": -1.0},
        {"rate_weight": math.nan},
        {"decoder": "int4"},
        {"seed": -1},
    ],
)
def test_options_that_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(EncodeError):
        make_plan((10, 64, 64, 3), **options)  # type: ignore[arg-type]
