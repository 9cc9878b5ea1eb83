"""Sources of the encoder: from what a user names to frames of physical values."""

from __future__ import annotations

from gdal_gndc.encode.inputs.find import Paths, find_files
from gdal_gndc.encode.inputs.rasters import RasterStack, open_rasters
from gdal_gndc.encode.inputs.source import Source

__all__ = ["Inputs", "Paths", "RasterStack", "Source", "find_files", "open_rasters", "open_source"]

Inputs = Paths | Source


def open_source(inputs: Inputs, *, date_regex: str | None = None) -> Source:
    """Open what a user names; options as in `gdal_gndc.encode.encoder.encode`.

    Raises
    ------
    EncodeError
        If the inputs do not make a cube.
    """
    if isinstance(inputs, Source):
        return inputs
    return open_rasters(inputs, date_regex=date_regex)
