"""Several cubes as one raster: a VRT of VRTs."""

from __future__ import annotations

import math
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import gdal_gndc
from gdal_gndc.atomic import write_text
from gdal_gndc.errors import CoordinateError, TimeError
from gdal_gndc.selection import file_names
from gdal_gndc.time_axis import Moment, MomentLike
from gdal_gndc.times import parse_time, time_range
from gdal_gndc.vrt.document import VRTOptions
from gdal_gndc.vrt.warped import warped
from gdal_gndc.vrt.writer import VRTKeywords, absolute, bar, moment_vrt, write_index

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset

# Grids that differ by less than this part of a pixel are the same.
_ALIGNED = 1e-3


def mosaic_vrt(paths: Sequence[str | os.PathLike[str]], t: MomentLike, **options: Unpack[VRTKeywords]) -> str:
    """Return the XML of a VRT that shows several cubes at one moment as one raster.

    Its CRS, pixel size and bands are those of the first cube; cubes in another CRS, or on a grid that does
    not line up, are warped to it (``resampling``). Where cubes overlap the later one is on top, where it
    has data.

    Parameters
    ----------
    paths
        The cubes; those that do not cover the moment are left out, if others do.
    t
        A time (a frame index says something else in every cube), as in :func:`gdal_gndc.vrt`.
    options
        As in :func:`gdal_gndc.vrt`; ``bbox`` and ``resolution`` in the CRS of each cube.

    Raises
    ------
    TimeError
        If no cube covers the moment, or ``t`` is a frame index.
    CoordinateError
        If a cube lacks a band, a product's bands or a transform.
    GNDCError
        As :func:`gdal_gndc.vrt`.
    """
    with ExitStack() as stack:
        datasets = [stack.enter_context(gdal_gndc.open(path)) for path in paths]
        return _mosaic(datasets, [absolute(path) for path in paths], t, VRTOptions(**options))


def write_mosaics(
    paths: Sequence[str | os.PathLike[str]],
    out_dir: str | os.PathLike[str],
    *,
    times: Iterable[MomentLike] | None = None,
    every: str | timedelta | None = None,
    start: str | datetime | None = None,
    end: str | datetime | None = None,
    stac: bool = False,
    geoparquet: bool = False,
    progress: bool = False,
    **options: Unpack[VRTKeywords],
) -> list[Path]:
    """Write mosaics of several cubes into a folder, and ``index.json`` which lists them.

    Parameters
    ----------
    times
        Times wanted; or ``every``, a regular series from ``start`` to ``end``, by default from the first
        date of any cube to the last.
    stac, geoparquet
        As in :func:`gdal_gndc.vrt.writer.write_vrts`.
    progress
        Whether to show a progress bar on stderr, if that is a terminal.

    Returns
    -------
    list of Path
        The VRT files ``mosaic_DATE.vrt`` in order of time.

    Raises
    ------
    TimeError
        As :func:`mosaic_vrt`; also if neither ``times`` nor ``every`` is given, or both.
    CoordinateError, GNDCError
        As :func:`mosaic_vrt`.
    """
    folder, chosen = Path(out_dir), VRTOptions(**options)
    sources = [absolute(path) for path in paths]
    with ExitStack() as stack:
        datasets = [stack.enter_context(gdal_gndc.open(path)) for path in paths]
        wanted = _times(datasets, times, every, start, end)
        texts = [_mosaic(datasets, sources, time, chosen) for time in bar(wanted, progress)]
    moments = [Moment(None, parse_time(time)) for time in wanted]
    names = file_names("mosaic", moments, ".vrt")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in zip(names, texts, strict=True):
        write_text(folder / name, text)
    write_index(folder, "mosaic", sources, list(zip(names, moments, strict=True)), stac=stac, geoparquet=geoparquet)
    return [folder / name for name in names]


def _times(
    datasets: Sequence[GNDCDataset],
    times: Iterable[MomentLike] | None,
    every: str | timedelta | None,
    start: str | datetime | None,
    end: str | datetime | None,
) -> list[Any]:
    if times is not None:
        if every is not None or start is not None or end is not None:
            raise TimeError("give single times, or every, start and end, not both")
        return sorted(times, key=parse_time)
    if every is None:
        raise TimeError("several cubes have no dates in common: say which times, or every which step")
    stamps = [stamp for dataset in datasets for stamp in dataset.timestamps]
    if not stamps:
        raise TimeError("the cubes have no dates, so there is no series at regular times")
    return time_range(start or min(stamps), end or max(stamps), every)


