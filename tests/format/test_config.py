from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdal_gndc.errors import FileFormatError
from gdal_gndc.format.config import ModelConfig
from gdal_gndc.format.document import Document, dump_json

POSITIVE = st.integers(1, 2**63 - 1)
SCALE = st.floats(min_value=1e-6, max_value=1e6)
CONFIGS = st.builds(
    ModelConfig,
    n_bands=POSITIVE,
    xy_hash_size=POSITIVE,
    xy_n_levels=POSITIVE,
    xy_per_level_scale=SCALE,
    t_per_level_scale=SCALE,
    spatial_scale=st.floats(0, 10),
    decoder_hidden=POSITIVE,
    disable_temporal=st.booleans(),
    block_size=st.tuples(POSITIVE, POSITIVE),
)


def read(members: dict[str, Any], **options: Any) -> ModelConfig:
    return ModelConfig.from_json(Document(members, path="f", entry="e", where="model_config"), **options)


@given(CONFIGS)
def test_round_trip(config: ModelConfig) -> None:
    assert read(Document.parse(dump_json(config.to_json())).members) == config


def test_defaults() -> None:
    config = read({})
    assert config == ModelConfig()
    assert (config.xy_hash_size, config.xy_base_resolution, config.xy_n_levels) == (19, 512, 9)
    assert (config.t_hash_size, config.t_base_resolution, config.t_n_levels) == (21, 16, 9)
    assert config.xy_per_level_scale == config.t_per_level_scale == 1.43
    assert (config.decoder_hidden, config.n_hidden_layers, config.block_size) == (128, 6, (1, 1))


@pytest.mark.parametrize("key", [k for k, v in ModelConfig().to_json().items() if type(v) is int])
@pytest.mark.parametrize("value", [0, -1, 1.0, "4", True, [4], 2**63])
def test_integers(key: str, value: object) -> None:
    with pytest.raises(FileFormatError, match=f"f: e: model_config.{key} is .*, expected an integer of at least 1"):
        read({key: value})


@pytest.mark.parametrize("key", ["xy_per_level_scale", "t_per_level_scale", "spatial_scale"])
@pytest.mark.parametrize("value", [-1.0, "1", True, float("inf"), 10**400])
def test_scales(key: str, value: object) -> None:
    with pytest.raises(FileFormatError, match=f"model_config.{key} is .*, expected a"):
        read({key: value})


def test_zero_scales() -> None:
    assert read({"spatial_scale": 0}).spatial_scale == 0.0
    with pytest.raises(FileFormatError, match="per_level_scale is 0, expected a positive number"):
        read({"xy_per_level_scale": 0})


@pytest.mark.parametrize("value", [[1], [1, 0], [1, 1, 1], 3, [1.0, 1], "11"])
def test_blocks(value: object) -> None:
    with pytest.raises(FileFormatError, match="block_size"):
        read({"block_size": value})


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({"enable_deformation": True}, "deformation networks are not supported"),
        ({"temporal_mode": "latent"}, "temporal_mode 'latent' is not supported"),
        ({"temporal_mode": 3}, "temporal_mode 3 is not supported"),
        ({"spatial_dims": 3}, "spatial_dims 3 is not supported"),
        ({"disable_temporal": 1}, "disable_temporal is 1, expected true or false"),
    ],
)
def test_unsupported(members: dict[str, Any], found: str) -> None:
    with pytest.raises(FileFormatError, match=found):
        read(members)


def test_supported_ways_of_saying_the_usual() -> None:
    assert read({"enable_deformation": False, "temporal_mode": "hash3d", "spatial_dims": 2, "x_new": 1}) == read({})
    assert read({"temporal_mode": None, "n_bands": None}) == read({})


def test_spatial_dims_of_the_chunk_is_a_fallback() -> None:
    assert read({"spatial_dims": 2}, spatial_dims=3).spatial_dims == 2
    with pytest.raises(FileFormatError, match="spatial_dims 3"):
        read({}, spatial_dims=3)


def test_a_disabled_temporal_grid_may_be_zero() -> None:
    idle = {"disable_temporal": True, "t_n_levels": 0, "t_per_level_scale": 0, "t_hash_size": 0}
    assert read(idle).t_n_levels == 0
    with pytest.raises(FileFormatError, match="t_hash_size is 0"):
        read({**idle, "disable_temporal": False})
    with pytest.raises(FileFormatError, match="t_n_levels"):
        read({**idle, "t_n_levels": -1})
