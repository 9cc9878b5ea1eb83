"""One chunk blob (``.gndcc``): its JSON header and three binary sections (specification 6)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from gdal_gndc.errors import EncodeError, FileFormatError, TimeError
from gdal_gndc.format.compression import Buffer
from gdal_gndc.format.config import ModelConfig
from gdal_gndc.format.document import Document, as_number, dump_json, shown, with_unknown
from gdal_gndc.format.mask import Mask
from gdal_gndc.format.residual import ResidualInfo, Residuals, Shape
from gdal_gndc.format.weights import Quantization, Tensor, unpack_weights
from gdal_gndc.times import format_time, parse_time, short_time

_LENGTH = struct.Struct("<I")
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_PARAMS = {
    2: ("local_planar_params", ("lon_min", "lon_span", "lat_min", "lat_span")),
    1: ("local_xyz_params", ("x_min", "x_span", "y_min", "y_span", "z_min", "z_span")),
}


@dataclass(frozen=True)
class Chunk:
    """One trained model with its mask and residuals, validated but still compressed.

    Attributes
    ----------
    config, quantization
        Shape of the network and how its weights are stored.
    weights
        The weight section (one zstd frame).
    data_range
        (min, max) per band, in physical units (log1p of them if ``meta.use_log``).
    train_start, train_end
        Times that the network knows as 0 and 1, UTC; None if the cube's own apply.
    train_frames
        How many frames the network was trained on; other readers want to be told, none need it.
    norm_mode, norm_params
        Convention of the network's coordinates, and its parameters by name (modes 1 and 2).
    has_residuals, residual_info, residual_bytes
        The residual section; empty bytes and None without one.
    mask_bytes
        The mask section, empty without a mask.
    t_norms
        What the network knows each frame's time as, where a file of the layout before 0.9 says it itself.
    raw
        The JSON header as read.
    """

    config: ModelConfig
    quantization: Quantization
    weights: Buffer
    data_range: tuple[tuple[float, float], ...]
    train_start: datetime | None = None
    train_end: datetime | None = None
    train_frames: int | None = None
    norm_mode: int = 3
    norm_params: dict[str, float] = field(default_factory=dict)
    has_residuals: bool = False
    residual_info: ResidualInfo | None = None
    mask_bytes: Buffer = b""
    residual_bytes: Buffer = b""
    t_norms: tuple[float, ...] = field(default=(), compare=False)
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    path: str | None = field(default=None, compare=False)
    entry: str | None = field(default=None, compare=False)

    @classmethod
    def from_bytes(cls, blob: Buffer, *, n_bands: int, path: str | None = None, entry: str | None = None) -> Chunk:
        """Read a chunk blob. Its binary sections are views of it; nothing is decompressed yet.

        Parameters
        ----------
        blob
            The whole entry.
        n_bands
            Bands of the cube, which the chunk must agree with.

        Raises
        ------
        FileFormatError
            If lengths, header or variants are not what a v0.9 chunk may have.
        """
        view = memoryview(blob)
        sections: list[memoryview] = []
        start = 0
        names = ["chunk_meta_json", "weights", "mask"]
        header: Document | None = None
        while len(sections) < len(names):
            name = names[len(sections)]
            if len(view) - start < _LENGTH.size:
                raise FileFormatError(f"chunk of {len(view)} bytes ends before {name}", path=path, entry=entry)
            (length,) = _LENGTH.unpack_from(view, start)
            start += _LENGTH.size
            if length > len(view) - start:
                problem = f"{name} declares {length} bytes, but {len(view) - start} are left of {len(view)}"
                raise FileFormatError(problem, path=path, entry=entry)
            sections.append(view[start : start + length])
            start += length
            if header is None:
                header = Document.parse(sections[0], path=path, entry=entry)
                if header.boolean("has_residuals", False):
                    names.append("residuals")
        assert header is not None
        if start != len(view):
            header.fail(f"{len(view) - start} bytes after the last section, expected none")
        return cls._from_parts(header, n_bands, sections)

    @classmethod
    def _from_parts(cls, header: Document, n_bands: int, sections: list[memoryview]) -> Chunk:
        config = ModelConfig.from_json(header.child("model_config"), spatial_dims=header.integer("spatial_dims", None))
        if config.n_bands != n_bands:
            header.fail(f"model_config.n_bands is {config.n_bands}, but the cube has {n_bands} bands")
        start, end, frames = _train_times(header)
        mode, params = _norm(header)
        residuals = len(sections) == 4
        return cls(
            config=config,
            quantization=Quantization.from_json(header.child("quantization_info")),
            weights=sections[1],
            data_range=_data_range(header, n_bands),
            train_start=start,
            train_end=end,
            train_frames=frames,
            norm_mode=mode,
            norm_params=params,
            has_residuals=residuals,
            residual_info=(
                ResidualInfo.from_json(header.child("residual_info"), n_bands=n_bands) if residuals else None
            ),
            mask_bytes=sections[2],
            residual_bytes=sections[3] if residuals else b"",
            raw=header.members,
            path=header.path,
            entry=header.entry,
        )

    def tensors(self, expected: tuple[int, ...]) -> list[Tensor]:
        """Decompress the weights; see `unpack_weights`."""
        return unpack_weights(self.weights, self.quantization, expected, path=self.path, entry=self.entry)

    def mask(self, *, frames: int, height: int, width: int) -> Mask | None:
        """Read the mask section for the stored extent of the chunk; None if nothing is masked."""
        return Mask.from_bytes(
            self.mask_bytes, frames=frames, height=height, width=width, path=self.path, entry=self.entry
        )

    def residuals(self, *, shape: Shape) -> Residuals | None:
        """Read the residual section for the stored (T, H, W, C) of the chunk; None if it has none."""
        if self.residual_info is None:
            return None
        return Residuals.from_bytes(
            self.residual_bytes, self.residual_info, shape=shape, path=self.path, entry=self.entry
        )

    def to_bytes(self) -> bytes:
        """Return the blob; unknown keys of a header that was read are kept.

        Raises
        ------
        EncodeError
            If a section is longer than its 32-bit length can say.
        """
        sections = [dump_json(self._header()), self.weights, self.mask_bytes]
        if self.has_residuals:
            sections.append(self.residual_bytes)
        parts: list[Buffer] = []
        for section in sections:
            if len(section) > 0xFFFFFFFF:
                raise EncodeError(f"a chunk section of {len(section)} bytes, at most {0xFFFFFFFF} fit")
            parts += [_LENGTH.pack(len(section)), section]
        return b"".join(parts)

    def _header(self) -> dict[str, Any]:
        header: dict[str, Any] = {
            "model_config": with_unknown(self.config.to_json(), self.raw.get("model_config", {})),
            "quantization_info": self.quantization.to_json(),
            "train_data_range": [list(pair) for pair in self.data_range],
            "has_residuals": self.has_residuals,
            "norm_mode": self.norm_mode,
        }
        if self.train_start is not None and self.train_end is not None:
            times: dict[str, Any] = {
                "start": short_time(self.train_start),
                "end": short_time(self.train_end),
            }
            if self.train_frames is not None:
                times["n_frames"] = self.train_frames
            header["train_time_range"] = with_unknown(times, self.raw.get("train_time_range") or {})
        if self.norm_params:
            header[_PARAMS[self.norm_mode][0]] = dict(self.norm_params)
        if self.residual_info is not None:
            header["residual_info"] = self.residual_info.to_json()
        optional = ("train_time_range", "residual_info", *(key for key, _ in _PARAMS.values()))
        return with_unknown(header, self.raw, optional)


def _data_range(header: Document, n_bands: int) -> tuple[tuple[float, float], ...]:
    pairs = header.array("train_data_range")
    if len(pairs) != n_bands:
        header.fail(f"train_data_range has {len(pairs)} entries for {n_bands} bands")
    ranges = []
    for i, pair in enumerate(pairs):
        numbers = [as_number(v) for v in pair] if isinstance(pair, list) else []
        low, high = numbers if len(numbers) == 2 else (None, None)
        if low is None or high is None or not -_FLOAT32_MAX <= low <= high <= _FLOAT32_MAX:
            header.fail(f"train_data_range[{i}] is {shown(pair)}, expected [min, max] in the range of float32")
        ranges.append((low, high))
    return tuple(ranges)


def _train_times(header: Document) -> tuple[datetime | None, datetime | None, int | None]:
    if not header.has("train_time_range"):
        return None, None, None
    times = header.child("train_time_range")
    try:
        start, end = parse_time(times.string("start")), parse_time(times.string("end"))
    except TimeError as error:
        header.fail(f"train_time_range: {error}", error)
    if end < start:
        header.fail(f"train_time_range ends at {format_time(end)}, before its start {format_time(start)}")
    return start, end, times.integer("n_frames", None, low=0)


def _norm(header: Document) -> tuple[int, dict[str, float]]:
    # Absent means 2, the convention of the first writers; new files say 3.
    mode: int = header.integer("norm_mode", 2, low=0, high=3)
    if mode not in _PARAMS:
        return mode, {}
    key, names = _PARAMS[mode]
    if not header.has(key):
        # Mode 1 without parameters is read as mode 0.
        if mode == 1:
            return mode, {}
        said = "norm_mode is absent, which means 2" if not header.has("norm_mode") else f"norm_mode is {mode}"
        header.fail(f"{said}, but {key} is absent")
    params = header.child(key)
    values = {name: params.number(name) for name in names}
    for name, value in values.items():
        if name.endswith("_span") and value == 0.0:
            params.wrong(name, "a nonzero number")
    return mode, values
