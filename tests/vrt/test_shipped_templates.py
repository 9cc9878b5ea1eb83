from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import rasterio

import gdal_gndc
import gdal_gndc.vrt_templates
from gdal_gndc.vrt.template import load_template

FOLDER = Path(str(gdal_gndc.vrt_templates.__file__)).parent
NAMES = sorted(file.stem for file in FOLDER.glob("*.vrt"))


def test_every_template_is_documented() -> None:
    assert NAMES == ["cube", "ndvi", "rgb8", "series"]
    described = str(gdal_gndc.vrt_templates.__doc__)
    for name in NAMES:
        assert f"``{name}``" in described
    used = {
        word for file in FOLDER.iterdir() if file.is_file() for word in re.findall(r"\$\{(\w+)\}", file.read_text())
    }
    for placeholder in used:
        assert f"``{placeholder}``" in described


@pytest.mark.parametrize("name", ["cube", "ndvi", "rgb8", "series"])
def test_every_template_opens(colors: Path, spectral: Path, name: str) -> None:
    cube = colors if name == "rgb8" else spectral
    with rasterio.open(gdal_gndc.vrt(cube, 0, template=name)) as raster:
        raster.read(1)
    assert load_template(name).name == name
    # By its path it is the same.
    assert load_template(FOLDER / f"{name}.vrt").raster == load_template(name).raster


def test_importing_the_pixel_function_is_cheap() -> None:
    """Every program that reads a VRT pays for it."""
    code = (
        "import time, numpy\n"
        "start = time.process_time()\n"
        "import gdal_gndc\n"
        "gdal_gndc.vrt_pixels\n"
        "print(time.process_time() - start)\n"
    )
    seconds = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    ]
    assert min(seconds) < 0.05
