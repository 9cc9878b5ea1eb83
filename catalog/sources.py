"""Which files a builder reads: globs, directories, lists and fsspec URLs as strings that GDAL opens."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gdal_gndc.errors import CatalogError, FileFormatError
from gdal_gndc.remote import fsspec_options

_VSI = {
    "s3": "/vsis3/",
    "gs": "/vsigs/",
    "gcs": "/vsigs/",
    "az": "/vsiaz/",
    "abfs": "/vsiaz/",
    "oss": "/vsioss/",
}


def expand(files: Any, suffixes: Sequence[str]) -> list[str]:
    """Paths, globs, directories and URLs, one or many, as a sorted list of distinct names.

    Parameters
    ----------
    files
        A path or glob (``**`` recurses), a directory (its files with one of ``suffixes``, not deeper), an
        fsspec URL or URL glob, or an iterable of these.
    suffixes
        Lower-case name endings that a directory is searched for.

    Raises
    ------
    FileFormatError
        If nothing matches a glob or directory.
    """
    if isinstance(files, (str, Path)):
        return _expand_one(str(files), suffixes)
    if not isinstance(files, Iterable):
        raise CatalogError(f"files are given as a path or a list of paths, found {type(files).__name__}")
    names: dict[str, None] = {}
    for item in files:
        names.update(dict.fromkeys(_expand_one(str(item), suffixes)))
    return list(names)


def _expand_one(name: str, suffixes: Sequence[str]) -> list[str]:
    if "://" in name:
        if not any(c in name for c in "*?["):
            return [name]
        import fsspec

        fs, path = fsspec.core.url_to_fs(name, **fsspec_options(name))
        found = sorted(fs.unstrip_protocol(p) for p in fs.glob(path))
    elif name.startswith("/vsi"):
        return [name]
    elif Path(name).is_dir() and not name.rstrip("/").endswith(".zarr"):
        with os.scandir(name) as entries:
            found = sorted(e.path for e in entries if e.name.lower().endswith(tuple(suffixes)))
    elif any(c in name for c in "*?["):
        found = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - absolute patterns too
    else:
        return [name]
    if not found:
        raise FileFormatError(f"no files match ({', '.join(suffixes)})", path=name)
    return found


def gdal_location(name: str) -> str:
    """A path or URL as the string GDAL opens: absolute paths, ``/vsi...`` for remote ones."""
    protocol, mark, rest = name.partition("://")
    if not mark:
        return str(Path(name).absolute())
    if protocol == "file":
        return "/" + rest.lstrip("/")
    if protocol in ("http", "https", "ftp"):
        return f"/vsicurl/{name}"
    if protocol in _VSI:
        return _VSI[protocol] + rest
    raise CatalogError(f"{name}: GDAL reads no {protocol}:// URLs")


def stats(locations: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sizes in bytes and modification times in microseconds, (N,) int64 each; 0 for what is not a local file.

    A directory, such as a Zarr store, has the time of its newest top-level entry and no size.
    """
    pairs = np.array([_stat(p) for p in locations], dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _stat(path: str) -> tuple[int, int]:
    try:
        info = Path(path).stat()
    except OSError:
        return 0, 0
    if Path(path).is_dir():
        with os.scandir(path) as entries:
            return 0, max((e.stat().st_mtime_ns for e in entries), default=info.st_mtime_ns) // 1000
    return info.st_size, info.st_mtime_ns // 1000
