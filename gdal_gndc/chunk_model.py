"""One chunk ready to be evaluated: its field, its place in the cube, its mask and residuals."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.cache import ByteCache
from gdal_gndc.errors import FileFormatError
from gdal_gndc.field.backend import Backend
from gdal_gndc.field.core import check, ffi, lib, message_buffer, pointer
from gdal_gndc.field.layout import Layout
from gdal_gndc.field.native import NativeField
from gdal_gndc.field.place import Place
from gdal_gndc.format.chunk import Chunk
from gdal_gndc.format.meta import Meta
from gdal_gndc.targets import grid_axes, grid_rows
from gdal_gndc.time_axis import TimeAxis
from gdal_gndc.times import to_seconds

_PARAMS = {
    2: ("lon_min", "lon_span", "lat_min", "lat_span"),
    1: ("x_min", "x_span", "y_min", "y_span", "z_min", "z_span"),
}
# outputs evaluated elsewhere that are worth several threads to take over
_PARALLEL = 1 << 16
_RESIDUAL_TYPES = {"int8": lib.GNDC_INT8, "int16": lib.GNDC_INT16, "float32": lib.GNDC_FLOAT32}


@dataclass(frozen=True, eq=False)
class TimeAnswer:
    """How a chunk answers ``n`` times: what of a series does not depend on its points.

    ``t`` and ``weights`` are pointers into ``arrays``: normalised times, time weights. ``near`` (N,) is the stored
    frame whose mask and residuals apply, ``answered`` the times whose weight is not 0.
    """

    n: int
    arrays: tuple[NDArray[np.float32], NDArray[np.float64]]
    t: Any
    weights: Any
    near: NDArray[np.int64]
    answered: NDArray[np.intp]


class ChunkModel:
    """A loaded chunk.

    Parameters
    ----------
    chunk
        Its blob, parsed.
    meta, axis
        Of the cube.
    bounds, stored
        (t0, t1, y0, y1, x0, x1) without and with the halo.
    frames
        Cache of decompressed masks and residuals, shared by the chunks of a cube.
    key
        What tells this chunk's frames from others' in the cache.
    keep_tensors
        See `NativeField`.

    Attributes
    ----------
    struct
        The core's ``gndc_chunk``.
    bounds, stored, data_range
        As given; the range of each band's values (of their log1p for ``use_log``), (C, 2) float32.
    nbytes
        Memory held, without the frame cache.

    Raises
    ------
    FileFormatError
        If the chunk holds what cannot be evaluated.
    """

    def __init__(
        self,
        chunk: Chunk,
        meta: Meta,
        axis: TimeAxis,
        bounds: tuple[int, ...],
        stored: tuple[int, ...],
        frames: ByteCache[Any],
        key: int,
        *,
        keep_tensors: bool = False,
    ) -> None:
        self.path, self.entry = chunk.path, chunk.entry
        layout = Layout.of(chunk.config, path=chunk.path, entry=chunk.entry)
        self.field = NativeField(
            layout, chunk.tensors(layout.counts), keep_tensors=keep_tensors, path=chunk.path, entry=chunk.entry
        )
        self.bounds = bounds
        self.stored = stored
        self._frames = frames
        self._key = key
        n, height, width = stored[1] - stored[0], stored[3] - stored[2], stored[5] - stored[4]
        self._shape = (n, height, width, meta.shape[3])
        self._mask = chunk.mask(frames=n, height=height, width=width)
        self._residuals = chunk.residuals(shape=self._shape)
        self._seconds = axis.seconds[stored[0] : stored[1]]
        self._t_norms = np.array(chunk.t_norms, np.float64)
        if self._t_norms.size and not (np.diff(self._seconds) > 0).all():
            raise FileFormatError(
                "t_norms with dates that do not ascend are not supported", path=chunk.path, entry=chunk.entry
            )
        self._start, self._end = _train_range(chunk, meta, axis, layout)
        self.data_range = np.ascontiguousarray(chunk.data_range, np.float32)
        struct = ffi.new("gndc_chunk *")
        struct.field = self.field.handle
        struct.bounds = bounds
        struct.stored = stored
        struct.range = pointer("float", self.data_range)
        struct.use_log = int(meta.use_log)
        struct.norm_mode = chunk.norm_mode
        struct.has_xyz_params = int(chunk.norm_mode == 1 and bool(chunk.norm_params))
        for i, name in enumerate(_PARAMS.get(chunk.norm_mode, ())):
            struct.params[i] = chunk.norm_params.get(name, 0.0)
        if chunk.norm_mode != 3:
            # the file's own reference point: writers of these modes did not move centre anchors to corners
            if meta.stored_transform is None:
                raise FileFormatError(
                    f"norm_mode {chunk.norm_mode} needs meta.transform, which is null",
                    path=chunk.path,
                    entry=chunk.entry,
                )
            a, b, c, d, e, f = meta.stored_transform
            x0, y0 = stored[4], stored[2]
            struct.transform = (a, b, c + a * x0 + b * y0, d, e, f + d * x0 + e * y0)
        self.struct = struct

    @property
    def nbytes(self) -> int:
        return self.field.nbytes

    @property
    def has_mask(self) -> bool:
        return self._mask is not None

    @property
    def has_residuals(self) -> bool:
        return self._residuals is not None

    def normalised(self, seconds: float) -> float:
        """Return a time (seconds since 1970) as the network knows it, in [0, 1]."""
        if self._t_norms.size:
            return float(np.float32(np.interp(seconds, self._seconds, self._t_norms)))
        return float(lib.gndc_normalise_time(seconds, self._start, self._end))

    def normalised_rate(self, seconds: float) -> float:
        """Return what `normalised` changes by per second: 0 beyond the times the network was trained on."""
        if not self._start <= seconds <= self._end or self._start == self._end:
            return 0.0
        if self._t_norms.size > 1:
            i = min(max(int(np.searchsorted(self._seconds, seconds, "right")), 1), self._seconds.size - 1)
            return float(np.diff(self._t_norms)[i - 1] / np.diff(self._seconds)[i - 1])
        return 1.0 / (self._end - self._start)

    def frame_near(self, seconds: float) -> int:
        """Return the stored frame observed nearest to a time, counted from the stored extent's first."""
        if not self._seconds.size:
            return 0
        return int(lib.gndc_nearest_frame(pointer("double", self._seconds), self._seconds.size, seconds))

    def mask_bits(self, frame: int) -> Any:
        """Return the packed bits of a stored frame as a C buffer that keeps its bytes alive, or NULL."""
        mask = self._mask
        if mask is None:
            return ffi.NULL
        k = 0 if mask.kind == "static" else frame

        def make() -> tuple[Any, int]:
            bits = mask.frame(k)
            return ffi.from_buffer("uint8_t[]", bits), len(bits)

        return self._frames.get((self._key, "mask", k), make)

    def residual(self, frame: int) -> Any:
        """Return the residuals of a stored frame as a handle of the core, or NULL."""
        residuals = self._residuals
        if residuals is None:
            return ffi.NULL

        def make() -> tuple[Any, int]:
            stored = residuals.frame(frame)
            if stored is None:
                return ffi.NULL, 64
            info = residuals.info
            scales = np.asarray(info.band_scales if info.uses_band_scales else (), np.float32)
            deltas = np.ascontiguousarray(stored.deltas, np.int32)
            values = np.ascontiguousarray(stored.values)
            status, message = ffi.new("int *"), message_buffer()
            handle = lib.gndc_residual_new(
                pointer("int32_t", deltas), pointer("void", values), deltas.size, _RESIDUAL_TYPES[values.dtype.name],
                stored.frame_scale, pointer("float", scales) if scales.size else ffi.NULL, scales.size,
                *self._shape[1:], status, message,
            )  # fmt: skip
            check(status[0], message, path=self.path, entry=self.entry)
            size = int(lib.gndc_residual_bytes(handle))
            return ffi.gc(handle, lib.gndc_residual_free, size), size + 64

        return self._frames.get((self._key, "residual", frame), make)

    def add_to_grid(self, grid: Any, backend: Backend, t: float, frame: int, weight: float, n_threads: int) -> None:
        """Add this chunk's part of a ``gndc_grid``, with mask and residuals of a stored frame."""
        message = message_buffer()
        mask, residual = self.mask_bits(frame), self.residual(frame)
        if backend.grid is None:
            status = lib.gndc_grid_add(grid, self.struct, t, weight, mask, residual, n_threads, message)
            check(status, message, path=self.path, entry=self.entry)
            return
        self.check()
        place, (rows, cols) = self.place, grid_axes(grid)
        (r0, r1), (c0, c1) = place.covered(rows, cols)
        if r0 == r1 or c0 == c1:
            return
        tile = max(1, backend.batch // (c1 - c0))
        for first in range(r0, r1, tile):
            last = min(first + tile, r1)
            x, y = place.grid(rows[first:last], cols[c0:c1])
            raw = np.ascontiguousarray(backend.grid(self.field, x, y, t), np.float32)
            self._write(grid, first, last, raw, weight, mask, residual, n_threads)

    def _write(
        self, grid: Any, first: int, last: int, raw: NDArray[np.float32], weight: float, mask: Any, residual: Any,
        n_threads: int,
    ) -> None:  # fmt: skip
        """Add network outputs (ny, nx, n_outputs) of the rows ``first`` to ``last`` of a ``gndc_grid``."""

        def write(rows: tuple[int, int], outputs: NDArray[np.float32]) -> None:
            message = message_buffer()
            part = grid_rows(grid, *rows)
            status = lib.gndc_grid_add_raw(
                part, self.struct, pointer("float", outputs), weight, mask, residual, message
            )
            check(status, message, path=self.path, entry=self.entry)

        threads = n_threads if n_threads > 0 else int(lib.gndc_threads())
        # rows of blocks are evaluated once, which bands of pixels would divide
        if threads == 1 or raw[..., 0].size < _PARALLEL or len(raw) != last - first:
            write((first, last), raw)
            return
        edges = [first + (last - first) * i // threads for i in range(threads + 1)]
        with ThreadPoolExecutor(threads) as pool:
            bands = list(pairwise(edges))
            list(pool.map(write, bands, [raw[a - first : b - first] for a, b in bands]))

    def answer(
        self, seconds: NDArray[np.float64], observed: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> TimeAnswer:
        """Return how this chunk answers times: at those whose weight is not 0; see `Instants`."""
        n = seconds.size
        t = np.empty(n, np.float32)
        if self._t_norms.size:
            t[:] = np.interp(seconds, self._seconds, self._t_norms)
        else:
            lib.gndc_normalise_times(pointer("double", seconds), n, self._start, self._end, pointer("float", t))
        near = observed - self.stored[0]
        for j in np.flatnonzero((observed < 0) & (weights > 0)):
            near[j] = self.frame_near(seconds[j])
        return TimeAnswer(
            n, (t, weights), pointer("float", t), pointer("double", weights), near, np.flatnonzero(weights)
        )

    def add_to_series(self, series: Any, answer: TimeAnswer, n_threads: int, message: Any = None) -> None:
        """Add this chunk's part of a ``gndc_series`` of the times it answers; ``message`` is room for one."""
        if message is None:
            message = message_buffer()
        masks = residuals = ffi.NULL
        if self.has_mask or self.has_residuals:
            masks, residuals = ffi.new("uint8_t *[]", answer.n), ffi.new("gndc_residual *[]", answer.n)
            held = []  # the caches may drop what the core still reads
            for j in answer.answered:
                near = int(answer.near[j])
                held.append((self.mask_bits(near), self.residual(near)))
                masks[j], residuals[j] = held[-1]
        status = lib.gndc_series_add(
            series, self.struct, answer.t, answer.weights, masks, residuals, n_threads, message
        )
        if status != lib.GNDC_OK:
            check(status, message, path=self.path, entry=self.entry)

    def add_to_tangents(
        self, target: Any, t: float, rate: float, frame: int, weight: float, weight_rate: float, n_threads: int
    ) -> None:
        """Add this chunk's part of a ``gndc_tangents``, with the mask of a stored frame."""
        message = message_buffer()
        status = lib.gndc_tangents_add(
            target, self.struct, t, rate, weight, weight_rate, self.mask_bits(frame), n_threads, message
        )
        check(status, message, path=self.path, entry=self.entry)

    @property
    def place(self) -> Place:
        """Where the chunk's pixels lie in its model, for what is not evaluated by the core."""
        struct = self.struct
        n_params = 4 if struct.norm_mode == 2 else 6 if struct.has_xyz_params else 0
        config = self.field.layout.config
        return Place(
            tuple(struct.bounds)[2:], tuple(struct.stored)[2:], config.block_size, struct.norm_mode,
            tuple(struct.params)[:n_params], tuple(struct.transform),
        )  # fmt: skip

    def check(self) -> None:
        """Refuse what cannot be evaluated, as the core does with every call.

        Raises
        ------
        FileFormatError
            If the chunk's geometry or units are no numbers.
        """
        nothing, message = ffi.new("gndc_series *"), message_buffer()
        status = lib.gndc_series_add(
            nothing, self.struct, ffi.NULL, ffi.NULL, ffi.NULL, ffi.NULL, 1, message
        )  # of no points
        check(status, message, path=self.path, entry=self.entry)

    def masked(self, frame: int, pixels: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Return which pixels (N,) of the stored extent a stored frame masks; None if it masks none."""
        bits = self.mask_bits(frame)
        if bits == ffi.NULL:
            return None
        packed = np.frombuffer(ffi.buffer(bits), np.uint8)
        return np.asarray(packed[pixels >> 3] >> (7 - (pixels & 7)) & 1, np.bool_)

    def corrections(
        self, frame: int, pixels: NDArray[np.int64], bands: NDArray[np.int32]
    ) -> NDArray[np.float32] | None:
        """Return the residuals (N, len(bands)) of a stored frame at pixels (N,) of the stored extent, or None."""
        residuals = self._residuals
        # the core looks whether they can be used
        if residuals is None or self.residual(frame) == ffi.NULL:
            return None

        def make() -> tuple[tuple[NDArray[np.int64], NDArray[np.float32]], int]:
            stored = residuals.frame(frame)
            assert stored is not None
            positions = np.cumsum(stored.deltas, dtype=np.int64)
            scales: Any = np.float32(1.0 if stored.values.dtype == np.float32 else stored.frame_scale)
            if residuals.info.uses_band_scales and stored.values.dtype != np.float32:
                steps = np.asarray(residuals.info.band_scales, np.float32)
                scales = steps[positions % self._shape[3] if steps.size > 1 else 0]
            values = stored.values.astype(np.float32) * scales
            return (positions, values), positions.nbytes + values.nbytes

        positions, values = self._frames.get((self._key, "corrections", frame), make)
        if not positions.size:
            return None
        wanted = pixels[:, None] * self._shape[3] + bands
        at = np.minimum(np.searchsorted(positions, wanted), positions.size - 1)
        return np.where(positions[at] == wanted, values[at], np.float32(0.0))


def _train_range(chunk: Chunk, meta: Meta, axis: TimeAxis, layout: Layout) -> tuple[float, float]:
    """Seconds that the network knows as 0 and 1: the chunk's, else the cube's, else first and last frame."""
    pairs = ((chunk.train_start, chunk.train_end), (meta.global_start, meta.global_end))
    for start, end in pairs:
        if start is not None and end is not None:
            return to_seconds(start), to_seconds(end)
    if axis.seconds.size:
        return float(axis.seconds.min()), float(axis.seconds.max())
    if layout.temporal and axis.n_frames > 1:
        raise FileFormatError(
            "the chunk has no train_time_range and the cube has no times", path=chunk.path, entry=chunk.entry
        )
    return 0.0, 0.0
