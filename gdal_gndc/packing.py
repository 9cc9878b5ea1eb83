"""How physical values become the numbers of a file: as they are, or as integers with a scale and an offset."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import GNDCError

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset

log = logging.getLogger(__name__)

FileType = Literal["float32", "uint8", "int16", "uint16", "int32", "uint32"]
Numbers = float | Sequence[float] | None


@dataclass(frozen=True)
class Packing:
    """The number type of a file, and what its numbers mean: value = stored * scale + offset.

    Integers are ``(value - offset) / scale`` rounded to the nearest, half to even, so that a value comes back within
    ``scale / 2``. What lies outside the type's range becomes its nearest end, which is logged; NaN becomes ``nodata``,
    which no value does: one that would round to it becomes the number beside it.

    Attributes
    ----------
    dtype
        ``float32`` or an integer type.
    scales, offsets
        One a band; 1 and 0 for ``float32``.
    nodata
        NaN, or a number of the type.
    """

    dtype: FileType
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    nodata: float

    @property
    def is_integer(self) -> bool:
        """Whether values are rounded."""
        return self.dtype != "float32"

    @property
    def note(self) -> str:
        """What was done to the values, in a sentence for a file's metadata; empty if nothing was."""
        if not self.is_integer:
            return ""
        return "(value - offset) / scale rounded to nearest, half to even; out of range saturates"

    def pack(self, values: NDArray[np.float32], band: int) -> NDArray[Any]:
        """Return the numbers of one band's values, any shape, as ``dtype``."""
        missing = np.isnan(values)
        if not self.is_integer:
            return values if np.isnan(self.nodata) else np.where(missing, np.float32(self.nodata), values)
        ends = np.iinfo(self.dtype)
        low, high = ends.min + (self.nodata == ends.min), ends.max - (self.nodata == ends.max)
        found = np.rint((values.astype(np.float64) - self.offsets[band]) / self.scales[band])
        found[missing] = low
        outside = int(np.count_nonzero((found < low) | (found > high)))
        if outside:
            log.info(
                "%d values outside %g to %g, which %s with scale %g and offset %g can hold",
                outside, *(n * self.scales[band] + self.offsets[band] for n in (low, high)), self.dtype,
                self.scales[band], self.offsets[band],
            )  # fmt: skip
            np.clip(found, low, high, out=found)
        found[found == self.nodata] += 1
        found[missing] = self.nodata
        return found.astype(self.dtype)


def packing_of(
    dataset: GNDCDataset | None,
    bands: Sequence[int],
    dtype: str = "float32",
    scale: Numbers = None,
    offset: Numbers = None,
    nodata: float | None = None,
) -> Packing:
    """Return how bands of a cube are stored.

    Parameters
    ----------
    dataset
        The cube; None for what is not its bands.
    scale, offset
        For an integer type, one number or one a band; by default those with which the cube's sources were stored, if
        these were integers.
    nodata
        By default NaN, the lowest number of a signed type, the highest of an unsigned one.

    Raises
    ------
    GNDCError
        If the type is not one of these, or scale, offset or nodata do not fit it.
    """
    if dtype not in get_args(FileType):
        raise GNDCError(f"dtype is {dtype!r}; expected one of {', '.join(get_args(FileType))}")
    count = len(bands)
    if dtype == "float32":
        if scale is not None or offset is not None:
            raise GNDCError("scale and offset are for integer types; float32 holds the values themselves")
        missing = float("nan") if nodata is None else float(np.float32(nodata))
        return Packing("float32", (1.0,) * count, (0.0,) * count, missing)
    if scale is None:
        if dataset is None or np.dtype(dataset.meta.get("dtype", "float32")).kind not in "iu":
            raise GNDCError(f"dtype {dtype} needs scale=, such as 0.0001: value = stored * scale + offset")
        scale = [dataset.bands_meta[band].scale_factor for band in bands]
        if offset is None:
            offset = [dataset.bands_meta[band].add_offset for band in bands]
    scales, offsets = _each(scale, count, "scale"), _each(0.0 if offset is None else offset, count, "offset")
    if not all(s > 0 and np.isfinite(s) for s in scales) or not all(np.isfinite(offsets)):
        raise GNDCError(f"scale {scale}, offset {offset}: expected positive scales and finite offsets")
    ends = np.iinfo(dtype)
    if nodata is None:
        nodata = ends.min if ends.min < 0 else ends.max
    if not (ends.min <= nodata <= ends.max and nodata == int(nodata)):
        raise GNDCError(f"nodata {nodata} is not a number of {dtype}, {ends.min} to {ends.max}")
    return Packing(dtype, scales, offsets, float(nodata))  # type: ignore[arg-type]


def _each(given: float | Sequence[float], count: int, name: str) -> tuple[float, ...]:
    numbers = np.asarray(given, np.float64)
    if numbers.ndim > 1 or numbers.size not in (1, count):
        raise GNDCError(f"{numbers.size} numbers for {name}, expected one or one for each of {count} bands")
    return tuple(float(n) for n in np.broadcast_to(numbers, count))
