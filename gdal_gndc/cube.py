"""Many chunks as one continuous cube: routing, caching, blending. Arrays in, arrays out."""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.cache import ByteCache, CacheInfo
from gdal_gndc.chunk_model import ChunkModel, TimeAnswer
from gdal_gndc.errors import GNDCError
from gdal_gndc.field.backend import Backend
from gdal_gndc.field.core import ffi, lib, pointer
from gdal_gndc.format.container import Container
from gdal_gndc.instants import Instants
from gdal_gndc.targets import FAST, FLOAT32, PixelTarget, grid_target, series_of, tangents_of
from gdal_gndc.time_axis import Moment, TimeAxis
from gdal_gndc.times import to_seconds
from gdal_gndc.window import Span

log = logging.getLogger(__name__)

_CHUNK_CACHE = 2 << 30
_FRAME_CACHE = 256 << 20
# values of the finer grid that an averaged read holds at once
_STRIP_FLOATS = 4 << 20


class Cube:
    """The continuous cube of one container.

    Positions are pixel coordinates: pixel i covers [i, i + 1), its centre is i + 0.5. All methods may be called from
    several threads at once; the GIL is released while the core evaluates.

    Parameters
    ----------
    container
        An open container; the cube closes it.
    backend
        What evaluates the networks.
    n_threads
        Threads of the core per call, 0 for its default.
    cache_bytes
        Budget for loaded chunks, by default ``GNDC_CHUNK_CACHE_BYTES`` or 2 GiB; and for decompressed masks and
        residuals, at most ``GNDC_FRAME_CACHE_BYTES`` or 256 MiB.
    """

    def __init__(
        self, container: Container, backend: Backend, *, n_threads: int = 0, cache_bytes: int | None = None
    ) -> None:
        self.container = container
        self.meta = container.meta
        self.shape = container.meta.shape
        self.axis = TimeAxis(self.meta.times, self.shape[0])
        self.n_threads = n_threads
        self.backend = backend
        self._precision = FAST if backend.fast else FLOAT32
        chunk_bytes = int(os.environ.get("GNDC_CHUNK_CACHE_BYTES", _CHUNK_CACHE))
        frame_bytes = int(os.environ.get("GNDC_FRAME_CACHE_BYTES", _FRAME_CACHE))
        if cache_bytes is not None:
            chunk_bytes, frame_bytes = cache_bytes, min(cache_bytes, frame_bytes)
        self._chunks: ByteCache[ChunkModel] = ByteCache(chunk_bytes)
        self._frames: ByteCache[Any] = ByteCache(frame_bytes)
        self._closed = False
        self._pixels = _PixelTargets()

        entries = container.manifest.chunks
        self._bounds = np.array([(*c.time, *c.y, *c.x) for c in entries], np.int64).reshape(-1, 6)
        geometry = ffi.new("gndc_cube *")
        geometry.n_frames, geometry.height, geometry.width = self.shape[:3]
        geometry.overlap, geometry.t_overlap = container.manifest.overlap, container.manifest.t_overlap
        geometry.n_chunks = len(entries)
        geometry.bounds = pointer("int64_t", self._bounds)
        self._geometry = geometry
        self._blends = bool(lib.gndc_blends(geometry))
        self._fill = np.nan if self.meta.missing_fill is None else float(self.meta.missing_fill)
        self._hidden = _hidden_bands(container)

    # -- reading -------------------------------------------------------------------------------------------------

    def read_grid(
        self,
        moment: Moment,
        rows: NDArray[np.float64],
        cols: NDArray[np.float64],
        bands: Sequence[int],
        out: NDArray[np.float32],
    ) -> None:
        """Evaluate a grid at one moment.

        Parameters
        ----------
        rows, cols
            Ascending pixel coordinates inside the cube, (R,) and (K,).
        bands
            0-based.
        out
            (R, K, len(bands)) float32, any strides; NaN where masked, the cube's fill where no chunk is.
        """
        grid, keep = grid_target(rows, cols, bands, out, blends=self._blends, precision=self._precision)
        frame = self._frame_coordinate(moment)
        lib.gndc_grid_begin(grid, self._fill)
        if rows.size and cols.size:
            box = (float(rows[0]), np.nextafter(rows[-1], np.inf), float(cols[0]), np.nextafter(cols[-1], np.inf))
            for i in self._route(frame, box):
                chunk = self._chunk(i)
                t, k = self._local(chunk, moment)
                weight = lib.gndc_time_weight(self._geometry, i, frame)
                chunk.add_to_grid(grid, self.backend, t, k, weight, self.n_threads)
        lib.gndc_grid_end(grid, self._fill)
        del keep
        if moment.frame is not None and self._hidden is not None:
            out[..., self._hidden[moment.frame][list(bands)]] = np.nan

    def read_averaged(
        self,
        moment: Moment,
        rows: Span,
        cols: Span,
        bands: Sequence[int],
        out: NDArray[np.float32],
    ) -> None:
        """Evaluate a grid at one moment as means over its cells; the rule is that of ``gndc_average``.

        A cell is read at up to 16 x 16 places that divide it evenly, one for each pixel along it (rounded up): a
        grid of at least a sixteenth of the cube's resolution costs about what its pixels cost, a coarser one 256
        times as much as `read_grid` of the same shape. Places that are masked or in no chunk do not count.

        Parameters
        ----------
        rows, cols
            Where the grid lies: its offset and size in pixels, and its number of cells.
        out
            As in `read_grid`.
        """
        n_rows, n_cols = (int(lib.gndc_supersamples(span.size, span.cells)) for span in (rows, cols))
        if n_rows == n_cols == 1:
            self.read_grid(moment, rows.positions(), cols.positions(), bands, out)
            return
        fine_rows, fine_cols = rows.positions(n_rows), cols.positions(n_cols)
        strip = max(1, _STRIP_FLOATS // (n_rows * fine_cols.size * len(bands)))
        fine = np.empty((min(strip, rows.cells) * n_rows, fine_cols.size, len(bands)), np.float32)
        for r in range(0, rows.cells, strip):
            part = fine_rows[r * n_rows : (r + strip) * n_rows]
            self.read_grid(moment, part, fine_cols, bands, fine[: part.size])
            target, keep = grid_target(part[::n_rows].copy(), cols.positions(), bands, out[r : r + strip], blends=False)
            lib.gndc_average(target, pointer("float", fine), n_rows, n_cols, self._fill, self.n_threads)
            del keep

    def read_series(
        self,
        moments: Sequence[Moment] | Instants,
        rows: NDArray[np.float64],
        cols: NDArray[np.float64],
        bands: Sequence[int],
    ) -> NDArray[np.float32]:
        """Evaluate points at many moments: the values of `read_grid` there, but for float32 rounding.

        Parameters
        ----------
        moments
            Of a cube read again and again, better the `instants` of them: those remember how chunks answer them.
        rows, cols
            Pixel coordinates inside the cube, (N,) each.

        Returns
        -------
        ndarray
            (N, len(moments), len(bands)) float32.
        """
        times = moments if isinstance(moments, Instants) else self.instants(moments)
        series = series_of(
            self.backend, rows, cols, bands, len(times), blends=self._blends, fill=self._fill, n_threads=self.n_threads
        )
        if rows.size and len(times):
            for i in self._route_times(times.frames, _box(rows, cols)):
                chunk = self._chunk(i)
                series.add(chunk, self._answer(times, i, chunk))
        out = series.end()
        if self._hidden is not None:
            self._hide(times, bands, out)
        return out

    def read_pixel(self, times: Instants, row: float, col: float, bands: tuple[int, ...]) -> NDArray[np.float32]:
        """Evaluate one point, as `read_series` does, in a fraction of its time: (len(times), len(bands)) float32."""
        if self.backend.torch is not None:
            found: NDArray[np.float32] = self.read_series(times, np.array([row]), np.array([col]), bands)[0]
            return found
        targets = self._pixels.of
        target = targets.get(key := (len(times), bands))
        if target is None:
            targets.clear()  # a thread reads one kind of series for long
            target = targets[key] = PixelTarget(
                len(times), bands, self.n_chunks, blends=self._blends, precision=self._precision
            )
        if self._closed:
            raise self._is_closed()
        out = target.begin(row, col, self._fill)
        box = row, math.nextafter(row, math.inf), col, math.nextafter(col, math.inf)
        routed = lib.gndc_route_times(self._geometry, times.c_frames, len(times), *box, target.routed)
        for k in range(routed):
            i = target.routed[k]
            chunk = self._chunk(i)
            chunk.add_to_series(target.series, self._answer(times, i, chunk), self.n_threads, target.message)
        lib.gndc_series_end(target.series, self._fill)
        if self._hidden is not None:
            self._hide(times, bands, out[np.newaxis])
        return out

    def instants(self, moments: Sequence[Moment]) -> Instants:
        """Return moments as `read_series` wants them."""
        return Instants(
            np.array([self._frame_coordinate(moment) for moment in moments], np.float64),
            np.array([0.0 if moment.time is None else to_seconds(moment.time) for moment in moments], np.float64),
            np.array([-1 if moment.frame is None else moment.frame for moment in moments], np.int64),
        )

    def read_tangents(
        self,
        moment: Moment,
        rows: NDArray[np.float64],
        cols: NDArray[np.float64],
        bands: Sequence[int],
        axes: str,
    ) -> NDArray[np.float32]:
        """Evaluate points and their exact derivatives at one moment; residuals take no part.

        Parameters
        ----------
        rows, cols
            Pixel coordinates inside the cube, (N,) each.
        axes
            Letters of what to derive by: ``x`` a pixel column, ``y`` a pixel row, ``t`` a second; in this order.

        Returns
        -------
        ndarray
            (1 + len(axes), N, len(bands)) float32: values, then derivatives. NaN where masked; where no chunk is,
            the cube's fill with NaN derivatives.

        Raises
        ------
        FileFormatError
            If the derivative by ``x`` or ``y`` is asked of a model that decodes blocks of pixels (`decodes_blocks`).
        """
        target = tangents_of(
            self.backend, rows, cols, bands, axes, blends=self._blends, fill=self._fill, n_threads=self.n_threads
        )
        frame, frame_rate = self._frame_coordinate(moment), self._frame_rate(moment)
        for i in self._route(frame, _box(rows, cols)) if rows.size else ():
            chunk = self._chunk(i)
            t, k = self._local(chunk, moment)
            rate = 0.0 if moment.time is None else chunk.normalised_rate(to_seconds(moment.time))
            weight = lib.gndc_time_weight(self._geometry, i, frame)
            weight_rate = lib.gndc_time_weight_rate(self._geometry, i, frame) * frame_rate
            target.add(chunk, t, rate, k, weight, weight_rate)
        out = target.end()
        if moment.frame is not None and self._hidden is not None:
            out[..., self._hidden[moment.frame][list(bands)]] = np.nan
        return out

    def decodes_blocks(self, moment: Moment, rows: NDArray[np.float64], cols: NDArray[np.float64]) -> bool:
        """Whether a model that decodes several pixels at once answers for any of these points."""
        routed = self._route(self._frame_coordinate(moment), _box(rows, cols)) if rows.size else []
        return any(lib.gndc_decodes_blocks(self._chunk(i).struct) for i in routed)

    # -- housekeeping --------------------------------------------------------------------------------------------

    @property
    def n_chunks(self) -> int:
        """Number of chunks in the manifest."""
        return len(self._bounds)

    def chunk(self, index: int) -> ChunkModel:
        """Return a loaded chunk by its place in the manifest."""
        return self._chunk(index)

    def cache_info(self) -> dict[str, CacheInfo]:
        """Return the counters of the caches of chunks and of decompressed masks and residuals."""
        return {"chunks": self._chunks.info(), "frames": self._frames.info()}

    def close(self) -> None:
        """Close the container and free what was loaded; calls after this fail."""
        self._closed = True
        self._chunks.clear()
        self._frames.clear()
        self.container.close()

    # -- parts ---------------------------------------------------------------------------------------------------

    def _frame_coordinate(self, moment: Moment) -> float:
        if moment.frame is not None:
            return moment.frame + 0.5
        assert moment.time is not None
        seconds = to_seconds(moment.time)
        if self.axis.ascends:
            times = self.axis.seconds
            return float(lib.gndc_frame_of(pointer("double", times), times.size, seconds))
        # dates in no order: a position between frames means nothing, the nearest frame does
        times = self.axis.seconds
        return float(lib.gndc_nearest_frame(pointer("double", times), times.size, seconds)) + 0.5

    def _frame_rate(self, moment: Moment) -> float:
        """Frames per second at a moment."""
        times = self.axis.seconds
        if moment.time is None or not self.axis.ascends:
            return 0.0
        return float(lib.gndc_frame_rate(pointer("double", times), times.size, to_seconds(moment.time)))

    def _local(self, chunk: ChunkModel, moment: Moment) -> tuple[float, int]:
        """Normalised time, and the stored frame whose mask and residuals apply."""
        if moment.time is None:
            return 0.0, (moment.frame or 0) - chunk.stored[0]
        seconds = to_seconds(moment.time)
        t = chunk.normalised(seconds)
        if moment.frame is not None:
            return t, moment.frame - chunk.stored[0]
        return t, chunk.frame_near(seconds)

    def _answer(self, times: Instants, index: int, chunk: ChunkModel) -> TimeAnswer:
        answer = times.answers.get(index)
        if answer is None:
            weights = np.empty(len(times))
            lib.gndc_time_weights(self._geometry, index, times.c_frames, len(times), pointer("double", weights))
            answer = times.answers[index] = chunk.answer(times.seconds, times.observed, weights)
        return answer

    def _hide(self, times: Instants, bands: Sequence[int], out: NDArray[np.float32]) -> None:
        """Make NaN of the bands (N, T, C) that the sensors of the frames do not observe."""
        assert self._hidden is not None
        for j in np.flatnonzero(times.observed >= 0):
            out[:, j, self._hidden[times.observed[j]][list(bands)]] = np.nan

    def _is_closed(self) -> GNDCError:
        return GNDCError(f"{self.container.path}: the dataset is closed")

    def _route(self, frame: float, box: tuple[float, float, float, float]) -> list[int]:
        return self._route_times(np.array([frame]), box)

    def _route_times(self, frames: NDArray[np.float64], box: tuple[float, float, float, float]) -> list[int]:
        if self._closed:
            raise self._is_closed()
        found = ffi.new("int64_t[]", len(self._bounds))
        n = lib.gndc_route_times(self._geometry, pointer("double", frames), frames.size, *box, found)
        return ffi.unpack(found, n) if n else []

    def _chunk(self, index: int) -> ChunkModel:
        if (loaded := self._chunks.find(index)) is not None:
            return loaded
        entry = self.container.manifest.chunks[index]

        def make() -> tuple[ChunkModel, int]:
            stored = ffi.new("int64_t[6]")
            lib.gndc_stored_extent(self._geometry, index, stored)
            bounds = tuple(int(b) for b in self._bounds[index])
            model = ChunkModel(
                self.container.read_chunk(entry), self.meta, self.axis, bounds, tuple(stored), self._frames, index,
                keep_tensors=not self.backend.native,
            )  # fmt: skip
            log.debug("%s: loaded %s, %d bytes", self.container.path, entry.file, model.nbytes)
            return model, model.nbytes

        return self._chunks.get(index, make)


class _PixelTargets(threading.local):
    """Those of each thread, by their number of times and bands."""

    def __init__(self) -> None:
        self.of: dict[tuple[int, tuple[int, ...]], PixelTarget] = {}


def _box(rows: NDArray[np.float64], cols: NDArray[np.float64]) -> tuple[float, float, float, float]:
    if rows.size == 1:
        row, col = float(rows[0]), float(cols[0])
        return row, math.nextafter(row, math.inf), col, math.nextafter(col, math.inf)
    return rows.min(), np.nextafter(rows.max(), np.inf), cols.min(), np.nextafter(cols.max(), np.inf)


def _hidden_bands(container: Container) -> NDArray[np.bool_] | None:
    """(T, C): which bands a frame's sensor does not observe; None if all observe all."""
    meta = container.meta
    if not meta.sensors or not meta.sensor_ids:
        return None
    names = meta.band_names
    everything = np.ones(len(names), bool)
    observed = {
        sensor.id: everything if sensor.bands is None else np.array([name in sensor.bands for name in names])
        for sensor in meta.sensors
    }
    return np.array([~observed.get(i, everything) for i in meta.sensor_ids])
