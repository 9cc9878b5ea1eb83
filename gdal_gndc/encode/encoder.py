"""The road from a stack of rasters to a verified ``.gndc`` file."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from gdal_gndc.atomic import replacing
from gdal_gndc.encode.chunks import ChunkJob, Piece, chunk_boxes
from gdal_gndc.encode.device import Device, choose_device
from gdal_gndc.encode.documents import Documents
from gdal_gndc.encode.inputs import Inputs, Source, SourceOptions, open_source
from gdal_gndc.encode.plan import Plan
from gdal_gndc.encode.planner import DecoderType, Preset
from gdal_gndc.encode.prepare import Prepared, prepare
from gdal_gndc.encode.progress import Bar
from gdal_gndc.encode.report import EncodeReport
from gdal_gndc.encode.timeline import Timeline
from gdal_gndc.encode.verify import check_bound, check_opens, measure
from gdal_gndc.errors import EncodeError

_log = logging.getLogger(__name__)

# Trainings of a whole cube for a goal, at most.
_ATTEMPTS = 4


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
    interpolate: bool | None = None,
    seed: int = 0,
    threads: int | None = None,
    device: Device = "auto",
    overwrite: bool = False,
    sidecars: bool = True,
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
        The ``.gndc`` file. It appears complete and verified, or not at all.
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
    interpolate
        Teach the network what lies between the dates, by frames that a smoother of each pixel's series gives. Times in
        between are then read better than by straight lines, the observed dates a little worse. By default this is done
        where dates left out of a trial are told better by it; the scores are in ``metrics.json``.
    seed
        The same inputs, options and seed give the same file on machines of the same instruction set, whatever the
        number of threads.
    threads
        CPU threads; by default all cores of this process.
    device
        ``cpu``, ``cuda`` (through torch), or ``auto``: a CUDA device if torch and one are there.
    overwrite
        Replace a file that exists.
    sidecars
        Store ``metrics.json`` and ``provenance.json``.
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
    prepared = prepare(
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
        interpolate=interpolate,
        seed=seed,
        threads=threads,
    )
    with replacing(target.resolve()) as beside:
        for _ in range(_ATTEMPTS):
            _log.info("%s", prepared.plan.explain())
            metrics = _encode_once(source, prepared, beside, target, chosen, threads or 0, sidecars, progress)
            size = beside.stat().st_size
            figure = {"psnr": metrics["psnr"] or math.inf, "bps": 8 * size / max(1, metrics["n_valid"]), "size": size}
            if prepared.goal is None or not prepared.again(figure[prepared.goal.kind]):
                break
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
    )


def _encode_once(
    source: Source,
    prepared: Prepared,
    beside: Path,
    target: Path,
    device: str,
    threads: int,
    sidecars: bool,
    progress: bool,
) -> dict[str, Any]:
    plan = prepared.plan
    job = ChunkJob(source, plan, Timeline.of(source.times, plan.time_span), device, threads)
    documents = Documents.of(source, _encode_chunks(job, progress), plan)
    documents.write(beside, {})
    metrics = measure(beside, source)
    if plan.max_error:
        check_bound(metrics, plan.max_error, target)
    if prepared.held_out:
        metrics["interpolation"] = prepared.held_out.to_json()
    if sidecars:
        size = documents.write_measured(beside, metrics, source, plan, device)
        check_opens(beside)
        if beside.stat().st_size != size:
            raise EncodeError(f"{target}: has {beside.stat().st_size} bytes, expected {size}")
    return metrics


def _encode_chunks(job: ChunkJob, progress: bool) -> list[Piece]:
    boxes = list(chunk_boxes(job.plan))
    with Bar(len(boxes) * job.plan.steps, enabled=progress) as bar:
        return [Piece(entry, job.run(entry, bar)) for entry in boxes]


def _check_target(target: Path, overwrite: bool) -> None:
    if not target.resolve().parent.is_dir():
        raise EncodeError(f"{target}: the directory {target.resolve().parent} does not exist")
    if target.is_dir():
        raise EncodeError(f"{target}: is a directory, expected a file to write")
    if target.exists() and not overwrite:
        raise EncodeError(f"{target}: the file exists; say overwrite to replace it")
