"""Cubes to GeoTIFFs: one file a moment, several at a time, in bounded memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, cast, get_args

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.atomic import sweep
from gdal_gndc.errors import GNDCError
from gdal_gndc.geotiff import Compression, Format, GeoTIFF, Window
from gdal_gndc.packing import FileType, Numbers, packing_of
from gdal_gndc.parallel import job_count, run_all
from gdal_gndc.selection import band_indices, file_names, select_moments
from gdal_gndc.time_axis import Moment, MomentLike
from gdal_gndc.times import TimeLike, format_time
from gdal_gndc.vrt.grid import Grid, grid_of
from gdal_gndc.window import sample_positions

if TYPE_CHECKING:
    from rasterio.io import MemoryFile

    from gdal_gndc.dataset import Box, GNDCDataset

log = logging.getLogger(__name__)

Resampling = Literal["nearest", "average"]

# values that all files being written hold together
_BYTES = 64 << 20


class RasterOptions(TypedDict, total=False):
    """What the values of an export are, and how a GeoTIFF holds them.

    Attributes
    ----------
    bands
        By 0-based index or name; all by default.
    bbox
        (min_x, min_y, max_x, max_y) in the cube's CRS, widened to the pixels it touches.
    resolution
        Pixel size in CRS units, or (x, y): the field is evaluated at the centres of such pixels. By default the cube's.
    resampling
        ``nearest``: the field at the centre of each pixel; ``average``: the mean of the cube's pixels that it covers.
    dtype, scale, offset, nodata
        ``float32`` with NaN, or an integer type: see `gdal_gndc.packing.packing_of`.
    format, compress, overviews
        See `gdal_gndc.geotiff.GeoTIFF`.
    """

    bands: Sequence[int | str] | None
    bbox: Box | None
    resolution: float | tuple[float, float] | None
    resampling: Resampling
    dtype: FileType
    scale: Numbers
    offset: Numbers
    nodata: float | None
    format: Format
    compress: Compression
    overviews: bool | None


def to_tif(
    dataset: GNDCDataset, path: str | os.PathLike[str], t: MomentLike = 0, **options: Unpack[RasterOptions]
) -> Path:
    """Write a cube at one moment as a GeoTIFF, which appears when it is complete; one that is there is replaced.

    It has CRS, transform and nodata, names, units, scales and offsets of the bands, the time in ``TIFFTAG_DATETIME``,
    ``time`` and ``ACQUISITIONDATETIME`` (domain IMAGERY), and where it comes from in ``TIFFTAG_SOFTWARE``,
    ``GNDC_SOURCE``, ``observed`` and ``frame``.

    Parameters
    ----------
    t
        Frame index or time: an observation when it matches one, else the continuous reconstruction.
    options
        Those of `RasterOptions`.

    Raises
    ------
    TimeError, CoordinateError
        If the cube has no such moment, band or box.
    GNDCError
        For another format or number type, or a scale that does not fit it.
    OSError
        If the file cannot be written.
    """
    target, moment = Path(path), dataset.resolve_time(t)
    writer, read = prepare(dataset, **options)
    writer.write(target, partial(read, moment), tags_of(dataset, moment), moment.time)
    return target


def to_tifs(
    dataset: GNDCDataset,
    out_dir: str | os.PathLike[str],
    *,
    times: Iterable[MomentLike] | None = None,
    every: str | timedelta | None = None,
    start: TimeLike | None = None,
    end: TimeLike | None = None,
    overwrite: bool = False,
    progress: bool = True,
    jobs: int | None = None,
    **options: Unpack[RasterOptions],
) -> list[Path]:
    """Write many moments of a cube as GeoTIFFs, and skip those that an earlier run completed.

    Parameters
    ----------
    out_dir
        Folder, made if it is not there.
    times, every, start, end
        Which moments, as in `gdal_gndc.selection.select_moments`; all observations by default.
    overwrite
        Write again also what is there already.
    progress
        Whether to show a progress bar on stderr, if that is a terminal.
    jobs
        How many files are written at the same time; by default the number of CPUs, at most 4. Memory does not
        depend on it.
    options
        Those of `RasterOptions`.

    Returns
    -------
    list of Path
        The files in order of time, those skipped included.

    Raises
    ------
    TimeError, CoordinateError, GNDCError, OSError
        As `to_tif`; also if nothing is selected.
    """
    folder = Path(out_dir)
    writer, read = prepare(dataset, jobs=jobs, **options)
    moments = select_moments(dataset, times=times, every=every, start=start, end=end)
    files = [folder / name for name in file_names(Path(str(dataset.name)).stem, moments, ".tif")]
    folder.mkdir(parents=True, exist_ok=True)
    sweep(files)

    def write(item: tuple[Moment, Path]) -> None:
        moment, file = item
        tags = tags_of(dataset, moment)
        if overwrite or not writer.is_complete(file, tags):
            writer.write(file, partial(read, moment), tags, moment.time)

    run_all(write, list(zip(moments, files, strict=True)), jobs=jobs, label="GeoTIFF", unit="file", progress=progress)
    log.info("%d GeoTIFFs of %s in %s", len(files), dataset.name, folder)
    return files


def to_rasterio(dataset: GNDCDataset, t: MomentLike = 0, **options: Unpack[RasterOptions]) -> MemoryFile:
    """Return a cube at one moment as a GeoTIFF in memory, a ``rasterio.io.MemoryFile``.

    The caller closes it. Parameters and errors are those of `to_tif`; ``format`` has no meaning.
    """
    moment = dataset.resolve_time(t)
    writer, read = prepare(dataset, **options)
    return writer.in_memory(partial(read, moment), tags_of(dataset, moment), moment.time)


def prepare(
    dataset: GNDCDataset, *, jobs: int | None = None, **options: Any
) -> tuple[GeoTIFF, Callable[[Moment, Window], NDArray[np.float32]]]:
    """Return what writes GeoTIFFs of a cube, and what reads its windows."""
    indices = band_indices(dataset, options.pop("bands", None))
    grid = grid_of(dataset, options.pop("bbox", None), options.pop("resolution", None))
    packing = packing_of(
        dataset, indices, **{key: options.pop(key) for key in ("dtype", "scale", "offset", "nodata") if key in options}
    )
    names = tuple(dataset.band_names[band] for band in indices)
    units = tuple(dataset.bands_meta[band].unit for band in indices)
    resampling = checked_resampling(options.pop("resampling", "nearest"))
    share = _BYTES // job_count(jobs)
    writer = GeoTIFF(grid, dataset.crs, names, units, packing, block_bytes=share, **options)
    return writer, partial(read_block, dataset, indices, grid, resampling)


def positions(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the pixel coordinates (rows, cols) of a grid's samples."""
    return sample_positions(grid.window, (grid.height, grid.width))


