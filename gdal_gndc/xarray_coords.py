"""Coordinates and attributes of a cube in xarray, after the CF conventions 1.8."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gdal_gndc.errors import CoordinateError
from gdal_gndc.format.meta import Band
from gdal_gndc.time_axis import Moment
from gdal_gndc.window import apply

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset

Doubles = NDArray[np.float64]

# pixels of a dask block along y and x at most, and values of a block
_BLOCK = 1024
_BLOCK_VALUES = 1 << 24
_SNAP = 1e-6


def coordinates(
    dataset: GNDCDataset, moments: Sequence[Moment], rows: Doubles, cols: Doubles
) -> dict[str, xr.Variable]:
    """Return time, y, x and spatial_ref of moments and pixel coordinates, as far as the cube has them.

    y and x are the centres of pixels in the CRS; a rotated grid has none.
    """
    coords: dict[str, xr.Variable] = {}
    if all(moment.time is not None for moment in moments):
        naive = [moment.time.astimezone(UTC).replace(tzinfo=None) for moment in moments if moment.time is not None]
        times = np.array(naive, "datetime64[us]")
        within = all(1678 <= time.year <= 2261 for time in naive)
        attrs = {"standard_name": "time", "long_name": "time", "axis": "T"}
        coords["time"] = xr.Variable("time", times.astype("datetime64[ns]") if within else times, attrs)
    else:
        frames = np.array([moment.frame for moment in moments])
        coords["time"] = xr.Variable("time", frames, {"long_name": "frame"})
    transform = dataset.transform
    if transform is None:
        return coords
    a, b, _, d, e, _ = tuple(transform)[:6]
    axes = _axis_attributes(dataset)
    if b == 0 and d == 0:
        coords["y"] = xr.Variable("y", apply(transform, 0.0, rows)[1], axes["Y"])
        coords["x"] = xr.Variable("x", apply(transform, cols, 0.0)[0], axes["X"])
    step_x, step_y = (np.mean(np.diff(p)) if p.size > 1 else 1.0 for p in (cols, rows))
    if dataset.crs is not None and rows.size and cols.size:
        from pyproj import CRS

        left, top = apply(transform, cols[0] - step_x / 2, rows[0] - step_y / 2)
        attributes = CRS.from_user_input(dataset.crs).to_cf()
        numbers = (left, a * step_x, b * step_y, top, d * step_x, e * step_y)
        attributes["GeoTransform"] = " ".join(repr(float(v)) for v in numbers)
        attributes["spatial_ref"] = attributes["crs_wkt"]
        attributes["long_name"] = "coordinate reference system"
        coords["spatial_ref"] = xr.Variable((), np.int32(0), attributes)
    return coords


def variable_attributes(band: Band) -> dict[str, Any]:
    """Return the attributes of a band's variable."""
    attrs: dict[str, Any] = {"long_name": band.description or band.name}
    if band.unit:
        attrs["units"] = band.unit
    if band.common_name:
        attrs["common_name"] = band.common_name
    if band.center_wavelength is not None:
        attrs["wavelength"] = band.center_wavelength
        attrs["wavelength_units"] = "nm"
    return attrs


def dataset_attributes(dataset: GNDCDataset) -> dict[str, Any]:
    """Return the attributes of a dataset."""
    return {"Conventions": "CF-1.8", "source": "neural data cube (GNDC)", "gndc_source": dataset.name}


def axis_blocks(dataset: GNDCDataset, axis: int, size: int) -> int | tuple[int, ...]:
    """Return dask's block sizes along an axis (0 time, 1 y, 2 x): the cube's chunks, divided where they are large.

    An axis that is not the cube's own (other times, another resolution) is cut into equal blocks.
    """
    chunks = dataset.cube.container.manifest.chunks
    full = dataset.shape[axis]
    ends = {end for chunk in chunks for end in (chunk.time, chunk.y, chunk.x)[axis]} if size == full else set()
    edges = sorted(ends | {0, size})
    limit = _BLOCK
    if axis == 0:
        pixels = min(dataset.height, _BLOCK) * min(dataset.width, _BLOCK)
        limit = max(1, _BLOCK_VALUES // (pixels * dataset.n_bands))
    sizes: list[int] = []
    for low, high in pairwise(edges):
        parts = -(-(high - low) // limit)
        cuts = [low + (high - low) * i // parts for i in range(parts + 1)]
        sizes += [int(n) for n in np.diff(cuts)]
    if not sizes:
        return max(1, size)
    regular = len(set(sizes[:-1])) <= 1 and sizes[-1] <= sizes[0]
    return sizes[0] if regular else tuple(sizes)


def pixel_positions(
    dataset: GNDCDataset, data: xr.Dataset, resolution: float | tuple[float, float] | None
) -> tuple[Doubles, Doubles]:
    """Return pixel coordinates (rows, cols) of a dataset's grid, or of pixels of a resolution over its extent.

    Raises
    ------
    CoordinateError
        If the grid is not in the cube.
    """
    transform = dataset.transform
    if transform is None or "x" not in data.coords or "y" not in data.coords:
        if resolution is not None:
            raise CoordinateError("a cube without coordinates x and y has no resolution")
        return dataset.sample_grid()
    x, y = (np.atleast_1d(np.asarray(data[name].values, np.float64)) for name in ("x", "y"))
    cols, rows = apply(~transform, x, 0.0)[0], apply(~transform, 0.0, y)[1]
    # centres of pixels, as far as a round trip through the CRS keeps them
    rows, cols = (np.where(np.abs(p - _centre(p)) < _SNAP, _centre(p), p) for p in (rows, cols))
    for positions, size in ((rows, dataset.height), (cols, dataset.width)):
        if positions.size and not ((positions >= 0) & (positions < size)).all():
            raise CoordinateError("the coordinates of this dataset lie outside the cube")
    if resolution is None:
        return rows, cols
    sizes = (resolution, resolution) if isinstance(resolution, int | float) else resolution
    return tuple(  # type: ignore[return-value]
        _resampled(positions, wanted / own, size)
        for positions, wanted, own, size in zip(
            (rows, cols), (sizes[1], sizes[0]), dataset.resolution[::-1], (dataset.height, dataset.width), strict=True
        )
    )


def _axis_attributes(dataset: GNDCDataset) -> dict[str, dict[str, Any]]:
    """Return the attributes of X and Y, by the CRS' own axes where CF knows them."""
    found: dict[str, dict[str, Any]] = {"X": {"axis": "X", "long_name": "x"}, "Y": {"axis": "Y", "long_name": "y"}}
    if dataset.crs is not None:
        from pyproj import CRS

        for attributes in CRS.from_user_input(dataset.crs).cs_to_cf():
            if attributes.get("axis") in found:
                found[attributes["axis"]] = dict(attributes)
    return found


def _centre(positions: Doubles) -> Doubles:
    return np.floor(positions) + 0.5


def _resampled(positions: Doubles, step: float, size: int) -> Doubles:
    """Return centres of cells ``step`` pixels wide over the extent of pixels at ``positions``."""
    if not positions.size or not step > 0:
        raise CoordinateError("an empty grid, or a resolution that is not positive")
    half = abs(positions[1] - positions[0]) / 2 if positions.size > 1 else 0.5
    low, high = max(0.0, positions.min() - half), min(float(size), positions.max() + half)
    count = int((high - low) / step + _SNAP)
    if count < 1:
        raise CoordinateError(f"no pixel of the resolution fits: the extent is {high - low:g} pixels of the cube wide")
    return np.asarray(low + (np.arange(count) + 0.5) * step)
