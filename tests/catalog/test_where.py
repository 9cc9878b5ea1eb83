from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gdal_gndc.catalog import DuckCatalog, GeoCatalog
from gdal_gndc.errors import CatalogError
from tests.catalog.catalog_frames import DAY, catalog_of


@pytest.fixture(scope="module")
def catalog() -> GeoCatalog:
    start = np.datetime64("2024-01-01", "us") + np.arange(6) * DAY
    return catalog_of(
        [(k, 0, k + 1, 1) for k in range(6)],
        start,
        start,
        names=[f"/d/{'S2' if k % 2 else 'L8'}_{k}.tif" for k in range(6)],
        cloud=[0.0, 5.5, np.nan, 30.0, 80.0, 100.0],
        sensor=["L8", "S2", None, "S2", "L8", "S2"],
        bands=[1, 2, 3, 4, 5, 6],
        band_names=[["B02"], ["B02", "B04"], [], ["B04"], None, ["B08"]],
        good=[True, False, True, True, False, False],
    )


CASES = [
    ("cloud < 10", [0, 1]),
    ("cloud >= 30 and sensor == 'S2'", [3, 5]),
    ("cloud > 90 or bands == 1", [0, 5]),
    ("not cloud < 10", [2, 3, 4, 5]),
    ("not (sensor == 'S2')", [0, 2, 4]),
    ("sensor != 'S2'", [0, 4]),
    ("sensor in ['S2', 'S3']", [1, 3, 5]),
    ("sensor not in ['S2']", [0, 4]),
    ("cloud is None", [2]),
    ("cloud is not None and cloud > 50", [4, 5]),
    ("2 <= bands < 5", [1, 2, 3]),
    ("bands * 10 > cloud - 5", [0, 1, 3]),
    ("-bands <= -5", [4, 5]),
    ("bands % 2 == 0", [1, 3, 5]),
    ("contains(location, 'S2_')", [1, 3, 5]),
    ("startswith(location, '/d/L8')", [0, 2, 4]),
    ("endswith(location, '5.tif')", [5]),
    ("has(band_names, 'B04')", [1, 3]),
    ("start >= '2024-01-03' and stop < '2024-01-05'", [2, 3]),
    ("good and cloud < 50", [0, 3]),
    ('contains(location, "it\'s")', []),
]


@pytest.mark.parametrize(("expression", "rows"), CASES)
def test_memory_and_duckdb_read_one_language(
    catalog: GeoCatalog, tmp_path: Path, expression: str, rows: list[int]
) -> None:
    expected = catalog.gdf["location"].iloc[rows].tolist()
    assert catalog.where(expression).gdf["location"].tolist() == expected
    catalog.to_geoparquet(tmp_path / "c.parquet")
    assert sorted(DuckCatalog(tmp_path / "c.parquet").where(expression).gdf["location"]) == sorted(expected)


@pytest.mark.parametrize(
    "bad",
    [
        "clouds < 10",
        "cloud <",
        "cloud",
        "1 < 2",
        "cloud < sensor.upper()",
        "__import__('os').system('true')",
        "(lambda: 1)()",
        "cloud if good else bands",
        "[c for c in cloud]",
        "cloud is 3",
        "sensor in cloud",
        "contains(location)",
        "sensor < 3",
        "location",
    ],
)
def test_anything_else_is_refused(catalog: GeoCatalog, bad: str) -> None:
    with pytest.raises(CatalogError):
        catalog.where(bad)
