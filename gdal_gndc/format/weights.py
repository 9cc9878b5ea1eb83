"""The weight payload of a chunk: compressed bytes to one tensor a component, still quantised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import EncodeError, FileFormatError
from gdal_gndc.format.compression import Buffer, zstd_compress, zstd_exact, zstd_smallest
from gdal_gndc.format.document import Document, shown, with_unknown

_ITEMSIZE = {"float16": 2, "int8": 1, "int16": 2}
_NUMPY: dict[str, np.dtype[Any]] = {
    "float16": np.dtype("<f2"),
    "int8": np.dtype("<i1"),
    "int16": np.dtype("<i2"),
}

# mode -> dtype of the grids, dtype of the decoder, whether every component has a scale of its own
_MODES = {
    "float16": ("float16", "float16", False),
    "int8_per_tensor_f16dec": ("int8", "float16", True),
    "int16_per_tensor_f16dec": ("int16", "float16", True),
    "int8_per_tensor": ("int8", "int8", True),
    "int16_per_tensor": ("int16", "int16", True),
    "int8": ("int8", "int8", False),
    "int16": ("int16", "int16", False),
}
MODES = tuple(_MODES)
_KEYS = ("scale", "scales", "sizes", "components", "decoder_size")


@dataclass(frozen=True)
class Quantization:
    """``quantization_info``: how the weights of a chunk are stored.

    Parameters
    ----------
    mode
        One of `MODES`.
    scales
        Divisors that turn integers into weights: one per integer component, a single one for the older
        ``int8`` and ``int16``, none for ``float16``.
    sizes
        Element counts per component, without the decoder in the ``_f16dec`` modes; None if not given.
    components
        Names of the components, in order.
    decoder_size
        Element count of a float16 decoder; None if not given.
    """

    mode: str
    scales: tuple[float, ...] = ()
    sizes: tuple[int, ...] | None = None
    components: tuple[str, ...] = ()
    decoder_size: int | None = None
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, document: Document) -> Quantization:
        """Read ``quantization_info``; scales that are zero or not finite in float32 are refused."""
        mode = document.string("mode")
        if mode not in _MODES:
            document.fail(f"{document.name('mode')} is {shown(mode)}, expected one of {', '.join(MODES)}")
        scales: tuple[float, ...] = ()
        if mode != "float16":
            per_tensor = _MODES[mode][2]
            key = "scales" if per_tensor else "scale"
            scales = document.numbers("scales") if per_tensor else (document.number("scale"),)
            for scale in scales:
                if not _usable_scale(scale):
                    document.fail(f"{document.name(key)} holds {scale!r}, expected a nonzero float32 number")
        sizes = document.integers("sizes", low=0) if document.has("sizes") else None
        names = document.array("components", [])
        if not all(isinstance(name, str) for name in names):
            document.wrong("components", "an array of strings")
        return cls(
            mode=mode,
            scales=scales,
            sizes=sizes,
            components=tuple(names),
            decoder_size=document.integer("decoder_size", None, low=0),
            raw=document.members,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the ``quantization_info`` object; unknown keys that were read are kept."""
        members: dict[str, Any] = {"mode": self.mode}
        if self.mode in ("int8", "int16"):
            members["scale"] = self.scales[0]
        elif self.mode != "float16":
            members["scales"] = list(self.scales)
        if self.sizes is not None:
            members["sizes"] = list(self.sizes)
        if self.components:
            members["components"] = list(self.components)
        if self.decoder_size is not None:
            members["decoder_size"] = self.decoder_size
        return with_unknown(members, self.raw, _KEYS)


@dataclass(frozen=True, eq=False)
class Tensor:
    """One component of the weights: ``count`` little-endian values of ``dtype``.

    A weight is value / scale for integers, and the value itself for ``float16`` (whose ``scale`` is 1).
    """

    data: Buffer
    count: int
    dtype: str
    scale: float = 1.0

    @classmethod
    def from_array(cls, array: NDArray[Any], scale: float = 1.0) -> Tensor:
        """Make a tensor of a float16, int8 or int16 array of any shape (C order)."""
        name = np.asarray(array).dtype.name
        if name not in _ITEMSIZE:
            raise EncodeError(f"weights of type {name}, expected one of {', '.join(_ITEMSIZE)}")
        return cls(np.ascontiguousarray(array, dtype=_NUMPY[name]).tobytes(), int(np.size(array)), name, float(scale))

    def array(self) -> NDArray[Any]:
        """Return the stored values as a read-only 1-D array, without scaling."""
        return np.frombuffer(self.data, dtype=_NUMPY[self.dtype], count=self.count)


