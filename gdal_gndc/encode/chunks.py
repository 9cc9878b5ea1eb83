"""A cube's chunks, and the work on one of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.encode import quantise
from gdal_gndc.encode.between import FEWEST_DATES, with_virtual_frames
from gdal_gndc.encode.inputs import Source
from gdal_gndc.encode.normalise import Normalisation
from gdal_gndc.encode.plan import Plan
from gdal_gndc.encode.progress import Bar
from gdal_gndc.encode.residuals import ErrorBound, correct
from gdal_gndc.encode.timeline import Timeline
from gdal_gndc.encode.train import Samples, train_chunk
from gdal_gndc.format.chunk import Chunk
from gdal_gndc.format.manifest import ChunkEntry
from gdal_gndc.format.mask import Mask
from gdal_gndc.times import to_seconds

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Piece:
    """An encoded chunk and its place; no blob where the chunk has no data."""

    entry: ChunkEntry
    blob: bytes | None


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
    source, plan, timeline
        The cube, how it will be encoded, its times.
    device
        ``cpu`` or ``cuda``.
    threads
        Of the CPU, 0 for all.
    """

    source: Source
    plan: Plan
    timeline: Timeline
    device: str
    threads: int

    def run(self, entry: ChunkEntry, bar: Bar) -> bytes | None:
        """Train a chunk and return its blob; None where it has no data."""
        source, plan = self.source, self.plan

        def widened(box: tuple[int, int], n: int) -> tuple[int, int]:
            return max(0, box[0] - plan.overlap), min(n, box[1] + plan.overlap)

        values = source.read(entry.time, widened(entry.y, source.height), widened(entry.x, source.width))
        valid = np.isfinite(values)
        if not valid.any():
            bar.skip(plan.steps)
            return None
        masked: NDArray[np.bool_] = np.logical_not(valid.any(axis=-1))
        normal = Normalisation.of(values)
        bar.start_chunk(normal.scale, values)
        samples = Samples(normal.apply(values), self.timeline.normalised[slice(*entry.time)])
        observed = samples.times
        bound = ErrorBound(plan.max_error) if plan.max_error else None
        if plan.virtual_frames and len(observed) >= FEWEST_DATES:
            seconds = np.array([to_seconds(t) for t in source.times[slice(*entry.time)]])
            samples, score = with_virtual_frames(
                samples, seconds, per_gap=plan.virtual_frames, weight=plan.virtual_weight
            )
            _log.info("smoother: R2 %.3f on dates left out", score)
        if not bound:
            del values
        if self.device == "cuda":
            from gdal_gndc.encode.torch_train import train_chunk_torch

            trainer = train_chunk_torch(plan, samples, device=self.device, report=bar.update)
        else:
            trainer = train_chunk(plan, samples, n_threads=self.threads, report=bar.update)
        weights, quantization = quantise.pack(quantise.tensors_of(trainer), plan)
        chunk = Chunk(
            config=plan.config,
            quantization=quantization,
            weights=weights,
            data_range=normal.data_range,
            train_start=self.timeline.start,
            train_end=self.timeline.end,
            train_frames=len(masked),
            mask_bytes=Mask.pack(masked),
        )
        if bound:
            chunk = correct(chunk, values, observed, bound)
        return chunk.to_bytes()