def _mosaic(datasets: Sequence[GNDCDataset], paths: Sequence[str], t: MomentLike, options: VRTOptions) -> str:
    """Return the VRT of open cubes, each at the moment that ``t`` is for it."""
    parse_time(t)  # type: ignore[arg-type]  # a frame index is refused here
    inner: list[str] = []
    outside: TimeError | None = None
    for dataset, path in zip(datasets, paths, strict=True):
        try:
            moment = dataset.resolve_time(t)
        except TimeError as error:
            outside = outside or error
            continue
        inner.append(moment_vrt(dataset, path, moment, options))
    if not inner:
        raise outside or TimeError("no cube to show")
    return _assemble(inner, options.resampling)


def _assemble(texts: Sequence[str], resampling: str) -> str:
    import rasterio
    from rasterio.transform import Affine

    with rasterio.open(texts[0]) as first:
        crs, step, count, block = first.crs, first.transform, first.count, first.block_shapes[0]
    if step.b or step.d or crs is None:
        raise CoordinateError("a mosaic needs cubes with a CRS and a transform that is not rotated")
    placed = []
    for text in texts:
        fitted, raster = _fitted(text, crs, step, resampling)
        if raster["count"] != count:
            raise CoordinateError(f"the cubes have {count} and {raster['count']} bands; expected the same")
        placed.append((fitted, raster))
    lefts = [raster["col"] for _, raster in placed]
    tops = [raster["row"] for _, raster in placed]
    left, top = min(lefts), min(tops)
    width = max(raster["col"] + raster["width"] for _, raster in placed) - left
    height = max(raster["row"] + raster["height"] for _, raster in placed) - top
    transform = Affine(step.a, 0.0, step.c + left * step.a, 0.0, step.e, step.f + top * step.e)
    root = ElementTree.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    ElementTree.SubElement(root, "SRS").text = crs.to_wkt()
    numbers = ",".join(repr(float(v)) for v in transform.to_gdal())
    ElementTree.SubElement(root, "GeoTransform").text = numbers
    document = ElementTree.fromstring(texts[0])
    root.extend(document.findall("Metadata"))
    described = document.findall("VRTRasterBand")
    for number in range(1, count + 1):
        band = ElementTree.SubElement(
            root, "VRTRasterBand", dataType=described[number - 1].get("dataType", "Float32"), band=str(number)
        )
        band.set("blockXSize", str(min(block[1], width)))
        band.set("blockYSize", str(min(block[0], height)))
        for tag in ("Description", "NoDataValue", "UnitType", "ColorInterp"):
            band.extend(described[number - 1].findall(tag))
        for text, raster in placed:
            _source(band, text, raster, number, raster["col"] - left, raster["row"] - top)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _fitted(text: str, crs: Any, step: Any, resampling: str) -> tuple[str, dict[str, Any]]:
    """Return a VRT on the grid of ``step``, warped to it if it is not on it, and where it lies there."""
    import rasterio

    with rasterio.open(text) as raster:
        here = raster.transform
        same = (
            raster.crs == crs
            and not here.b
            and not here.d
            and math.isclose(here.a, step.a, rel_tol=1e-9)
            and math.isclose(here.e, step.e, rel_tol=1e-9)
        )
        col, row = (here.c - step.c) / step.a, (here.f - step.f) / step.e
        if same and abs(col - round(col)) < _ALIGNED and abs(row - round(row)) < _ALIGNED:
            place = {"col": round(col), "row": round(row), "width": raster.width, "height": raster.height}
            return text, {**place, "count": raster.count, "block": raster.block_shapes[0]}
    return _fitted(warped(text, crs, resampling, grid=step), crs, step, resampling)


def _source(band: ElementTree.Element, text: str, raster: dict[str, Any], number: int, col: int, row: int) -> None:
    source = ElementTree.SubElement(band, "ComplexSource")
    ElementTree.SubElement(source, "SourceFilename", relativeToVRT="0").text = text
    ElementTree.SubElement(source, "SourceBand").text = str(number)
    size = {"xSize": str(raster["width"]), "ySize": str(raster["height"])}
    ElementTree.SubElement(source, "SrcRect", {"xOff": "0", "yOff": "0", **size})
    ElementTree.SubElement(source, "DstRect", {"xOff": str(col), "yOff": str(row), **size})
    nodata = band.findtext("NoDataValue")
    if nodata is not None:
        ElementTree.SubElement(source, "NODATA").text = nodata
