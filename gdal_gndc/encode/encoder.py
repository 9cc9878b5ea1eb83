"""The road from a stack of rasters to a verified ``.gndc`` file."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from gdal_gndc.atomic import replacing
from gdal_gndc.encode.chunks import ChunkJob, Piece, chunk_boxes
from gdal_gndc.encode.device import Device, choose_device
from gdal_gndc.encode.documents import Documents
from gdal_gndc.encode.inputs import Inputs, open_source
from gdal_gndc.encode.plan import DecoderType, Preset, make_plan
from gdal_gndc.encode.progress import Bar
from gdal_gndc.encode.report import EncodeReport
from gdal_gndc.encode.residuals import ErrorBound
from gdal_gndc.encode.timeline import Timeline
from gdal_gndc.encode.verify import check_bound, check_opens, measure
from gdal_gndc.errors import EncodeError

_log = logging.getLogger(__name__)


def encode(
    inputs: Inputs,
    output: str | os.PathLike[str],
    *,
    date_regex: str | None = None,
    preset: Preset = "balanced",
    steps: int | None = None,
    rate_weight: float | None = None,
    decoder: DecoderType = "auto",
    max_error: float | Sequence[float] | None = None,
    chunk_size: int | None = None,
    interpolate: bool = False,
    seed: int = 0,
    threads: int | None = None,
    device: Device = "auto",
    overwrite: bool = False,
    sidecars: bool = True,
    progress: bool = True,
) -> EncodeReport:
    """Encode a stack of rasters as a neural data cube.

    Parameters
    ----------
    inputs
        Rasters of one grid, one a date: files, directories, patterns, text lists, URLs; see
        `gdal_gndc.encode.inputs.find.find_files`.
    output
        The ``.gndc`` file. It appears complete and verified, or not at all.
    date_regex
        Finds the date in a file's name: groups ``year``, ``month``, ``day``, or one group in ISO 8601. By default
        dates come from the usual patterns in names, else from the tags.
    preset
        ``tiny``, ``fast``, ``balanced`` or ``best``.
    steps, rate_weight, decoder
        Instead of what the preset chooses; see `gdal_gndc.encode.plan.make_plan`.
    max_error
        A bound that every valid sample of the file keeps, in physical units: one number, or one per band. Corrections
        are stored beside the network, and the bound is checked on the written file.
    chunk_size
        Largest side of a chunk in pixels instead of the rule's; chunks overlap in a halo and are blended there.
    interpolate
        Teach the network what lies between the dates, by frames that a smoother of each pixel's series gives; for cubes
        of 8 dates and more. Times in between are then read better than by straight lines, the observed dates a
        little worse. Leave it off for unmasked clouds.
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
    source = open_source(inputs, date_regex=date_regex)
    plan = make_plan(
        source.shape,
        preset=preset,
        steps=steps,
        rate_weight=rate_weight,
        decoder=decoder,
        chunk_size=chunk_size,
        bounded=max_error is not None,
        seed=seed,
    )
    bound = None if max_error is None else ErrorBound.of(max_error, source.shape[3])
    chosen = choose_device(device)
    _log.info("%s", plan.explain())
    timeline = Timeline.of(source.times, plan.time_span)
    with replacing(target.resolve()) as beside:
        job = ChunkJob(source, plan, timeline, bound, interpolate, chosen, threads or 0)
        pieces = _encode_chunks(job, progress)
        documents = Documents.of(source, pieces, plan)
        documents.write(beside, {})
        metrics = measure(beside, source)
        if bound:
            check_bound(metrics, bound, target)
        size = beside.stat().st_size
        if sidecars:
            size = documents.write_measured(beside, metrics, source, plan, chosen)
            check_opens(beside)
            if beside.stat().st_size != size:
                raise EncodeError(f"{target}: has {beside.stat().st_size} bytes, expected {size}")
    return EncodeReport(
        path=os.fspath(output),
        shape=source.shape,
        bytes=size,
        raw_bytes=source.raw_bytes,
        seconds=time.monotonic() - started,
        metrics=metrics,
        plan=plan,
        device=chosen,
    )


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
