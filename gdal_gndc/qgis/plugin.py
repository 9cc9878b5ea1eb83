"""Packing the plugin as QGIS installs it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import gdal_gndc
from gdal_gndc import qgis_plugin
from gdal_gndc.atomic import replacing

# the folder in the zip is the plugin's name to QGIS
NAME = "gndc_qgis"
_SUFFIXES = (".py", ".txt", ".svg")
_DATED = (1980, 1, 1, 0, 0, 0)


def build_plugin(path: Path) -> Path:
    """Write the zip of the plugin, the same bytes for the same sources, and return its path.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    folder = Path(str(qgis_plugin.__file__)).parent
    files = sorted(file for file in folder.iterdir() if file.suffix in _SUFFIXES or file.name == "LICENSE")
    with replacing(path) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            data = file.read_bytes()
            if file.name == "metadata.txt":
                data = data.replace(b"@VERSION@", gdal_gndc.__version__.encode())
            entry = zipfile.ZipInfo(f"{NAME}/{file.name}", _DATED)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return path
