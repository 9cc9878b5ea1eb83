"""Cubes as GDAL virtual rasters: connection strings, the VRT writer and the pixel function.

The package is also a function: ``gdal_gndc.vrt(path, t=...)`` is :func:`gdal_gndc.vrt.writer.vrt`.
"""

from gdal_gndc.callable_room import make_callable

make_callable(__name__, "gdal_gndc.vrt.writer", "vrt")
