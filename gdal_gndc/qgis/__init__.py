"""Projects, layer definitions and styles for QGIS, written as text: no QGIS is needed to make them."""

from gdal_gndc.qgis.project import Files, write_project

__all__ = ["Files", "write_project"]
