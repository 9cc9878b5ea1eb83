"""Opening a cube as a rasterio dataset, whatever GDAL rasterio carries."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Unpack

import gdal_gndc
from gdal_gndc.errors import CoordinateError, TimeError
from gdal_gndc.selection import select_moments
from gdal_gndc.vrt.arguments import DERIVATIVES
from gdal_gndc.vrt.connection import is_connection, parse_connection
from gdal_gndc.vrt.pixels import failure_behind
from gdal_gndc.vrt.trust import require_trust
from gdal_gndc.vrt.writer import VRTKeywords, series_vrt, vrt

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

    from gdal_gndc.time_axis import MomentLike


def open_raster(
    name: str | os.PathLike[str], t: MomentLike | None = None, **options: Unpack[VRTKeywords]
) -> DatasetReader:
    """Open a cube, at one moment or one band of it over time, as a ``rasterio.DatasetReader``.

    It needs no GDAL driver: the raster is a VRT in memory whose pixels this package computes. Its Python
    function is let run before the dataset is given out, so no later setting can make reads return NaN for
    pixels that GDAL refused to compute.

    Parameters
    ----------
    name
        A path, a URL or a connection string: ``GNDC:cube.gndc:t=2024-06-15``, ``GNDC:cube.gndc:band=NDVI``
        (its observations as bands), ``GNDC:cube.gndc:band=B04:every=P5D:start=2018-01-01``,
        ``GNDC:cube.gndc:t=3:product=ndvi``.
    t
        Frame index or time, if the connection string does not say it. Not needed for a cube of one date.
    options
        As in :func:`gdal_gndc.vrt`.

    Raises
    ------
    FileFormatError
        If the connection string or the container is malformed, or its pixels cannot be read.
    TimeError
        If no time is given and the cube has several, or it has nothing at this one.
    CoordinateError
        If a band, product or place does not exist.
    GNDCError
        If GDAL's configuration forbids Python pixel functions.
    OSError
        If the file cannot be read.
    """
    import rasterio
    from rasterio.errors import RasterioIOError
    from rasterio.windows import Window

    require_trust()
    raster = rasterio.open(_text(os.fspath(name), t, options))
    try:
        # GDAL asks for its permission once a band, at the first read.
        raster.read(window=Window(raster.width // 2, raster.height // 2, 1, 1))
    except BaseException as error:
        raster.close()
        if isinstance(error, RasterioIOError) and (reason := failure_behind(error)) is not None:
            raise reason from error
        raise
    return raster


def opener(path: str, mode: str = "rb") -> io.BytesIO:
    """Open a cube as the bytes of a VRT: ``rasterio.open("GNDC:cube.gndc:t=2018-06-30", opener=gdal_gndc.opener)``.

    It lets programs that call ``rasterio.open`` themselves, and pass an opener on, read a cube by its connection
    string, or a cube of one date by its path, where no driver is installed. `open_raster` has more options.

    Raises
    ------
    FileNotFoundError
        For any other name: GDAL also looks for files beside the one it opens.
    GNDCError, OSError
        As `open_raster`.
    """
    # GDAL asks for the files beside it, the mask "c.gndc:t=1.msk" among them
    if mode not in ("r", "rb") or not (path.lower().endswith(".gndc") or _names_a_raster(path)):
        raise FileNotFoundError(2, "not a cube", path)
    require_trust()
    return io.BytesIO(_text(path, None, {}).encode())


def _names_a_raster(path: str) -> bool:
    return is_connection(path) and not path.lower().endswith((".msk", ".ovr", ".aux.xml", ".aux"))


def _text(name: str, t: MomentLike | None, options: VRTKeywords) -> str:
    if not is_connection(name):
        return vrt(name, _only(name) if t is None else t, **options)
    connection = parse_connection(name)
    path, keys = connection.path, dict(connection.options)
    chosen: VRTKeywords = {**options}
    if "product" in keys:
        chosen["product"] = keys["product"]
    if "t" in keys:
        if t is not None:
            raise TimeError(f"t is given twice: {keys['t']!r} in {name}, and {t!r}")
        t = keys["t"]
    if "band" in keys:
        chosen["bands"] = [_band(path, keys["band"])]
    if t is not None:
        if stray := [key for key in ("every", "start", "end") if key in keys]:
            raise TimeError(f"{name}: {stray[0]}= and a single time exclude each other")
        return vrt(path, t, **chosen)
    # an index is one raster a time; a derivative, like the values, one a band
    index = keys.get("product", "dx").lower() not in DERIVATIVES
    if "band" not in keys and not index:
        return vrt(path, _only(path), **chosen)
    band = (chosen.pop("bands", None) or [0])[0]
    return series_vrt(path, band, every=keys.get("every"), start=keys.get("start"), end=keys.get("end"), **chosen)


def _band(path: str, text: str) -> int:
    with gdal_gndc.open(path) as dataset:
        names = dataset.band_names
    if text in names:
        return names.index(text)
    if text.isdecimal() and 1 <= int(text) <= len(names):
        return int(text) - 1
    raise CoordinateError(f"{path}: no band {text!r}; expected 1 to {len(names)} or one of {', '.join(names)}")


def _only(path: str) -> int:
    with gdal_gndc.open(path) as dataset:
        count = len(select_moments(dataset))
    if count != 1:
        raise TimeError(f"{path}: the cube has {count} dates; say which by t, or name a band for all of them")
    return 0
