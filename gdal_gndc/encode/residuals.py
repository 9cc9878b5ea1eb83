"""Corrections that keep every sample within a promised distance of its source."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import EncodeError
from gdal_gndc.field.layout import Layout
from gdal_gndc.field.native import NativeField
from gdal_gndc.format.chunk import Chunk
from gdal_gndc.format.compression import lzma_compress, zstd_compress, zstd_smallest
from gdal_gndc.format.residual import ResidualFrame, ResidualInfo, pack_residuals

Floats = NDArray[np.float32]
Codec = Literal["lzma", "zstd"]
_MOST = 32767


@dataclass(frozen=True)
class ErrorBound:
    """The largest error allowed in each band, in physical units."""

    bands: tuple[float, ...]

    @classmethod
    def of(cls, max_error: float | Sequence[float], n_bands: int) -> ErrorBound:
        """Read what a user asks for: one number for all bands, or one per band.

        Raises
        ------
        EncodeError
            If their number is another, or one is not positive.
        """
        given = [max_error] * n_bands if isinstance(max_error, int | float) else list(max_error)
        if len(given) != n_bands:
            raise EncodeError(f"{len(given)} error bounds for {n_bands} bands, expected 1 or {n_bands}")
        for bound in given:
            if not 0.0 < bound < math.inf:
                raise EncodeError(f"an error bound of {bound}, expected a positive number")
        return cls(tuple(float(bound) for bound in given))

    def steps(self, values: Floats) -> tuple[float, ...]:
        """Return the quantisation step of each band's corrections.

        A little under twice the bound: other decoders differ in the last bits of float32, and the sum of field and
        correction is rounded too.

        Raises
        ------
        EncodeError
            If a bound is finer than float32 can hold for values of this size.
        """
        steps = []
        for b, bound in enumerate(self.bands):
            band = np.abs(values[..., b])
            largest = float(np.nanmax(band, initial=0.0, where=np.isfinite(band)))
            room = 0.004 * bound + 2.0**-21 * largest
            if room > 0.25 * bound:
                raise EncodeError(f"an error bound of {bound} is too fine for float32 values as large as {largest:g}")
            steps.append(float(np.float32(2.0 * (bound - room))))
        return tuple(steps)


def correct(chunk: Chunk, source: Floats, times: Floats, bound: ErrorBound) -> Chunk:
    """Add the residuals to a chunk that bring it within the bound of its source.

    Parameters
    ----------
    chunk
        Without residuals.
    source
        (T, H, W, C) physical values of its stored extent, NaN where there are none.
    times
        (T,) normalised times of its frames.

    Notes
    -----
    A blend of chunks that all keep the bound keeps it too. Each frame stores either the samples that need a
    correction, or all of them with zeros, whichever is smaller.
    """
    steps = bound.steps(source)
    decoded = _decode(chunk, times, source.shape)
    counts = [_steps_of_frame(a, b, steps) for a, b in zip(source, decoded, strict=True)]
    largest = max(int(np.abs(count).max(initial=0)) for count in counts)
    kind = np.dtype("<i1") if largest <= 127 else np.dtype("<i2")
    frames = [_frame(count.astype(kind), source.size * kind.itemsize) for count in counts]
    codec = _codec([frame for frame in frames if frame is not None])
    info = ResidualInfo(
        dtype=kind.name,
        value_mode="native",
        band_scales=steps,
        vals_codec=codec,
        threshold=min(bound.bands),
        outlier_count=sum(frame.deltas.size for frame in frames if frame is not None),
    )
    data = pack_residuals(frames, (len(source), *source.shape[1:]), info)
    return replace(chunk, has_residuals=True, residual_bytes=data, residual_info=info)


def _decode(chunk: Chunk, times: Floats, shape: tuple[int, ...]) -> Iterator[Floats]:
    """What the field alone gives, frame by frame, as readers compute it."""
    _, height, width, n_bands = shape
    layout = Layout.of(chunk.config)
    field = NativeField(layout, chunk.tensors(layout.counts))
    x = (np.arange(width, dtype=np.float32) + np.float32(0.5)) / np.float32(width)
    y = (np.arange(height, dtype=np.float32) + np.float32(0.5)) / np.float32(height)
    low = np.array([pair[0] for pair in chunk.data_range], np.float32)
    span = np.array([pair[1] for pair in chunk.data_range], np.float32) - low
    xs, ys = np.tile(x, height), np.repeat(y, width)
    for t in times:
        yield field.points(xs, ys, np.full(xs.size, t)).reshape(height, width, n_bands) * span + low


def _steps_of_frame(source: Floats, decoded: Floats, steps: tuple[float, ...]) -> NDArray[np.int16]:
    error = np.where(np.isfinite(source), source.astype(np.float64) - decoded, 0.0)
    counts = np.rint(error / np.asarray(steps))
    largest = float(np.abs(counts).max(initial=0.0))
    if largest > _MOST:
        raise EncodeError(f"a correction of {largest:.0f} steps, at most {_MOST} fit: the error bound is too fine")
    whole: NDArray[np.int16] = counts.astype(np.int16)
    return whole


def _frame(counts: NDArray[np.integer], among: int) -> ResidualFrame | None:
    """The smaller of a sparse and a dense frame, as they compress; None where nothing is to be corrected."""
    flat = counts.ravel()
    places = np.flatnonzero(flat)
    if not places.size:
        return None
    gaps = np.diff(places, prepend=0).astype(np.int32)
    sparse = gaps, flat[places], zstd_smallest(gaps.tobytes(), among=among)
    every, packed = _all_places(flat.size)
    frames = [
        ResidualFrame(deltas, values, zstd=(positions, zstd_smallest(values.tobytes(), among=among)))
        for deltas, values, positions in (sparse, (every, flat, packed))
    ]
    return min(frames, key=lambda frame: sum(map(len, frame.zstd or ())))


@lru_cache(2)
def _all_places(size: int) -> tuple[NDArray[np.int32], bytes]:
    """The gaps between positions of a dense frame, and how they compress."""
    gaps = np.ones(size, np.int32)
    gaps[0] = 0
    gaps.flags.writeable = False
    return gaps, zstd_compress(gaps.tobytes())


def _codec(frames: Sequence[ResidualFrame]) -> Codec:
    """The codec of values that is smaller on some of the frames."""
    some = frames[:: max(1, len(frames) // 8)]
    lzma = sum(len(lzma_compress(frame.values.tobytes())) for frame in some)
    zstd = sum(len(frame.zstd[1]) for frame in some if frame.zstd)
    return "lzma" if lzma < zstd else "zstd"
