"""New dates for a cube that exists: chunks are added, those it has stay as they are, byte for byte."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.encode.chunks import ChunkJob
from gdal_gndc.encode.cluster import Scheduler
from gdal_gndc.encode.combine import combined_metrics
from gdal_gndc.encode.device import Device, choose_device
from gdal_gndc.encode.documents import Documents
from gdal_gndc.encode.inputs import Inputs, Source, SourceOptions, open_source
from gdal_gndc.encode.inputs.source import Range
from gdal_gndc.encode.memory import parse_memory, peak_memory, small_block_cache
from gdal_gndc.encode.plan import Plan
from gdal_gndc.encode.planner import PRESETS, Preset
from gdal_gndc.encode.report import EncodeReport
from gdal_gndc.encode.schedule import Schedule
from gdal_gndc.encode.verify import check_bound, check_opens
from gdal_gndc.encode.within import prepare_within
from gdal_gndc.encode.work_folder import WorkFolder, digest, told
from gdal_gndc.errors import EncodeError
from gdal_gndc.format.container import Container
from gdal_gndc.format.document import dump_json
from gdal_gndc.format.manifest import ChunkEntry, Manifest
from gdal_gndc.format.meta import Meta
from gdal_gndc.observations import fills_gaps, observation_entry
from gdal_gndc.times import format_time


@dataclass(frozen=True, kw_only=True)
class Continuation(Source):
    """The last frames of a cube, as it reads, and the frames of a stack after them."""

    cube: str
    first: int
    n_before: int
    new: Source

    @classmethod
    def of(cls, cube: str, meta: Meta, n_before: int, new: Source) -> Continuation:
        """Put the last ``n_before`` frames of a cube before a stack."""
        shared = {field.name: getattr(new, field.name) for field in fields(Source)}
        first = meta.shape[0] - n_before
        shared["times"] = (*meta.times[first:], *new.times)
        return cls(**shared, cube=cube, first=first, n_before=n_before, new=new)

    @property
    def names(self) -> tuple[str, ...]:
        """The cube and those of the stack."""
        return (*[self.cube] * self.n_before, *self.new.names)

    def read_frame(self, k: int, rows: Range, cols: Range) -> NDArray[np.float32]:
        if k >= self.n_before:
            return self.new.read_frame(k - self.n_before, rows, cols)
        import gdal_gndc

        with gdal_gndc.open(self.cube, device="cpu") as cube:
            window = cols[0], rows[0], cols[1] - cols[0], rows[1] - rows[0]
            values = cube.read(self.first + k, window=window)
            if cube.fills_gaps:
                values[~cube.observed(self.first + k, window=window)] = np.nan
            return values


@small_block_cache()
def append(
    cube: str | os.PathLike[str],
    inputs: Inputs,
    *,
    preset: Preset | None = None,
    steps: int | None = None,
    max_error: float | list[float] | None = None,
    interpolate: bool | None = None,
    seed: int = 0,
    threads: int | None = None,
    workers: int | None = None,
    memory: int | str | None = None,
    scheduler: Scheduler | None = None,
    device: Device = "auto",
    progress: bool = True,
    **source_options: Unpack[SourceOptions],
) -> EncodeReport:
    """Add later dates to a cube, as chunks of their own; nothing else is trained.

    Parameters
    ----------
    cube
        A ``.gndc`` file. It is replaced when the new one is complete and verified.
    inputs
        A stack of the same grid and bands, all dates after those of the cube.
    preset, max_error
        As for `gdal_gndc.encode.encoder.encode`; by default those the cube was made with.
    steps, interpolate, seed, threads, workers, memory, scheduler, device, progress, source_options
        As for `gdal_gndc.encode.encoder.encode`.

    Returns
    -------
    EncodeReport
        Of the whole file; see Notes for what its figures rest on.

    Raises
    ------
    EncodeError
        If the stack does not fit the cube, or the cube is one that cannot be added to.

    Notes
    -----
    Where chunks of the cube share frames with their neighbours in time, the last ones keep what they store and give
    the last of their dates over to the new ones, which are taught on what the cube says of them.

    Errors of the dates before are taken over from ``metrics.json``; statistics of the decoded values are measured
    anew, as is the spread that PSNR refers to, from decoded values where the sources are not at hand.
    """
    started = time.monotonic()
    path = Path(cube).resolve()
    new = open_source(inputs, **source_options)
    with Container.open(path) as container:
        before = _Before.of(container, os.fspath(cube))
        before.check(new)
        new = replace(new, fill_gaps=fills_gaps(before.meta))
        known = before.training
        if preset is None and known.get("x_preset") in PRESETS:
            preset = known["x_preset"]
        if max_error is None:
            max_error = known.get("x_max_error")
        source = Continuation.of(str(path), before.meta, 2 * before.manifest.t_overlap, new)
        rows, cols = before.ranges("y"), before.ranges("x")
        side = max(b - a for a, b in (*rows, *cols))
        chosen = choose_device(device)
        limit = None if memory is None else parse_memory(memory)
        prepared = prepare_within(
            limit,
            workers,
            source,
            preset=preset,
            steps=steps,
            max_error=max_error,
            interpolate=interpolate,
            chunk_size=max(16, side),
            chunk_dates=max(8, source.shape[0]),
            seed=seed,
            threads=threads,
        )
        height, width = (max(b - a for a, b in ranges) for ranges in (rows, cols))
        plan = replace(
            prepared.plan, chunk=(source.shape[0], height, width), overlap=before.manifest.overlap, t_overlap=0
        )
        entries = before.entries(source.shape[0], rows, cols)
        schedule = Schedule(workers, threads, limit, scheduler, progress)
        with WorkFolder(path) as work:
            shelf = work.shelf(digest(source, plan, chosen))
            pieces = schedule.train(ChunkJob(source, plan, chosen, 0), shelf, entries)
            added = Documents.of(source, pieces, plan)
            documents = before.with_added(added, new)
            kept = [name for name in container.entries if name not in before.own and not name.endswith("/")]
            sidecars = {name: container.read(name) for name in kept}
            sidecars |= before.provenance_with(new, plan)
            with told(work.root):
                documents.write(work.beside, sidecars)
                metrics = combined_metrics(work.beside, new, before.metrics)
                if plan.max_error:
                    check_bound(metrics, plan.max_error, path)
                documents.write_with_metrics(work.beside, metrics, sidecars)
                check_opens(work.beside)
            work.complete()
    return EncodeReport(
        path=os.fspath(cube),
        shape=documents.meta.shape,
        bytes=path.stat().st_size,
        raw_bytes=before.raw_bytes(new),
        seconds=time.monotonic() - started,
        metrics=metrics,
        plan=plan,
        device=chosen,
        skipped=new.skipped,
        memory=max(schedule.peak, peak_memory()),
        chunks_found=schedule.found,
    )


@dataclass(frozen=True)
class _Before:
    """The cube that is added to."""

    name: str
    container: Container
    meta: Meta
    manifest: Manifest
    metrics: dict[str, Any] | None
    provenance: dict[str, Any] | None

    @classmethod
    def of(cls, container: Container, name: str) -> _Before:
        return cls(
            name,
            container,
            container.meta,
            container.manifest,
            container.metrics(),
            container.sidecar("provenance.json"),
        )

    @property
    def training(self) -> dict[str, Any]:
        found = (self.provenance or {}).get("training")
        return found if isinstance(found, dict) else {}

    @property
    def own(self) -> set[str]:
        """Entries that are written anew."""
        return {"meta.json", "manifest.json", "metrics.json", *(chunk.file for chunk in self.manifest.chunks)}

    def check(self, new: Source) -> None:
        """Raise what keeps a stack from being added."""
        meta, manifest = self.meta, self.manifest
        if type(self.container) is not Container:
            raise EncodeError(f"{self.name}: has the layout from before version 0.9, which cannot be added to")
        usual = meta.calendar in ("gregorian", "standard", "proleptic_gregorian")
        if not meta.times or meta.time_units is not None or not usual:
            raise EncodeError(f"{self.name}: does not list its dates, expected time.values of the usual calendar")
        if meta.sensors or meta.use_log:
            raise EncodeError(f"{self.name}: has several sensors or logarithms, which cannot be added to")
        new.check_fits(meta, self.name)
        if manifest.t_overlap and "x_max_error" in self.training:
            raise EncodeError(
                f"{self.name}: its error bound could not be kept on dates that chunks share, whose sources are not here"
            )
        last = max(meta.times)
        if new.times[0] <= last:
            raise EncodeError(
                f"{new.names[0]}: its date {format_time(new.times[0])} is not after the last of {self.name}, "
                f"{format_time(last)}"
            )
        halo, n_frames = manifest.t_overlap, meta.shape[0]
        for chunk in manifest.chunks:
            if chunk.time[1] == n_frames and halo and chunk.time[1] - chunk.time[0] <= halo:
                raise EncodeError(f"{self.name}: {chunk.file} has too few dates beside those it shares")
            if chunk.time[1] < n_frames < chunk.time[1] + halo:
                raise EncodeError(f"{self.name}: {chunk.file} shares dates with more than one chunk")
            if self.container.read_chunk(chunk).train_start is None:
                raise EncodeError(f"{self.name}: {chunk.file} has no times of its own, they would move")

    def ranges(self, axis: str) -> list[Range]:
        """Return the ranges of the chunks on an axis, and those where all of them are missing."""
        length = self.meta.shape[1 if axis == "y" else 2]
        found: set[Range] = {getattr(chunk, axis) for chunk in self.manifest.chunks}
        ranges, at = [], 0
        for start, end in sorted(found):
            if start < at:
                raise EncodeError(f"{self.name}: its chunks make no regular grid, and nothing can be added")
            ranges += [(at, start)] if start > at else []
            ranges.append((start, end))
            at = end
        return [*ranges, *([(at, length)] if at < length else [])]

    def entries(self, n_frames: int, rows: list[Range], cols: list[Range]) -> list[ChunkEntry]:
        """Return the new chunks, with the frames of the `Continuation` as their dates."""
        index = 1 + max(
            [chunk.id[0] for chunk in self.manifest.chunks if chunk.id]
            + [item["id"][0] for item in self.manifest.missing if isinstance(item.get("id"), list) and item["id"]],
            default=0,
        )
        while any(chunk.file.startswith(f"chunks/t{index:04}_") for chunk in self.manifest.chunks):
            index += 1
        return [
            ChunkEntry((index, j, k), (0, n_frames), y, x, f"chunks/t{index:04}_y{j:04}_x{k:04}.gndcc")
            for j, y in enumerate(rows)
            for k, x in enumerate(cols)
        ]

    def with_added(self, added: Documents, new: Source) -> Documents:
        """Return the documents of the whole."""
        old, halo = self.meta.shape[0], self.manifest.t_overlap
        total = old + len(new.times)

        def given_over(chunk: ChunkEntry) -> ChunkEntry:
            # what it stores stays the same: its bounds and halo
            return replace(chunk, time=(chunk.time[0], old - halo)) if chunk.time[1] == old else chunk

        chunks = [given_over(chunk) for chunk in self.manifest.chunks]
        chunks += [replace(chunk, time=(old - halo, total)) for chunk in added.manifest.chunks]
        manifest = replace(
            self.manifest, chunks=tuple(chunks), missing=(*self.manifest.missing, *added.manifest.missing)
        )
        meta = replace(
            self.meta,
            shape=(total, *self.meta.shape[1:]),
            times=(*self.meta.times, *new.times),
            time_strings=(*self.meta.time_strings, *replace(added.meta, times=new.times, time_strings=()).time_strings),
            global_end=new.times[-1],
        )
        blobs: dict[str, Callable[[], bytes]] = {
            chunk.file: partial(self.container.read, chunk.file) for chunk in self.manifest.chunks
        }
        names = [name for name in map(observation_entry, self.manifest.chunks) if name in self.container.entries]
        observations = {name: self.container.read(name) for name in names} | added.observations
        return Documents(meta, manifest, blobs | added.blobs, observations)

    def provenance_with(self, new: Source, plan: Plan) -> dict[str, bytes]:
        if self.provenance is None:
            return {}
        more = {"n_files": len(new.names), "n_dates": len(new.times), "steps": plan.steps, "preset": plan.preset}
        appended = [*self.provenance.get("x_appended", []), more]
        return {"provenance.json": dump_json({**self.provenance, "x_appended": appended})}

    def raw_bytes(self, new: Source) -> int:
        """Size of all source values without compression."""
        dtype = np.dtype(self.meta.dtype)
        return int(np.prod(self.meta.shape, dtype=np.int64)) * dtype.itemsize + new.raw_bytes
