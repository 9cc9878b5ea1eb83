"""How the layers of a QGIS project name their rasters."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gdal_gndc.errors import CoordinateError
from gdal_gndc.selection import moment_argument
from gdal_gndc.times import format_time
from gdal_gndc.vrt.connection import Connection
from gdal_gndc.vrt.writer import absolute, write_vrts

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset
    from gdal_gndc.time_axis import Moment

SOURCES = ("option", "gndc", "vrt")

# GDAL's names of the file systems that Python names by a scheme
_VIRTUAL = {
    "http://": "/vsicurl/http://",
    "https://": "/vsicurl/https://",
    "s3://": "/vsis3/",
    "gs://": "/vsigs/",
    "gcs://": "/vsigs/",
}


@dataclass(frozen=True)
class Sources:
    """The data source of each layer, and the files written for them."""

    texts: tuple[str, ...]
    files: tuple[Path, ...] = ()


def sources_of(
    dataset: GNDCDataset,
    path: str | os.PathLike[str],
    project: Path,
    moments: Sequence[Moment],
    kind: str,
    product: str | None,
) -> Sources:
    """Return what QGIS opens for each moment; ``kind`` is one of SOURCES.

    Raises
    ------
    CoordinateError
        If GDAL has no name for where the cube is.
    """
    times = [_text(moment_argument(dataset, moment)) for moment in moments]
    folder = project.absolute().parent
    if kind == "vrt":
        vrts = folder / f"{project.stem}_vrts"
        named = [moment_argument(dataset, moment) for moment in moments]
        files = write_vrts(path, vrts, times=named, product=product)
        return Sources(tuple(f"./{vrts.name}/{file.name}" for file in files), tuple(files))
    name = _gdal_name(absolute(path))
    keys = {} if product is None else {"product": product}
    if kind == "gndc":
        return Sources(tuple(str(Connection(name, {"t": time, **keys})) for time in times))
    if not name.startswith("/vsi"):
        near = Path(os.path.relpath(name, folder)).as_posix()
        name = near if near.startswith("../") else f"./{near}"
    options = "".join(f"|option:{key.upper()}={value}" for key, value in keys.items())
    return Sources(tuple(f"{name}|option:T={time}{options}" for time in times))


def _text(argument: object) -> str:
    from datetime import datetime

    return format_time(argument) if isinstance(argument, datetime) else str(argument)


def _gdal_name(path: str) -> str:
    if "://" not in path:
        return path
    for scheme, place in _VIRTUAL.items():
        if path.startswith(scheme):
            return place + path.removeprefix(scheme)
    raise CoordinateError(f"{path}: GDAL has no name for this address, expected one of {', '.join(_VIRTUAL)}")
