"""The residual section of a chunk: sparse corrections, frame by frame (specification 6.4)."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import EncodeError, FileFormatError
from gdal_gndc.format.compression import Buffer, lzma_compress, lzma_exact, zstd_compress, zstd_exact
from gdal_gndc.format.dense import DenseStream
from gdal_gndc.format.document import Document, shown, with_unknown

Shape = tuple[int, int, int, int]

_LENGTH = struct.Struct("<I")
_OUTLIERS = struct.Struct("<4iI")
_FRAME = struct.Struct("<fI")
_VALUES = struct.Struct("<II")
_DTYPES: dict[str, np.dtype[Any]] = {"int8": np.dtype("<i1"), "int16": np.dtype("<i2")}
_PER_FRAME, _NATIVE = "perframe_int16", "native"
_FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class ResidualInfo:
    """``residual_info``: how residual values are stored and what one step is worth.

    ``value_mode`` is ``perframe_int16`` (value * frame scale) or ``native`` (value * ``band_scales[band]``; a
    single entry serves all bands, none means the frame scale).
    """

    dtype: str = "int16"
    value_mode: str = _PER_FRAME
    band_scales: tuple[float, ...] = ()
    vals_codec: str = "lzma"
    main_codec: str = "zstd"
    scale: float = 1.0
    threshold: float | None = None
    outlier_count: int | None = None
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, document: Document, *, n_bands: int) -> ResidualInfo:
        """Read ``residual_info``; codecs, layouts and value modes that are not known are refused."""
        layout = document.string("outlier_layout", "chunked_v1")
        if layout != "chunked_v1":
            document.fail(f'{document.name("outlier_layout")} {shown(layout)} is not supported, expected "chunked_v1"')
        mode = _choice(document, "value_mode", (_PER_FRAME, _NATIVE))
        scales = document.numbers("band_scales") if document.has("band_scales") else ()
        if len(scales) not in (0, 1, n_bands):
            document.fail(f"{document.name('band_scales')} has {len(scales)} entries for {n_bands} bands")
        if any(abs(scale) > _FLOAT32_MAX for scale in scales):
            document.wrong("band_scales", "numbers in the range of float32")
        return cls(
            dtype=_choice(document, "dtype", ("int16", "int8")),
            value_mode=mode,
            band_scales=scales,
            vals_codec=_choice(document, "outlier_vals_codec", ("lzma", "zstd")),
            main_codec=_choice(document, "main_codec", ("zstd", "lzma")),
            scale=_scale(document),
            threshold=document.number("threshold", None),
            outlier_count=document.integer("outlier_count", None, low=0),
            raw=document.members,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the ``residual_info`` object; unknown keys that were read are kept."""
        members: dict[str, Any] = {
            "dtype": self.dtype,
            "scale": self.scale,
            "outlier_value_scale": self.raw.get("outlier_value_scale", 1.0),
            "main_codec": self.main_codec,
            "outlier_layout": "chunked_v1",
            "outlier_vals_codec": self.vals_codec,
            "value_mode": self.value_mode,
        }
        for key in ("threshold", "outlier_count"):
            if (value := getattr(self, key)) is not None:
                members[key] = value
        if self.band_scales:
            members["band_scales"] = list(self.band_scales)
        return with_unknown(members, self.raw, ("threshold", "outlier_count", "band_scales"))

    @property
    def uses_band_scales(self) -> bool:
        """Whether values count in steps of ``band_scales`` rather than of the frame's scale."""
        return self.value_mode == _NATIVE and bool(self.band_scales)


@dataclass(frozen=True, eq=False)
class ResidualFrame:
    """Corrections of one frame.

    ``deltas`` (n,) int32 are the gaps between ascending positions (row * width + col) * n_bands + band, the
    first one from 0; ``values`` (n,) int16 or int8 count steps of ``frame_scale`` or of the bands' scales, float32
    are what they are. ``zstd`` are both, if they have been compressed already.
    """

    deltas: NDArray[np.int32]
    values: NDArray[Any]
    frame_scale: float = 1.0
    zstd: tuple[bytes, bytes] | None = field(default=None, compare=False, repr=False)


