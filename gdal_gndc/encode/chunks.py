"""A cube's chunks, and the work on one of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.encode import quantise
from gdal_gndc.encode.between import FEWEST_DATES, with_virtual_frames
from gdal_gndc.encode.inputs import Source
from gdal_gndc.encode.memory import small_block_cache
from gdal_gndc.encode.normalise import Normalisation
from gdal_gndc.encode.plan import Plan
from gdal_gndc.encode.progress import Gauge, Report
from gdal_gndc.encode.residuals import ErrorBound, correct
from gdal_gndc.encode.timeline import Timeline
from gdal_gndc.encode.train import Samples, train_chunk
from gdal_gndc.format.chunk import Chunk
from gdal_gndc.format.manifest import ChunkEntry, Manifest
from gdal_gndc.format.mask import Mask
from gdal_gndc.times import to_seconds

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Piece:
    """A finished chunk and its place; no file where the chunk has no data."""

    entry: ChunkEntry
    path: Path | None

    @property
    def size(self) -> int:
        """Bytes of the chunk."""
        return self.path.stat().st_size if self.path else 0


def chunk_boxes(plan: Plan) -> Iterator[ChunkEntry]:
    """Cut the cube of a plan into chunks."""
    ranges = [
        [(start, min(n, start + size)) for start in range(0, n, size)]
        for n, size in zip(plan.shape[:3], plan.chunk, strict=True)
    ]
    for i, frames in enumerate(ranges[0]):
        for j, rows in enumerate(ranges[1]):
            for k, cols in enumerate(ranges[2]):
                yield ChunkEntry((i, j, k), frames, rows, cols, f"chunks/t{i:04}_y{j:04}_x{k:04}.gndcc")


@dataclass(frozen=True)
class ChunkJob:
    """All that the work on a chunk needs; can be pickled, so that it can be done elsewhere.

    Attributes
    ----------
    source, plan
        The cube, and how it will be encoded.
    device
        ``cpu`` or ``cuda``.
    threads
        Of the CPU, 0 for all.
    """

    source: Source
    plan: Plan
    device: str
    threads: int

    @small_block_cache()
    def run(self, entry: ChunkEntry, report: Report) -> bytes | None:
        """Train a chunk and return its blob; None where it has no data."""
        source, plan = self.source, self.plan
        halos = Manifest((), overlap=plan.overlap, t_overlap=plan.t_overlap)
        frames, rows, cols = halos.stored_extent(entry, source.shape)
        values = source.read(frames, rows, cols)
        masked = ~has_data(values)
        if masked.all():
            return None
        if source.fill_gaps:
            masked &= masked.all(axis=0)
        # a byte a pixel is not to wait for the end of the training
        mask = Mask.pack(masked)
        del masked
        normal = Normalisation.of(values)
        gauge = Gauge(values, normal.scale, report)
        bound = ErrorBound(plan.max_error) if plan.max_error else None
        # in place where nothing asks for the values again
        fitted = normal.apply(values, out=None if bound else values)
        times = source.times[slice(*frames)]
        timeline = Timeline.of(times, plan.time_span)
        samples = Samples(fitted, timeline.normalised)
        if not bound:
            del values
        del fitted
        if plan.virtual_frames and len(times) >= FEWEST_DATES:
            seconds = np.array([to_seconds(t) for t in times])
            samples, score = with_virtual_frames(
                samples, seconds, per_gap=plan.virtual_frames, weight=plan.virtual_weight
            )
            _log.info("smoother: R2 %.3f on dates left out", score)
        if self.device == "cuda":
            from gdal_gndc.encode.torch_train import train_chunk_torch

            trainer = train_chunk_torch(plan, samples, device=self.device, report=gauge)
        else:
            trainer = train_chunk(plan, samples, n_threads=self.threads, report=gauge)
        weights, quantization = quantise.pack(quantise.tensors_of(trainer), plan)
        del trainer, samples
        chunk = Chunk(
            config=plan.config,
            quantization=quantization,
            weights=weights,
            data_range=normal.data_range,
            train_start=timeline.start,
            train_end=timeline.end,
            train_frames=len(times),
            mask_bytes=mask,
        )
        if bound:
            chunk = correct(chunk, values, timeline.normalised, bound)
        return chunk.to_bytes()


def has_data(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether any band of a pixel has a value: (T, H, W) of (T, H, W, C); works in little memory."""
    found = np.empty(values.shape[:3], bool)
    for frame, out in zip(values, found, strict=True):
        np.any(np.isfinite(frame), axis=-1, out=out)
    return found
