"""A plugin for QGIS: scrub through the times of a cube, and click for a pixel's series.

QGIS loads this folder by itself, from a place without the rest of the package, so nothing here imports
`gdal_gndc`; it needs QGIS's own Python (PyQt, numpy, osgeo) and the GDAL driver.
"""

from __future__ import annotations

from typing import Any


def classFactory(iface: Any) -> Any:
    """Return the plugin; QGIS calls this by this name."""
    from .plugin import CubePlugin

    return CubePlugin(iface)
