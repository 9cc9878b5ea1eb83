"""Which samples of a cube were observed, and which its gaps are filled with.

A cube that fills gaps says ``"x_gaps": "filled"`` in its ``meta.json`` and has, for each chunk with gaps, an entry
``x_observed/NAME.mask`` beside ``chunks/NAME.gndcc``: a mask section (specification 6.3) over the chunk's bounds
without halo, from their first frame on, 1 where there is no observation. Readers that do not know these see a cube
without gaps.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import FileFormatError
from gdal_gndc.field.core import ffi
from gdal_gndc.format.mask import Mask
from gdal_gndc.format.meta import Meta

if TYPE_CHECKING:
    from gdal_gndc.cube import Cube
    from gdal_gndc.format.manifest import ChunkEntry

_DYNAMIC = b"\x01"
GAPS, FILLED = "x_gaps", "filled"


def observation_entry(chunk: ChunkEntry) -> str:
    """Return the name of the entry that tells which samples of a chunk were observed."""
    return f"x_observed/{PurePosixPath(chunk.file).stem}.mask"


def fills_gaps(meta: Meta) -> bool:
    """Whether a cube answers where observations have gaps."""
    return bool(meta.raw.get(GAPS) == FILLED)


def observed(cube: Cube, frame: int, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return where a frame was observed.

    Parameters
    ----------
    rows, cols
        Ascending pixels, (R,) and (K,).

    Returns
    -------
    ndarray
        (R, K) bool.

    Raises
    ------
    FileFormatError
        If an entry is damaged.
    """
    out = np.zeros((rows.size, cols.size), np.bool_)
    for i, chunk in enumerate(cube.container.manifest.chunks):
        if not chunk.time[0] <= frame < chunk.time[1]:
            continue
        (r0, r1), (c0, c1) = (np.searchsorted(p, box) for p, box in ((rows, chunk.y), (cols, chunk.x)))
        if r0 < r1 and c0 < c1:
            gaps = _gaps(cube, i, frame)
            here = np.ix_(rows[r0:r1] - chunk.y[0], cols[c0:c1] - chunk.x[0])
            out[r0:r1, c0:c1] |= True if gaps is None else ~gaps[here]
    return out


def _gaps(cube: Cube, i: int, frame: int) -> NDArray[np.bool_] | None:
    """Where a chunk has no observation, over its bounds; None if nowhere."""
    chunk = cube.container.manifest.chunks[i]
    height, width = chunk.y[1] - chunk.y[0], chunk.x[1] - chunk.x[0]
    if fills_gaps(cube.meta):
        name = observation_entry(chunk)
        if name not in cube.container.entries:
            return None
        section = cube.container.read(name)
        # The section may tell more frames than the bounds: dates added later took over the last of this chunk's.
        frames = int.from_bytes(section[1:5], "little") if section[:1] == _DYNAMIC else chunk.time[1] - chunk.time[0]
        mask = Mask.from_bytes(
            section,
            frames=frames,
            height=height,
            width=width,
            path=cube.container.path,
            entry=name,
        )
        k = frame - chunk.time[0]
        if mask is not None and k >= mask.n_frames:
            problem = f"mask: {mask.n_frames} frames, expected {chunk.time[1] - chunk.time[0]}"
            raise FileFormatError(problem, path=cube.container.path, entry=name)
        return None if mask is None else _unpack(mask.frame(k), height, width)
    model = cube.chunk(i)
    bits = model.mask_bits(frame - model.stored[0])
    if bits == ffi.NULL:
        return None
    _, _, top, bottom, left, right = model.stored
    whole = _unpack(bytes(ffi.buffer(bits)), bottom - top, right - left)
    return whole[chunk.y[0] - top : chunk.y[1] - top, chunk.x[0] - left : chunk.x[1] - left]


def _unpack(bits: bytes, height: int, width: int) -> NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=height * width).reshape(height, width).astype(np.bool_)
