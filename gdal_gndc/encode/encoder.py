"""The road from a stack of rasters to a verified ``.gndc`` file."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.atomic import replacing
from gdal_gndc.encode import quantise
from gdal_gndc.encode.between import with_virtual_frames
from gdal_gndc.encode.metrics import Metrics
from gdal_gndc.encode.normalise import Normalisation
from gdal_gndc.encode.plan import DecoderType, Plan, Preset, make_plan
from gdal_gndc.encode.progress import Bar
from gdal_gndc.encode.report import EncodeReport
from gdal_gndc.encode.residuals import ErrorBound, correct
from gdal_gndc.encode.sources import Inputs, Stack, open_stack
from gdal_gndc.encode.timeline import Timeline
from gdal_gndc.encode.train import Samples, train_chunk
from gdal_gndc.errors import DeviceError, EncodeError
from gdal_gndc.format.chunk import Chunk
from gdal_gndc.format.manifest import ChunkEntry, Manifest
from gdal_gndc.format.mask import Mask
from gdal_gndc.format.meta import Meta
from gdal_gndc.format.writer import ContainerWriter
from gdal_gndc.times import to_seconds

_log = logging.getLogger(__name__)

# Fewer cannot be cross-validated.
_FEWEST_DATES = 8

Device = Literal["auto", "cpu", "cuda"]


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
        `gdal_gndc.encode.sources.find_files`.
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
    stack = open_stack(inputs, date_regex=date_regex)
    plan = make_plan(
        stack.shape,
        preset=preset,
        steps=steps,
        rate_weight=rate_weight,
        decoder=decoder,
        chunk_size=chunk_size,
        bounded=max_error is not None,
        seed=seed,
    )
    bound = None if max_error is None else ErrorBound.of(max_error, stack.shape[3])
    chosen = choose_device(device)
    _log.info("%s", plan.explain())
    timeline = Timeline.of(stack.times, plan.time_span)
    with replacing(target.resolve()) as beside:
        pieces = _encode_chunks(stack, plan, timeline, bound, interpolate, chosen, threads or 0, progress)
        documents = Documents.of(stack, pieces, plan)
        documents.write(beside, {})
        metrics = measure(beside, stack)
        if bound:
            _check_bound(metrics, bound, target)
        size = beside.stat().st_size
        if sidecars:
            size = documents.write_measured(beside, metrics, stack, plan, chosen)
            _check_opens(beside)
            if beside.stat().st_size != size:
                raise EncodeError(f"{target}: has {beside.stat().st_size} bytes, expected {size}")
    return EncodeReport(
        path=os.fspath(output),
        shape=stack.shape,
        bytes=size,
        raw_bytes=stack.raw_bytes,
        seconds=time.monotonic() - started,
        metrics=metrics,
        plan=plan,
        device=chosen,
    )


def choose_device(device: Device) -> str:
    """Return ``cpu`` or ``cuda``; torch is imported only where there is a device it could use.

    Raises
    ------
    DeviceError
        If CUDA was asked for and is not there.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise DeviceError(f"device {device!r}, expected auto, cpu or cuda")
    if device == "cpu" or (device == "auto" and not Path("/proc/driver/nvidia").exists()):
        return "cpu"
    try:
        import torch
    except ImportError as error:
        if device == "cuda":
            raise DeviceError(
                "training on CUDA needs torch, which is not installed: pip install 'gdal-gndc[encode]'"
            ) from error
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if device == "cuda":
        raise DeviceError("torch finds no CUDA device")
    return "cpu"


@dataclass(frozen=True)
class Piece:
    """An encoded chunk and its place; no blob where the chunk has no data."""

    entry: ChunkEntry
    blob: bytes | None


@dataclass(frozen=True)
class Documents:
    """What goes into the container."""

    meta: Meta
    manifest: Manifest
    blobs: dict[str, bytes]

    @classmethod
    def of(cls, stack: Stack, pieces: list[Piece], plan: Plan) -> Documents:
        """Describe a stack and its chunks."""
        meta = Meta(
            shape=stack.shape,
            bands=stack.bands,
            dtype=stack.dtype,
            crs=stack.crs,
            transform=stack.transform,
            times=stack.times,
            global_start=stack.times[0],
            global_end=stack.times[-1],
        )
        blobs = {piece.entry.file: piece.blob for piece in pieces if piece.blob is not None}
        missing = tuple(
            {"id": list(piece.entry.id), "reason": "no_data", "tag": "skip"} for piece in pieces if piece.blob is None
        )
        if not blobs:
            raise EncodeError("no sample of the stack has a value: everything is nodata")
        manifest = Manifest(
            chunks=tuple(piece.entry for piece in pieces if piece.blob is not None),
            overlap=plan.overlap,
            missing=missing,
        )
        return cls(meta, manifest, blobs)

    def write(self, path: Path, sidecars: dict[str, bytes]) -> int:
        """Write the container and return its size."""
        with ContainerWriter(path, self.meta, self.manifest) as writer:
            for name, blob in self.blobs.items():
                writer.add_chunk(name, blob)
            for name, data in sidecars.items():
                writer.add_sidecar(name, data)
        return path.stat().st_size

    def write_measured(self, path: Path, metrics: dict[str, Any], stack: Stack, plan: Plan, device: str) -> int:
        """Write the container with its metrics, which tell the size of the file that holds them."""
        provenance = _dump(_provenance(stack, plan, device))

        def document(size: int) -> bytes:
            return _dump(
                {
                    "source": "decoded file against its sources",
                    "bytes": size,
                    "raw_bytes": stack.raw_bytes,
                    "ratio": float(f"{stack.raw_bytes / size:.5g}"),
                    "bits_per_sample": float(f"{8 * size / max(1, metrics['n_valid']):.5g}"),
                    **metrics,
                }
            )

        # Blanks at the end of the document make its length, and with it the size it tells, independent of that size.
        room = len(document(path.stat().st_size)) + 16
        size = self.write(path, {"metrics.json": b" " * room, "provenance.json": provenance})
        self.write(path, {"metrics.json": document(size).ljust(room), "provenance.json": provenance})
        return size


