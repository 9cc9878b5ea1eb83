"""The files that a user's words name."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from gdal_gndc.errors import EncodeError
from gdal_gndc.remote import fsspec_options, reason

PathLike = str | os.PathLike[str]
Paths = PathLike | Sequence[PathLike]
Kind = Literal["raster", "array", "stac", "catalog"]
_RASTERS = (".tif", ".tiff", ".vrt", ".jp2")
_ARRAYS = (".nc", ".nc4", ".h5", ".zarr", ".grib", ".grib2", ".grb", ".grb2")
_REMOTE = re.compile(r"^(/vsi|[a-z][a-z0-9+.-]+://)", re.IGNORECASE)


def find_files(inputs: Paths) -> list[str]:
    """Return the files that inputs name, without those named twice, in the order found.

    An input is a file, a directory (its ``.tif``, ``.tiff``, ``.vrt`` and ``.jp2``, or if it has none its netCDF,
    Zarr and GRIB; not those of its subdirectories), a pattern with ``*``, ``?`` or ``[``, a text file ``.txt`` with
    one input a line, a ``/vsi`` path or a URL, which may be a pattern with ``*``.

    Raises
    ------
    EncodeError
        If an input does not exist or names nothing.
    """
    items = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    found: dict[str, None] = {}
    for item in items:
        found.update(dict.fromkeys(_expand(os.fspath(item))))
    if not found:
        raise EncodeError("no input files were given")
    return list(found)


def kind_of(name: str) -> Kind:
    """Return what a file is by its name: what is nothing else is left to GDAL."""
    low = name.lower().rstrip("/").partition("?")[0]
    if name.startswith("/vsi"):
        return "raster"
    if low.endswith(_ARRAYS) or _is_zarr(Path(name)):
        return "array"
    if low.endswith((".json", ".geojson")):
        return "stac"
    if low.endswith((".parquet", ".geoparquet", ".gpq")) or _is_partitioned(Path(name)):
        return "catalog"
    return "raster"


def is_catalog(inputs: object) -> bool:
    """Tell whether inputs are a catalog: a file, a directory of its parts, or an object."""
    if isinstance(inputs, list | tuple) and len(inputs) == 1:
        return is_catalog(inputs[0])
    if isinstance(inputs, str | os.PathLike):
        return kind_of(os.fspath(inputs)) == "catalog"
    return type(inputs).__module__.startswith("gdal_gndc.catalog.")


def _expand(text: str) -> Iterable[str]:
    if _REMOTE.match(text):
        return _expand_remote(text)
    path = Path(text)
    if path.is_dir():
        if path.suffix.lower() == ".zarr" or _is_zarr(path) or _is_partitioned(path):
            return [text]
        for suffixes in (_RASTERS, _ARRAYS):
            if names := sorted(str(p) for p in path.iterdir() if p.suffix.lower() in suffixes):
                return names
        raise EncodeError(f"{text}: the directory holds no {', '.join((*_RASTERS, *_ARRAYS))} files")
    if path.is_file():
        if path.suffix.lower() != ".txt":
            return [text]
        lines = (line.strip() for line in path.read_text("utf-8").splitlines())
        return [name for line in lines if line and not line.startswith("#") for name in _expand(line)]
    names = sorted(glob.glob(text)) if any(c in text for c in "*?[") else []  # noqa: PTH207
    if not names:
        raise EncodeError(f"{text}: no such file, directory or matching pattern")
    return names


def _expand_remote(text: str) -> list[str]:
    # a ? may begin the query of a URL
    if text.startswith("/vsi") or "*" not in text:
        return [text]
    import fsspec

    try:
        system, pattern = fsspec.core.url_to_fs(text, **fsspec_options(text))
        names = sorted(system.unstrip_protocol(name) for name in system.glob(pattern))
    except (OSError, ValueError, ImportError) as error:
        raise EncodeError(f"{text}: cannot be listed: {reason(error)}") from error
    if not names:
        raise EncodeError(f"{text}: no file matches")
    return names


def _is_zarr(path: Path) -> bool:
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zmetadata"))


def _is_partitioned(path: Path) -> bool:
    """A directory of a catalog in parts; of anything else this is quick to say."""
    return path.is_dir() and (any(path.glob("*.parquet")) or any(path.glob("*/*.parquet")))
