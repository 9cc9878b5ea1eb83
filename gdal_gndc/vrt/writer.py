"""Writing VRTs of a cube: the text of one, or a folder of them with an index."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import gdal_gndc
from gdal_gndc.atomic import write_text
from gdal_gndc.errors import CoordinateError
from gdal_gndc.selection import band_indices, file_names, select_moments
from gdal_gndc.times import format_time
from gdal_gndc.vrt.document import VRTOptions, layers_of, render, series_layers
from gdal_gndc.vrt.stac import write_stac
from gdal_gndc.vrt.template import load_template
from gdal_gndc.vrt.tile_index import write_geoparquet, write_tile_index
from gdal_gndc.vrt.warped import warped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gdal_gndc.dataset import GNDCDataset
    from gdal_gndc.time_axis import Moment, MomentLike
    from gdal_gndc.vrt.document import BlockSize, Box, Layer, Resolution

log = logging.getLogger(__name__)

INDEX = "index.json"
TILE_INDEX = "index.gti.gpkg"
GEOPARQUET = "index.parquet"


class VRTKeywords(TypedDict, total=False):
    """Keyword arguments of :func:`vrt` and the functions like it."""

    template: str | Path | None
    bands: Sequence[int | str] | None
    product: str | None
    product_bands: Sequence[int | str] | None
    bbox: Box | None
    resolution: Resolution | None
    crs: str | None
    resampling: str
    overviews: bool
    block_size: BlockSize | None


def vrt(path: str | os.PathLike[str], t: MomentLike = 0, **options: Unpack[VRTKeywords]) -> str:
    """Return the XML of a VRT that shows a cube at one moment.

    The text opens in ``rasterio.open`` and, saved to a file, in every GDAL program that has Python and trusts
    ``gdal_gndc.*`` (see :mod:`gdal_gndc.vrt.trust`). It holds the absolute path of the cube.

    Parameters
    ----------
    path
        The ``.gndc`` file or its URL.
    t
        Frame index, or a time: an observation when it matches one, else the continuous reconstruction.
    template
        A template file, or the name of a shipped one: ``cube`` (the default), ``ndvi``, ``rgb8`` (see
        ``gdal_gndc.vrt_templates``).
    bands
        Bands by 0-based index or name, in the order wanted; all by default.
    product
        Instead of the bands: an index of :mod:`gdal_gndc.indices` (``"ndvi"``), or the derivative of each
        band, ``"dx"``, ``"dy"`` (per unit of the CRS) or ``"dt"`` (per day).
    product_bands
        The bands that the index takes, in its order; by default those that the cube says to be red and so on.
    bbox
        (min_x, min_y, max_x, max_y) in the cube's CRS: the part to show.
    resolution
        Pixel size in units of the cube's CRS, or (x, y): any, the field is evaluated there.
    crs
        Another CRS: the raster is warped to it by GDAL, with ``resampling``.
    resampling
        A GDAL resampling method for ``crs``: ``"bilinear"`` by default.
    overviews
        Whether to declare overviews (powers of two down to 256 pixels), which gdalwarp and warped VRTs use.
        GDAL then reads zoomed-out windows on the pixels of an overview, a fraction of a pixel off the exact
        place.
    block_size
        Block side in pixels, or (width, height); by default 256, or a size near it that divides the cube's chunks.

    Raises
    ------
    TimeError
        If the cube has nothing at ``t``.
    CoordinateError
        If a band, product or place does not exist.
    GNDCError
        If the template cannot be used, or what opening the cube raises.
    """
    with gdal_gndc.open(path) as dataset:
        return moment_vrt(dataset, absolute(path), dataset.resolve_time(t), VRTOptions(**options))


def series_vrt(
    path: str | os.PathLike[str],
    band: int | str = 0,
    *,
    times: Iterable[MomentLike] | None = None,
    every: str | timedelta | None = None,
    start: str | datetime | None = None,
    end: str | datetime | None = None,
    **options: Unpack[VRTKeywords],
) -> str:
    """Return the XML of a VRT that shows one band of a cube, or a product, with a band for each time.

    ``gdallocationinfo`` on it gives a pixel's series. Each band has its time as description, and in the
    metadata ``time`` and ``TIFFTAG_DATETIME``.

    Parameters
    ----------
    band
        0-based index or name.
    times, every, start, end
        Which moments, as in :func:`gdal_gndc.selection.select_moments`; all observations by default.
    options
        As in :func:`vrt`; ``bands`` has no meaning here.

    Raises
    ------
    TimeError, CoordinateError, GNDCError
        As :func:`vrt`.
    """
    with gdal_gndc.open(path) as dataset:
        moments = select_moments(dataset, times=times, every=every, start=start, end=end)
        chosen = VRTOptions(**options)
        layers = series_layers(dataset, moments, band, chosen)
        return _text(dataset, absolute(path), layers, chosen, "series")


def write_vrts(
    path: str | os.PathLike[str],
    out_dir: str | os.PathLike[str],
    *,
    times: Iterable[MomentLike] | None = None,
    every: str | timedelta | None = None,
    start: str | datetime | None = None,
    end: str | datetime | None = None,
    series: bool = False,
    relative: bool = False,
    stac: bool = False,
    geoparquet: bool = False,
    progress: bool = False,
    **options: Unpack[VRTKeywords],
) -> list[Path]:
    """Write VRTs of a cube into a folder, and an index of them: ``index.json`` and ``index.gti.gpkg``.

    Without ``times`` and ``every`` there is one VRT an observation (between ``start`` and ``end``, if given).

    Parameters
    ----------
    path
        The ``.gndc`` file or its URL.
    out_dir
        Folder, made if it is not there. Files of the same name are replaced, each at once.
    times
        Moments wanted, as in :func:`vrt`.
    every
        Step of a regular series (``"5d"``, ``"P5D"``), from ``start`` to ``end`` or the cube's first and
        last date.
    start, end
        First and last time, both included; an ``end`` that is only a date includes that day's observations.
    series
        Whether to write also, for each band, one VRT with a band for each of the times.
    relative
        Whether the VRTs name the cube relative to the folder. GDAL does not tell the pixel function where a
        VRT lies, so such VRTs are read with the folder in the environment variable ``GNDC_PATH``, or from
        within it.
    stac
        Whether to write also a STAC item beside each VRT, and ``collection.json``.
    geoparquet
        Whether to write the tile index also as ``index.parquet``, which needs pyarrow.
    progress
        Whether to show a progress bar on stderr, if that is a terminal.
    options
        As in :func:`vrt`.

    Returns
    -------
    list of Path
        The VRT files in order of time, then those of series.

    Raises
    ------
    TimeError, CoordinateError, GNDCError
        As :func:`vrt`; also if ``times`` comes with ``every``, ``start`` or ``end``, or nothing is selected.
    """
    folder, source, chosen = Path(out_dir), absolute(path), VRTOptions(**options)
    with gdal_gndc.open(path) as dataset:
        moments = select_moments(dataset, times=times, every=every, start=start, end=end)
        stem = Path(source).stem if chosen.product is None else f"{Path(source).stem}_{chosen.product.lower()}"
        names = file_names(stem, moments, ".vrt")
        called = os.path.relpath(source, folder.absolute()) if relative else source
        # What is wrong with the options shows with the first, before there is a folder.
        first = moment_vrt(dataset, called, moments[0], chosen)
        folder.mkdir(parents=True, exist_ok=True)
        for moment, name in bar(list(zip(moments, names, strict=True)), progress):
            text = first if moment is moments[0] else moment_vrt(dataset, called, moment, chosen)
            write_text(folder / name, text)
        files = [folder / name for name in names]
        if series:
            files += _write_series(dataset, called, folder, stem, moments, chosen)
    pairs = list(zip(names, moments, strict=True))
    write_index(folder, stem, [called], pairs, stac=stac, geoparquet=geoparquet)
    log.info("wrote %d VRTs of %s to %s", len(files), source, folder)
    return files


def moment_vrt(dataset: GNDCDataset, path: str, moment: Moment, options: VRTOptions) -> str:
    """Return the XML of a VRT of an open cube that the VRT is to call ``path``."""
    return _text(dataset, path, layers_of(dataset, moment, options), options, None)


def absolute(path: str | os.PathLike[str]) -> str:
    """Return the absolute path of a local file; a URL or ``/vsi`` name as it is."""
    text = os.fspath(path)
    return text if "://" in text or text.startswith("/vsi") else str(Path(text).absolute())


def _text(dataset: GNDCDataset, path: str, layers: list[Layer], options: VRTOptions, default: str | None) -> str:
    text = render(dataset, path, layers, load_template(options.template or default), options)
    return text if options.crs is None else warped(text, options.crs, options.resampling)


def _write_series(
    dataset: GNDCDataset,
    path: str,
    folder: Path,
    stem: str,
    moments: list[Moment],
    options: VRTOptions,
) -> list[Path]:
    bands: list[int] = band_indices(dataset, options.bands)
    alone = options.product is not None and len(layers_of(dataset, moments[0], options)) == 1
    files = []
    for band in bands[:1] if alone else bands:
        text = _text(dataset, path, series_layers(dataset, moments, band, options), options, "series")
        name = stem if alone else f"{stem}_{_plain(dataset.band_names[band])}"
        files.append(folder / f"{name}_series.vrt")
        write_text(files[-1], text)
    if len(set(files)) != len(files):
        raise CoordinateError(f"{dataset.name}: bands of the same name cannot each have a series file")
    return files


def _plain(name: str) -> str:
    return "".join(char if char.isalnum() or char in "-_." else "_" for char in name)


def write_index(
    folder: Path,
    name: str,
    cubes: list[str],
    files: list[tuple[str, Moment]],
    *,
    stac: bool,
    geoparquet: bool,
) -> None:
    """Write ``index.json``, the tile index ``index.gti.gpkg`` where the rasters have a place, GeoParquet and STAC."""
    rasters = [
        {
            "file": file,
            "time": None if moment.time is None else format_time(moment.time),
            "observed": moment.frame is not None,
            "frame": moment.frame,
        }
        for file, moment in files
    ]
    index = {"cubes": cubes, "rasters": rasters}
    write_text(folder / INDEX, json.dumps(index, indent=1, ensure_ascii=False) + "\n")
    rasters_at = [(folder / file, moment) for file, moment in files]
    write_tile_index(folder / TILE_INDEX, rasters_at)
    if geoparquet:
        write_geoparquet(folder / GEOPARQUET, rasters_at)
    if stac:
        write_stac(folder, name, cubes, files)


def bar(items: list[Any], progress: bool) -> Iterable[Any]:
    """Go through items with a progress bar, if it is asked for and stderr is a terminal."""
    from tqdm import tqdm

    yield from tqdm(items, desc="VRT", unit="file", disable=None if progress else True, leave=False)