def measure(path: Path, stack: Stack) -> dict[str, Any]:
    """Decode every frame of a cube and compare it with its source.

    Raises
    ------
    EncodeError
        If the file does not give back every sample of the sources.
    """
    import gdal_gndc

    metrics = Metrics([band.name for band in stack.bands], int(np.prod(stack.shape, dtype=np.int64)))
    with gdal_gndc.open(path, device="cpu") as cube:
        for k in range(len(stack.paths)):
            metrics.add(stack.read(frames=(k, k + 1))[0], cube.read(k))
    if metrics.lost:
        raise EncodeError(f"{path}: {metrics.lost} samples of the sources read as NaN from the file written")
    return metrics.summary()


def _encode_chunks(
    stack: Stack,
    plan: Plan,
    timeline: Timeline,
    bound: ErrorBound | None,
    interpolate: bool,
    device: str,
    threads: int,
    progress: bool,
) -> list[Piece]:
    boxes = list(chunk_boxes(plan))
    with Bar(len(boxes) * plan.steps, enabled=progress) as bar:
        return [
            Piece(entry, _encode_chunk(stack, plan, timeline, entry, bound, interpolate, device, threads, bar))
            for entry in boxes
        ]


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


def _encode_chunk(
    stack: Stack,
    plan: Plan,
    timeline: Timeline,
    entry: ChunkEntry,
    bound: ErrorBound | None,
    interpolate: bool,
    device: str,
    threads: int,
    bar: Bar,
) -> bytes | None:
    def widened(box: tuple[int, int], n: int) -> tuple[int, int]:
        return max(0, box[0] - plan.overlap), min(n, box[1] + plan.overlap)

    values = stack.read(entry.time, widened(entry.y, stack.height), widened(entry.x, stack.width))
    valid = np.isfinite(values)
    if not valid.any():
        bar.skip(plan.steps)
        return None
    masked: NDArray[np.bool_] = np.logical_not(valid.any(axis=-1))
    normal = Normalisation.of(values)
    bar.start_chunk(normal.scale, values)
    samples = Samples(normal.apply(values), timeline.normalised[slice(*entry.time)])
    observed = samples.times
    if interpolate and len(observed) >= _FEWEST_DATES:
        seconds = np.array([to_seconds(t) for t in stack.times[slice(*entry.time)]])
        samples, score = with_virtual_frames(samples, seconds)
        _log.info("smoother: R2 %.3f on dates left out", score)
    if not bound:
        del values
    if device == "cuda":
        from gdal_gndc.encode.torch_train import train_chunk_torch

        trainer = train_chunk_torch(plan, samples, device=device, report=bar.update)
    else:
        trainer = train_chunk(plan, samples, n_threads=threads, report=bar.update)
    weights, quantization = quantise.pack(quantise.tensors_of(trainer), plan)
    chunk = Chunk(
        config=plan.config,
        quantization=quantization,
        weights=weights,
        data_range=normal.data_range,
        train_start=timeline.start,
        train_end=timeline.end,
        train_frames=len(masked),
        mask_bytes=Mask.pack(masked),
    )
    if bound:
        chunk = correct(chunk, values, observed, bound)
    return chunk.to_bytes()


def _check_bound(metrics: dict[str, Any], bound: ErrorBound, target: Path) -> None:
    for band, most in zip(metrics["bands"], bound.bands, strict=True):
        found = band.get("max_error")
        if found is not None and found > most:
            raise EncodeError(f"{target}: band {band['name']} has an error of {found}, the bound is {most}")


def _check_target(target: Path, overwrite: bool) -> None:
    if not target.resolve().parent.is_dir():
        raise EncodeError(f"{target}: the directory {target.resolve().parent} does not exist")
    if target.is_dir():
        raise EncodeError(f"{target}: is a directory, expected a file to write")
    if target.exists() and not overwrite:
        raise EncodeError(f"{target}: the file exists; say overwrite to replace it")


def _check_opens(path: Path) -> None:
    import gdal_gndc

    with gdal_gndc.open(path, device="cpu") as cube:
        cube.read(0, window=(0, 0, 1, 1))


def _provenance(stack: Stack, plan: Plan, device: str) -> dict[str, Any]:
    # Without dates of making: the same inputs give the same bytes.
    from gdal_gndc import __version__

    return {
        "format": "gndc-provenance",
        "version": "0.9",
        "encoder": {"name": "gdal-gndc", "version": __version__},
        "source": {"uri": Path(stack.paths[0]).name, "n_files": len(stack.paths)},
        "training": {
            "loss": "MSE",
            "optimizer": "Adam",
            "steps": plan.steps,
            "batch_size": plan.batch,
            "lr_grid": plan.table_rate,
            "lr_mlp": plan.decoder_rate,
            "x_preset": plan.preset,
            "x_rate": [plan.rate_weight, plan.rate_relative],
            "x_seed": plan.seed,
            "hardware": device,
        },
    }


def _dump(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
