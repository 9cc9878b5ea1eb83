"""Options of the encoder's input side: as keyword arguments, and what of them rasters are stacked by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from gdal_gndc.encode.inputs.grid import Alignment, Box, Extent, Grid
from gdal_gndc.encode.inputs.merge import Merge

GroupBy = Literal["time", "day"]


class SourceOptions(TypedDict, total=False):
    """What `gdal_gndc.encode.inputs.open_source` takes beside the inputs; its documentation tells what each means."""

    date_regex: str | None
    merge: Merge | None
    group_by: GroupBy
    skip_bad: bool
    align: bool
    crs: Any
    resolution: float | tuple[float, float] | None
    bounds: Box | Extent | None
    resampling: str
    variables: Sequence[str] | None
    assets: Sequence[str] | None
    mask: Any
    mask_values: Sequence[int] | str | None
    mask_bits: Sequence[int] | None
    mask_preset: str | None
    fill_gaps: bool


@dataclass(frozen=True)
class Stacking:
    """How rasters become frames of one grid, whatever lists them.

    Attributes
    ----------
    merge, group_by, skip_bad
        As for `gdal_gndc.encode.inputs.open_source`.
    alignment
        How all are warped to one grid; without it all must have it.
    grid
        Warp to this grid instead, if a file has another.
    """

    merge: Merge | None = None
    group_by: GroupBy = "time"
    skip_bad: bool = False
    alignment: Alignment | None = None
    grid: Grid | None = None