class Residuals:
    """Residuals over the stored extent (halo included) of a chunk, decompressed when asked for."""

    def __init__(
        self,
        shape: Shape,
        info: ResidualInfo,
        frames: Sequence[Buffer],
        *,
        main: DenseStream | None = None,
        path: str | None = None,
        entry: str | None = None,
    ) -> None:
        self._main = main
        self.shape = shape
        self.info = info
        self.path = path
        self.entry = entry
        self._frames = tuple(frames)

    @classmethod
    def from_bytes(
        cls,
        data: Buffer,
        info: ResidualInfo,
        *,
        shape: Shape,
        path: str | None = None,
        entry: str | None = None,
    ) -> Residuals:
        """Read a residual section; nothing is decompressed yet.

        Parameters
        ----------
        data
            The section.
        shape
            Stored (T, H, W, C) of the chunk, which the section must agree with.

        Raises
        ------
        FileFormatError
            If the section is damaged or has another shape.
        """

        def fail(problem: str) -> FileFormatError:
            return FileFormatError(f"residuals: {problem}", path=path, entry=entry)

        section = memoryview(data)
        if len(section) < _LENGTH.size + 1:
            raise fail(f"{len(section)} bytes, expected {_LENGTH.size + 1} at least")
        (main,) = _LENGTH.unpack_from(section)
        if main > len(section) - _LENGTH.size - 1:
            raise fail(f"main_len is {main}, but {len(section) - _LENGTH.size - 1} bytes are left for it")
        stream = None
        if main:
            frame_bytes = shape[1] * shape[2] * shape[3] * _DTYPES[info.dtype].itemsize
            stream = DenseStream(
                section[_LENGTH.size : _LENGTH.size + main], info.main_codec, shape[0], frame_bytes,
                "residuals, in-band stream", path=path, entry=entry,
            )  # fmt: skip
        start = _LENGTH.size + main
        flag, start = section[start], start + 1
        if flag not in (0, 1):
            raise fail(f"has_outliers is {flag}, expected 0 or 1")
        if not flag:
            if len(section) != start:
                raise fail(f"{len(section) - start} bytes after has_outliers 0, expected none")
            return cls(shape, info, [], main=stream, path=path, entry=entry)
        if len(section) - start < _OUTLIERS.size:
            raise fail(f"{len(section)} bytes, expected a header of {start + _OUTLIERS.size}")
        *found, n_offsets = _OUTLIERS.unpack_from(section, start)
        start += _OUTLIERS.size
        if tuple(found) != tuple(shape):
            raise fail(f"shape {tuple(found)}, expected {tuple(shape)}, the stored extent of the chunk")
        if n_offsets != shape[0] + 1:
            raise fail(f"{n_offsets} offsets, expected {shape[0] + 1}, one more than frames")
        if len(section) - start < 8 * n_offsets:
            raise fail(f"{n_offsets} offsets need {8 * n_offsets} bytes, but {len(section) - start} are left")
        offsets = struct.unpack_from(f"<{n_offsets}Q", section, start)
        chunks = section[start + 8 * n_offsets :]
        if offsets[0] != 0 or offsets[-1] != len(chunks) or any(a > b for a, b in pairwise(offsets)):
            bad = next((o for o in offsets if o > len(chunks)), None)
            what = f"offset {bad} is outside" if bad is not None else f"offsets {shown(list(offsets))} do not divide"
            raise fail(f"{what} the {len(chunks)} bytes of the section's frames")
        return cls(shape, info, [chunks[a:b] for a, b in pairwise(offsets)], main=stream, path=path, entry=entry)

    def frame(self, k: int) -> ResidualFrame | None:
        """Return the corrections of stored frame ``k``, None if it has none.

        Raises
        ------
        FileFormatError
            If the frame is damaged, or a position lies outside it or is out of order.
        """
        if not 0 <= k < self.shape[0]:
            raise IndexError(f"residual frame {k} of {self.shape[0]}")
        sparse = self._outliers(k) if self._frames else None
        if self._main is None:
            return sparse
        dtype = _DTYPES[self.info.dtype]
        values = np.frombuffer(self._main.frame(k), dtype) * np.float32(self.info.scale)
        if sparse is not None:
            positions = np.cumsum(sparse.deltas, dtype=np.int64)
            values[positions] += sparse.values * self._steps(positions, sparse.frame_scale)
        return sparse_frame(values)

    def _steps(self, positions: NDArray[np.int64], frame_scale: float) -> NDArray[np.float32] | np.float32:
        """What one step is worth at positions of a frame."""
        if not self.info.uses_band_scales:
            return np.float32(frame_scale)
        scales = np.asarray(self.info.band_scales, np.float32)
        return scales[positions % self.shape[3] if scales.size > 1 else np.zeros_like(positions)]

    def _outliers(self, k: int) -> ResidualFrame | None:
        what = f"residual frame {k}"
        chunk = memoryview(self._frames[k])

        def fail(problem: str) -> FileFormatError:
            return FileFormatError(f"{what}: {problem}", path=self.path, entry=self.entry)

        least = _FRAME.size + _VALUES.size
        if len(chunk) < least:
            raise fail(f"{len(chunk)} bytes, expected {least} at least")
        scale, pos_len = _FRAME.unpack_from(chunk)
        if pos_len > len(chunk) - least:
            raise fail(f"positions declare {pos_len} bytes, but {len(chunk) - least} are left")
        positions = chunk[_FRAME.size : _FRAME.size + pos_len]
        count, vals_len = _VALUES.unpack_from(chunk, _FRAME.size + pos_len)
        values = chunk[least + pos_len :]
        if vals_len != len(values):
            raise fail(f"values declare {vals_len} bytes, found {len(values)}")
        if not math.isfinite(scale):
            raise fail(f"scale {scale}, expected a finite number")
        size = self.shape[1] * self.shape[2] * self.shape[3]
        if count > size:
            raise fail(f"{count} outliers, but a frame has {size} values")
        if not count:
            if pos_len or vals_len:
                raise fail(f"{pos_len} + {vals_len} bytes of positions and values for no outliers, expected none")
            return None
        place = {"path": self.path, "entry": self.entry}
        deltas = np.frombuffer(zstd_exact(positions, 4 * count, f"{what}, positions", **place), dtype="<i4")
        _check_positions(deltas, size, fail)
        dtype = _DTYPES[self.info.dtype]
        expand = lzma_exact if self.info.vals_codec == "lzma" else zstd_exact
        stored = expand(values, dtype.itemsize * count, f"{what}, values", **place)
        return ResidualFrame(deltas, np.frombuffer(stored, dtype=dtype), scale)

    @staticmethod
    def pack(frames: Sequence[ResidualFrame | None], shape: Shape, info: ResidualInfo, level: int = 19) -> bytes:
        """Return the residual section of frames; see `pack_residuals`."""
        return pack_residuals(frames, shape, info, level)


