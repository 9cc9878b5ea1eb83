"""The layout of the core against the format's documents."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdal_gndc.errors import FileFormatError
from gdal_gndc.field.layout import Layout
from gdal_gndc.format.config import ModelConfig

CONFIGS = st.builds(
    ModelConfig,
    n_bands=st.integers(1, 12),
    xy_hash_size=st.integers(1, 20),
    xy_base_resolution=st.integers(1, 300),
    xy_n_levels=st.integers(1, 8),
    xy_per_level_scale=st.floats(1.0, 2.5, width=32),
    xy_features_per_level=st.integers(1, 8),
    t_hash_size=st.integers(1, 20),
    t_base_resolution=st.integers(1, 64),
    t_n_levels=st.integers(1, 8),
    t_per_level_scale=st.floats(1.0, 2.0, width=32),
    t_features_per_level=st.integers(1, 8),
    decoder_hidden=st.integers(1, 130),
    n_hidden_layers=st.integers(1, 4),
    disable_temporal=st.booleans(),
    block_size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)


@given(CONFIGS)
def test_layout_follows_the_documents(config):
    layout = Layout.of(config)
    grids = [(layout.spatial, 2, config.xy_hash_size, config.xy_features_per_level)]
    if not config.disable_temporal:
        grids.append((layout.temporal, 3, config.t_hash_size, config.t_features_per_level))
    for (levels, dim, hash_size, features), count in zip(grids, layout.counts, strict=False):
        offset = 0
        for level in levels:
            full = level.resolution**dim
            assert level.entries == min(2**hash_size, full)
            assert level.hashed == (level.entries < full)
            assert level.allocated == math.ceil(level.entries / 8) * 8
            assert level.offset == offset
            offset += level.allocated * features
        assert count == offset
    assert layout.n_inputs == sum(len(levels) * features for levels, _, _, features in grids)
    rows, cols = config.block_size
    assert layout.n_outputs == config.n_bands * rows * cols
    hidden = config.decoder_hidden
    decoder = hidden * layout.n_inputs_padded + (config.n_hidden_layers - 1) * hidden * hidden
    assert layout.counts[-1] == decoder + layout.n_outputs_padded * hidden


@pytest.mark.parametrize(
    ("base", "scale", "level", "resolution"),
    [(20, 1.3, 1, 26), (100, 1.1, 1, 110)],  # where the order of roundings decides
)
def test_level_resolutions_are_rounded_in_float32(base, scale, level, resolution):
    config = ModelConfig(xy_base_resolution=base, xy_per_level_scale=scale, xy_n_levels=3)
    assert Layout.of(config).spatial[level].resolution == resolution


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"xy_n_levels": 2_000_000_000}, "xy_n_levels"),
        ({"xy_hash_size": 40}, "xy_hash_size"),
        ({"t_base_resolution": 2**40}, "t_base_resolution"),
        ({"decoder_hidden": 1 << 50}, "decoder_hidden"),
        ({"n_hidden_layers": 1000}, "n_hidden_layers"),
        ({"xy_per_level_scale": 1e9}, "xy_per_level_scale"),
        ({"spatial_scale": 1e30}, "spatial_scale"),
        ({"block_size": (100_000, 1)}, "block_size"),
        ({"n_bands": 10_000_000}, "n_bands"),
    ],
)
def test_what_cannot_be_built_is_refused(change, named):
    with pytest.raises(FileFormatError, match=named):
        Layout.of(ModelConfig(**change), path="a.gndc", entry="chunks/0")


def test_huge_growth_of_levels_is_refused():
    config = ModelConfig(xy_n_levels=64, xy_per_level_scale=np.float32(4.0))
    with pytest.raises(FileFormatError, match="resolution"):
        Layout.of(config)
