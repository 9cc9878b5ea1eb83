"""How a cube will be encoded, all of it: the same plan gives the same file."""

from __future__ import annotations

import math
import os
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from gdal_gndc.atomic import replacing
from gdal_gndc.errors import EncodeError, FileFormatError
from gdal_gndc.format.config import ModelConfig
from gdal_gndc.format.document import Document


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
    overlap, t_overlap
        Halo of the chunks in pixels and in frames.
    max_error
        Largest error of each band in physical units, kept by corrections; empty for none.
    virtual_frames, virtual_weight
        Frames in every gap between dates that a smoother makes up for training, and their weight in the loss.
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
    t_overlap: int = 0
    max_error: tuple[float, ...] = ()
    virtual_frames: int = 0
    virtual_weight: float = 0.1
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON members."""
        members = asdict(self)
        members["config"] = self.config.to_json()
        for key in ("shape", "chunk", "max_error"):
            members[key] = list(members[key])
        return members

    @classmethod
    def from_json(cls, members: Any, name: str = "plan") -> Plan:
        """Read what `to_json` gave.

        Raises
        ------
        EncodeError
            If a member is missing, unknown, or of another type than expected; it is named.
        """
        if not isinstance(members, dict):
            raise EncodeError(f"{name}: is {type(members).__name__}, expected the members of a plan")
        known = {f.name: f for f in fields(cls)}
        for key in members:
            if key not in known:
                raise EncodeError(f"{name}: {key!r} is no member of a plan; those are {', '.join(known)}")
        found: dict[str, Any] = {}
        for key, field in known.items():
            if key not in members:
                if field.default is MISSING:
                    raise EncodeError(f"{name}: has no {key!r}")
                continue
            found[key] = _member(f"{name}: {key}", members[key], field.default, key)
        return cls(**found)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan as YAML, for `load`."""
        import yaml

        with replacing(Path(path).resolve()) as beside:
            beside.write_text(yaml.safe_dump(self.to_json(), sort_keys=False, default_flow_style=None), "utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """Read a plan that `save` wrote.

        Raises
        ------
        EncodeError
            If the file cannot be read or holds no plan.
        """
        import yaml

        try:
            members = yaml.safe_load(Path(path).read_text("utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise EncodeError(f"{path}: cannot be read as a plan in YAML: {error}") from error
        return cls.from_json(members, str(path))

    @property
    def quantisation(self) -> str:
        """Name of the quantisation mode."""
        return "int8_per_tensor" if self.decoder_scale > 0 else "int8_per_tensor_f16dec"

    @property
    def n_chunks(self) -> int:
        """Chunks of the cube, in time, y and x."""
        return math.prod(math.ceil(n / size) for n, size in zip(self.shape[:3], self.chunk, strict=True))

    def explain(self) -> str:
        """Return a few lines on what will be done."""
        t, h, w, c = self.shape
        k = self.config
        t_finest = finest_cells(k.t_base_resolution, k.t_per_level_scale, k.t_n_levels)
        temporal = (
            "no temporal grid"
            if k.disable_temporal
            else f"temporal grid {k.t_n_levels} levels x {k.t_features_per_level} features, "
            f"{k.t_base_resolution} to {t_finest} cells in time, {k.spatial_scale * t_finest:.0f} across"
        )
        return "\n".join(
            [
                f"cube: {t} dates, {h} x {w} pixels, {c} bands; preset {self.preset}",
                f"chunks: {self.n_chunks} of at most {self.chunk[0]} dates, {self.chunk[1]} x {self.chunk[2]} pixels, "
                f"halo {self.overlap}" + (f", {self.t_overlap} dates" if self.t_overlap else ""),
                f"spatial grid {k.xy_n_levels} levels x {k.xy_features_per_level} features, {k.xy_base_resolution} to "
                f"{finest_cells(k.xy_base_resolution, k.xy_per_level_scale, k.xy_n_levels)} cells",
                temporal,
                f"decoder {k.decoder_hidden} wide, {k.n_hidden_layers} hidden layers, {self.quantisation}",
                f"training: {self.steps} steps of {self.batch} samples a chunk",
            ]
        )


def _member(name: str, value: Any, default: Any, key: str) -> Any:
    if key == "config":
        if not isinstance(value, dict):
            raise EncodeError(f"{name} is {value!r}, expected members")
        try:
            return ModelConfig.from_json(Document(value, where=name))
        except FileFormatError as error:
            raise EncodeError(str(error)) from error
    if key in ("shape", "chunk", "max_error"):
        if not isinstance(value, list) or any(isinstance(v, bool) or not isinstance(v, int | float) for v in value):
            raise EncodeError(f"{name} is {value!r}, expected a list of numbers")
        return tuple(value)
    if key == "preset":
        return str(value)
    whole = isinstance(default, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise EncodeError(f"{name} is {value!r}, expected {'a whole number' if whole else 'a number'}")
    if not 0 <= value < math.inf:
        raise EncodeError(f"{name} is {value}, expected a finite number from 0")
    return value


def finest_cells(base: int, growth: float, levels: int) -> int:
    """Return the cells per side of the last level of a grid."""
    return round(base * growth ** (levels - 1))
