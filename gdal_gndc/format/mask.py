"""The mask section of a chunk: one packed bitmap per frame, 1 where there is no data (specification 6.3)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import EncodeError, FileFormatError
from gdal_gndc.format.compression import Buffer, zstd_exact, zstd_smallest

_HEADER = struct.Struct("<B3I")
_LENGTH = struct.Struct("<I")
_STATIC, _DYNAMIC, _NONE = 0, 1, 255


class Mask:
    """Packed nodata bitmaps over the stored extent (halo included) of a chunk, decompressed when asked for.

    Attributes
    ----------
    kind
        ``"static"``: one bitmap serves all frames; ``"dynamic"``: one per frame.
    n_frames, height, width
        The stored extent.
    """

    def __init__(
        self,
        kind: str,
        n_frames: int,
        height: int,
        width: int,
        frames: Sequence[Buffer],
        *,
        path: str | None = None,
        entry: str | None = None,
    ) -> None:
        self.kind = kind
        self.n_frames = n_frames
        self.height = height
        self.width = width
        self.path = path
        self.entry = entry
        self._frames = tuple(frames)

    @classmethod
    def from_bytes(
        cls,
        data: Buffer,
        *,
        frames: int,
        height: int,
        width: int,
        path: str | None = None,
        entry: str | None = None,
    ) -> Mask | None:
        """Read a mask section; nothing is decompressed yet.

        Parameters
        ----------
        data
            The section.
        frames, height, width
            Stored extent of the chunk, which the section must agree with.

        Returns
        -------
        Mask or None
            None if nothing is masked (an empty section, or type 255).

        Raises
        ------
        FileFormatError
            If the section is damaged or has another extent.
        """

        def fail(problem: str) -> FileFormatError:
            return FileFormatError(f"mask: {problem}", path=path, entry=entry)

        section = memoryview(data)
        if not len(section):
            return None
        kind = section[0]
        if kind not in (_STATIC, _DYNAMIC, _NONE):
            raise fail(f"type {kind}, expected 0 (static), 1 (dynamic) or 255 (none)")
        if kind == _NONE:
            if len(section) > _HEADER.size:
                raise fail(f"type 255 (none) is followed by {len(section) - 1} bytes, expected 12 at most")
            return None
        if len(section) < _HEADER.size:
            raise fail(f"{len(section)} bytes, expected a header of {_HEADER.size}")
        _, t, h, w = _HEADER.unpack_from(section)
        # Static sections are specified with one frame; writers that give the number of frames are understood.
        if (h, w) != (height, width) or t not in ((1, frames) if kind == _STATIC else (frames,)):
            wanted = (1 if kind == _STATIC else frames, height, width)
            raise fail(f"shape {(t, h, w)}, expected {wanted}, the stored extent of the chunk")
        parts: list[Buffer] = []
        start = _HEADER.size
        count = 1 if kind == _STATIC else frames
        for i in range(count):
            if len(section) - start < _LENGTH.size:
                raise fail(f"ends after {i} of {count} frames")
            (length,) = _LENGTH.unpack_from(section, start)
            start += _LENGTH.size
            if length > len(section) - start:
                raise fail(f"frame {i} declares {length} bytes, but {len(section) - start} are left")
            parts.append(section[start : start + length])
            start += length
        if start != len(section):
            raise fail(f"{len(section) - start} bytes after the last frame, expected none")
        name = "static" if kind == _STATIC else "dynamic"
        return cls(name, frames, height, width, parts, path=path, entry=entry)

    @property
    def frame_bytes(self) -> int:
        """Length of a packed bitmap."""
        return (self.height * self.width + 7) // 8

    def frame(self, k: int) -> bytes:
        """Return the bitmap of stored frame ``k``.

        It has ceil(height * width / 8) bytes; bits are row-major, the most significant first, 1 = nodata.

        Raises
        ------
        FileFormatError
            If the frame does not decompress to exactly that many bytes.
        """
        if not 0 <= k < self.n_frames:
            raise IndexError(f"mask frame {k} of {self.n_frames}")
        index = 0 if self.kind == "static" else k
        return zstd_exact(
            self._frames[index], self.frame_bytes, f"mask frame {index}", path=self.path, entry=self.entry
        )

    @staticmethod
    def pack(array: NDArray[Any]) -> bytes:
        """Return the mask section of a boolean array, True = nodata.

        Parameters
        ----------
        array
            (T, H, W), or (H, W) for all frames alike.

        Returns
        -------
        bytes
            Empty if nothing is masked; static if all frames are equal.
        """
        mask = np.asarray(array)
        if mask.dtype != bool or mask.ndim not in (2, 3):
            raise EncodeError(f"a mask of {mask.ndim} dimensions of {mask.dtype}, expected 2 or 3 of bool")
        if not mask.any():
            return b""
        if mask.ndim == 2:
            mask = mask[np.newaxis]
        kind = _DYNAMIC
        if (mask == mask[:1]).all():
            kind, mask = _STATIC, mask[:1]
        parts = [_HEADER.pack(kind, *mask.shape)]
        for frame in mask:
            packed = zstd_smallest(np.packbits(frame).tobytes(), among=mask.size // 8)
            parts += [_LENGTH.pack(len(packed)), packed]
        return b"".join(parts)
