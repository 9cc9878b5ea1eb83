"""Variables of netCDF and Zarr files and of xarray objects as a cube."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.encode.inputs.dates import compile_regex, date_by_regex, date_in_name
from gdal_gndc.encode.inputs.grid import crs_text
from gdal_gndc.encode.inputs.look import finite
from gdal_gndc.encode.inputs.source import Range, Source
from gdal_gndc.errors import EncodeError, GNDCError
from gdal_gndc.format.meta import Band
from gdal_gndc.remote import reason
from gdal_gndc.times import format_time

if TYPE_CHECKING:
    import xarray as xr

_BAND_DIMS = ("band", "bands", "variable", "channel", "wavelength")


@dataclass(frozen=True, kw_only=True)
class ArraySource(Source):
    """Variables of a dataset on one grid, read when they are asked for; a pickled one opens its files again.

    Attributes
    ----------
    parts
        With one variable a band, decoded, each of dimensions time (if it has one), y, x in this order, north up.
        Nothing puts them together or adds a dimension: that would read them.
    places
        Of each frame its part, and its place there.
    labels
        Name of each frame, for messages.
    """

    parts: tuple[xr.Dataset, ...]
    places: tuple[tuple[int, int], ...]
    labels: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The file or object, once for each frame."""
        return self.labels

    def read_frame(self, k: int, rows: Range, cols: Range) -> NDArray[np.float32]:
        part, place = self.places[k]
        whole = self.parts[part]
        *t, y, x = whole[next(iter(whole.data_vars))].dims
        block = whole.isel({y: slice(*rows), x: slice(*cols), **dict.fromkeys(t, place)})
        try:
            layers = [np.asarray(block[name].values, np.float32) for name in whole.data_vars]
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise EncodeError(f"{self.labels[k]}: frame {k} cannot be read: {reason(error)}") from error
        out = np.stack(layers, axis=-1)
        out[~np.isfinite(out)] = np.nan
        return out


def open_arrays(
    paths: Sequence[str], *, variables: Sequence[str] | None, date_regex: str | None, skip_bad: bool, crs: Any
) -> ArraySource:
    """Open netCDF, Zarr or GRIB files, with a time coordinate each or a date in their names.

    Parameters
    ----------
    variables
        Bands; by default all that lie on the grid.
    crs
        Of files that name none.

    Raises
    ------
    EncodeError
        If a file cannot be read, or the files do not make a cube.
    """
    from gdal_gndc.catalog.arrays import open_dataset

    parts, skipped = [], []
    pattern = compile_regex(date_regex)
    for path in paths:
        try:
            opened = open_dataset(path)
            fallback = date_by_regex(path, pattern) if pattern else date_in_name(path)
            parts.append(_of_dataset(opened, variables, path, fallback, crs))
        except GNDCError as error:
            if not skip_bad:
                raise error if isinstance(error, EncodeError) else EncodeError(str(error)) from error
            skipped.append(str(error))
    if not parts:
        raise EncodeError(f"none of {len(paths)} inputs can be used; the first: {skipped[0]}")
    first = parts[0]
    for part in parts[1:]:
        if found := part.grid.difference(first.grid):
            raise EncodeError(f"{part.labels[0]}: its {found[0]} is {found[1]}, but {found[2]} in {first.labels[0]}")
        names = [[band.name for band in source.bands] for source in (part, first)]
        if names[0] != names[1]:
            raise EncodeError(f"{part.labels[0]}: has the variables {names[0]}, but {names[1]} in {first.labels[0]}")
    return _sorted(parts, tuple(skipped))


def open_object(data: Any, *, variables: Sequence[str] | None, crs: Any) -> ArraySource:
    """Take an xarray Dataset, whose variables are bands, or a DataArray with a dimension of bands or without.

    Raises
    ------
    EncodeError
        If it does not make a cube.
    """
    import xarray as xr

    dataset = _as_dataset(data) if isinstance(data, xr.DataArray) else data
    try:
        # attributes such as scale_factor mean that values are still packed
        dataset = xr.decode_cf(dataset, decode_coords="all")
        source = _of_dataset(dataset, variables, "the xarray object", None, crs)
    except (GNDCError, ValueError) as error:
        raise error if isinstance(error, EncodeError) else EncodeError(str(error)) from error
    return _sorted([source], ())


def _as_dataset(array: xr.DataArray) -> xr.Dataset:
    dim = next((d for d in array.dims if str(d).lower() in _BAND_DIMS), None)
    if dim is None:
        return array.to_dataset(name=array.name or "band_1")
    told = array.attrs.get("long_name")
    if dim in array.coords and array[dim].dtype.kind in "OUT":
        names = [str(name) for name in array[dim].values]
    elif isinstance(told, tuple | list) and len(told) == array.sizes[dim]:
        names = [str(name) for name in told]
    else:
        names = [f"band_{i + 1}" for i in range(array.sizes[dim])]
    import xarray as xr

    wavelengths = array.coords.get("wavelength", array.coords.get("center_wavelength"))
    layers = {}
    for i, name in enumerate(names):
        layer = array.isel({dim: i}, drop=True)
        layer.attrs = {key: value for key, value in array.attrs.items() if not isinstance(value, tuple | list)}
        layer.encoding = dict(array.encoding)
        if wavelengths is not None and wavelengths.dims == (dim,):
            layer.attrs["wavelength"] = float(wavelengths[i])
            layer.attrs.setdefault("wavelength_units", wavelengths.attrs.get("units", "nm"))
        layers[name] = layer
    return xr.Dataset(layers)


