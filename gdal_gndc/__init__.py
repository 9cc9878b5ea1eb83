"""Neural data cubes (``.gndc``) as ordinary rasters.

``gdal_gndc.open(path)`` opens a cube, ``gdal_gndc.encode(inputs, output)`` writes one, ``gdal_gndc.vrt(path, t=...)``
gives the XML of a VRT that GDAL with Python reads. Importing the package lets GDAL run its pixel functions in this
process (``GDAL_VRT_PYTHON_TRUSTED_MODULES``).

An independent implementation of the public format specification; not affiliated with its authors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gdal_gndc.errors import (
    CoordinateError,
    DeviceError,
    DriverError,
    EncodeError,
    FileFormatError,
    GNDCError,
    TimeError,
)
from gdal_gndc.vrt.trust import trust

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset
    from gdal_gndc.dataset import open_dataset as open
    from gdal_gndc.encode.encoder import encode
    from gdal_gndc.field.core import set_threads
    from gdal_gndc.indices import compute_evi, compute_ndmi, compute_ndvi, compute_ndwi
    from gdal_gndc.reader import GNDCReader
    from gdal_gndc.vrt.opening import open_raster, opener
    from gdal_gndc.vrt.writer import vrt

__version__ = "0.1.0"

__all__ = [
    "CoordinateError",
    "DeviceError",
    "DriverError",
    "EncodeError",
    "FileFormatError",
    "GNDCDataset",
    "GNDCError",
    "GNDCReader",
    "TimeError",
    "compute_evi",
    "compute_ndmi",
    "compute_ndvi",
    "compute_ndwi",
    "encode",
    "open",
    "open_raster",
    "opener",
    "set_threads",
    "vrt",
]

# public name -> module and name there: imported on first use, so that importing the package costs little
_LAZY = {
    "GNDCDataset": ("gdal_gndc.dataset", "GNDCDataset"),
    "open": ("gdal_gndc.dataset", "open_dataset"),
    "set_threads": ("gdal_gndc.field.core", "set_threads"),
    "GNDCReader": ("gdal_gndc.reader", "GNDCReader"),
    "compute_evi": ("gdal_gndc.indices", "compute_evi"),
    "compute_ndmi": ("gdal_gndc.indices", "compute_ndmi"),
    "compute_ndvi": ("gdal_gndc.indices", "compute_ndvi"),
    "compute_ndwi": ("gdal_gndc.indices", "compute_ndwi"),
    "open_raster": ("gdal_gndc.vrt.opening", "open_raster"),
    "opener": ("gdal_gndc.vrt.opening", "opener"),
    # the name that VRT files hold: GDAL's "gdal_gndc.*" trusts functions of this very module, none below it
    "vrt_pixels": ("gdal_gndc.vrt.pixels", "read"),
}

trust()


def __getattr__(name: str) -> Any:
    import importlib

    if name in ("encode", "catalog"):
        return importlib.import_module(f"gdal_gndc.{name}")
    if name in _LAZY:
        module, attribute = _LAZY[name]
        value = getattr(importlib.import_module(module), attribute)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'gdal_gndc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
