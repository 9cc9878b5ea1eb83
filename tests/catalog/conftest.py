"""The catalogs of the real stacks."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("geopandas", reason="the catalog needs geopandas, pyarrow and duckdb")

from gdal_gndc.catalog import GeoCatalog, build_raster_catalog

DATE = r"(?P<date>\d{8})"


@pytest.fixture(scope="session")
def flanders(stacks: Path) -> GeoCatalog:
    return build_raster_catalog(stacks / "s2_flanders", DATE)


@pytest.fixture(scope="session")
def flanders_scl(stacks: Path) -> GeoCatalog:
    return build_raster_catalog(stacks / "s2_flanders" / "scl", DATE)


@pytest.fixture(scope="session")
def puglia(stacks: Path) -> GeoCatalog:
    """Two UTM zones in one catalog."""
    zones = [stacks / "s2_puglia" / zone for zone in ("utm33", "utm34")]
    return build_raster_catalog(zones, DATE, target_crs="EPSG:32633")
