"""Arrays as xarray with CRS, transform and validity, in the conventions that rioxarray and GDAL read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gdal_gndc.catalog.geoslice import GeoSlice
from gdal_gndc.catalog.options import need

if TYPE_CHECKING:
    import xarray as xr


def georeference(
    data: np.ndarray,
    valid: np.ndarray,
    where: GeoSlice,
    *,
    bands: Sequence[str] | None = None,
    times: Any = None,
    nodata: float | None = None,
    name: str | None = None,
) -> xr.DataArray:
    """An array on a slice's grid as a DataArray.

    Parameters
    ----------
    data
        (H, W), (band, H, W) or (time, band, H, W).
    valid
        Bool, of the shape of ``data``; kept as the coordinate ``valid``.
    times
        UTC moments of the first axis; stored without zone, as xarray does.
    nodata
        The value that invalid pixels hold; NaN for floats.

    Returns
    -------
    xarray.DataArray
        With coordinates of pixel centres, ``spatial_ref`` (CF grid mapping, ``crs_wkt``, ``GeoTransform``)
        and the attribute ``_FillValue``.
    """
    xarray = need("xarray", "loading")
    dims = ("time", "band", "y", "x")[4 - data.ndim :]
    coords: dict[str, Any] = {"y": where.y, "x": where.x, "spatial_ref": spatial_ref(where)}
    if bands is not None and data.ndim > 2:
        coords["band"] = np.asarray(list(bands), dtype=object)
    if data.ndim == 4:
        index = pd.DatetimeIndex(times)
        coords["time"] = (index.tz_convert("UTC").tz_localize(None) if index.tz is not None else index).as_unit("us")
    array: xr.DataArray = xarray.DataArray(data, dims=dims, coords=coords, name=name)
    array = array.assign_coords(valid=(dims, valid))
    array.x.attrs.update(axis="X", standard_name=_standard("x", where))
    array.y.attrs.update(axis="Y", standard_name=_standard("y", where))
    if nodata is not None:
        array.attrs["_FillValue"] = data.dtype.type(nodata)
    array.encoding["grid_mapping"] = "spatial_ref"
    return array


def spatial_ref(where: GeoSlice) -> Any:
    """The grid mapping variable of a slice."""
    xarray = need("xarray", "loading")
    t = where.transform
    attrs = {**where.crs.to_cf(), "spatial_ref": where.crs.to_wkt()}
    attrs["GeoTransform"] = " ".join(repr(float(v)) for v in (t.c, t.a, t.b, t.f, t.d, t.e))
    return xarray.Variable((), 0, attrs={k: v for k, v in attrs.items() if v is not None})


def _standard(axis: str, where: GeoSlice) -> str:
    if where.crs.is_geographic:
        return "longitude" if axis == "x" else "latitude"
    return f"projection_{axis}_coordinate"
