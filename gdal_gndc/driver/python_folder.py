"""A folder for `PYTHONPATH` with this package and the little that pixel functions need, and nothing else.

Programs that are not Python start an interpreter of the system to run the function of a VRT. A whole virtual
environment on its path would hide the system's numpy, against which `osgeo` and QGIS were compiled; links to single
packages do not.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from gdal_gndc.errors import DriverError

# What reading a pixel imports beside numpy, which is the system's own. attrs comes with newer versions of affine.
_NEEDED = ("affine", "zstandard", "_cffi_backend")
_OPTIONAL = ("attr", "attrs")


def make_python_folder(folder: Path) -> Path:
    """Fill a folder with links to this package and its needs, replacing what was there.

    Raises
    ------
    DriverError
        If something needed is not installed, or the folder cannot be written.
    """
    links = {path.name: path for name in _NEEDED for path in [_place(name)] if path is not None}
    if missing := [name for name in _NEEDED if _place(name) is None]:
        raise DriverError(f"{missing[0]} is not installed, which pixel functions need")
    links |= {path.name: path for name in _OPTIONAL for path in [_place(name)] if path is not None}
    beside = folder.with_name(f".{folder.name}-{os.getpid()}")
    try:
        (beside / "gdal_gndc").mkdir(parents=True)
        for name, path in links.items():
            (beside / name).symlink_to(path)
        for path in _package():
            (beside / "gdal_gndc" / path.name).symlink_to(path)
        if folder.exists():
            shutil.rmtree(folder)
        beside.rename(folder)
    except OSError as error:
        raise DriverError(f"{folder}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def _package() -> list[Path]:
    """What is in the package, its compiled part too, which an editable install has elsewhere."""
    core = importlib.util.find_spec("gdal_gndc._core")
    if core is None or core.origin is None:
        raise DriverError("the compiled core of gdal_gndc is missing: install the package")
    own = Path(__file__).resolve().parents[1]
    found = {path.name: path for path in own.iterdir() if path.name != "__pycache__"}
    return list((found | {Path(core.origin).name: Path(core.origin)}).values())


def _place(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return None
    origin = Path(spec.origin)
    return origin.parent if spec.submodule_search_locations else origin
