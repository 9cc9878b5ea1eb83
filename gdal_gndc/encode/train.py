"""Fitting one chunk: the native trainer, and what any trainer gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.encode.plan import Plan
from gdal_gndc.errors import EncodeError
from gdal_gndc.field.core import ffi, lib, message_buffer, pointer, text
from gdal_gndc.field.layout import Layout, config_struct

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Progress:
    """Where training stands: steps done, mean squared error in units of the variance, estimated bits of the weights."""

    step: int
    loss: float
    bits: float
    samples: int


@dataclass(frozen=True)
class Samples:
    """What a chunk is fitted to.

    Attributes
    ----------
    values
        (T, H, W, C) normalised float32, NaN where there is nothing to fit; C-contiguous.
    times
        (T,) float32 in [0, 1].
    frame_weights
        (T,) float32 weights in the loss; None: all 1.
    rate_samples
        Samples that the size of the weights is shared among; None: those of ``values``.
    """

    values: Floats
    times: Floats
    frame_weights: Floats | None = None
    rate_samples: int | None = None


class NativeTrainer:
    """Trains on the CPU in the compiled core.

    Parameters
    ----------
    plan
        Network, schedule, quantisation, seed.
    samples
        Kept by reference while the trainer lives.
    n_threads
        0: all cores of this process. Results do not depend on it.

    Raises
    ------
    EncodeError
        If the core refuses the plan or the data.
    """

    def __init__(self, plan: Plan, samples: Samples, *, n_threads: int = 0) -> None:
        values = samples.values
        if values.dtype != np.float32 or values.ndim != 4 or not values.flags.c_contiguous:
            raise EncodeError(f"training data of {values.dtype} {values.shape}, expected float32 (T, H, W, C)")
        if values.shape[3] != plan.config.n_bands or samples.times.shape != values.shape[:1]:
            raise EncodeError(f"training data {values.shape} at {samples.times.shape} times do not fit the plan")
        self.plan = plan
        self.layout = Layout.of(plan.config)
        # The core keeps pointers into these.
        self._values = values
        self._times = np.ascontiguousarray(samples.times, np.float32)
        self._weights = (
            None if samples.frame_weights is None else np.ascontiguousarray(samples.frame_weights, np.float32)
        )
        data = ffi.new("gndc_train_data *")
        data.n_frames, data.height, data.width = values.shape[:3]
        data.values = pointer("float", self._values)
        data.times = pointer("float", self._times)
        data.frame_weights = ffi.NULL if self._weights is None else pointer("float", self._weights)
        self._message = message_buffer()
        status = ffi.new("int *")
        handle = lib.gndc_trainer_new(
            config_struct(plan.config),
            _options(plan, samples.rate_samples or 0, n_threads),
            data,
            status,
            self._message,
        )
        self._check(status[0])
        self.handle = ffi.gc(handle, lib.gndc_trainer_free, lib.gndc_trainer_bytes(handle))

    def run(self, n_steps: int) -> Progress:
        """Go on for so many steps, at most to the end of the schedule.

        Raises
        ------
        EncodeError
            If the loss is no longer a number.
        """
        progress = ffi.new("gndc_train_progress *")
        self._check(lib.gndc_trainer_run(self.handle, n_steps, progress, self._message))
        return Progress(progress.step, progress.loss, progress.bits, progress.samples)

    def weights(self, component: int, *, rounded: bool = True) -> Floats:
        """Return the weights of a component (0 spatial, 1 temporal, 2 decoder) in the order of the format."""
        out = np.empty(self._count(component), np.float32)
        self._check(
            lib.gndc_trainer_weights(
                self.handle, component, int(rounded), pointer("float", out), out.size, self._message
            )
        )
        return out

    def quantised(self, component: int) -> NDArray[np.int8]:
        """Return a component that is trained as integers."""
        out = np.empty(self._count(component), np.int8)
        self._check(lib.gndc_trainer_quantised(self.handle, component, pointer("int8_t", out), out.size, self._message))
        return out

    def set_weights(self, component: int, weights: Floats) -> None:
        """Replace the weights of a component."""
        data = np.ascontiguousarray(weights, np.float32)
        self._check(
            lib.gndc_trainer_set_weights(self.handle, component, pointer("float", data), data.size, self._message)
        )

    def evaluate(self, x: Floats, y: Floats, t: Floats) -> Floats:
        """Return the network's outputs (N, C) at normalised coordinates (N,), with the rounded weights."""
        places = [np.ascontiguousarray(a, np.float32) for a in (x, y, t)]
        out = np.empty((places[0].size, self.layout.n_outputs), np.float32)
        pointers = [pointer("float", a) for a in places]
        self._check(
            lib.gndc_trainer_evaluate(self.handle, places[0].size, *pointers, pointer("float", out), self._message)
        )
        return out

    def draw(self, step: int) -> NDArray[np.int64]:
        """Return the flat (frame, row, column) positions that a step draws, -1 for places left empty."""
        out = np.empty(-(-self.plan.batch // 96) * 96, np.int64)
        self._check(lib.gndc_trainer_draw(self.handle, step, pointer("int64_t", out), out.size, self._message))
        return out

    def gradient(self, step: int) -> tuple[float, list[Floats]]:
        """Return the loss of a step's batch and its gradient per component, without the size penalty."""
        loss = ffi.new("double *")
        out = [np.empty(self._count(i), np.float32) for i in range(3)]
        self._check(
            lib.gndc_trainer_gradient(self.handle, step, loss, *[pointer("float", g) for g in out], self._message)
        )
        return float(loss[0]), out

    def _count(self, component: int) -> int:
        counts = self.layout.counts
        if component == 1 and self.plan.config.disable_temporal:
            return 0
        return counts[-1] if component == 2 else counts[component]

    def _check(self, status: int) -> None:
        if status == lib.GNDC_ERR_MEMORY:
            raise MemoryError(text(self._message))
        if status != lib.GNDC_OK:
            raise EncodeError(text(self._message))


def _options(plan: Plan, rate_samples: int, n_threads: int) -> Any:
    options = ffi.new("gndc_train_options *")
    options.total_steps = plan.steps
    options.warmup_steps = plan.warmup
    options.batch = plan.batch
    options.seed = plan.seed
    options.table_rate = plan.table_rate
    options.decoder_rate = plan.decoder_rate
    options.table_init = plan.table_init
    options.quantise_from = plan.quantise_from
    options.spatial_scale = options.temporal_scale = plan.table_scale
    options.decoder_scale = plan.decoder_scale if plan.decoder_scale > 0 else -1.0
    options.rate_weight = plan.rate_weight
    options.rate_relative = plan.rate_relative
    options.rate_samples = rate_samples
    options.n_threads = n_threads
    return options


# steps done, of all, loss
Report = Callable[[Progress], None]


def train_chunk(plan: Plan, samples: Samples, *, n_threads: int = 0, report: Report | None = None) -> NativeTrainer:
    """Train to the end of the plan, reporting a few times a second so that an interruption is heard."""
    import time

    trainer = NativeTrainer(plan, samples, n_threads=n_threads)
    done, some = 0, 25
    while done < plan.steps:
        started = time.monotonic()
        progress = trainer.run(some)
        seconds = time.monotonic() - started
        done = progress.step
        if report:
            report(progress)
        # whole price intervals, about a quarter of a second
        some = max(25, min(2000, int(some * min(4.0, 0.25 / max(seconds, 1e-3))) // 25 * 25))
    return trainer
