"""Rules that choose a model, its training and its chunks from the shape of a cube."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from gdal_gndc.errors import EncodeError
from gdal_gndc.format.config import ModelConfig

Preset = Literal["tiny", "fast", "balanced", "best"]
DecoderType = Literal["auto", "float16", "int8"]
PRESETS: tuple[Preset, ...] = ("tiny", "fast", "balanced", "best")


@dataclass(frozen=True)
class Size:
    """What a preset stands for; sizes of grids are in cells per side.

    The numbers were found by training on small satellite stacks. Three things matter most. Time: many dates share a
    table that is smaller than their cells together, so that nothing in it is empty; levels from a fifth of the dates to
    all of them; few cells across the image. Weights: steps of 1/4 to 1/16, coarser for smaller files. A wider decoder
    before larger tables.
    """

    spatial_levels: int
    spatial_features: int
    spatial_detail: float  # cells of the finest level for a pixel of the longer side
    temporal_levels: int
    temporal_features: int
    temporal_cells: int  # across the image, in the temporal grid
    temporal_fill: float  # entries of a table for each cell that samples reach
    hidden: int
    layers: int
    table_scale: float
    decoder_scale: float
    steps: int
    rate: float  # weight of a bit a sample, in units of the running error


SIZES: dict[Preset, Size] = {
    "tiny": Size(6, 2, 0.75, 5, 4, 4, 0.45, 48, 2, 4.0, 8.0, 15_000, 40.0),
    "fast": Size(6, 2, 0.75, 5, 4, 4, 0.55, 48, 2, 8.0, 16.0, 6_000, 12.0),
    "balanced": Size(6, 4, 1.0, 5, 8, 4, 0.55, 64, 3, 8.0, 16.0, 15_000, 6.0),
    "best": Size(8, 8, 1.0, 5, 8, 6, 0.8, 96, 3, 16.0, 16.0, 25_000, 2.0),
}


# Corrections take about 0.75 bits less for every halving of the error, so a bit a sample is worth 2 ln 2 / 0.75 of the
# mean squared error, or nearly twice it; a little more when most corrections are zero.
_BOUNDED_RATE = 3.0


@dataclass(frozen=True)
class Plan:
    """How a cube will be encoded.

    Attributes
    ----------
    shape
        (T, H, W, C) of the cube.
    config
        Shape of every chunk's network.
    time_span
        Fraction of [0, 1] that the frames of a chunk take up on the temporal axis of the grid.
    steps, batch, warmup
        Adam steps, samples a step, steps of linear rise.
    table_rate, decoder_rate, table_init
        Adam step sizes at the top of the cosine schedule; tables start uniform in +-``table_init``.
    quantise_from
        Fraction of the schedule before weights are rounded.
    rate_weight, rate_relative
        Weight of a bit a sample beside the mean squared error (in units of the variance): absolute, and in units of
        the running error.
    table_scale, decoder_scale
        Weights are whole multiples of 1 / scale; a decoder scale of 0 stands for float16.
    chunk
        Largest (frames, rows, columns) of a chunk, without halo.
    overlap
        Halo of the chunks in pixels.
    seed
        Of the initial weights and of the order of samples.
    """

    shape: tuple[int, int, int, int]
    config: ModelConfig
    preset: str
    time_span: float = 1.0
    steps: int = 20_000
    batch: int = 960
    warmup: int = 20
    table_rate: float = 1e-2
    decoder_rate: float = 1e-2
    table_init: float = 0.2
    quantise_from: float = 0.3
    rate_weight: float = 0.0
    rate_relative: float = 0.0
    table_scale: float = 8.0
    decoder_scale: float = 0.0
    chunk: tuple[int, int, int] = (0, 0, 0)
    overlap: int = 0
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON members."""
        members = asdict(self)
        members["config"] = self.config.to_json()
        for key in ("shape", "chunk"):
            members[key] = list(members[key])
        return members

    @property
    def quantisation(self) -> str:
        """Name of the quantisation mode."""
        return "int8_per_tensor" if self.decoder_scale > 0 else "int8_per_tensor_f16dec"

    def explain(self) -> str:
        """Return a few lines on what will be done."""
        t, h, w, c = self.shape
        k = self.config
        t_finest = _finest(k.t_base_resolution, k.t_per_level_scale, k.t_n_levels)
        temporal = (
            "no temporal grid"
            if k.disable_temporal
            else f"temporal grid {k.t_n_levels} levels x {k.t_features_per_level} features, "
            f"{k.t_base_resolution} to {t_finest} cells in time, {k.spatial_scale * t_finest:.0f} across"
        )
        n_chunks = math.prod(math.ceil(n / size) for n, size in zip((t, h, w), self.chunk, strict=True))
        return "\n".join(
            [
                f"cube: {t} dates, {h} x {w} pixels, {c} bands; preset {self.preset}",
                f"chunks: {n_chunks} of at most {self.chunk[0]} dates, {self.chunk[1]} x {self.chunk[2]} pixels, "
                f"halo {self.overlap}",
                f"spatial grid {k.xy_n_levels} levels x {k.xy_features_per_level} features, {k.xy_base_resolution} to "
                f"{_finest(k.xy_base_resolution, k.xy_per_level_scale, k.xy_n_levels)} cells",
                temporal,
                f"decoder {k.decoder_hidden} wide, {k.n_hidden_layers} hidden layers, {self.quantisation}",
                f"training: {self.steps} steps of {self.batch} samples a chunk",
            ]
        )


