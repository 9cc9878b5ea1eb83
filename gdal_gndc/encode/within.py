"""Plans that keep within a limit of memory."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from gdal_gndc.encode.inputs import Source
from gdal_gndc.encode.memory import PROCESS, chunk_memory, memory_text, worker_count
from gdal_gndc.encode.planner import Preset, make_plan
from gdal_gndc.encode.prepare import Prepared, prepare
from gdal_gndc.encode.schedule import core_count
from gdal_gndc.errors import EncodeError

_log = logging.getLogger(__name__)

_SIDES = (1024, 768, 512, 384, 256, 192, 128, 96, 64)
_DATES = (1000, 500, 250, 125, 64, 32, 16)
# Chunks of less than so many pixels a side are not made only to train two at a time.
_SMALL = 512


def prepare_within(limit: int | None, workers: int | None, source: Source, **options: Any) -> Prepared:
    """Plan as `prepare` does, with chunks that can be trained within a limit of memory.

    Parameters
    ----------
    limit
        Bytes for all processes, or None.
    workers
        Chunks at a time, or None.
    options
        Of `prepare`; what they say of the size of chunks stands.

    Raises
    ------
    EncodeError
        If not even small chunks keep the limit; it says what the least is.
    """
    prepared = _prepare(limit, workers, source, options)
    plan = prepared.plan
    threads = options.get("threads") or core_count()
    prepared.processes = worker_count(plan, n_chunks=plan.n_chunks, wanted=workers, threads=threads, limit=limit)
    return prepared


def _prepare(limit: int | None, workers: int | None, source: Source, options: dict[str, Any]) -> Prepared:
    if limit is None or options.get("plan") is not None:
        return prepare(source, **options)
    chosen = dict(options)
    for taught in (options.get("interpolate") is True, True):
        chosen |= _chunks_within(limit, workers, source.shape, options, interpolate=taught)
        prepared = prepare(source, **chosen)
        # whether frames are made up between the dates, which takes memory, is known only now
        if chunk_memory(prepared.plan) <= limit:
            break
    return prepared


def _chunks_within(
    limit: int, workers: int | None, shape: tuple[int, int, int, int], options: dict[str, Any], *, interpolate: bool
) -> dict[str, int]:
    goal = any(options.get(f"target_{kind}") is not None for kind in ("psnr", "bps", "size"))
    # a goal may ask for the largest models
    preset: Preset | None = "best" if goal else options.get("preset")
    max_error = options.get("max_error")
    fits: dict[str, int] = {}
    least = 0
    for side, dates in _sizes(options):
        size = {"chunk_size": side, "chunk_dates": dates}
        plan = make_plan(
            shape, preset=preset, interpolate=interpolate, max_error=max_error, chunk_size=side, chunk_dates=dates
        )
        alone = chunk_memory(plan)
        least = min(least or alone, alone)
        # a single chunk at a time needs no other process
        at_a_time = max(int(alone <= limit), (limit - PROCESS) // alone)
        if at_a_time < 1:
            continue
        if at_a_time >= min(workers or 2, plan.n_chunks):
            return size
        fits = fits or size
        if side <= _SMALL and workers is None:
            break
    if not fits:
        raise EncodeError(
            f"the limit of memory is {memory_text(limit)}; with the smallest chunks that can be chosen here, "
            f"this cube takes about {memory_text(least)}"
        )
    return fits


def _sizes(options: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """Sizes of chunks, the largest first; space is cut before time."""
    side, dates = options.get("chunk_size"), options.get("chunk_dates")
    for frames in [dates] if dates else _DATES:
        for pixels in [side] if side else _SIDES:
            yield pixels, frames
