"""Rules that choose a model, its training and its chunks from the shape of a cube."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from gdal_gndc.encode.plan import Plan
from gdal_gndc.encode.residuals import ErrorBound
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
    "best": Size(6, 4, 1.0, 5, 8, 4, 0.55, 96, 3, 8.0, 16.0, 25_000, 2.0),
}


# Corrections take about 0.75 bits less for every halving of the error, so a bit a sample is worth 2 ln 2 / 0.75 of the
# mean squared error, or nearly twice it; a little more when most corrections are zero.
_BOUNDED_RATE = 3.0
_VIRTUAL_FRAMES = 3
# What is made up is smooth and costs few bits, which the dates may have.
_VIRTUAL_RATE = 0.4
# Largest chunks: pixels of a side, dates; and frames that chunks share with each neighbour, at most.
_SIDE = 1024
_DATES = 1000
_T_OVERLAP = 8
_FEWEST_DATES = 8


def size_at(level: float) -> Size:
    """Return what lies between presets: 0 is tiny, 1 fast, 2 balanced, 3 best.

    Below 0 and above 3 the weight of a bit changes, by a factor of 8 a level; above 3 the temporal grid has more cells
    across the image too, up to twice as many.
    """
    names = list(SIZES)
    low = min(len(names) - 2, max(0, math.floor(level)))
    one, other = SIZES[names[low]], SIZES[names[low + 1]]
    share = min(1.0, max(0.0, level - low))

    def between(a: float, b: float, unit: float = 0.0) -> float:
        value = a * math.pow(b / a, share)
        return unit * round(value / unit) if unit else value

    whole: dict[str, Any] = {
        field.name: int(between(getattr(one, field.name), getattr(other, field.name), 1))
        for field in fields(Size)
        if isinstance(getattr(one, field.name), int)
    }
    above, below = max(0.0, level - (len(names) - 1)), min(0.0, level)
    whole["temporal_cells"] = round(whole["temporal_cells"] * 2 ** min(1.0, above))
    return Size(
        **whole | {"hidden": int(between(one.hidden, other.hidden, 16))},
        spatial_detail=between(one.spatial_detail, other.spatial_detail),
        temporal_fill=between(one.temporal_fill, other.temporal_fill),
        table_scale=between(one.table_scale, other.table_scale),
        decoder_scale=between(one.decoder_scale, other.decoder_scale),
        rate=between(one.rate, other.rate) / 8 ** (above + below),
    )


def nearest_preset(level: float) -> Preset:
    """Return the preset nearest to a level."""
    return PRESETS[min(len(PRESETS) - 1, max(0, round(level)))]


def make_plan(
    shape: tuple[int, int, int, int],
    *,
    preset: Preset | None = None,
    steps: int | None = None,
    rate_weight: float | None = None,
    decoder: DecoderType = "auto",
    chunk_size: int | None = None,
    chunk_dates: int | None = None,
    level: float | None = None,
    max_error: float | Sequence[float] | None = None,
    interpolate: bool = False,
    temporal_cells: int | None = None,
    seed: int = 0,
) -> Plan:
    """Choose how to encode a cube.

    Parameters
    ----------
    shape
        (T, H, W, C).
    preset
        ``tiny`` for the smallest files, ``fast`` for quick ones, ``balanced`` (the default), ``best`` for quality.
    steps
        Training steps instead of the preset's.
    rate_weight
        Weight of a bit a sample beside the mean squared error in units of the variance, instead of the preset's rule,
        which follows the error reached.
    decoder
        ``float16``, ``int8``, or ``auto``: int8 where a float16 decoder would be a large part of the file.
    chunk_size
        Largest side of a chunk in pixels, 16 at least; by default 1024.
    chunk_dates
        Most dates of a chunk, 8 at least; by default 1000.
    level
        What lies between the presets instead of one of them; see `size_at`.
    max_error
        Largest error in physical units, one for all bands or one a band. Corrections will be stored beside the network:
        then a bit in the network may cost no more than the bits of corrections that it saves.
    interpolate
        Make up frames between the dates for training.
    temporal_cells
        Cells across the image in the temporal grid, 2 to 64, instead of the preset's.
    seed
        Any integer from 0.

    Raises
    ------
    EncodeError
        If an option is not one of these.
    """
    if level is not None and not -1 <= level <= 6:
        raise EncodeError(f"level {level}, expected -1 to 6")
    preset = nearest_preset(level) if level is not None else preset or "balanced"
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
    if chunk_dates is not None and chunk_dates < _FEWEST_DATES:
        raise EncodeError(f"chunks of {chunk_dates} dates, expected at least {_FEWEST_DATES}")
    if temporal_cells is not None and not 2 <= temporal_cells <= 64:
        raise EncodeError(f"{temporal_cells} temporal cells, expected 2 to 64")
    size = SIZES[preset] if level is None else size_at(level)
    if temporal_cells is not None:
        size = replace(size, temporal_cells=temporal_cells)
    chunk = _chunk_of(shape, chunk_size or _SIDE, chunk_dates or _DATES)
    t_overlap = min(_T_OVERLAP, max(1, chunk[0] // 8)) if chunk[0] < shape[0] else 0
    stored = min(shape[0], chunk[0] + 2 * t_overlap)
    config, span = _config_of((stored, *chunk[1:], shape[3]), size)
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
        t_overlap=t_overlap,
        max_error=() if max_error is None else ErrorBound.of(max_error, shape[3]).bands,
        virtual_frames=_VIRTUAL_FRAMES if interpolate else 0,
        seed=seed,
    )
    # what is made up needs samples of its own, lest the dates get fewer
    plan = replace(plan, batch=_batch_of(config) * (2 if interpolate else 1))
    if any(n > part for n, part in zip(shape[1:3], chunk[1:], strict=True)):
        plan = replace(plan, overlap=min(16, max(8, min(chunk[1:]) // 8)))
    relative = min(size.rate, _BOUNDED_RATE) if plan.max_error else size.rate
    if interpolate:
        relative *= _VIRTUAL_RATE
    relative = relative if rate_weight is None else 0.0
    plan = replace(plan, rate_relative=relative, rate_weight=rate_weight or 0.0)
    if decoder == "int8" or (decoder == "auto" and _decoder_pays(plan)):
        plan = replace(plan, decoder_scale=size.decoder_scale)
    return plan


def _chunk_of(shape: tuple[int, int, int, int], side: int, dates: int) -> tuple[int, int, int]:
    """Cut space and time so that a chunk's tables stay small enough to train with little memory."""
    t, h, w, _ = shape
    frames, rows, cols = math.ceil(t / dates), math.ceil(h / side), math.ceil(w / side)
    return math.ceil(t / frames), math.ceil(h / rows), math.ceil(w / cols)


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
