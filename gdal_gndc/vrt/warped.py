"""VRTs in another CRS: a warped VRT around one of a cube."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from typing import TYPE_CHECKING, Any

from gdal_gndc.errors import GNDCError

if TYPE_CHECKING:
    from affine import Affine
    from rasterio.crs import CRS
    from rasterio.io import DatasetReader


def warped(text: str, crs: Any, resampling: str = "bilinear", grid: Affine | None = None) -> str:
    """Return the XML of a warped VRT around the VRT ``text``, which it holds inline.

    Parameters
    ----------
    crs
        Anything that rasterio understands: ``"EPSG:3857"``, WKT, PROJ.
    resampling
        Name of a GDAL resampling method.
    grid
        Transform of a raster in that CRS, with whose pixels those of the result line up.

    Raises
    ------
    GNDCError
        If the CRS or the method is not known, or the raster has no CRS itself or cannot be warped to this
        one.
    """
    import rasterio
    import rasterio.shutil
    from rasterio.crs import CRS
    from rasterio.enums import Resampling
    from rasterio.errors import CRSError, RasterioError
    from rasterio.io import MemoryFile
    from rasterio.vrt import WarpedVRT

    try:
        method = Resampling[resampling]
    except KeyError:
        known = ", ".join(method.name for method in Resampling)
        raise GNDCError(f"no resampling method {resampling!r}; expected one of {known}") from None
    try:
        target = CRS.from_user_input(crs)
    except (CRSError, ValueError) as error:
        raise GNDCError(f"the CRS {crs!r} cannot be read: {error}") from error
    with rasterio.open(text) as source:
        if source.crs is None:
            raise GNDCError("the cube has no CRS, so it cannot be warped to another")
        try:
            with (
                WarpedVRT(source, crs=target, resampling=method, **_extent(source, target, grid)) as raster,
                MemoryFile(ext=".vrt") as memory,
            ):
                rasterio.shutil.copy(raster, memory.name, driver="VRT")
                around = ElementTree.fromstring(memory.read())
        except RasterioError as error:
            raise GNDCError(f"the cube cannot be warped to {crs}: {error}") from error
    _describe(around, ElementTree.fromstring(text))
    ElementTree.indent(around)
    return ElementTree.tostring(around, encoding="unicode") + "\n"


def _extent(source: DatasetReader, target: CRS, grid: Affine | None) -> dict[str, Any]:
    if grid is None:
        return {}
    from affine import Affine
    from rasterio.warp import transform_bounds

    left, bottom, right, top = transform_bounds(source.crs, target, *source.bounds, densify_pts=101)
    cols = sorted(((left - grid.c) / grid.a, (right - grid.c) / grid.a))
    rows = sorted(((bottom - grid.f) / grid.e, (top - grid.f) / grid.e))
    # What lies on a pixel's edge but for rounding takes no further pixel.
    c0, r0 = math.floor(cols[0] + 1e-6), math.floor(rows[0] + 1e-6)
    c1, r1 = math.ceil(cols[1] - 1e-6), math.ceil(rows[1] - 1e-6)
    moved = Affine(grid.a, 0.0, grid.c + c0 * grid.a, 0.0, grid.e, grid.f + r0 * grid.e)
    return {"transform": moved, "width": c1 - c0, "height": r1 - r0}


def _describe(around: ElementTree.Element, inner: ElementTree.Element) -> None:
    """Give a warped VRT the metadata of the raster within, and its bands their names and statistics."""
    for old in around.findall("Metadata"):
        around.remove(old)
    for metadata in reversed(inner.findall("Metadata")):
        around.insert(0, metadata)
    for band, source in zip(around.findall("VRTRasterBand"), inner.findall("VRTRasterBand"), strict=True):
        for tag in ("ColorInterp", "UnitType", "Metadata", "Description"):
            found = source.find(tag)
            if found is not None:
                for old in band.findall(tag):
                    band.remove(old)
                band.insert(0, found)
