"""STAC items as scenes: an asset a band, or several of its bands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gdal_gndc.encode.inputs.look import Look, finite
from gdal_gndc.encode.inputs.options import Stacking
from gdal_gndc.encode.inputs.rasters import RasterStack, stack_of
from gdal_gndc.errors import EncodeError, TimeError
from gdal_gndc.format.meta import Band
from gdal_gndc.remote import fsspec_options, reason
from gdal_gndc.times import parse_time

_RASTER = ("image/tiff", "image/jp2", "image/vnd.stac.geotiff")


def open_stac(path: str, how: Stacking, *, assets: Sequence[str] | None) -> RasterStack:
    """Open the items of an ItemCollection (JSON), or of one Item.

    Parameters
    ----------
    path
        A file or URL.
    assets
        Keys of the assets, whose bands together are those of the cube; by default all rasters with the role ``data``.

    Notes
    -----
    Names, wavelengths, scales, offsets and nodata are those of ``bands`` (STAC 1.1), ``eo:bands`` and ``raster:bands``,
    as far as they are given, else those of the files.

    Raises
    ------
    EncodeError
        If it is no STAC, or the items do not make a cube.
    """
    import fsspec

    try:
        with fsspec.open(path, "rt", encoding="utf-8", **fsspec_options(path)) as stream:
            document = json.load(stream)
    except (OSError, ValueError) as error:
        raise EncodeError(f"{path}: cannot be read as STAC: {reason(error)}") from error
    items = document.get("features", [document]) if isinstance(document, dict) else []
    if not items or not all(isinstance(item.get("assets"), dict) for item in items):
        raise EncodeError(f"{path}: is no STAC ItemCollection")
    keys = list(assets) if assets else [key for key, asset in items[0]["assets"].items() if _is_data(asset)]
    if not keys:
        raise EncodeError(f"{path}: {items[0].get('id')} has no raster asset of the role data; name assets")
    scenes = []
    for item in items:
        if absent := [key for key in keys if key not in item["assets"]]:
            known = ", ".join(item["assets"])
            raise EncodeError(f"{path}: {item.get('id')} has no asset {absent[0]!r}, only {known}")
        files = tuple(_location(item["assets"][key]["href"], path) for key in keys)
        scenes.append((files, _when(item, path)))
    told = [items[0]["assets"][key] for key in keys]
    return stack_of(scenes, how, lambda n, look: _described(look, keys[n], told[n]))


def _is_data(asset: dict[str, Any]) -> bool:
    kind = str(asset.get("type", "")).partition(";")[0]
    return "data" in asset.get("roles", ["data"]) and (kind in _RASTER or not kind)


def _when(item: dict[str, Any], path: str) -> datetime:
    properties = item.get("properties", {})
    text = properties.get("datetime") or properties.get("start_datetime")
    try:
        return parse_time(text or "")
    except TimeError as error:
        raise EncodeError(f"{path}: {item.get('id')} has no time: {text!r}") from error


def _location(href: str, path: str) -> str:
    if "://" in href or href.startswith("/"):
        return href
    base, _, _ = path.rpartition("/")
    return f"{base}/{href.removeprefix('./')}" if "://" in path else str(Path(path).parent / href)


def _described(look: Look, key: str, asset: dict[str, Any]) -> Look:
    """Put what an asset tells of its bands over what its file tells."""
    lists = [asset.get(name) or [] for name in ("bands", "eo:bands", "raster:bands")]
    bands, nodata = [], []
    for i, (band, value) in enumerate(zip(look.bands, look.nodata, strict=True)):
        told: dict[str, Any] = {}
        for entries in lists:
            if i < len(entries):
                told |= {name.partition(":")[2] or name: entry for name, entry in entries[i].items()}
        for name in ("raster:scale", "raster:offset", "nodata", "unit"):
            if name in asset:
                told.setdefault(name.partition(":")[2] or name, asset[name])
        length = told.get("center_wavelength")
        empty = told.get("nodata", value)
        alone = len(look.bands) == 1
        bands.append(
            Band(
                name=key if alone else str(told.get("name", band.name)),
                description=told.get("description"),
                unit=told.get("unit", band.unit),
                scale_factor=float(told.get("scale", band.scale_factor)),
                add_offset=float(told.get("offset", band.add_offset)),
                fill_value=finite(empty) if not isinstance(empty, str) else None,
                center_wavelength=band.center_wavelength if length is None else 1000.0 * float(length),
                common_name=told.get("common_name"),
            )
        )
        nodata.append(finite(empty) if not isinstance(empty, str) else None)
    return replace(look, bands=tuple(bands), nodata=tuple(nodata))
