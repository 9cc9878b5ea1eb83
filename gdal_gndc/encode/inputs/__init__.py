"""Sources of the encoder: from what a user names to frames of physical values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gdal_gndc.encode.inputs.find import Paths, find_files
from gdal_gndc.encode.inputs.grid import Alignment, Box, Extent, Grid
from gdal_gndc.encode.inputs.masks import masked_by, masked_by_band
from gdal_gndc.encode.inputs.merge import Merge, check_merge
from gdal_gndc.encode.inputs.options import GroupBy, SourceOptions
from gdal_gndc.encode.inputs.rasters import RasterStack, open_rasters
from gdal_gndc.encode.inputs.rule import MaskRule
from gdal_gndc.encode.inputs.source import Source
from gdal_gndc.errors import EncodeError

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
_BAND = "band:"


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
    mask: Any = None,
    mask_values: Sequence[int] | str | None = None,
    mask_bits: Sequence[int] | None = None,
    mask_preset: str | None = None,
    fill_gaps: bool = False,
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
    mask
        A quality layer that hides pixels, such as clouds, which then are no data: ``band:NAME``, a band of the inputs,
        which is not encoded then; or inputs of its own, whose first band it is, with a frame for each date (of the same
        time, else of the same day). What a layer of its own knows nothing of is hidden too.
    mask_values, mask_bits, mask_preset
        Codes that hide a pixel: values, bits any of which is set (0 is the least significant), or a set of them by
        name, see `gdal_gndc.encode.inputs.rule.PRESETS`.
    fill_gaps
        Where a date has no data, masked or missing, but other dates have, the cube answers with what the network makes
        of it. The file keeps which samples were observed, see `gdal_gndc.GNDCDataset.observed`.

    Raises
    ------
    EncodeError
        If the inputs do not make a cube.
    """
    check_merge(merge)
    alignment = None
    if align or crs is not None or resolution is not None or bounds is not None:
        alignment = Alignment(crs, resolution, bounds, resampling)
    given = _Given(date_regex, merge, group_by, skip_bad, alignment)
    source = given.open(inputs)
    if mask is not None:
        rule = MaskRule.of(mask_values, mask_bits, mask_preset)
        if isinstance(mask, str) and mask.startswith(_BAND):
            source = masked_by_band(source, mask.removeprefix(_BAND), rule)
        else:
            layer = replace(given, merge=merge or "first").open(mask, grid=source.grid if alignment else None)
            source = masked_by(source, layer, rule, skip_bad=skip_bad)
    elif mask_values is not None or mask_bits is not None or mask_preset is not None:
        raise EncodeError("mask values, bits or a preset without a mask: expected mask too")
    return replace(source, fill_gaps=True) if fill_gaps else source


@dataclass(frozen=True)
class _Given:
    """What inputs and masks are opened with alike."""

    date_regex: str | None
    merge: Merge | None
    group_by: GroupBy
    skip_bad: bool
    alignment: Alignment | None

    def open(self, inputs: Any, *, grid: Grid | None = None) -> Source:
        """Open inputs, warped to a grid if one is given."""
        if isinstance(inputs, Source):
            return inputs
        return open_rasters(
            inputs,
            date_regex=self.date_regex,
            merge=self.merge,
            group_by=self.group_by,
            skip_bad=self.skip_bad,
            alignment=None if grid else self.alignment,
            grid=grid,
        )
