"""The rasters that a user's words name."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from gdal_gndc.errors import EncodeError

PathLike = str | os.PathLike[str]
Paths = PathLike | Sequence[PathLike]
_SUFFIXES = (".tif", ".tiff", ".vrt")
_REMOTE = re.compile(r"^(/vsi|[a-z][a-z0-9+.-]+://)", re.IGNORECASE)


def find_files(inputs: Paths) -> list[str]:
    """Return the rasters that inputs name, without those named twice, in the order found.

    An input is a file, a directory (its ``.tif``, ``.tiff`` and ``.vrt``, not those of its subdirectories), a
    pattern with ``*``, ``?`` or ``[``, a text file ``.txt`` with one input a line, a ``/vsi`` path or a URL.

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


def _expand(text: str) -> Iterable[str]:
    if _REMOTE.match(text):
        return [text]
    path = Path(text)
    if path.is_dir():
        names = sorted(str(p) for p in path.iterdir() if p.suffix.lower() in _SUFFIXES)
        if not names:
            raise EncodeError(f"{text}: the directory holds no {', '.join(_SUFFIXES)} files")
        return names
    if path.is_file():
        if path.suffix.lower() != ".txt":
            return [text]
        lines = (line.strip() for line in path.read_text("utf-8").splitlines())
        return [name for line in lines if line and not line.startswith("#") for name in _expand(line)]
    names = sorted(glob.glob(text)) if any(c in text for c in "*?[") else []  # noqa: PTH207
    if not names:
        raise EncodeError(f"{text}: no such file, directory or matching pattern")
    return names