def unpack_weights(
    compressed: Buffer,
    quantization: Quantization,
    expected: Sequence[int],
    *,
    path: str | None = None,
    entry: str | None = None,
) -> list[Tensor]:
    """Decompress the weights of a chunk into its components.

    Parameters
    ----------
    compressed
        The zstd frame of the chunk.
    quantization
        How the values are stored.
    expected
        Element counts the model needs: spatial grid, temporal grid unless disabled, decoder.

    Returns
    -------
    list of Tensor
        One per count in ``expected``, in that order; their data are views of one buffer.

    Raises
    ------
    FileFormatError
        If the sizes or the number of scales disagree with ``expected``, or the payload does not have exactly
        the bytes they need. Nothing is allocated before the sizes agree.
    """

    def fail(problem: str) -> FileFormatError:
        return FileFormatError(f"weights ({quantization.mode}): {problem}", path=path, entry=entry)

    counts = tuple(int(count) for count in expected)
    if len(counts) not in (2, 3):
        raise ValueError(f"{len(counts)} components, expected 2 or 3 (spatial, [temporal], decoder)")
    grid, decoder, per_tensor = _MODES[quantization.mode]
    with_scale = counts[:-1] if decoder == "float16" else counts
    sizes = quantization.sizes
    if sizes is None and per_tensor:
        raise fail(f"quantization_info.sizes is absent, expected {shown(with_scale)}")
    # The modes without per-tensor scales need no sizes; if they are there they must be right.
    allowed = (with_scale,) if per_tensor else (counts, counts[:-1])
    if sizes is not None and sizes not in allowed:
        raise fail(f"quantization_info.sizes is {shown(sizes)}, but model_config needs {shown(with_scale)}")
    size = quantization.decoder_size
    if size is None and per_tensor and decoder == "float16":
        raise fail(f"quantization_info.decoder_size is absent, expected {counts[-1]}")
    if size is not None and size != counts[-1]:
        raise fail(f"quantization_info.decoder_size is {size}, but model_config needs {counts[-1]}")
    scales = quantization.scales
    if per_tensor and len(scales) != len(with_scale):
        raise fail(f"quantization_info.scales has {len(scales)} entries, expected {len(with_scale)}")
    if not per_tensor and grid != "float16":
        scales = scales * len(counts)

    types = [grid] * (len(counts) - 1) + [decoder]
    lengths = [count * _ITEMSIZE[kind] for count, kind in zip(counts, types, strict=True)]
    payload = memoryview(zstd_exact(compressed, sum(lengths), f"weights ({quantization.mode})", path=path, entry=entry))
    tensors, start = [], 0
    for i, (count, kind, length) in enumerate(zip(counts, types, lengths, strict=True)):
        scale = 1.0 if kind == "float16" else scales[i]
        tensors.append(Tensor(payload[start : start + length], count, kind, scale))
        start += length
    return tensors


def pack_weights(tensors: Sequence[Tensor], mode: str, level: int | None = None) -> tuple[bytes, Quantization]:
    """Compress the weights of a chunk; the inverse of `unpack_weights`.

    Parameters
    ----------
    tensors
        Spatial grid, temporal grid unless disabled, decoder, of the types that ``mode`` asks for.
    mode
        One of `MODES`; ``int8`` and ``int16`` need the same scale for all tensors.
    level
        Compression level of zstd; by default the smallest of several frames, which takes longer.

    Raises
    ------
    EncodeError
        If the tensors do not fit the mode.
    """
    if mode not in _MODES:
        raise EncodeError(f"quantisation mode {mode!r}, expected one of {', '.join(MODES)}")
    if len(tensors) not in (2, 3):
        raise EncodeError(f"{len(tensors)} weight tensors, expected 2 or 3 (spatial, [temporal], decoder)")
    grid, decoder, per_tensor = _MODES[mode]
    types = [grid] * (len(tensors) - 1) + [decoder]
    for tensor, kind in zip(tensors, types, strict=True):
        if tensor.dtype != kind or len(tensor.data) != tensor.count * _ITEMSIZE[kind]:
            raise EncodeError(
                f"{tensor.count} weights of {tensor.dtype} in {len(tensor.data)} bytes, {mode} needs {kind}"
            )
        if kind != "float16" and not _usable_scale(tensor.scale):
            raise EncodeError(f"weight scale {tensor.scale!r}, expected a nonzero float32 number")
    names = (*("spatial", "phenology")[: len(tensors) - 1], "decoder")
    counts = tuple(tensor.count for tensor in tensors)
    scales = tuple(float(tensor.scale) for tensor, kind in zip(tensors, types, strict=True) if kind != "float16")
    parts = [tensor.data for tensor in tensors]
    data = zstd_smallest(*parts) if level is None else zstd_compress(b"".join(parts), level)
    if per_tensor and decoder == "float16":
        return data, Quantization(mode, scales, counts[:-1], names[:-1], counts[-1])
    if not per_tensor and scales:
        if len(set(scales)) != 1:
            raise EncodeError(f"mode {mode} has one scale for all weights, found {scales}")
        scales = scales[:1]
    return data, Quantization(mode, scales, counts, names)


def _usable_scale(scale: float) -> bool:
    # Compared in float32, where the division is made: 1e-50 is zero there. 3.4e38 is its largest number.
    return math.isfinite(scale) and abs(scale) <= float(np.finfo(np.float32).max) and float(np.float32(scale)) != 0.0