def sparse_frame(values: NDArray[np.float32]) -> ResidualFrame | None:
    """Return the corrections of a frame given densely, in physical units; None if all are 0."""
    positions = np.flatnonzero(values)
    if not positions.size:
        return None
    deltas = np.diff(positions, prepend=0).astype(np.int32)
    return ResidualFrame(deltas, np.ascontiguousarray(values[positions], np.float32))


def pack_residuals(frames: Sequence[ResidualFrame | None], shape: Shape, info: ResidualInfo, level: int = 19) -> bytes:
    """Return the residual section of one frame per stored date (None: nothing to correct).

    Parameters
    ----------
    frames
        T entries with ascending positions and values of ``info.dtype``.
    shape
        Stored (T, H, W, C).

    Raises
    ------
    EncodeError
        If the frames do not fit the shape or the info.
    """
    if len(frames) != shape[0]:
        raise EncodeError(f"{len(frames)} residual frames, expected {shape[0]}")
    compress = lzma_compress if info.vals_codec == "lzma" else lambda data: zstd_compress(data, level)
    dtype = _DTYPES[info.dtype]
    size = shape[1] * shape[2] * shape[3]
    parts, offsets = [], [0]
    for k, frame in enumerate(frames):
        if frame is None or not frame.deltas.size:
            parts.append(_FRAME.pack(1.0, 0) + _VALUES.pack(0, 0))
        else:
            if frame.values.dtype != dtype or frame.values.shape != frame.deltas.shape or frame.deltas.ndim != 1:
                raise EncodeError(
                    f"residual frame {k}: {frame.values.shape} values of {frame.values.dtype} for "
                    f"{frame.deltas.shape} positions, expected as many of {info.dtype}"
                )
            if frame.deltas.dtype != np.int32:
                raise EncodeError(f"residual frame {k}: positions of {frame.deltas.dtype}, expected int32")
            _check_positions(frame.deltas, size, lambda problem, k=k: EncodeError(f"residual frame {k}: {problem}"))
            zstd = frame.zstd or (None, None)
            positions = zstd[0] or zstd_compress(frame.deltas.astype("<i4").tobytes(), level)
            values = zstd[1] if info.vals_codec == "zstd" else None
            values = values or compress(frame.values.astype(dtype).tobytes())
            parts.append(
                _FRAME.pack(frame.frame_scale, len(positions))
                + positions
                + _VALUES.pack(frame.deltas.size, len(values))
                + values
            )
        offsets.append(offsets[-1] + len(parts[-1]))
    head = _LENGTH.pack(0) + b"\x01" + _OUTLIERS.pack(*shape, len(offsets))
    return b"".join([head, struct.pack(f"<{len(offsets)}Q", *offsets), *parts])


def _check_positions(deltas: NDArray[np.int32], size: int, fail: Any) -> None:
    # Summed in 64 bits: two large gaps overflow 32.
    last = int(deltas.sum(dtype=np.int64))
    if int(deltas[0]) < 0 or (deltas[1:] <= 0).any():
        raise fail("positions do not ascend")
    if last >= size:
        raise fail(f"position {last} is outside a frame of {size} values")


def _scale(document: Document) -> float:
    scale: float = document.number("scale", 1.0)
    if abs(scale) > _FLOAT32_MAX:
        document.wrong("scale", "a number in the range of float32")
    return scale


def _choice(document: Document, key: str, names: tuple[str, ...]) -> str:
    """Return one of ``names``, the first by default."""
    value = document.string(key, names[0])
    if value not in names:
        document.fail(f"{document.name(key)} {shown(value)} is not supported, expected {' or '.join(names)}")
    return str(value)
