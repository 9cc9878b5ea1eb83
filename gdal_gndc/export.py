"""Cubes to GeoTIFFs: written by windows, so that memory stays bounded whatever the size."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gdal_gndc.atomic import replacing
from gdal_gndc.errors import GNDCError
from gdal_gndc.selection import band_indices, file_names, select_moments
from gdal_gndc.time_axis import Moment, MomentLike
from gdal_gndc.times import format_time

if TYPE_CHECKING:
    from rasterio.io import DatasetWriter, MemoryFile

    from gdal_gndc.dataset import GNDCDataset

log = logging.getLogger(__name__)

Format = Literal["tif", "cog"]

_TILE = 256
# One evaluation's output at most, but never less than a row of tiles.
_STRIP_BYTES = 64 * 2**20


def to_tif(
    dataset: GNDCDataset,
    path: str | os.PathLike[str],
    t: MomentLike = 0,
    *,
    bands: Sequence[int | str] | None = None,
    format: Format = "tif",
) -> Path:
    """Write a cube at one moment as a float32 GeoTIFF.

    It has the cube's CRS and transform, NaN as nodata, the band names as descriptions, and the time in the
    tags ``TIFFTAG_DATETIME`` and ``time`` and in ``ACQUISITIONDATETIME`` of the domain IMAGERY. The file
    appears when it is complete.

    Parameters
    ----------
    path
        The file to write; one that is there is replaced.
    t
        Frame index or time: an observation when it matches one, else the continuous reconstruction.
    bands
        Bands by 0-based index or name; all by default.
    format
        ``"tif"`` (tiled, deflate) or ``"cog"`` (Cloud Optimized GeoTIFF with overviews).

    Raises
    ------
    TimeError, CoordinateError
        If the cube has no such moment or band.
    GNDCError
        For another format.
    OSError
        If the file cannot be written.
    """
    target = Path(path)
    _write(dataset, target, dataset.resolve_time(t), band_indices(dataset, bands), format)
    return target


def to_tifs(
    dataset: GNDCDataset,
    out_dir: str | os.PathLike[str],
    *,
    times: Iterable[MomentLike] | None = None,
    every: str | timedelta | None = None,
    start: str | datetime | None = None,
    end: str | datetime | None = None,
    bands: Sequence[int | str] | None = None,
    format: Format = "tif",
    overwrite: bool = False,
    progress: bool = True,
) -> list[Path]:
    """Write many moments of a cube as GeoTIFFs, and skip those that an earlier run completed.

    Parameters
    ----------
    out_dir
        Folder, made if it is not there.
    times, every, start, end
        Which moments, as in :func:`gdal_gndc.selection.select_moments`; all observations by default.
    bands, format
        As in :func:`to_tif`.
    overwrite
        Write again also what is there already.
    progress
        Whether to show a progress bar on stderr, if that is a terminal.

    Returns
    -------
    list of Path
        The files in order of time, those skipped included.

    Raises
    ------
    TimeError, CoordinateError, GNDCError, OSError
        As :func:`to_tif`; also if nothing is selected.
    """
    from tqdm import tqdm

    folder = Path(out_dir)
    indices = band_indices(dataset, bands)
    moments = select_moments(dataset, times=times, every=every, start=start, end=end)
    stem = Path(str(dataset.name)).stem
    files = [folder / name for name in file_names(stem, moments, ".tif")]
    folder.mkdir(parents=True, exist_ok=True)
    work = list(zip(moments, files, strict=True))
    hidden = None if progress else True
    for moment, file in tqdm(work, desc="GeoTIFF", unit="file", disable=hidden, leave=False):
        if overwrite or not _complete(dataset, file, moment, indices, format):
            _write(dataset, file, moment, indices, format)
    log.info("%d GeoTIFFs of %s in %s", len(files), dataset.name, folder)
    return files


def to_rasterio(dataset: GNDCDataset, t: MomentLike = 0, *, bands: Sequence[int | str] | None = None) -> MemoryFile:
    """Return a cube at one moment as a GeoTIFF in memory, a ``rasterio.io.MemoryFile``.

    The caller closes it. Parameters and errors are those of :func:`to_tif`.
    """
    from rasterio.io import MemoryFile

    moment, indices = dataset.resolve_time(t), band_indices(dataset, bands)
    memory = MemoryFile(ext=".tif")
    try:
        with memory.open(**_profile(dataset, len(indices))) as target:
            _fill(dataset, target, moment, indices, "tif")
    except BaseException:
        memory.close()
        raise
    return memory


def _write(dataset: GNDCDataset, path: Path, moment: Moment, bands: Sequence[int], format: str) -> None:
    import rasterio
    import rasterio.shutil

    if format not in ("tif", "cog"):
        raise GNDCError(f"format is {format!r}; expected 'tif' or 'cog'")
    with replacing(path) as beside:
        plain = beside if format == "tif" else beside.with_suffix(".plain.tif")
        try:
            with rasterio.open(plain, "w", **_profile(dataset, len(bands))) as target:
                _fill(dataset, target, moment, bands, format)
            if plain != beside:
                options = {"compress": "DEFLATE", "predictor": "YES", "bigtiff": "IF_SAFER"}
                rasterio.shutil.copy(plain, beside, driver="COG", **options)
        finally:
            if plain != beside:
                plain.unlink(missing_ok=True)


def _profile(dataset: GNDCDataset, count: int) -> dict[str, Any]:
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "dtype": "float32",
        "width": dataset.width,
        "height": dataset.height,
        "count": count,
        "crs": dataset.crs,
        "transform": dataset.transform,
        "nodata": float("nan"),
        "compress": "deflate",
        "predictor": 3,
        "interleave": "band",
        "bigtiff": "if_safer",
    }
    # Tiles of a raster smaller than one would only be padding.
    if dataset.width >= _TILE and dataset.height >= _TILE:
        profile.update(tiled=True, blockxsize=_TILE, blockysize=_TILE)
    return profile


def _fill(dataset: GNDCDataset, target: DatasetWriter, moment: Moment, bands: Sequence[int], format: str) -> None:
    from rasterio.windows import Window

    for top, rows in _strips(dataset, len(bands)):
        values = dataset.read_moment(moment, bands=list(bands), window=(0, top, dataset.width, rows))
        target.write(values.transpose(2, 0, 1), window=Window(0, top, dataset.width, rows))
    target.descriptions = tuple(dataset.band_names[band] for band in bands)
    target.update_tags(**_tags(dataset, moment, format))
    if moment.time is not None:
        target.update_tags(ns="IMAGERY", ACQUISITIONDATETIME=moment.time.strftime("%Y-%m-%d %H:%M:%S"))


def _strips(dataset: GNDCDataset, count: int) -> Iterator[tuple[int, int]]:
    tile_rows = max(1, _STRIP_BYTES // (dataset.width * count * 4 * _TILE))
    step = tile_rows * _TILE
    for top in range(0, dataset.height, step):
        yield top, min(step, dataset.height - top)


def _tags(dataset: GNDCDataset, moment: Moment, format: str) -> dict[str, str]:
    tags = {
        "GNDC_SOURCE": _source(dataset),
        "GNDC_FORMAT": format,
        "observed": "NO" if moment.frame is None else "YES",
    }
    if moment.frame is not None:
        tags["frame"] = str(moment.frame)
    if moment.time is not None:
        tags["TIFFTAG_DATETIME"] = moment.time.strftime("%Y:%m:%d %H:%M:%S")
        tags["time"] = format_time(moment.time)
    return tags


def _source(dataset: GNDCDataset) -> str:
    """Return what tells this version of this file from others: name, size and time of change."""
    path = Path(str(dataset.name))
    if not path.is_file():
        return str(dataset.name)
    status = path.stat()
    return f"{path.name} {status.st_size} {status.st_mtime_ns}"


def _complete(dataset: GNDCDataset, file: Path, moment: Moment, bands: Sequence[int], format: str) -> bool:
    """Whether ``file`` is what would be written. It appeared complete, so its tags tell enough."""
    import rasterio
    from rasterio.errors import RasterioError

    if not file.is_file():
        return False
    try:
        with rasterio.open(file) as there:
            tags = there.tags()
            names = tuple(dataset.band_names[band] for band in bands)
            wanted = _tags(dataset, moment, format).items()
            return bool(there.descriptions == names and wanted <= tags.items())
    except RasterioError:
        return False
