"""How well times between the dates are known: dates left out of a short training, and read back."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.encode.between import (
    FEWEST_DATES,
    choose_strength,
    left_out,
    smooth,
    with_virtual_frames,
    without_outliers,
)
from gdal_gndc.encode.plan import Plan
from gdal_gndc.encode.timeline import Timeline
from gdal_gndc.encode.train import Samples, train_chunk
from gdal_gndc.encode.trial import Trial
from gdal_gndc.times import to_seconds

_log = logging.getLogger(__name__)

Floats = NDArray[np.float32]
# A smoother that explains less has only clouds and noise to smooth.
_LEAST = 0.25
_SIDE = 48
_MOST_STEPS = 4000


@dataclass(frozen=True)
class HeldOut:
    """R2, mean over the bands, of every fourth date from the others.

    Attributes
    ----------
    linear
        By straight lines between the dates around.
    smoother
        By the smoother that virtual frames are taken from.
    field
        By a field taught with virtual frames, after ``steps`` steps on the middle of the cube; None if not tried.
    """

    linear: float
    smoother: float
    field: float | None = None
    steps: int = 0

    @property
    def pays(self) -> bool:
        """Whether the smoother knows more than straight lines, and enough."""
        return self.smoother > max(self.linear, _LEAST)

    def to_json(self) -> dict[str, Any]:
        """Return the scores as members of ``metrics.json``."""
        members: dict[str, Any] = {"held_out": "every 4th date", "r2_linear": round(self.linear, 4)}
        members["r2_smoother"] = round(self.smoother, 4)
        if self.field is not None:
            members |= {"r2_field": round(self.field, 4), "steps": self.steps}
        return members


class HeldOutDates:
    """Every fourth date of a trial's part of a cube, and how well it can be told from the others.

    Parameters
    ----------
    trial
        The part.
    """

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        rows, cols = (slice((n - min(n, _SIDE)) // 2, (n + min(n, _SIDE)) // 2) for n in trial.samples.shape[1:3])
        self.values: Floats = np.ascontiguousarray(trial.samples[:, rows, cols])
        self.seconds = np.array([to_seconds(t) for t in trial.source.times])
        self.held = left_out(len(self.seconds))

    @staticmethod
    def possible(trial: Trial) -> bool:
        """Whether there are dates enough."""
        return not trial.empty and len(trial.source.times) >= 2 * FEWEST_DATES

    def score(self) -> HeldOut:
        """Compare straight lines with the smoother."""
        kept = ~self.held
        steady = without_outliers(np.ascontiguousarray(self.values[kept]), self.seconds[kept])
        strength, _ = choose_strength(steady, self.seconds[kept])
        known = np.full_like(self.values, np.nan)
        known[kept] = steady
        scored = HeldOut(self._r2(self._lines()), self._r2(smooth(known, self.seconds, strength)[self.held]))
        _log.info("dates left out: R2 %.3f by straight lines, %.3f smoothed", scored.linear, scored.smoother)
        return scored

    def with_field(self, scored: HeldOut, plan: Plan) -> HeldOut:
        """Train a field on the dates kept and add its score.

        Parameters
        ----------
        scored
            What `score` gave.
        plan
            For the shape of the part: (T, H, W, C) of ``values``.
        """
        kept = ~self.held
        times = Timeline.of(self.trial.source.times, plan.time_span).normalised
        samples, _ = with_virtual_frames(
            Samples(np.ascontiguousarray(self.values[kept]), times[kept]),
            self.seconds[kept],
            per_gap=plan.virtual_frames,
            weight=plan.virtual_weight,
        )
        plan = replace(plan, steps=min(plan.steps, _MOST_STEPS))
        trainer = train_chunk(plan, samples, n_threads=self.trial.threads)
        k, i, j = (axis.ravel() for axis in np.indices((int(self.held.sum()), *self.values.shape[1:3])))
        h, w, c = self.values.shape[1:]
        found = trainer.evaluate(
            ((j + 0.5) / w).astype(np.float32), ((i + 0.5) / h).astype(np.float32), times[self.held][k]
        )[:, :c]
        field = self._r2(found.reshape(-1, h, w, c))
        _log.info("dates left out: R2 %.3f by a field taught %d steps", field, plan.steps)
        return replace(scored, field=field, steps=plan.steps)

    def _lines(self) -> Floats:
        places = np.flatnonzero(self.held)
        share = (self.seconds[places] - self.seconds[places - 1]) / (
            self.seconds[places + 1] - self.seconds[places - 1]
        )
        share = share[:, np.newaxis, np.newaxis, np.newaxis].astype(np.float32)
        lines: Floats = (1 - share) * self.values[places - 1] + share * self.values[places + 1]
        return lines

    def _r2(self, found: Floats) -> float:
        truth = self.values[self.held]
        both = np.isfinite(truth) & np.isfinite(found)
        scores = []
        for b in range(truth.shape[-1]):
            here = both[..., b]
            if here.sum() > 1:
                values = truth[..., b][here].astype(np.float64)
                error = float(np.mean((found[..., b][here] - values) ** 2))
                scores.append(1.0 - error / max(float(values.var()), 1e-30))
        return float(np.mean(scores)) if scores else 0.0
