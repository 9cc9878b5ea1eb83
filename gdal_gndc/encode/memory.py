"""How much memory encoding takes, and how to stay below a limit."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gdal_gndc.encode.plan import Plan
from gdal_gndc.errors import EncodeError

# A process before it has any data: the interpreter, numpy, rasterio and its cache of blocks; measured.
PROCESS = 184_000_000
# Of GDAL, while a stack is encoded: windows are read once, and its own choice, a share of the machine, keeps them all.
_BLOCK_CACHE = 64_000_000
# Of a smoother, that works on some series at a time.
_SMOOTHING = 25_000_000
# By the C library, of what was freed: twice the size from which it asks the system for pages.
_HELD_BACK = 64_000_000
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def parse_memory(limit: int | str) -> int:
    """Return bytes: a number, or text such as ``4G``, ``500 MB``, ``1.5GiB``.

    Raises
    ------
    EncodeError
        If it is neither, or not positive.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([kmgt]?)(i?)b?\s*", str(limit), re.IGNORECASE)
    if found is None or float(found[1]) <= 0:
        raise EncodeError(f"memory {limit!r}, expected a number of bytes such as 4G or 500M")
    unit = _UNITS[found[2].lower()]
    if found[3]:
        unit = 2 ** (10 * list(_UNITS).index(found[2].lower()))
    return int(float(found[1]) * unit)


@contextmanager
def small_block_cache() -> Iterator[None]:
    """Let GDAL keep few blocks of rasters; afterwards as many as before. ``GDAL_CACHEMAX`` in the environment wins."""
    if "GDAL_CACHEMAX" in os.environ:
        yield
        return
    import rasterio

    with rasterio.Env(GDAL_CACHEMAX=_BLOCK_CACHE):
        yield


def chunk_memory(plan: Plan) -> int:
    """Estimate the bytes that a process takes at its peak when it trains a chunk.

    The largest of what is held while the samples are read, frames are made up between them, the field is trained, and
    corrections are counted: samples as float32, every weight with its gradient and what Adam keeps, and the process
    itself. The factors were measured.
    """
    from gdal_gndc.field.layout import Layout

    t, h, w = (
        min(n, size + 2 * halo)
        for n, size, halo in zip(plan.shape, plan.chunk, (plan.t_overlap, plan.overlap, plan.overlap), strict=False)
    )
    frame = h * w * plan.shape[3]
    samples = 4 * t * frame
    # what corrections are counted from
    kept = samples if plan.max_error else 0
    # a byte of mask for each pixel, twice; a frame while it is read
    phases = [samples + kept + 2 * t * h * w + 24 * frame]
    # of which the allocator does not give everything back
    kept += min(24 * frame, _HELD_BACK)
    fitted = samples
    if plan.virtual_frames:
        fitted += 4 * frame * (t - 1) * plan.virtual_frames
        phases.append(kept + samples + fitted + min(_SMOOTHING, 5 * fitted))
    phases.append(kept + fitted + 28 * sum(Layout.of(plan.config).counts))
    if plan.max_error:
        phases.append(kept + 12 * t * frame)
    return max(phases) + PROCESS - max(0, _BLOCK_CACHE - samples)


def run_memory(plan: Plan, processes: int) -> int:
    """Estimate the bytes that all processes together take at their peak.

    Parameters
    ----------
    processes
        Chunks trained at a time, as `worker_count` says.
    """
    return chunk_memory(plan) if processes == 1 else processes * chunk_memory(plan) + PROCESS


def worker_count(plan: Plan, *, n_chunks: int, wanted: int | None, threads: int, limit: int | None) -> int:
    """Return how many chunks to train at a time.

    Parameters
    ----------
    n_chunks
        Chunks to be trained.
    wanted
        What the user asks for, or None.
    threads
        CPU threads for all.
    limit
        Bytes for all processes; None: half of the machine's memory, except for what the user asks for.

    Raises
    ------
    EncodeError
        If not even one fits below the limit, or as many as were asked for do not.
    """
    if wanted is not None and wanted < 1:
        raise EncodeError(f"{wanted} workers, expected at least 1")
    need = chunk_memory(plan)
    if limit is None:
        if wanted is not None:
            return min(wanted, n_chunks) or 1
        fit = max(1, (_machine_memory() // 2 - PROCESS) // need)
    elif need > limit:
        raise EncodeError(
            f"a chunk of {' x '.join(map(str, plan.chunk))} takes about {memory_text(need)}, "
            f"the limit is {memory_text(limit)}: make chunks smaller, or give more"
        )
    else:
        fit = max(1, (limit - PROCESS) // need)
        if wanted is not None and min(wanted, n_chunks) > fit:
            raise EncodeError(
                f"{wanted} chunks at a time take about {memory_text(wanted * need + PROCESS)}, "
                f"the limit is {memory_text(limit)}"
            )
    return max(1, min(n_chunks, wanted or threads, fit))


def peak_memory(pid: int | str = "self") -> int:
    """Return the largest resident size of a process so far in bytes, 0 where the system does not tell."""
    # not getrusage(): what it tells of a child includes the process that started it
    try:
        found = re.search(r"^VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def _machine_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 8 * 10**9


def memory_text(n_bytes: int) -> str:
    """Return bytes as people say them."""
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 10**9 else f"{n_bytes / 1e6:.0f} MB"


__all__ = ["PROCESS", "chunk_memory", "memory_text", "parse_memory", "peak_memory", "run_memory", "worker_count"]
