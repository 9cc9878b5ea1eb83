"""Derivatives of a cube by place and time, in value per CRS unit and per day.

They are exact derivatives of the field (see ``native/gndc_tangent.h``), not differences of pixels: of the network, its
interpolation, its units and the blending of chunks. Residuals, which correct single observed pixels, take no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import CoordinateError, TimeError
from gdal_gndc.indices import RatioIndex
from gdal_gndc.time_axis import Moment
from gdal_gndc.times import to_seconds
from gdal_gndc.window import apply

if TYPE_CHECKING:
    from affine import Affine

    from gdal_gndc.dataset import GNDCDataset

GradientMode = Literal["spatial", "dx", "dy", "mag", "dir"]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

DAY = 86400.0
# points evaluated in one call of the core: bounds its memory
_POINTS = 1 << 18


def grid_tangents(
    dataset: GNDCDataset, moment: Moment, rows: Doubles, cols: Doubles, bands: Sequence[int], axes: str
) -> Floats:
    """Evaluate a grid and its derivatives.

    Parameters
    ----------
    rows, cols
        Ascending pixel coordinates inside the cube, (R,) and (K,).
    axes
        Letters: ``x`` and ``y`` CRS coordinates (rows and columns if the cube has no transform), ``t`` days.

    Returns
    -------
    ndarray
        (1 + len(axes), R, K, C) float32: the values, then the derivatives in the order of ``axes``.

    Raises
    ------
    TimeError
        For ``t`` in a cube whose frames have no dates.
    """
    if "t" in axes and moment.time is None:
        raise TimeError("the frames of this cube have no dates, so it has no derivative by time")
    out = np.empty((1 + len(axes), rows.size, cols.size, len(bands)), np.float32)
    step = max(1, _POINTS // max(1, cols.size))
    for first in range(0, rows.size, step):
        part = rows[first : first + step]
        r, c = np.repeat(part, cols.size), np.tile(cols, part.size)
        found = _tangents(dataset, moment, r, c, bands, axes)
        out[:, first : first + part.size] = found.reshape(1 + len(axes), part.size, cols.size, len(bands))
    return out


def gradient_of(dx: Floats, dy: Floats, mode: GradientMode) -> Floats:
    """Combine derivatives: their magnitude, or the direction of ascent in radians, NaN on flat ground."""
    if mode == "mag":
        return np.asarray(np.hypot(dx, dy))
    direction = np.arctan2(dy, dx)
    direction[(dx == 0) & (dy == 0)] = np.nan
    return direction


def metres(dataset: GNDCDataset, rows: Doubles, cols: Doubles) -> tuple[Floats, Floats]:
    """Return the metres in a unit of x and of y of the cube's CRS at the points of a grid, (R, K) or (1, 1) each.

    In a geographic CRS by the radii of curvature of its ellipsoid, in the prime vertical times the cosine of the
    latitude, and in the meridian; else by the CRS' unit. What a projection stretches is left as it is.

    Raises
    ------
    CoordinateError
        If the cube has no CRS or no transform.
    """
    from pyproj import CRS

    if dataset.crs is None or dataset.transform is None:
        raise CoordinateError("the cube has no CRS or no transform, so its units are not known")
    crs = CRS.from_user_input(dataset.crs)
    unit = float(crs.axis_info[0].unit_conversion_factor) if crs.axis_info else 1.0
    if not crs.is_geographic or crs.ellipsoid is None:
        length = np.full((1, 1), unit, np.float32)
        return length, length
    _, latitude = apply(dataset.transform, cols[None, :], rows[:, None])
    phi = latitude * unit  # radians
    a, b = crs.ellipsoid.semi_major_metre, crs.ellipsoid.semi_minor_metre
    squared = 1 - (b / a) ** 2
    curve = 1 - squared * np.sin(phi) ** 2
    along_x = a / np.sqrt(curve) * np.cos(phi) * unit
    along_y = a * (1 - squared) / curve**1.5 * unit
    return along_x.astype(np.float32), along_y.astype(np.float32)


def index_rate(
    dataset: GNDCDataset, moment: Moment, rows: Doubles, cols: Doubles, bands: Sequence[int], index: RatioIndex
) -> Floats:
    """Return what an index of the field changes by per day, (R, K)."""
    values, rates = grid_tangents(dataset, moment, rows, cols, bands, "t")
    return index.rate(np.moveaxis(values, -1, 0), np.moveaxis(rates, -1, 0))


def index_acceleration(
    dataset: GNDCDataset,
    moment: Moment,
    rows: Doubles,
    cols: Doubles,
    bands: Sequence[int],
    index: RatioIndex,
    step: timedelta,
) -> Floats:
    """Return the central difference of `index_rate` over ``step``, per day squared, (R, K)."""
    before, after = around(dataset, moment, step)
    assert before.time is not None
    assert after.time is not None
    days = (to_seconds(after.time) - to_seconds(before.time)) / DAY
    late, early = (index_rate(dataset, m, rows, cols, bands, index) for m in (after, before))
    return (late - early) / np.float32(days)


def around(dataset: GNDCDataset, moment: Moment, step: timedelta) -> tuple[Moment, Moment]:
    """Return the moments half a step before and after one, moved inwards at the ends of the cube's times.

    Raises
    ------
    TimeError
        If the step is not positive, or the cube has no two different times.
    """
    if step <= timedelta(0):
        raise TimeError(f"the step is {step}, expected a positive duration")
    times = dataset.timestamps
    if moment.time is None or not times or min(times) == max(times):
        raise TimeError("a cube of one time, or of frames without dates, has no derivative by time")
    first, last = min(times), max(times)
    start = max(first, min(moment.time - step / 2, last - step))
    return Moment(None, start), Moment(None, min(last, start + step))


def usual_step(dataset: GNDCDataset) -> timedelta:
    """Return the median time between observations, the default step of second derivatives."""
    seconds = np.unique([to_seconds(t) for t in dataset.timestamps])
    if seconds.size < 2:
        raise TimeError("a cube of one time, or of frames without dates, has no derivative by time")
    return timedelta(seconds=float(np.median(np.diff(seconds))))


def check_mode(mode: str) -> None:
    """Refuse a mode that `GNDCDataset.gradient` does not know."""
    if mode not in ("spatial", "dx", "dy", "mag", "dir"):
        raise CoordinateError(f"gradient mode {mode!r}, expected spatial, dx, dy, mag or dir")


def _tangents(
    dataset: GNDCDataset, moment: Moment, rows: Doubles, cols: Doubles, bands: Sequence[int], axes: str
) -> Floats:
    cube = dataset.cube
    in_space = "x" in axes or "y" in axes
    t = "t" if "t" in axes else ""
    if in_space and cube.decodes_blocks(moment, rows, cols):
        found = cube.read_tangents(moment, rows, cols, bands, t)
        by_col = _difference(dataset, moment, rows, cols, bands, 0)
        by_row = _difference(dataset, moment, rows, cols, bands, 1)
    else:
        found = cube.read_tangents(moment, rows, cols, bands, ("xy" if in_space else "") + t)
        by_col, by_row = (found[1], found[2]) if in_space else (found[0], found[0])
    planes = {"": found[0]}
    if t:
        planes["t"] = found[-1] * np.float32(DAY)
    if in_space:
        planes["x"], planes["y"] = to_crs_units(dataset.transform, by_col, by_row)
    return np.stack([planes[""], *(planes[axis] for axis in axes)])


def to_crs_units(transform: Affine | None, by_col: Floats, by_row: Floats) -> tuple[Floats, Floats]:
    """Return (d/dx, d/dy) of derivatives by column and row.

    The chain rule through the affine transform: (d/dcol, d/drow) = (d/dx, d/dy) [[a, b], [d, e]]. Without one, y is
    minus the row.
    """
    a, b, _, d, e, _ = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0) if transform is None else tuple(transform)[:6]
    det = a * e - b * d
    if b == 0 and d == 0:
        return by_col * np.float32(1 / a), by_row * np.float32(1 / e)
    x = by_col * np.float32(e / det) - by_row * np.float32(d / det)
    return x, by_row * np.float32(a / det) - by_col * np.float32(b / det)


def _difference(
    dataset: GNDCDataset, moment: Moment, rows: Doubles, cols: Doubles, bands: Sequence[int], axis: int
) -> Floats:
    """Central differences over a pixel each way, for models that are constant within a pixel."""
    limit = dataset.width if axis == 0 else dataset.height
    moved = cols if axis == 0 else rows
    # where both ends lie in one pixel, as in a cube of one column, nothing is known of the change
    high, low = np.minimum(moved + 1, limit - 0.5), np.maximum(moved - 1, 0.5)
    places = [(rows, place) if axis == 0 else (place, cols) for place in (high, low)]
    ends = [dataset.cube.read_tangents(moment, r, c, bands, "")[0] for r, c in places]
    distance = (high - low).astype(np.float32)
    distance[distance == 0] = np.nan
    return np.asarray((ends[0] - ends[1]) / distance[:, None])