def _of_dataset(
    dataset: xr.Dataset, variables: Sequence[str] | None, label: str, when: datetime | None, crs: Any
) -> ArraySource:
    import rasterio.crs

    from gdal_gndc.catalog.arrays import grid_of

    absent = [name for name in variables or () if name not in dataset.data_vars]
    if absent:
        raise EncodeError(f"{label}: has no variable {absent[0]!r}, only {', '.join(map(str, dataset.data_vars))}")
    found = grid_of(dataset, crs=crs, variables=list(variables) if variables else None, name=label)
    t, y, x = found.time, found.y, found.x
    for name in found.variables:
        if odd := [dim for dim in dataset[name].dims if dim not in (t, y, x)]:
            raise EncodeError(f"{label}: the variable {name} has the dimension {odd[0]!r}: select one of it first")
    chosen = dataset[list(found.variables)]
    times: tuple[datetime, ...]
    if t is None or found.times is None:
        scalar = next((np.datetime64(dataset[n].values) for n in ("time", "date") if n in dataset.coords
                       and dataset[n].ndim == 0 and dataset[n].dtype.kind == "M"), None)  # fmt: skip
        when = when if scalar is None else _utc(scalar)
        if when is None:
            raise EncodeError(f"{label}: no time coordinate, and no date in its name; give date_regex (--date-regex)")
        t, times = None, (when,)
    else:
        times = tuple(_utc(value) for value in found.times.tz_localize(None).values)
    dims = (y, x) if t is None else (t, y, x)
    chosen = chosen.drop_vars([n for n in chosen.coords if n not in (t, y, x)]).transpose(*dims)
    a, b, c, d, e, f = found.transform
    if e > 0:
        chosen, f, e = chosen.isel({y: slice(None, None, -1)}), f + e * found.height, -e
    if a < 0:
        chosen, c, a = chosen.isel({x: slice(None, None, -1)}), c + a * found.width, -a
    bands = tuple(_band(name, dataset[name]) for name in found.variables)
    stored = [dataset[name].encoding.get("dtype", dataset[name].dtype) for name in found.variables]
    return ArraySource(
        times=times,
        height=found.height,
        width=found.width,
        bands=bands,
        crs=crs_text(rasterio.crs.CRS.from_wkt(found.crs.to_wkt())),
        transform=(a, b, c, d, e, f),
        dtype=np.result_type(*(np.dtype(kind) for kind in stored)).name,
        parts=(chosen,),
        places=tuple((0, k) for k in range(len(times))),
        labels=(label,) * len(times),
    )


def _sorted(sources: Sequence[ArraySource], skipped: tuple[str, ...]) -> ArraySource:
    """Put the frames of sources of one grid in order of their times."""
    frames = [
        (time, (n, place), label)
        for n, source in enumerate(sources)
        for time, (_, place), label in zip(source.times, source.places, source.labels, strict=True)
    ]
    frames.sort(key=lambda frame: frame[0])
    for one, other in pairwise(frames):
        if one[0] == other[0]:
            raise EncodeError(f"{other[2]}: has the same date {format_time(other[0])} as {one[2]}")
    times, places, labels = zip(*frames, strict=True)
    return replace(
        sources[0],
        parts=tuple(source.parts[0] for source in sources),
        times=times,
        places=places,
        labels=labels,
        skipped=skipped,
    )


def _utc(value: Any) -> datetime:
    moment: datetime = np.datetime64(value, "us").item()
    return moment.replace(tzinfo=UTC)


def _band(name: str, variable: xr.DataArray) -> Band:
    attrs, packed = variable.attrs, variable.encoding
    fill = packed.get("_FillValue", packed.get("missing_value"))
    length = attrs.get("wavelength", attrs.get("center_wavelength"))
    factor = {"um": 1000.0, "micrometer": 1000.0, "µm": 1000.0}.get(str(attrs.get("wavelength_units", "nm")), 1.0)
    title = attrs.get("long_name")
    return Band(
        name=str(name),
        description=title if isinstance(title, str) and title != name else None,
        unit=attrs.get("units") or None,
        scale_factor=float(packed.get("scale_factor", 1.0)),
        add_offset=float(packed.get("add_offset", 0.0)),
        fill_value=finite(fill),
        center_wavelength=None if length is None else float(length) * factor,
        common_name=attrs.get("common_name"),
    )
