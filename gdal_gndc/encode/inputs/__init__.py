"""Sources of the encoder: from what a user names to frames of physical values."""

from __future__ import annotations

from typing import Any

from gdal_gndc.encode.inputs.find import Paths, find_files
from gdal_gndc.encode.inputs.grid import Alignment, Box, Extent
from gdal_gndc.encode.inputs.merge import Merge
from gdal_gndc.encode.inputs.options import GroupBy, SourceOptions
from gdal_gndc.encode.inputs.rasters import RasterStack, open_rasters
from gdal_gndc.encode.inputs.source import Source

__all__ = [
    "Inputs",
    "Paths",
    "RasterStack",
    "Source",
    "SourceOptions",
    "find_files",
    "open_rasters",
    "open_source",
]

Inputs = Paths | Source


def open_source(
    inputs: Inputs,
    *,
    date_regex: str | None = None,
    merge: Merge | None = None,
    group_by: GroupBy = "time",
    skip_bad: bool = False,
    align: bool = False,
    crs: Any = None,
    resolution: float | tuple[float, float] | None = None,
    bounds: Box | Extent | None = None,
    resampling: str = "nearest",
) -> Source:
    """Open what a user names as one cube.

    Parameters
    ----------
    inputs
        Files, directories, patterns, text lists, URLs: see `gdal_gndc.encode.inputs.find.find_files`.
    date_regex
        Finds the date in a file's name: groups ``year``, ``month``, ``day``, or one group in ISO 8601. By default
        dates come from the usual patterns in names, else from the tags.
    merge
        Makes one of several rasters of one date, sample by sample: ``first`` or ``last`` valid one in the order given,
        ``mean``, ``median``, ``min``, ``max``. Without it two files of one date are an error.
    group_by
        What rasters are merged: those of one ``time``, or of one ``day`` (UTC), which then has the time of its first.
    skip_bad
        Leave files out that cannot be read or have no date, instead of an error; they are told in the report. All
        pixels are read once more to find out.
    align
        Warp all to one grid: that of the first file, or as the following say, which imply it.
    crs, resolution, bounds
        Of that grid: anything rasterio reads; size of a pixel; (left, bottom, right, top), ``first`` or ``union``.
    resampling
        A method of GDAL's warper by its name in rasterio.

    Raises
    ------
    EncodeError
        If the inputs do not make a cube.
    """
    if isinstance(inputs, Source):
        return inputs
    alignment = None
    if align or crs is not None or resolution is not None or bounds is not None:
        alignment = Alignment(crs, resolution, bounds, resampling)
    return open_rasters(
        inputs, date_regex=date_regex, merge=merge, group_by=group_by, skip_bad=skip_bad, alignment=alignment
    )
