"""Stacks of rasters, one a date."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.encode.inputs.dates import compile_regex, date_by_regex, date_in_name, date_in_tags
from gdal_gndc.encode.inputs.find import Paths, find_files
from gdal_gndc.encode.inputs.source import Source
from gdal_gndc.errors import EncodeError
from gdal_gndc.format.meta import Band
from gdal_gndc.times import format_time

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RasterStack(Source):
    """Rasters of one grid in the order of their dates; `paths` is one file a frame."""

    paths: tuple[str, ...]
    nodata: tuple[float | None, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The files."""
        return self.paths

    def read_frame(self, k: int, rows: tuple[int, int], cols: tuple[int, int]) -> NDArray[np.float32]:
        import rasterio
        from rasterio.windows import Window

        window = Window(cols[0], rows[0], cols[1] - cols[0], rows[1] - rows[0])
        try:
            with rasterio.open(self.paths[k]) as source:
                stored = source.read(window=window)
        except rasterio.errors.RasterioError as error:
            raise EncodeError(f"{self.paths[k]}: cannot be read: {error}") from error
        out = np.empty((*stored.shape[1:], stored.shape[0]), np.float32)
        for b, (band, nodata) in enumerate(zip(self.bands, self.nodata, strict=True)):
            values = stored[b].astype(np.float64)
            invalid = ~np.isfinite(values)
            if nodata is not None:
                # compared as the file stores it: -3.4e38 as text is not quite -3.4e38 as float32
                invalid |= stored[b] == np.asarray(nodata).astype(stored.dtype)
            values = values * band.scale_factor + band.add_offset
            values[invalid] = np.nan
            out[..., b] = values
        return out


def open_rasters(inputs: Paths, *, date_regex: str | None = None) -> RasterStack:
    """Look at every file of a stack, without reading pixels.

    Parameters
    ----------
    inputs
        See `gdal_gndc.encode.inputs.find.find_files`.
    date_regex
        See `gdal_gndc.encode.inputs.dates.date_by_regex`; by default dates come from the names, else from tags.

    Raises
    ------
    EncodeError
        If a file cannot be opened, has no date, shares its date with another, or lies on another grid than the first.
    """
    import rasterio

    pattern = compile_regex(date_regex)
    dated: dict[datetime, str] = {}
    first: dict[str, Any] = {}
    for path in find_files(inputs):
        try:
            with rasterio.open(path) as source:
                described = _describe(source)
                tags = source.tags()
        except rasterio.errors.RasterioError as error:
            raise EncodeError(f"{path}: cannot be opened as a raster: {error}") from error
        if pattern:
            when = date_by_regex(path, pattern)
            if when is None:
                raise EncodeError(f"{path}: the date expression {date_regex!r} does not match its name")
        else:
            when = date_in_name(path) or date_in_tags(tags)
            if when is None:
                raise EncodeError(f"{path}: no date in its name or its tags; give date_regex")
        if when in dated:
            raise EncodeError(f"{path}: has the same date {format_time(when)} as {dated[when]}")
        dated[when] = path
        if not first:
            first = {"path": path, **described}
        _check_same(path, described, first)
    order = sorted(dated)
    _log.debug("%d rasters from %s to %s", len(order), order[0], order[-1])
    return RasterStack(
        paths=tuple(dated[when] for when in order),
        times=tuple(order),
        height=first["height"],
        width=first["width"],
        bands=first["bands"],
        nodata=first["nodata"],
        crs=first["crs"],
        transform=first["transform"],
        dtype=first["dtype"],
    )


def _describe(source: Any) -> dict[str, Any]:
    identity = tuple(source.transform)[:6] == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    bands = []
    for i in range(1, source.count + 1):
        described = source.descriptions[i - 1]
        imagery = source.tags(i, ns="IMAGERY")
        micrometres = imagery.get("CENTRAL_WAVELENGTH_UM")
        bands.append(
            Band(
                name=described or f"band_{i}",
                unit=source.units[i - 1] or None,
                scale_factor=float(source.scales[i - 1]),
                add_offset=float(source.offsets[i - 1]),
                fill_value=_finite(source.nodatavals[i - 1]),
                center_wavelength=float(micrometres) * 1000.0 if micrometres else None,
            )
        )
    return {
        "height": source.height,
        "width": source.width,
        "bands": tuple(bands),
        "nodata": tuple(_finite(v) for v in source.nodatavals),
        "crs": _crs_text(source.crs),
        "parsed_crs": source.crs,
        "transform": None if identity and not source.crs else tuple(source.transform)[:6],
        "dtype": np.result_type(*source.dtypes).name,
    }


def _crs_text(crs: Any) -> str | None:
    """WKT2, or the EPSG code where it says the same in a hundredth of the bytes."""
    if not crs:
        return None
    code = crs.to_epsg()
    if code and type(crs).from_epsg(code) == crs:
        return f"EPSG:{code}"
    return str(crs.to_wkt(version="WKT2_2019"))


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def _check_same(path: str, found: dict[str, Any], first: dict[str, Any]) -> None:
    """Raise the first difference of a file's grid or bands from those of the stack."""

    def differs(what: str, value: object, expected: object) -> EncodeError:
        return EncodeError(f"{path}: {what} is {value}, but {expected} in {first['path']}")

    size, expected = (found["width"], found["height"]), (first["width"], first["height"])
    if size != expected:
        raise differs("its size", f"{size[0]}x{size[1]}", f"{expected[0]}x{expected[1]}")
    if found["parsed_crs"] != first["parsed_crs"]:
        names = [crs.to_string() if crs else "none" for crs in (found["parsed_crs"], first["parsed_crs"])]
        raise differs("its CRS", *names)
    a, b = found["transform"], first["transform"]
    if (a is None) != (b is None):
        raise differs("its transform", a, b)
    if a is not None and b is not None:
        tolerance = 1e-3 * max(abs(b[0]), abs(b[1]), abs(b[3]), abs(b[4]))
        if any(abs(x - y) > tolerance for x, y in zip(a, b, strict=True)):
            raise differs("its transform", a, b)
    if len(found["bands"]) != len(first["bands"]):
        raise differs("its number of bands", len(found["bands"]), len(first["bands"]))
    for one, other in zip(found["bands"], first["bands"], strict=True):
        if one.name != other.name:
            raise differs("the name of a band", repr(one.name), repr(other.name))
        if (one.scale_factor, one.add_offset) != (other.scale_factor, other.add_offset):
            raise differs(
                f"the scale and offset of {one.name}",
                (one.scale_factor, one.add_offset),
                (other.scale_factor, other.add_offset),
            )
    if found["nodata"] != first["nodata"]:
        raise differs("its nodata", found["nodata"], first["nodata"])
