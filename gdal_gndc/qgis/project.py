"""Writing a QGIS project of a cube: one layer a date, the temporal controller set to step through them."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import gdal_gndc
from gdal_gndc.atomic import write_text
from gdal_gndc.errors import CoordinateError
from gdal_gndc.qgis.document import Layer, layer_definition, project_document
from gdal_gndc.qgis.look import look_of
from gdal_gndc.qgis.source import SOURCES, sources_of
from gdal_gndc.qgis_plugin.style import DERIVATIVES, Style
from gdal_gndc.selection import select_moments
from gdal_gndc.time_axis import Moment

log = logging.getLogger(__name__)

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Files:
    """What was written: paths, the number of layers, and how they are shown.

    ``definition`` is None where no layer definition was asked for; ``vrts`` are the rasters behind ``source="vrt"``.
    """

    project: Path
    style: Path
    definition: Path | None
    layers: int
    look: Style
    vrts: tuple[Path, ...] = ()


def write_project(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    product: str | None = None,
    bands: Sequence[int | str] | None = None,
    every: str | timedelta | None = None,
    start: str | datetime | None = None,
    end: str | datetime | None = None,
    source: str = "option",
    definition: bool = False,
) -> Files:
    """Write a QGIS project (3.22 or newer) of a cube, and its style as a ``.qml`` beside it.

    Parameters
    ----------
    path
        The ``.gndc`` file or its URL.
    out
        The ``.qgs`` file; its folder is made if it is not there.
    product
        An index of :mod:`gdal_gndc.indices` to show instead of bands, or ``dx``, ``dy`` (per unit of the CRS) or
        ``dt`` (per day): the derivative of a band.
    bands
        Three bands for red, green and blue, or one, by 0-based index or name; one for a derivative.
    every, start, end
        Regular times instead of the observations; which of them.
    source
        How a layer names its raster: ``"option"`` for ``cube.gndc|option:T=...``, relative to the project;
        ``"gndc"`` for ``GNDC:/data/cube.gndc:t=...``, which QGIS can only keep absolute; ``"vrt"`` for VRTs written
        into a folder beside the project, which need Python pixel functions but no driver.
    definition
        Whether to write also a layer definition (``.qlr``), which adds the layers to any project.

    Raises
    ------
    CoordinateError
        If a band, index or kind of source does not exist, or the cube lacks the bands for it.
    TimeError, GNDCError
        As :func:`gdal_gndc.selection.select_moments`, and what opening the cube raises.
    """
    if source not in SOURCES:
        raise CoordinateError(f"no source {source!r}, expected one of {', '.join(SOURCES)}")
    target = Path(out)
    with gdal_gndc.open(path) as dataset:
        moments = select_moments(dataset, every=every, start=start, end=end)
        look = look_of(dataset, moments, bands=bands, product=product)
        target.parent.mkdir(parents=True, exist_ok=True)
        rasters = sources_of(dataset, path, target, moments, source, look.product or None)
        ranges = _ranges(moments)
        layers = [
            Layer(_title(moment), text, ranges[i] if ranges else None)
            for i, (moment, text) in enumerate(zip(moments, rasters.texts, strict=True))
        ]
        derived = f"{look.product} of {dataset.band_names[look.bands[0] - 1]}" if look.product in DERIVATIVES else ""
        title = f"{Path(dataset.name).stem} {derived or look.product.upper()}".rstrip()
        crs, bounds = dataset.crs, dataset.bounds
        write_text(target, project_document(title, layers, look, crs, bounds))
        style = _style_path(target, dataset.name, look)
        write_text(style, look.document())
        qlr = target.with_suffix(".qlr") if definition else None
        if qlr is not None:
            write_text(qlr, layer_definition(title, layers, look, crs, bounds))
    log.info("wrote %s with %d layers", target, len(layers))
    return Files(target, style, qlr, len(layers), look, rasters.files)


def _ranges(moments: Sequence[Moment]) -> list[tuple[datetime, datetime]]:
    """When each date is shown: to a second before the next, since QGIS takes both ends as included.

    The last one is shown as long as the one before it.
    """
    times = [moment.time for moment in moments if moment.time is not None]
    if len(times) != len(moments):
        return []
    length = times[-1] - times[-2] if len(times) > 1 else timedelta(days=1)
    ends = [*times[1:], times[-1] + max(length, _SECOND)]
    return [(time, max(time, end - _SECOND)) for time, end in zip(times, ends, strict=True)]


def _title(moment: Moment) -> str:
    if moment.time is None:
        return f"frame {moment.frame}"
    midnight = not (moment.time.hour or moment.time.minute or moment.time.second)
    return moment.time.strftime("%Y-%m-%d" if midnight else "%Y-%m-%d %H:%M:%S")


def _style_path(target: Path, cube: str, look: Style) -> Path:
    """Beside the project; the style of an index is not where QGIS takes it for that of the cube's bands."""
    style = target.with_suffix(".qml")
    if look.product and style.stem == Path(cube).stem:
        return style.with_stem(f"{style.stem}_{look.product}")
    return style