def make_plan(
    shape: tuple[int, int, int, int],
    *,
    preset: Preset = "balanced",
    steps: int | None = None,
    rate_weight: float | None = None,
    decoder: DecoderType = "auto",
    chunk_size: int | None = None,
    bounded: bool = False,
    seed: int = 0,
) -> Plan:
    """Choose how to encode a cube.

    Parameters
    ----------
    shape
        (T, H, W, C).
    preset
        ``tiny`` for the smallest files, ``fast`` for quick ones, ``balanced``, ``best`` for quality.
    steps
        Training steps instead of the preset's.
    rate_weight
        Weight of a bit a sample beside the mean squared error in units of the variance, instead of the preset's rule,
        which follows the error reached.
    decoder
        ``float16``, ``int8``, or ``auto``: int8 where a float16 decoder would be a large part of the file.
    chunk_size
        Largest side of a chunk in pixels, 16 at least; by default 1024.
    bounded
        Corrections will be stored beside the network, down to a largest error: then a bit in the network may cost no
        more than the bits of corrections that it saves.
    seed
        Any integer from 0.

    Raises
    ------
    EncodeError
        If an option is not one of these.
    """
    if preset not in SIZES:
        raise EncodeError(f"preset {preset!r}, expected one of {', '.join(PRESETS)}")
    if decoder not in ("auto", "float16", "int8"):
        raise EncodeError(f"decoder {decoder!r}, expected auto, float16 or int8")
    if steps is not None and steps < 1:
        raise EncodeError(f"{steps} steps, expected at least 1")
    if rate_weight is not None and not 0.0 <= rate_weight < math.inf:
        raise EncodeError(f"a rate weight of {rate_weight}, expected a finite number from 0")
    if seed < 0:
        raise EncodeError(f"seed {seed}, expected an integer from 0")
    if chunk_size is not None and chunk_size < 16:
        raise EncodeError(f"chunks of {chunk_size} pixels, expected at least 16")
    size = SIZES[preset]
    chunk = _chunk_of(shape, chunk_size or 1024)
    config, span = _config_of((*chunk, shape[3]), size)
    plan = Plan(
        shape,
        config,
        preset,
        time_span=span,
        steps=steps or size.steps,
        # coarse steps are taken by longer strides, and leave less to begin with
        table_rate=0.08 / min(8.0, size.table_scale),
        table_scale=size.table_scale,
        chunk=chunk,
        seed=seed,
    )
    plan = replace(plan, batch=_batch_of(config))
    if any(n > part for n, part in zip(shape[1:3], chunk[1:], strict=True)):
        plan = replace(plan, overlap=min(16, max(4, min(chunk[1:]) // 8)))
    relative = min(size.rate, _BOUNDED_RATE) if bounded else size.rate
    relative = relative if rate_weight is None else 0.0
    plan = replace(plan, rate_relative=relative, rate_weight=rate_weight or 0.0)
    if decoder == "int8" or (decoder == "auto" and _decoder_pays(plan)):
        plan = replace(plan, decoder_scale=size.decoder_scale)
    return plan


def _finest(base: int, growth: float, levels: int) -> int:
    return round(base * growth ** (levels - 1))


def _chunk_of(shape: tuple[int, int, int, int], side: int) -> tuple[int, int, int]:
    """Cut space so that a chunk's finest level stays small enough to train with little memory."""
    t, h, w, _ = shape
    rows, cols = math.ceil(h / side), math.ceil(w / side)
    return t, math.ceil(h / rows), math.ceil(w / cols)


def _config_of(shape: tuple[int, int, int, int], size: Size) -> tuple[ModelConfig, float]:
    t, h, w, c = shape
    finest = max(2, round(size.spatial_detail * max(h, w)))
    base = max(2, round(max(h, w) / 16))
    finest = max(finest, base + 1)
    levels = min(size.spatial_levels, finest - base + 1)
    members: dict[str, Any] = {
        "n_bands": c,
        "xy_hash_size": min(22, max(8, math.ceil(2 * math.log2(finest + 1)))),
        "xy_base_resolution": base,
        "xy_n_levels": levels,
        "xy_per_level_scale": _growth(base, finest, levels),
        "xy_features_per_level": size.spatial_features,
        "decoder_hidden": size.hidden,
        "n_hidden_layers": size.layers,
    }
    if t == 1:
        # one date: nothing depends on time
        return ModelConfig(**members, disable_temporal=True, t_n_levels=1, t_features_per_level=1), 1.0
    # The temporal grid is a cube of cells: as many as dates along time, few across the image. With fewer dates than
    # that, the dates take up a part of the axis only.
    cells = max(t, size.temporal_cells)
    t_base = max(2, round(cells / 5))
    t_levels = min(size.temporal_levels, max(2, cells - t_base + 1))
    reached = (t + 1) * (size.temporal_cells + 1) ** 2
    members |= {
        "t_hash_size": min(22, max(8, round(math.log2(size.temporal_fill * reached)))),
        "t_base_resolution": t_base,
        "t_n_levels": t_levels,
        "t_per_level_scale": _growth(t_base, cells, t_levels),
        "t_features_per_level": size.temporal_features,
        "spatial_scale": round(size.temporal_cells / cells, 5),
    }
    return ModelConfig(**members), min(1.0, t / cells)


def _growth(base: int, finest: int, levels: int) -> float:
    return round((finest / base) ** (1 / (levels - 1)), 4) if finest > base else 1.0


def _decoder_count(config: ModelConfig) -> int:
    inputs = config.xy_n_levels * config.xy_features_per_level
    if not config.disable_temporal:
        inputs += config.t_n_levels * config.t_features_per_level
    hidden = config.decoder_hidden
    return hidden * (-(-inputs // 16) * 16 + (config.n_hidden_layers - 1) * hidden + -(-config.n_bands // 16) * 16)


def _table_count(config: ModelConfig) -> int:
    """Weights of the spatial grid, nearly all of a large chunk's."""
    growth, n = config.xy_per_level_scale, config.xy_n_levels
    sides = (config.xy_base_resolution * growth**i for i in range(n))
    return int(sum(min(2**config.xy_hash_size, side * side) for side in sides)) * config.xy_features_per_level


def _batch_of(config: ModelConfig) -> int:
    """Small batches learn most from a sample, but every step costs a pass over all tables."""
    wanted = 960.0
    while wanted < 32_768 and _table_count(config) > 400 * wanted:
        wanted *= 2
    return int(wanted)


def _decoder_pays(plan: Plan) -> bool:
    """Whether the byte a weight that int8 saves is more than a hundredth of the file, taken at 1.5 bits a weight."""
    expected = _table_count(plan.config) * 1.5 / 8
    return _decoder_count(plan.config) > 0.01 * expected
