"""From a source and a user's wishes to a plan: rules, refined by short trials."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gdal_gndc.encode.goal import Goal, Search
from gdal_gndc.encode.held_out import HeldOut, HeldOutDates
from gdal_gndc.encode.inputs import Source
from gdal_gndc.encode.memory import memory_text, run_memory
from gdal_gndc.encode.plan import Plan
from gdal_gndc.encode.planner import Preset, make_plan
from gdal_gndc.encode.trial import Outlook, Trial
from gdal_gndc.errors import EncodeError

_log = logging.getLogger(__name__)

Shape = tuple[int, int, int, int]
_CELLS = (4, 10)
# Decibels that doubling the bits is worth, when models of several sizes are compared.
_DOUBLING = 2.5
_SHORT = 0.1


@dataclass
class Prepared:
    """A plan, and how it came about.

    Attributes
    ----------
    plan
        What will be done.
    source
        What it is for.
    trial
        The part of the cube that was tried.
    make
        Makes the plan for a shape and a level.
    held_out
        How well dates left out can be told; None without virtual frames.
    goal, search
        What the file must reach, and the search for it.
    processes
        Chunks that will be trained at a time.
    """

    plan: Plan
    source: Source
    trial: Trial
    make: Callable[..., Plan] | None = None
    held_out: HeldOut | None = None
    goal: Goal | None = None
    search: Search | None = None
    processes: int = 1

    def outlook(self) -> Outlook:
        """Try the plan for a quarter of its steps."""
        plan, make = self.plan, self.make
        if make is None:
            return self.trial.outlook(lambda shape: plan if shape == plan.shape else _resized(plan, shape))
        return self.trial.outlook(partial(make, level=self.search.level) if self.search else make)

    def again(self, figure: float) -> bool:
        """Take in what a whole file reached; True if there is a better plan, which is in place then."""
        if self.search is None or self.goal is None or self.make is None or self.goal.near(figure):
            return False
        before = self.search.level
        level = self.search.learn(figure)
        if abs(level - before) < 0.02:
            return False
        _log.info("%.5g reached, the goal is %s: once more at level %.2f", figure, self.goal.text(), level)
        self.plan = self.make(self.source.shape, level=level)
        return True

    def explain(self) -> str:
        """Say what will be done, and what is expected of it after a short trial."""
        lines = [self.plan.explain()]
        if self.goal:
            lines.append(f"goal: {self.goal.text()}")
        if self.held_out:
            smoother, linear = self.held_out.smoother, self.held_out.linear
            lines.append(f"dates left out: R2 {smoother:.3f} smoothed, {linear:.3f} by straight lines")
        if self.trial.empty:
            return "\n".join([*lines, "expected: unknown, the middle of the cube has no data"])
        outlook = self.outlook()
        memory = memory_text(run_memory(self.plan, self.processes))
        several = f" in {self.processes} processes" if self.processes > 1 else ""
        size = outlook.bytes(math.prod(self.source.shape))
        corrections = " and corrections" if self.plan.max_error else ""
        lines.append(
            f"expected: {outlook.psnr:.1f} dB at {outlook.bits_per_sample:.3f} bits a sample, {size:,} bytes"
            f"{corrections}, in {outlook.seconds:.0f} s of training with at most {memory}{several}"
        )
        return "\n".join(lines)


def prepare(
    source: Source,
    *,
    preset: Preset | None = None,
    target_psnr: float | None = None,
    target_bps: float | None = None,
    target_size: int | None = None,
    plan: Plan | None = None,
    interpolate: bool | None = None,
    threads: int | None = None,
    **options: Any,
) -> Prepared:
    """Plan how to encode a source.

    Parameters
    ----------
    source
        The cube.
    preset, target_psnr, target_bps, target_size, plan, interpolate, threads
        As for `gdal_gndc.encode.encoder.encode`.
    options
        Others of `gdal_gndc.encode.planner.make_plan`.

    Raises
    ------
    EncodeError
        If the options do not go together, or the plan is for another shape.
    """
    goal = Goal.of(psnr=target_psnr, bps=target_bps, size=target_size)
    options["preset"] = preset
    trial = Trial(source, threads=threads or 0)
    if plan is not None:
        if plan.shape != source.shape:
            raise EncodeError(f"the plan is for a cube of {plan.shape}, expected {source.shape}")
        return Prepared(plan, source, trial)
    if goal and preset is not None:
        raise EncodeError(f"a goal and the preset {preset}: expected one of them")
    if goal and options.get("rate_weight") is not None:
        raise EncodeError("a goal and a rate weight: expected one of them")
    if options.get("temporal_cells") is None and source.shape[0] > 1 and not trial.empty:
        options["temporal_cells"] = _best_cells(trial, options)
    held_out, dates = None, None
    if interpolate is not False and HeldOutDates.possible(trial):
        dates = HeldOutDates(trial)
        held_out = dates.score()
    taught = interpolate if interpolate is not None else held_out is not None and held_out.pays
    make: Callable[..., Plan] = partial(make_plan, interpolate=bool(taught), **options)
    prepared = Prepared(make(source.shape), source, trial, make, goal=goal)
    if goal and not trial.empty:
        if prepared.plan.max_error:
            raise EncodeError("a goal and a bound on the error: expected one of them")
        prepared.search = Search(goal)
        n = math.prod(source.shape)
        level = prepared.search.try_out(lambda level: goal.figure(trial.outlook(partial(make, level=level)), n))
        prepared.plan = make(source.shape, level=level)
    if taught and dates and held_out:
        known = {"level": prepared.search.level} if prepared.search else {}
        prepared.held_out = dates.with_field(held_out, make(dates.values.shape, **known))
    return prepared


def _best_cells(trial: Trial, options: dict[str, Any]) -> int | None:
    """Try whether the temporal grid should have more cells across than by rule; a small model tells for all."""
    chosen = {key: options[key] for key in ("chunk_size", "chunk_dates", "seed", "decoder") if key in options}
    scores = {}
    for cells in _CELLS:
        plan = make_plan(trial.samples.shape, preset="fast", temporal_cells=cells, **chosen)
        bits, psnr, _ = trial.run(replace(plan, steps=round(_SHORT * plan.steps)))
        scores[cells] = psnr - _DOUBLING * math.log2(bits)
        _log.debug("%d temporal cells across: %.4f bits a sample, %.2f dB", cells, bits, psnr)
    best = max(scores, key=scores.__getitem__)
    return best if best != _CELLS[0] else None


def _resized(plan: Plan, shape: Shape) -> Plan:
    """Make a plan fit a part of its cube."""
    return replace(plan, shape=shape, chunk=(min(shape[0], plan.chunk[0]), shape[1], shape[2]), overlap=0)
