"""Options of the encoder's input side, as keyword arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict

from gdal_gndc.encode.inputs.grid import Box, Extent
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
