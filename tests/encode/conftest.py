from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

DATA = Path(__file__).parents[1] / "data"

WriteRaster = Callable[..., Path]


@pytest.fixture
def modis_files() -> list[Path]:
    """Twelve dates of a real stack."""
    return sorted((DATA / "modis_mt_vi").glob("*.tif"))[:12]


@pytest.fixture
def write_raster(tmp_path: Path) -> WriteRaster:
    """Write a small GeoTIFF; keyword arguments change its profile."""

    def write(
        name: str,
        values: Any = None,
        *,
        tags: dict[str, str] | None = None,
        names: tuple[str, ...] | None = None,
        scale: float = 1.0,
        offset: float = 0.0,
        **changes: Any,
    ) -> Path:
        if values is None:
            rows, cols = np.mgrid[0:8, 0:10]
            values = (100 + 10 * rows + cols)[np.newaxis].astype("int16")
        profile = {
            "driver": "GTiff",
            "count": values.shape[0],
            "height": values.shape[1],
            "width": values.shape[2],
            "dtype": values.dtype.name,
            "crs": "EPSG:32631",
            "transform": Affine(10, 0, 500000, 0, -10, 5600000),
            **changes,
        }
        path = tmp_path / name
        with rasterio.open(path, "w", **profile) as target:
            target.write(values)
            target.scales = [scale] * values.shape[0]
            target.offsets = [offset] * values.shape[0]
            if names:
                target.descriptions = names
            target.update_tags(**(tags or {}))
        return path

    return write
