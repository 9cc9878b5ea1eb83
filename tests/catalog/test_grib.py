"""GRIB through cfgrib, in a process of its own: ecCodes brings libraries that other tests need not load."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from gdal_gndc.catalog import build_xarray_catalog
from gdal_gndc.catalog import options as room
from gdal_gndc.errors import CatalogError, FileFormatError

CODE = """
import sys
from pathlib import Path
from gdal_gndc.catalog import GeoSlice, build_xarray_catalog, load_xarray
import eccodes
import numpy as np

path = Path(sys.argv[1])
with path.open("wb") as sink:
    for day in (20240101, 20240102):
        message = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
        keys = {"Ni": 12, "Nj": 7, "dataDate": day, "dataTime": 0, "shortName": "2t"}
        keys |= {"latitudeOfFirstGridPointInDegrees": 48.0, "latitudeOfLastGridPointInDegrees": 42.0}
        keys |= {"longitudeOfFirstGridPointInDegrees": 5.0, "longitudeOfLastGridPointInDegrees": 16.0}
        keys |= {"iDirectionIncrementInDegrees": 1.0, "jDirectionIncrementInDegrees": 1.0}
        for key, value in keys.items():
            eccodes.codes_set(message, key, value)
        eccodes.codes_set_values(message, np.arange(84) + 280.0 + day % 10)
        eccodes.codes_write(message, sink)
        eccodes.codes_release(message)
catalog = build_xarray_catalog(path)
row = catalog.gdf.iloc[0]
assert catalog.crs.to_epsg() == 4326, catalog
assert catalog.total_bounds == (4.5, 41.5, 16.5, 48.5), catalog.total_bounds
assert (list(row["band_names"]), row["n_timesteps"], row["time_resolution"]) == (["t2m"], 2, "P1D")
found = load_xarray(catalog, GeoSlice(catalog.total_bounds, "2024-01-02", 1, 4326))
np.testing.assert_allclose(found.values[0, 0], np.arange(84).reshape(7, 12) + 282.0)
assert [p.name for p in path.parent.iterdir()] == [path.name]
"""


def test_a_grib_file_is_catalogued_and_loaded(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE, str(tmp_path / "t2m.grib2")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def test_without_its_engine_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = importlib.import_module

    def lacking(name: str) -> object:
        if name == "cfgrib":
            raise ImportError("No module named 'cfgrib'")
        return load(name)

    monkeypatch.setattr(room.importlib, "import_module", lacking)
    (tmp_path / "a.grib").write_bytes(b"GRIB")
    with pytest.raises(FileFormatError, match="a GRIB file needs the package cfgrib"):
        build_xarray_catalog(tmp_path / "a.grib")
    with pytest.raises(CatalogError, match="needs the package nowhere"):
        room.need("nowhere", "a test")