def tags_of(dataset: GNDCDataset, moment: Moment) -> dict[str, str]:
    """Return where a raster comes from and what it is of, as tags."""
    tags = {"GNDC_SOURCE": source_of(dataset), "observed": "NO" if moment.frame is None else "YES"}
    if moment.frame is not None:
        tags["frame"] = str(moment.frame)
    if moment.time is not None:
        tags["time"] = format_time(moment.time)
    return tags


def source_of(dataset: GNDCDataset) -> str:
    """Return what tells this version of this file from others: name, size and time of change."""
    path = Path(str(dataset.name))
    if not path.is_file():
        return str(dataset.name)
    status = path.stat()
    return f"{path.name} {status.st_size} {status.st_mtime_ns}"


def read_block(
    dataset: GNDCDataset,
    bands: Sequence[int],
    grid: Grid,
    resampling: Resampling,
    moment: Moment,
    window: Window,
) -> NDArray[np.float32]:
    """Read a window of a grid at a moment: (height, width, C)."""
    left, top, width, height = window
    if resampling == "average":
        x, y, size_x, size_y = grid.window
        step_x, step_y = size_x / grid.width, size_y / grid.height
        x, y = x + left * step_x, y + top * step_y
        part = (x, y, min(width * step_x, dataset.width - x), min(height * step_y, dataset.height - y))
        return dataset.read_moment(
            moment, bands=list(bands), window=part, out_shape=(height, width), resampling="average"
        )
    rows, cols = positions(grid)
    out = np.empty((height, width, len(bands)), np.float32)
    there = np.ascontiguousarray(rows[top : top + height]), np.ascontiguousarray(cols[left : left + width])
    dataset.cube.read_grid(moment, *there, bands, out)
    return out


def checked_resampling(resampling: str) -> Resampling:
    """Return what `GNDCDataset.read` knows, before a file is begun.

    Raises
    ------
    GNDCError
        If it is something else.
    """
    if resampling not in get_args(Resampling):
        raise GNDCError(f"resampling is {resampling!r}; expected nearest or average")
    return cast("Resampling", resampling)
