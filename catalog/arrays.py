"""What an xarray dataset says of itself in CF terms: which dimensions are space and time, which CRS, which
grid."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyproj

from gdal_gndc.catalog.crs import as_crs
from gdal_gndc.catalog.options import need
from gdal_gndc.errors import CatalogError, FileFormatError
from gdal_gndc.remote import fsspec_options, reason

if TYPE_CHECKING:
    import xarray as xr

X_NAMES = ("x", "lon", "longitude", "easting", "xc", "projection_x_coordinate")
Y_NAMES = ("y", "lat", "latitude", "northing", "yc", "projection_y_coordinate")
T_NAMES = ("time", "t", "valid_time", "date")


@dataclass(frozen=True)
class Grid:
    """The grid of a dataset: names of its dimensions, variables on it, affine transform (6 numbers), CRS,
    times."""

    x: str
    y: str
    time: str | None
    variables: tuple[str, ...]
    transform: tuple[float, float, float, float, float, float]
    width: int
    height: int
    crs: pyproj.CRS
    times: pd.DatetimeIndex | None


def open_dataset(location: str, engine: str | None = None, **options: Any) -> xr.Dataset:
    """A netCDF, Zarr or GRIB file as a lazy dataset; fsspec URLs too.

    Raises
    ------
    CatalogError
        If the library for the format is missing.
    FileFormatError
        If xarray cannot read the file.
    """
    xarray = need("xarray", "netCDF, Zarr and GRIB files")
    low = location.rstrip("/").lower()
    if engine is None and low.endswith(".zarr"):
        engine = "zarr"
    if engine is None and low.endswith((".grib", ".grib2", ".grb", ".grb2")):
        engine = "cfgrib"
    if engine == "cfgrib":
        need("cfgrib", "a GRIB file")
        if "://" in location:
            raise CatalogError(f"{location}: the engine cfgrib reads local GRIB files only")
        # Without this it writes an index beside each file.
        options.setdefault("indexpath", "")
    source: Any = location
    try:
        if "://" in location and engine != "zarr":
            import fsspec

            source = fsspec.open(location, "rb", **fsspec_options(location)).open()
            engine = engine or "h5netcdf"
        elif "://" in location and (limits := fsspec_options(location, options.get("storage_options"))):
            options["storage_options"] = limits
        dataset: xr.Dataset = _open(xarray, source, engine, options)
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise FileFormatError(f"xarray cannot open it: {reason(error)}", path=location) from error
    return dataset


def _open(xarray: Any, source: Any, engine: str | None, options: dict[str, Any]) -> Any:
    opened = partial(xarray.open_dataset, source, engine=engine, decode_coords="all", **options)
    if engine != "zarr" or "consolidated" in options:
        return opened()
    # Most stores of Zarr 3 carry no consolidated metadata; asking for it is cheap, and quick where it is.
    with suppress(KeyError, ValueError):
        return opened(consolidated=True)
    found = opened(consolidated=False)
    # Listed all at once, the variables come in another order every time.
    ordered = found[sorted(found.data_vars)]
    ordered.set_close(found.close)
    return ordered


def grid_of(dataset: xr.Dataset, *, crs: Any = None, variables: Any = None, name: str = "dataset") -> Grid:
    """The grid that the variables of a dataset share.

    Parameters
    ----------
    crs
        Used where the dataset names none. Longitudes and latitudes without a grid mapping are EPSG:4326.

    Raises
    ------
    FileFormatError
        If space cannot be told, the spacing is not regular, or the CRS is unknown.
    """
    x, y = _dimension(dataset, "X", X_NAMES), _dimension(dataset, "Y", Y_NAMES)
    if x is None or y is None:
        raise FileFormatError(f"no x and y among the dimensions {list(dataset.sizes)}", path=name)
    time = _dimension(dataset, "T", T_NAMES)
    chosen = [str(v) for v in (variables or dataset.data_vars) if {x, y} <= set(dataset[v].dims)]
    if not chosen:
        raise FileFormatError(f"no variable has both dimensions {y!r} and {x!r}", path=name)
    x0, dx, width = _axis(dataset, x, name)
    y0, dy, height = _axis(dataset, y, name)
    times = None
    if time is not None:
        try:
            times = pd.DatetimeIndex(dataset[time].values).tz_localize("UTC").as_unit("us")
        except (TypeError, ValueError) as error:
            raise FileFormatError(f"the times of {time!r} are not of the standard calendar", path=name) from error
    system = _crs(dataset, chosen, crs, x, name)
    return Grid(x, y, time, tuple(chosen), (dx, 0.0, x0 - dx / 2, 0.0, dy, y0 - dy / 2), width, height, system, times)


def _dimension(dataset: xr.Dataset, axis: str, names: tuple[str, ...]) -> str | None:
    for dim in dataset.sizes:
        attrs = dataset[dim].attrs if dim in dataset.coords else {}
        if attrs.get("axis") == axis or str(attrs.get("standard_name", "")).lower() in names:
            return str(dim)
    return next((str(d) for d in dataset.sizes if str(d).lower() in names), None)


def _axis(dataset: xr.Dataset, dim: str, name: str) -> tuple[float, float, int]:
    if dim not in dataset.coords:
        raise FileFormatError(f"the dimension {dim!r} has no coordinates", path=name)
    values = np.asarray(dataset[dim].values, dtype=np.float64)
    if values.size < 2:
        raise FileFormatError(f"the dimension {dim!r} has {values.size} values: no pixel size", path=name)
    step = (values[-1] - values[0]) / (values.size - 1)
    ideal = values[0] + step * np.arange(values.size)
    if step == 0 or np.abs(values - ideal).max() > 0.05 * abs(step):
        raise FileFormatError(f"the coordinates of {dim!r} are not evenly spaced", path=name)
    return float(values[0]), float(step), int(values.size)


def _crs(dataset: xr.Dataset, variables: list[str], given: Any, x: str, name: str) -> pyproj.CRS:
    mapping = dataset[variables[0]].attrs.get("grid_mapping") or dataset[variables[0]].encoding.get("grid_mapping")
    candidates = [str(mapping)] if mapping else []
    candidates += ["spatial_ref", "crs"]
    for candidate in candidates:
        if candidate in dataset.variables:
            attrs = dataset[candidate].attrs
            text = attrs.get("crs_wkt") or attrs.get("spatial_ref")
            if text:
                return as_crs(str(text))
            if "grid_mapping_name" in attrs:
                return pyproj.CRS.from_cf(attrs)
    if given is not None:
        return as_crs(given)
    if x.lower() in ("lon", "longitude") or str(dataset[x].attrs.get("units", "")).startswith("degree"):
        return as_crs("EPSG:4326")
    raise FileFormatError("the dataset names no CRS: give crs=", path=name)
