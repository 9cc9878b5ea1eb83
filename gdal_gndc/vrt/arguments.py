"""The arguments that a VRT passes to the pixel function, and what they mean for an open cube."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import CoordinateError, GNDCError

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset

SEARCH_PATH = "GNDC_PATH"
Axis = Literal["x", "y", "t"]

_KNOWN = ("path", "t", "band", "window", "product", "bands", "scale")

# Products that are derivatives of a band, and the axis of each: per unit of the CRS, or per day.
DERIVATIVES: dict[str, Axis] = {"dx": "x", "dy": "y", "dt": "t"}

Rect = tuple[float, float, float, float]


@dataclass(frozen=True)
class Arguments:
    """What ``PixelFunctionArguments`` of a VRT say.

    Attributes
    ----------
    path
        The container: an absolute path, a URL, or a relative path that is looked for in the folders of the
        environment variable ``GNDC_PATH`` (GDAL does not tell where the VRT lies), then in the working
        directory.
    t
        Frame index or ISO 8601 time.
    band
        Number, from 1, or name of a band of the cube.
    window
        (col_off, row_off, width, height) of the cube that the raster covers; None for the whole.
    product
        Instead of the band itself: an index of :mod:`gdal_gndc.indices`, or ``dx``, ``dy``, ``dt``, the
        band's derivative.
    bands
        Numbers or names of the bands the product takes, in its order; None to find them.
    scale
        (low, high) values that become 1 and 255 of a Byte band, where 0 is no data.
    """

    path: str
    t: str = "0"
    band: str = "1"
    window: Rect | None = None
    product: str | None = None
    bands: tuple[str, ...] | None = None
    scale: tuple[float, float] | None = None


def parse_arguments(given: Mapping[str, str]) -> Arguments:
    """Check and parse arguments.

    Raises
    ------
    GNDCError
        Naming the argument that is missing, unknown or malformed.
    """
    if unknown := sorted(set(given) - set(_KNOWN)):
        raise GNDCError(f"unknown argument {unknown[0]!r} of the pixel function; expected one of {', '.join(_KNOWN)}")
    if not given.get("path"):
        raise GNDCError("PixelFunctionArguments of the VRT lack 'path', the file to read")
    window = _numbers(given, "window", 4, "col_off,row_off,width,height")
    if window is not None and not (window[2] > 0 and window[3] > 0):
        raise GNDCError(f"window is {given['window']!r}; expected a positive size")
    scale = _numbers(given, "scale", 2, "low,high")
    if scale is not None and not scale[0] < scale[1]:
        raise GNDCError(f"scale is {given['scale']!r}; expected low,high with low below high")
    bands = given.get("bands")
    return Arguments(
        path=given["path"],
        t=given.get("t", "0"),
        band=given.get("band", "1"),
        window=None if window is None else (window[0], window[1], window[2], window[3]),
        product=given.get("product"),
        bands=None if bands is None else tuple(part.strip() for part in bands.split(",")),
        scale=None if scale is None else (scale[0], scale[1]),
    )


def find_file(path: str) -> str:
    """Return the file that the argument ``path`` means; a path that is absolute or a URL is itself.

    Raises
    ------
    FileNotFoundError
        If a relative path is in none of the folders.
    """
    if os.path.isabs(path) or "://" in path:  # noqa: PTH117 - runs on every read
        return path
    folders = [folder for folder in os.environ.get(SEARCH_PATH, "").split(os.pathsep) if folder]
    for folder in [*folders, "."]:
        if os.path.exists(found := os.path.join(folder, path)):  # noqa: PTH110, PTH118
            return os.path.abspath(found)  # noqa: PTH100
    searched = ", ".join(folders) if folders else "nothing"
    raise FileNotFoundError(
        2, f"no such file in the working directory or the folders of {SEARCH_PATH} ({searched})", path
    )


@dataclass(frozen=True)
class Value:
    """What a pixel of the raster shows: a function of some bands of the cube (0-based), or of their
    derivatives."""

    bands: tuple[int, ...]
    compute: Callable[[Sequence[NDArray[Any]]], NDArray[Any]] | None = None
    scale: tuple[float, float] | None = None
    axis: Axis | None = None

    def of(self, values: NDArray[np.float32], bands: tuple[int, ...] | None = None) -> NDArray[Any]:
        """Return (rows, cols) of (rows, cols, C) values; ``bands`` are places in it, if not the cube's."""
        planes = [values[..., band] for band in (self.bands if bands is None else bands)]
        result = planes[0] if self.compute is None else self.compute(planes)
        return result if self.scale is None else _to_byte(result, *self.scale)


def value_of(dataset: GNDCDataset, arguments: Arguments, path: str) -> Value:
    """Return what the arguments ask of a cube.

    Raises
    ------
    CoordinateError, GNDCError
        If the cube has no such band, or there is no such product.
    """
    if arguments.product is None:
        return Value((_band(dataset, arguments.band, path),), None, arguments.scale)
    if (axis := DERIVATIVES.get(arguments.product.lower())) is not None:
        return Value((_band(dataset, arguments.band, path),), None, arguments.scale, axis)
    from gdal_gndc.indices import bands_of, index_named

    index = index_named(arguments.product)
    if arguments.bands is None:
        bands = bands_of(dataset, index, [None] * len(index.roles))
    else:
        if len(arguments.bands) != len(index.roles):
            found = ",".join(arguments.bands)
            raise GNDCError(f"bands is {found!r}; {arguments.product} takes {', '.join(index.roles)}")
        bands = [_band(dataset, band, path) for band in arguments.bands]
    return Value(tuple(bands), index, arguments.scale)


def _band(dataset: GNDCDataset, band: str, path: str) -> int:
    count, names = dataset.n_bands, dataset.band_names
    if band in names:
        return names.index(band)
    if band.isdecimal():
        if 1 <= int(band) <= count:
            return int(band) - 1
        raise CoordinateError(f"{path}: no band {band}; expected 1 to {count}")
    raise CoordinateError(f"{path}: no band {band!r}; expected one of {', '.join(names)}")


def _numbers(given: Mapping[str, str], key: str, count: int, form: str) -> list[float] | None:
    if key not in given:
        return None
    try:
        found = [float(part) for part in given[key].split(",")]
    except ValueError:
        found = []
    if len(found) != count or not all(math.isfinite(number) for number in found):
        raise GNDCError(f"{key} is {given[key]!r}; expected {count} finite numbers {form}")
    return found


def _to_byte(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    scaled = np.rint((values.astype(np.float64) - low) * (254.0 / (high - low))) + 1.0
    return np.where(np.isnan(values), 0.0, np.clip(scaled, 1.0, 255.0)).astype(np.uint8)
