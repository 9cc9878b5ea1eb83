"""Layout of a model: how many weights and inputs a configuration has, as the core computes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gdal_gndc.field.core import check, ffi, lib, message_buffer
from gdal_gndc.format.config import ModelConfig


@dataclass(frozen=True)
class Level:
    """One level of a hash grid."""

    resolution: int
    entries: int
    allocated: int
    offset: int
    scale: float
    hashed: bool


@dataclass(frozen=True)
class Layout:
    """Sizes that follow from a `ModelConfig`.

    Attributes
    ----------
    counts
        Weights of each component: spatial grid, temporal grid unless disabled, decoder.
    n_inputs, n_inputs_padded, n_outputs, n_outputs_padded
        Widths of the decoder's ends; padded inputs are constant 1.
    spatial, temporal
        Levels of the grids; ``temporal`` is empty when disabled.
    """

    config: ModelConfig
    counts: tuple[int, ...]
    n_inputs: int
    n_inputs_padded: int
    n_outputs: int
    n_outputs_padded: int
    spatial: tuple[Level, ...]
    temporal: tuple[Level, ...]

    @classmethod
    def of(cls, config: ModelConfig, *, path: str | None = None, entry: str | None = None) -> Layout:
        """Compute the layout.

        Raises
        ------
        FileFormatError
            If no network of this configuration can be built.
        """
        c_config = config_struct(config)
        out = ffi.new("gndc_layout *")
        message = message_buffer()
        check(lib.gndc_layout_of(c_config, out, message), message, path=path, entry=entry)
        counts = [out.spatial_count, out.decoder_count]
        if not config.disable_temporal:
            counts.insert(1, out.temporal_count)

        def levels(temporal: int, n: int) -> tuple[Level, ...]:
            found = []
            level = ffi.new("gndc_level *")
            for i in range(n):
                check(lib.gndc_level_of(c_config, temporal, i, level, message), message, path=path, entry=entry)
                found.append(
                    Level(
                        level.resolution, level.entries, level.allocated, level.offset, level.scale, bool(level.hashed)
                    )
                )
            return tuple(found)

        return cls(
            config,
            tuple(counts),
            out.n_inputs,
            out.n_inputs_padded,
            out.n_outputs,
            out.n_outputs_padded,
            levels(0, config.xy_n_levels),
            () if config.disable_temporal else levels(1, config.t_n_levels),
        )


def config_struct(config: ModelConfig) -> Any:
    """Return the ``gndc_config`` of a configuration."""
    out = ffi.new("gndc_config *")
    for name in (
        "n_bands", "xy_hash_size", "xy_base_resolution", "xy_n_levels", "xy_features_per_level", "t_hash_size",
        "t_base_resolution", "t_n_levels", "t_features_per_level", "xy_per_level_scale", "t_per_level_scale",
        "spatial_scale", "decoder_hidden", "n_hidden_layers",
    ):  # fmt: skip
        setattr(out, name, getattr(config, name))
    out.disable_temporal = int(config.disable_temporal)
    out.block_rows, out.block_cols = config.block_size
    return out
