"""Short trainings on a part of a cube, to see what a plan will give."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.encode import quantise
from gdal_gndc.encode.documents import meta_of
from gdal_gndc.encode.inputs import Source
from gdal_gndc.encode.normalise import Normalisation
from gdal_gndc.encode.plan import Plan
from gdal_gndc.encode.timeline import Timeline
from gdal_gndc.encode.train import NativeTrainer, Samples, train_chunk

Floats = NDArray[np.float32]

# What a whole training adds to one of a quarter of its steps: medians over small satellite stacks and presets.
_GAIN_DB = 1.25
_GROWTH = 1.1
_SHARE = 0.25
_SIDE = 128
_MOST = 1 << 24  # samples
_OVERHEAD = 3200  # bytes of a file beside its weights, masks and meta.json
_POINTS = 60_000


@dataclass(frozen=True)
class Outlook:
    """What a plan is expected to give.

    Attributes
    ----------
    bits_per_sample
        Of the whole file, without corrections.
    psnr
        In dB.
    seconds
        Of training.
    """

    bits_per_sample: float
    psnr: float
    seconds: float

    def bytes(self, n_samples: int) -> int:
        """Size of the file of a cube of so many samples."""
        return round(self.bits_per_sample * n_samples / 8)


class Trial:
    """A part of a cube that plans are tried on: the middle, all dates.

    Parameters
    ----------
    source
        Its middle 128 x 128 pixels at most are read, all dates.
    threads
        0: all cores.

    Attributes
    ----------
    empty
        Whether there is no data.
    whole
        Whether the part is all of the cube.
    """

    def __init__(self, source: Source, *, threads: int = 0) -> None:
        self.source, self.threads = source, threads
        (top, bottom), (left, right) = (_middle(n, _side(source.shape)) for n in (source.height, source.width))
        values = source.read(None, (top, bottom), (left, right))
        valid = values[np.isfinite(values)]
        self.empty = not valid.size
        self.whole = values.shape == source.shape
        if self.empty:
            return
        self.normal = Normalisation.of(values)
        self._spread = float(np.subtract(*np.percentile(valid, (99.9, 0.1), overwrite_input=True))) / self.normal.scale
        self._n_valid = valid.size
        self._valid = valid.size / values.size
        # in place: of a long series there is much
        self.samples: Floats = self.normal.apply(values, out=values)

    def outlook(self, make: Callable[[tuple[int, int, int, int]], Plan]) -> Outlook:
        """Train for a quarter of the steps and say what the whole would give.

        Parameters
        ----------
        make
            The plan for a shape (T, H, W, C).
        """
        full = make(self.source.shape)
        plan = make(self.samples.shape)
        steps = max(200, round(_SHARE * plan.steps))
        bits, psnr, seconds = self.run(replace(plan, steps=steps))
        n_samples = math.prod(self.source.shape) * self._valid
        beside = 8 * (_OVERHEAD + len(meta_of(self.source).to_json())) / max(1.0, n_samples)
        if self.whole:
            seconds *= full.steps / steps
        else:
            seconds = self._seconds_a_step(full) * full.steps * full.n_chunks
        return Outlook(bits * _GROWTH + beside, psnr + _GAIN_DB, seconds)

    def run(self, plan: Plan) -> tuple[float, float, float]:
        """Train and return bits of the weights a sample, PSNR in dB, seconds."""
        started = time.monotonic()
        times = Timeline.of(self.source.times, plan.time_span).normalised
        trainer = train_chunk(plan, Samples(self.samples, times), n_threads=self.threads)
        seconds = time.monotonic() - started
        weights, _ = quantise.pack(quantise.tensors_of(trainer), plan)
        n = self.samples.shape
        rng = np.random.default_rng(plan.seed)
        k, i, j = (rng.integers(0, n[axis], _POINTS) for axis in range(3))
        found = trainer.evaluate(
            ((j + 0.5) / n[2]).astype(np.float32), ((i + 0.5) / n[1]).astype(np.float32), times[k]
        )[:, : n[3]]
        error = float(np.nanmean((found - self.samples[k, i, j]).astype(np.float64) ** 2))
        psnr = 20 * math.log10(max(self._spread, 1e-30) / max(math.sqrt(error), 1e-30))
        return 8 * len(weights) / self._n_valid, psnr, seconds

    def _seconds_a_step(self, plan: Plan) -> float:
        """Time some steps of a plan's own network: its tables cost more than those of the part."""
        times = Timeline.of(self.source.times, plan.time_span).normalised[slice(0, plan.chunk[0])]
        samples = Samples(np.ascontiguousarray(self.samples[: plan.chunk[0]]), times)
        trainer = NativeTrainer(plan, samples, n_threads=self.threads)
        trainer.run(2)
        started = time.monotonic()
        trainer.run(5)
        return (time.monotonic() - started) / 5


def _side(shape: tuple[int, int, int, int]) -> int:
    """Pixels of a side; fewer of long series, whose part would be a large cube itself."""
    return max(16, min(_SIDE, math.isqrt(_MOST // (shape[0] * shape[3]))))


def _middle(n: int, side: int) -> tuple[int, int]:
    size = min(n, side)
    return (n - size) // 2, (n - size) // 2 + size
