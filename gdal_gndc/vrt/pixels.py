"""The pixel function that GDAL calls for each band of a VRT of a cube.

GDAL knows it as ``gdal_gndc.vrt_pixels``; VRT files hold that name and the arguments, so both are an
interface. It runs inside programs that may carry another GDAL than rasterio's wheel does, so nothing here
imports rasterio.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import CoordinateError, GNDCError
from gdal_gndc.vrt.arguments import Arguments, Axis, Value, find_file, parse_arguments, value_of
from gdal_gndc.vrt.blocks import Block, BlockCache, CacheCounters
from gdal_gndc.vrt.cubes import Identity, OpenCube, OpenCubes

if TYPE_CHECKING:
    from gdal_gndc.time_axis import Moment

BLOCK = 256
# Blocks evaluated in one call at most: bounds the memory beside the cache to a few tens of MiB.
_RUN = 16

Window = tuple[float, float, float, float]


def _forget(identity: Identity) -> None:
    _cache.discard(lambda key: key[0] == identity)


_cache = BlockCache()
_cubes = OpenCubes(on_stale=_forget)
_thread = threading.local()


def read(
    in_ar: Any,
    out_ar: NDArray[Any],
    xoff: int,
    yoff: int,
    xsize: int,
    ysize: int,
    raster_xsize: int,
    raster_ysize: int,
    buf_radius: int,
    gt: Any,
    **kwargs: bytes,
) -> None:
    """Fill ``out_ar`` (rows, cols) with one band of a cube at one time, in place.

    The window ``xoff, yoff, xsize, ysize`` is in pixels of a raster of ``raster_xsize`` by ``raster_ysize``,
    which covers the cube or the part of it that ``window`` names. Values are evaluated at the centres of
    the pixels of ``out_ar``, so a smaller or larger buffer is the field itself at those places.

    The arguments in the VRT are those of :class:`gdal_gndc.vrt.arguments.Arguments`.

    Raises
    ------
    GNDCError
        For a missing, unknown or malformed argument, and whatever opening and reading the cube raises.
    """
    _thread.failure = None
    try:
        arguments = _parse(tuple(sorted(kwargs.items())))
        _read(out_ar, (xoff, yoff, xsize, ysize), (raster_xsize, raster_ysize), arguments)
    except Exception as error:
        _thread.failure = error
        raise


def failure_behind(error: BaseException) -> Exception | None:
    """Return what this module raised in this thread, if that is what an error of rasterio tells of.

    GDAL passes on the text of an error, not the error itself.
    """
    failure: Exception | None = getattr(_thread, "failure", None)
    told: BaseException | None = error
    while failure is not None and told is not None:
        if str(failure) in str(told):
            return failure
        told = told.__cause__ or told.__context__
    return None


def _read(out_ar: NDArray[Any], window: tuple[int, int, int, int], size: tuple[int, int], arguments: Arguments) -> None:
    xoff, yoff, xsize, ysize = window
    path = find_file(arguments.path)
    with _cubes.lease(path) as cube:
        value = value_of(cube.dataset, arguments, path)
        if value.scale is None and not np.issubdtype(out_ar.dtype, np.floating):
            raise GNDCError(f"the VRT's dataType is {out_ar.dtype}; expected Float32, or Byte with a scale")
        moment = cube.moment(arguments.t)
        rect = _rect(cube, arguments.window)
        x0, x1 = _span(rect[0], rect[2], xoff, xsize, size[0])
        y0, y1 = _span(rect[1], rect[3], yoff, ysize, size[1])
        _fill(out_ar, cube, moment, value, (x0, y0, x1 - x0, y1 - y0))


def counters() -> CacheCounters:
    """Return the counters of the block cache that all pixel functions of this process share."""
    return _cache.counters()


def clear() -> None:
    """Drop all decoded blocks and close the cubes held open."""
    _cubes.close()
    _cache.clear()


@lru_cache(maxsize=4096)
def _parse(items: tuple[tuple[str, bytes], ...]) -> Arguments:
    return parse_arguments({key: value.decode("utf-8") for key, value in items})


def _rect(cube: OpenCube, window: Window | None) -> Window:
    width, height = cube.dataset.width, cube.dataset.height
    if window is None:
        return 0.0, 0.0, float(width), float(height)
    col, row, cols, rows = window
    if col < 0 or row < 0 or col + cols > width or row + rows > height:
        raise CoordinateError(
            f"{cube.identity[0]}: the window {window} reaches outside the cube of {width} x {height} pixels"
        )
    return window


def _span(start: float, length: float, offset: int, size: int, raster_size: int) -> tuple[float, float]:
    """Return where a run of pixels begins and ends, of a raster that covers ``length`` from ``start``."""
    scale = length / raster_size
    # The end of the raster is the end of what it covers, not a rounding error beyond.
    end = start + length if offset + size == raster_size else start + (offset + size) * scale
    return start + offset * scale, end


def _fill(out: NDArray[Any], cube: OpenCube, moment: Moment, value: Value, window: Window) -> None:
    rows, cols = out.shape
    budget = _cache.max_bytes
    block_bytes = BLOCK * BLOCK * cube.dataset.n_bands * 4
    native = all(float(v).is_integer() for v in window) and window[2:] == (cols, rows)
    if native:
        col, row = int(window[0]), int(window[1])
        grid = [
            [(r, c) for c in range(col // BLOCK, (col + cols - 1) // BLOCK + 1)]
            for r in range(row // BLOCK, (row + rows - 1) // BLOCK + 1)
        ]
        held = len(grid) * len(grid[0]) * block_bytes <= budget
        if held and (rows * cols * 4 >= BLOCK * BLOCK or _cover_held(cube, moment, value.axis, grid)):
            for line in grid:
                for start in range(0, len(line), _RUN):
                    _fill_from_blocks(out, cube, moment, value, (col, row), line[start : start + _RUN])
            return
    if rows * cols * cube.dataset.n_bands * 4 <= budget // 2:
        # A few pixels, or a zoomed view: evaluated as asked, once for all bands.
        key = (cube.identity, moment, value.axis, window, (rows, cols))

        def load(keys: list[Any]) -> dict[Any, Block]:
            return {keys[0]: _evaluate(cube, moment, value.axis, window, (rows, cols))}

        out[...] = value.of(_cache.fetch([key], load)[key])
    else:
        # All bands of it would not stay in the cache until the next band is asked for.
        needed = list(value.bands)
        values = _evaluate(cube, moment, value.axis, window, (rows, cols), needed)
        out[...] = value.of(values, tuple(range(len(needed))))


def _evaluate(
    cube: OpenCube,
    moment: Moment,
    axis: Axis | None,
    window: Window,
    shape: tuple[int, int],
    bands: list[int] | None = None,
) -> Block:
    """Return (rows, cols, C) values, or derivatives by an axis."""
    if axis is None:
        return cube.dataset.read_moment(moment, bands=bands, window=window, out_shape=shape)
    t = moment.time if moment.frame is None else moment.frame
    assert t is not None
    return cube.dataset.derivative(t, bands, axis, window=window, out_shape=shape)


def _cover_held(cube: OpenCube, moment: Moment, axis: Axis | None, grid: list[list[tuple[int, int]]]) -> bool:
    keys = [(cube.identity, moment, axis, place) for line in grid for place in line]
    return _cache.peek(keys) is not None


def _fill_from_blocks(
    out: NDArray[Any],
    cube: OpenCube,
    moment: Moment,
    value: Value,
    corner: tuple[int, int],
    places: list[tuple[int, int]],
) -> None:
    """Fill the part of ``out`` (whose upper left pixel is ``corner``) that neighbouring blocks cover."""
    height, width = cube.dataset.height, cube.dataset.width

    def key(place: tuple[int, int]) -> tuple[Any, ...]:
        return cube.identity, moment, value.axis, place

    def load(keys: list[Any]) -> dict[Any, Block]:
        loaded = {}
        for run in _runs([place for *_, place in keys]):
            top, left = run[0][0] * BLOCK, run[0][1] * BLOCK
            shape = (min(BLOCK, height - top), min(len(run) * BLOCK, width - left))
            strip = _evaluate(cube, moment, value.axis, (left, top, shape[1], shape[0]), shape)
            for i, place in enumerate(run):
                loaded[key(place)] = strip[:, i * BLOCK : (i + 1) * BLOCK]
        return loaded

    found = _cache.fetch([key(place) for place in places], load)
    col, row = corner
    rows, cols = out.shape
    for (*_, (r, c)), block in found.items():
        top, left = r * BLOCK, c * BLOCK
        r0, r1 = max(row, top), min(row + rows, top + block.shape[0])
        c0, c1 = max(col, left), min(col + cols, left + block.shape[1])
        part = value.of(block[r0 - top : r1 - top, c0 - left : c1 - left])
        out[r0 - row : r1 - row, c0 - col : c1 - col] = part


def _runs(places: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Group places of one row of blocks into runs of neighbours."""
    runs: list[list[tuple[int, int]]] = []
    for place in places:
        if runs and runs[-1][-1][1] + 1 == place[1]:
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs
