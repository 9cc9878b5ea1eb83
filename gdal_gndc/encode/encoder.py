"""The road from a stack of rasters to a verified ``.gndc`` file."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from gdal_gndc.encode.chunks import ChunkJob
from gdal_gndc.encode.cluster import Scheduler
from gdal_gndc.encode.device import Device, choose_device
from gdal_gndc.encode.documents import Documents
from gdal_gndc.encode.inputs import Inputs, Source, SourceOptions, open_source
from gdal_gndc.encode.memory import parse_memory, peak_memory, small_block_cache
from gdal_gndc.encode.plan import Plan
from gdal_gndc.encode.planner import DecoderType, Preset
from gdal_gndc.encode.prepare import Prepared
from gdal_gndc.encode.preview import preview_png
from gdal_gndc.encode.report import EncodeReport
from gdal_gndc.encode.schedule import Schedule
from gdal_gndc.encode.seams import measure_seams
from gdal_gndc.encode.verify import check_bound, check_opens, measure
from gdal_gndc.encode.within import prepare_within
from gdal_gndc.encode.work_folder import WorkFolder, digest, told
from gdal_gndc.errors import EncodeError

_log = logging.getLogger(__name__)

# Trainings of a whole cube for a goal, at most.
_ATTEMPTS = 4
# Times that a file must be larger than its preview to have one unasked.
_PREVIEW = 50


@small_block_cache()
def encode(
    inputs: Inputs,
    output: str | os.PathLike[str],
    *,
    preset: Preset | None = None,
    target_psnr: float | None = None,
    target_bps: float | None = None,
    target_size: int | None = None,
    plan: Plan | None = None,
    steps: int | None = None,
    rate_weight: float | None = None,
    decoder: DecoderType = "auto",
    max_error: float | Sequence[float] | None = None,
    chunk_size: int | None = None,
    chunk_dates: int | None = None,
    interpolate: bool | None = None,
    seed: int = 0,
    threads: int | None = None,
    workers: int | None = None,
    memory: int | str | None = None,
    scheduler: Scheduler | None = None,
    resume: bool = True,
    device: Device = "auto",
    overwrite: bool = False,
    sidecars: bool = True,
    preview: bool | None = None,
    progress: bool = True,
    **source_options: Unpack[SourceOptions],
) -> EncodeReport:
    """Encode a stack of rasters as a neural data cube.

    Parameters
    ----------
    inputs
        A stack: files, directories, patterns, text lists, URLs of rasters, or others; see
        `gdal_gndc.encode.inputs.open_source`.
    output
        The ``.gndc`` file. It appears complete and verified, or not at all; finished chunks wait in a folder
        ``.NAME.work`` beside it.
    preset
        ``tiny``, ``fast``, ``balanced`` (the default) or ``best``; with a target, the one that suits it.
    target_psnr, target_bps, target_size
        A goal for the whole file: PSNR in dB at least, bits a valid sample or bytes at most. Short trials look for the
        plan; a file that misses is trained anew, three times at most. The report says whether the goal was reached.
    plan
        A plan to use as it is, instead of presets, goals and options of the training.
    steps, rate_weight, decoder
        Instead of what the preset chooses; see `gdal_gndc.encode.planner.make_plan`.
    max_error
        A bound that every valid sample of the file keeps, in physical units: one number, or one per band. Corrections
        are stored beside the network, and the bound is checked on the written file.
    chunk_size
        Largest side of a chunk in pixels instead of the rule's; chunks overlap in a halo and are blended there.
    chunk_dates
        Most dates of a chunk, 8 at least; neighbours share some dates and are blended there.
    interpolate
        Teach the network what lies between the dates, by frames that a smoother of each pixel's series gives. Times in
        between are then read better than by straight lines, the observed dates a little worse. By default this is done
        where dates left out of a trial are told better by it; the scores are in ``metrics.json``.
    seed
        The same inputs, options and seed give the same file on machines of the same instruction set, whatever the
        number of threads.
    threads
        CPU threads; by default all cores of this process.
    workers
        Chunks that are trained at a time, each by a process of its own with its share of the threads; by default one a
        core, as memory allows. The file does not depend on it.
    memory
        Limit for all processes together, in bytes or as ``"4G"``: chunks are made smaller, and fewer trained at a time.
    scheduler
        Address of a Dask scheduler, or a ``distributed.Client``: chunks are trained by its workers, which must see the
        sources under the same names.
    resume
        Go on from the chunks that an interrupted run of the same command finished; else make all anew.
    device
        ``cpu``, ``cuda`` (through torch), or ``auto``: a CUDA device if torch and one are there.
    overwrite
        Replace a file that exists.
    sidecars
        Store ``metrics.json`` and ``provenance.json``.
    preview
        Store ``preview.png``, a small picture; by default in files of more than fifty times its size.
    progress
        Show a progress bar on stderr.
    source_options
        How the inputs are read: ``date_regex``, ``merge``, ``skip_bad``, ``mask``, ``align`` and others; see
        `gdal_gndc.encode.inputs.open_source`.

    Returns
    -------
    EncodeReport
        Its figures were measured by decoding the written file.

    Raises
    ------
    EncodeError
        If the inputs do not make a cube, an option is not allowed, or the file written does not decode.
    DeviceError
        If the device asked for is not there.

    Notes
    -----
    A pixel of a date is masked when none of its bands has data (nodata or NaN) and reads as NaN. A gap in some bands
    only cannot be masked by the format: it is left out of training and reads as the network's estimate.
    """
    started = time.monotonic()
    target = Path(output)
    _check_target(target, overwrite)
    if threads is not None and threads < 1:
        raise EncodeError(f"{threads} threads, expected at least 1")
    source = open_source(inputs, **source_options)
    chosen = choose_device(device)
    limit = None if memory is None else parse_memory(memory)
    if workers is not None and workers < 1:
        raise EncodeError(f"{workers} workers, expected at least 1")
    prepared = prepare_within(
        limit,
        workers,
        source,
        preset=preset,
        target_psnr=target_psnr,
        target_bps=target_bps,
        target_size=target_size,
        plan=plan,
        steps=steps,
        rate_weight=rate_weight,
        decoder=decoder,
        max_error=max_error,
        chunk_size=chunk_size,
        chunk_dates=chunk_dates,
        interpolate=interpolate,
        seed=seed,
        threads=threads,
    )
    schedule = Schedule(workers, threads, limit, scheduler, progress)
    with WorkFolder(target.resolve()) as work:
        if not resume:
            work.clear()
        for _ in range(_ATTEMPTS):
            _log.info("%s", prepared.plan.explain())
            metrics = _encode_once(source, prepared, work, schedule, chosen, sidecars, preview)
            size = work.beside.stat().st_size
            goal, bits = prepared.goal, 8 * size / max(1, metrics["n_valid"])
            if goal is None or not prepared.again(goal.pick(metrics["psnr"], bits, size)):
                break
        work.complete()
    return EncodeReport(
        path=os.fspath(output),
        shape=source.shape,
        bytes=size,
        raw_bytes=source.raw_bytes,
        seconds=time.monotonic() - started,
        metrics=metrics,
        plan=prepared.plan,
        device=chosen,
        goal=prepared.goal,
        skipped=source.skipped,
        memory=schedule.peak,
        chunks_found=schedule.found,
    )


def _encode_once(
    source: Source,
    prepared: Prepared,
    work: WorkFolder,
    schedule: Schedule,
    device: str,
    sidecars: bool,
    preview: bool | None,
) -> dict[str, Any]:
    plan = prepared.plan
    # neither threads nor workers are in the key: they do not change the chunks
    shelf = work.shelf(digest(source, plan, device))
    documents = Documents.of(source, schedule.train(ChunkJob(source, plan, device, 0), shelf), plan)
    with told(work.root):
        documents.write(work.beside, {})
        with schedule.opened(work.beside) as cube:
            metrics = measure(cube, source)
            if plan.n_chunks > 1:
                metrics["seams"] = measure_seams(cube, source)
        if plan.max_error:
            check_bound(metrics, plan.max_error, work.target)
        if prepared.held_out:
            metrics["interpolation"] = prepared.held_out.to_json()
        if sidecars:
            picture = None if preview is False else preview_png(work.beside)
            if preview is None and picture and work.beside.stat().st_size < _PREVIEW * len(picture):
                picture = None
            size = documents.write_measured(work.beside, metrics, source, plan, device, picture)
            check_opens(work.beside)
            if work.beside.stat().st_size != size:
                raise EncodeError(f"{work.target}: has {work.beside.stat().st_size} bytes, expected {size}")
    schedule.peak = max(schedule.peak, peak_memory())
    return metrics


def _check_target(target: Path, overwrite: bool) -> None:
    if not target.resolve().parent.is_dir():
        raise EncodeError(f"{target}: the directory {target.resolve().parent} does not exist")
    if target.is_dir():
        raise EncodeError(f"{target}: is a directory, expected a file to write")
    if target.exists() and not overwrite:
        raise EncodeError(f"{target}: the file exists; overwrite=True (--overwrite) replaces it")
