"""What a raster says of itself, and whether it goes with the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gdal_gndc.encode.inputs.grid import Grid
from gdal_gndc.errors import EncodeError, FileFormatError
from gdal_gndc.format.meta import Band
from gdal_gndc.raster_handles import dataset, reading


@dataclass(frozen=True)
class Look:
    """The head of a raster.

    Attributes
    ----------
    path
        The file.
    grid
        Its grid.
    indexes
        Numbers of its bands from 1, without an alpha band.
    bands, nodata
        What it says of these.
    dtype
        That holds the stored values of all of them.
    tags
        Of the file.
    """

    path: str
    grid: Grid
    indexes: tuple[int, ...]
    bands: tuple[Band, ...]
    nodata: tuple[float | None, ...]
    dtype: str
    tags: dict[str, str]

    @classmethod
    def at(cls, path: str) -> Look:
        """Open a raster and read its head.

        Raises
        ------
        EncodeError
            If it cannot be opened.
        """
        from rasterio.enums import ColorInterp

        try:
            source = dataset(path)
        except FileFormatError as error:
            raise EncodeError(f"{path}: cannot be opened as a raster: {error.problem}") from error
        alpha = [i for i in source.indexes if source.colorinterp[i - 1] == ColorInterp.alpha]
        indexes = tuple(i for i in source.indexes if i not in alpha) or tuple(source.indexes)
        return cls(
            path,
            Grid.of(source),
            indexes,
            tuple(_band(source, i) for i in indexes),
            tuple(finite(source.nodatavals[i - 1]) for i in indexes),
            np.result_type(*(source.dtypes[i - 1] for i in indexes)).name,
            source.tags(),
        )

    def check_like(self, first: Look) -> None:
        """Raise the first difference of the bands from those of another raster.

        Raises
        ------
        EncodeError
            It names both files.
        """

        def differs(what: str, value: object, expected: object) -> EncodeError:
            return EncodeError(f"{self.path}: {what} is {value}, but {expected} in {first.path}")

        if len(self.bands) != len(first.bands):
            raise differs("its number of bands", len(self.bands), len(first.bands))
        for one, other in zip(self.bands, first.bands, strict=True):
            if one.name != other.name:
                raise differs("the name of a band", repr(one.name), repr(other.name))
            if (one.scale_factor, one.add_offset) != (other.scale_factor, other.add_offset):
                raise differs(
                    f"the scale and offset of {one.name}",
                    (one.scale_factor, one.add_offset),
                    (other.scale_factor, other.add_offset),
                )
        if self.nodata != first.nodata:
            raise differs("its nodata", self.nodata, first.nodata)

    def check_pixels(self) -> None:
        """Read all of it, to find out whether it can be read.

        Raises
        ------
        EncodeError
            If it cannot.
        """
        from rasterio.windows import Window

        def read(source: Any) -> None:
            rows = max(source.block_shapes[0][0], 1)
            rows *= max(1, (1 << 22) // (rows * source.width))
            for top in range(0, source.height, rows):
                source.read(self.indexes, window=Window(0, top, source.width, min(rows, source.height - top)))

        try:
            reading(self.path, read)
        except FileFormatError as error:
            raise EncodeError(f"{self.path}: cannot be read: {error.problem}") from error


def finite(value: Any) -> float | None:
    """Return a number as a float; None for NaN, infinities and nothing."""
    return float(value) if value is not None and np.isfinite(value) else None


def _band(source: Any, i: int) -> Band:
    micrometres = source.tags(i, ns="IMAGERY").get("CENTRAL_WAVELENGTH_UM")
    return Band(
        name=source.descriptions[i - 1] or f"band_{i}",
        unit=source.units[i - 1] or None,
        scale_factor=float(source.scales[i - 1]),
        add_offset=float(source.offsets[i - 1]),
        fill_value=finite(source.nodatavals[i - 1]),
        center_wavelength=float(micrometres) * 1000.0 if micrometres else None,
    )
