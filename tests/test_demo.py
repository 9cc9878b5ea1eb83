"""What ``make demo`` runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import rasterio

import gdal_gndc

DEMO = Path(__file__).parents[1] / "docs" / "demo.py"


def test_the_demo_shows_what_it_promises(driver_folder: Path, tmp_path: Path) -> None:
    """With a short training, and the driver that the tests have built; it ends with an error where roads differ."""
    place = tmp_path / "data" / "gdal-gndc" / "gdalplugins"
    place.parent.mkdir(parents=True)
    place.symlink_to(driver_folder.resolve())
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GDAL_", "GNDC_", "PYTHON"))}
    out = tmp_path / "demo"
    done = subprocess.run(
        [sys.executable, "-W", "error", DEMO, out, "--steps", "200", "--installed"],
        env=env | {"XDG_DATA_HOME": str(tmp_path / "data")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.count("driver, VRT and Python give the same bits") == 2
    assert "Driver: GNDC" in done.stdout and " dB" in done.stdout
    with gdal_gndc.open(out / "flanders.gndc") as dataset:
        shape = dataset.shape
    rasters = [*sorted(out.glob("driver_*.tif")), *sorted((out / "vrts").glob("*.vrt"))]
    assert len(rasters) == 4
    for path in rasters[:2]:
        with rasterio.open(path) as raster:
            assert (raster.height, raster.width, raster.count) == shape[1:]
            assert np.isfinite(raster.read()).any()
    picture = (plt.imread(out / "overview.png")[..., :3] * 255).astype(np.uint8)
    assert picture.shape == (800, 1200, 3)
    # three pictures of the ground take a good third; a figure without them is white but for lines
    assert (picture < 255).any(axis=-1).mean() > 0.3
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 5000
