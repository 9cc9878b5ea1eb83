"""Residuals of the single-file layout, versions 0.4 to 0.8."""

from __future__ import annotations

import math
import struct
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import FileFormatError
from gdal_gndc.format.compression import Buffer, lzma_exact, zstd_exact
from gdal_gndc.format.dense import DenseStream
from gdal_gndc.format.document import Document, shown
from gdal_gndc.format.residual import ResidualFrame, ResidualInfo, Residuals, Shape, sparse_frame

_DTYPES: dict[str, np.dtype[Any]] = {"int8": np.dtype("<i1"), "int16": np.dtype("<i2"), "float16": np.dtype("<f2")}
_LENGTH = struct.Struct("<I")
_SHAPE = struct.Struct("<4i")
_FRAME = struct.Struct("<fI")
_VALUES = struct.Struct("<II")
# two 64-bit integers before a dense stream, which say nothing
_LEAD = 16

Floats = NDArray[np.float32]


class LegacyResiduals(Residuals):
    """A dense stream of all values and, from 0.6 on, single values that take the place of its.

    Raises
    ------
    FileFormatError
        If the section is damaged or of another shape.
    """

    def __init__(
        self,
        data: Buffer,
        header: Document,
        version: str,
        shape: Shape,
        *,
        path: str | None = None,
        entry: str | None = None,
    ) -> None:
        super().__init__(shape, ResidualInfo(), (), path=path, entry=entry)
        dtype = header.string("dtype", "int16")
        if dtype not in _DTYPES:
            header.fail(f"{header.name('dtype')} {shown(dtype)} is not supported, expected {', '.join(_DTYPES)}")
        self._dtype = _DTYPES[dtype]
        self._scale = np.float32(1.0 if dtype == "float16" else header.number("scale", 1.0))
        self._codec: str = header.string("outlier_vals_codec", "lzma")
        self._layout: str = header.string("outlier_layout", "")
        if self._layout not in ("", "chunked_v1", "bitmap_v1"):
            header.fail(f"{header.name('outlier_layout')} {shown(self._layout)} is not supported")
        section = memoryview(data)
        self._outlier_bytes = section[:0]
        if version < "0.6":
            self._dense: DenseStream | None = self._stream(section)
            return
        (main,) = _LENGTH.unpack(self._take(section, 0, _LENGTH.size))
        at = _LENGTH.size + main
        flag = self._take(section, at, 1)[0]
        self._dense = self._stream(self._take(section, _LENGTH.size, main)) if main else None
        if flag not in (0, 1):
            raise self._error(f"has_outliers is {flag}, expected 0 or 1")
        if flag:
            self._outlier_bytes = section[at + 1 :]
        elif len(section) != at + 1:
            raise self._error(f"{len(section) - at - 1} bytes after has_outliers 0, expected none")

    def frame(self, k: int) -> ResidualFrame | None:
        """Return the corrections of frame ``k``, None if it has none."""
        if not 0 <= k < self.shape[0]:
            raise IndexError(f"residual frame {k} of {self.shape[0]}")
        size = math.prod(self.shape[1:])
        if self._dense is None:
            values = np.zeros(size, np.float32)
        else:
            values = np.frombuffer(self._dense.frame(k), self._dtype).astype(np.float32) * self._scale
        if len(self._outlier_bytes):
            read = {"chunked_v1": self._chunked, "bitmap_v1": self._bitmap, "": self._listed}[self._layout]
            positions, found = read(k, size)
            values[positions] = found
        return sparse_frame(values)

    def _stream(self, data: memoryview) -> DenseStream:
        frame = math.prod(self.shape[1:]) * self._dtype.itemsize
        return DenseStream(
            data, "zstd", self.shape[0], frame, "residuals", lead=_LEAD, path=self.path, entry=self.entry
        )

    def _chunked(self, k: int, size: int) -> tuple[NDArray[np.intp], Floats]:
        """As in the container, but positions are the bitmap of a frame."""
        data, at = self._outlier_bytes, self._check_shape()
        (n,) = _LENGTH.unpack(self._take(data, at, _LENGTH.size))
        if n != self.shape[0] + 1:
            raise self._error(f"{n} offsets, expected {self.shape[0] + 1}, one more than frames")
        at += _LENGTH.size
        offsets = struct.unpack(f"<{n}Q", self._take(data, at, 8 * n))
        frames = data[at + 8 * n :]
        if offsets[0] != 0 or offsets[-1] != len(frames) or any(a > b for a, b in pairwise(offsets)):
            raise self._error(f"offsets do not divide the {len(frames)} bytes of its frames")
        chunk = frames[offsets[k] : offsets[k + 1]]
        scale, pos_len = _FRAME.unpack(self._take(chunk, 0, _FRAME.size))
        bits = self._take(chunk, _FRAME.size, pos_len)
        count, vals_len = _VALUES.unpack(self._take(chunk, _FRAME.size + pos_len, _VALUES.size))
        packed = self._take(chunk, _FRAME.size + pos_len + _VALUES.size, vals_len)
        if not count:
            return np.empty(0, np.intp), np.empty(0, np.float32)
        positions = self._positions(bits, size, f"residual frame {k}, positions")
        if positions.size != count or count > size:
            raise self._error(f"frame {k} marks {positions.size} places, but has {count} values")
        expand = zstd_exact if self._codec == "zstd" else lzma_exact
        dtype = _DTYPES["int8" if self._dtype.itemsize == 1 else "int16"]
        raw = expand(packed, count * dtype.itemsize, f"residual frame {k}, values", path=self.path, entry=self.entry)
        return positions, np.frombuffer(raw, dtype).astype(np.float32) * np.float32(scale)

    def _bitmap(self, k: int, size: int) -> tuple[NDArray[np.intp], Floats]:
        """One bitmap and one list of int16 for all frames."""
        data, at = self._outlier_bytes, self._check_shape()
        (length,) = _LENGTH.unpack(self._take(data, at, _LENGTH.size))
        bits = self._take(data, at + _LENGTH.size, length)
        at += _LENGTH.size + length
        scale, n_bytes = _FRAME.unpack(self._take(data, at, _FRAME.size))
        values = np.frombuffer(self._take(data, at + _FRAME.size, n_bytes - n_bytes % 2), "<i2")
        positions = self._positions(bits, size * self.shape[0], "residuals, positions")
        if positions.size != values.size:
            raise self._error(f"{positions.size} places are marked, but there are {values.size} values")
        mine = (positions >= k * size) & (positions < (k + 1) * size)
        return positions[mine] - k * size, values[mine].astype(np.float32) * np.float32(scale)

    def _listed(self, k: int, size: int) -> tuple[NDArray[np.intp], Floats]:
        """Positions and values one by one."""
        data = self._outlier_bytes
        (count,) = _LENGTH.unpack(self._take(data, 0, _LENGTH.size))
        positions = np.frombuffer(self._take(data, _LENGTH.size, 8 * count), "<i8").astype(np.intp)
        left = len(data) - _LENGTH.size - 8 * count
        if left not in (2 * count, 4 * count):
            raise self._error(f"{left} bytes of values for {count} places, expected {2 * count} or {4 * count}")
        values = np.frombuffer(data[_LENGTH.size + 8 * count :], "<f2" if left == 2 * count else "<f4")
        if count and not (positions.min() >= 0 and positions.max() < size * self.shape[0]):
            raise self._error(f"a position outside the {size * self.shape[0]} values of the cube")
        mine = (positions >= k * size) & (positions < (k + 1) * size)
        return positions[mine] - k * size, values[mine].astype(np.float32)

    def _check_shape(self) -> int:
        found = _SHAPE.unpack(self._take(self._outlier_bytes, 0, _SHAPE.size))
        if found != tuple(self.shape):
            raise self._error(f"shape {found}, expected {tuple(self.shape)}")
        return _SHAPE.size

    def _positions(self, packed: memoryview, size: int, what: str) -> NDArray[np.intp]:
        bits = zstd_exact(packed, (size + 7) // 8, what, path=self.path, entry=self.entry)
        return np.flatnonzero(np.unpackbits(np.frombuffer(bits, np.uint8), count=size))

    def _take(self, data: memoryview, at: int, count: int) -> memoryview:
        if count > len(data) - at:
            raise self._error(f"{count} bytes are declared at byte {at}, but {max(len(data) - at, 0)} are left")
        return data[at : at + count]

    def _error(self, problem: str) -> FileFormatError:
        return FileFormatError(f"residuals: {problem}", path=self.path, entry=self.entry)
