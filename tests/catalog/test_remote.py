"""URLs: files behind HTTP and in fsspec's memory, and what is only for local paths."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gdal_gndc.catalog import (
    GeoCatalog,
    GeoSlice,
    build_gndc_catalog,
    build_raster_catalog,
    compact,
    load_gndc,
    open_catalog,
)
from gdal_gndc.errors import CatalogError, FileFormatError
from tests.catalog.catalog_frames import random_catalog
from tests.conftest import CASES

CUBE = CASES / "tiles22_missing.gndc"
DATE = r"(?P<date>\d{8})"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    folder = tmp_path / "www"
    folder.mkdir()
    command = [sys.executable, str(Path(__file__).with_name("range_server.py")), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield folder, f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


@pytest.fixture
def memory() -> Iterator[object]:
    fsspec = pytest.importorskip("fsspec")
    fs = fsspec.filesystem("memory")
    yield fs
    fs.rm("/gndc-test", recursive=True)


CODE = """
import sys
from pathlib import Path
import numpy as np
from gdal_gndc.catalog import GeoSlice, build_raster_catalog, load_raster
from gdal_gndc.errors import FileFormatError

folder, url, date = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
files = sorted(folder.iterdir())
names = [f"{url}/{f.name}" for f in files]
catalog, local = build_raster_catalog(names, date), build_raster_catalog(files, date)
assert catalog.gdf["location"].tolist() == [f"/vsicurl/{n}" for n in names]
assert list(catalog.gdf.index) == list(local.gdf.index)
assert catalog.total_bounds == local.total_bounds
where = GeoSlice(local.total_bounds, "2023-08-17", 10, local.crs)
np.testing.assert_array_equal(load_raster(catalog, where, [1]).values, load_raster(local, where, [1]).values)
# Nothing is known of when a remote file changed: it is read again.
again = build_raster_catalog(names, date, previous=catalog)
assert (again.report.read, again.report.reused) == (len(files), 0)
try:
    build_raster_catalog(f"{url}/none.tif")
except FileFormatError as error:
    assert "404" in str(error)
else:
    raise AssertionError("a file that is not there")
"""


def test_rasters_behind_http(served: tuple[Path, str], stacks: Path) -> None:
    folder, url = served
    files = sorted((stacks / "s2_puglia" / "utm33").glob("*2023081*.tif"))
    assert len(files) > 1
    for file in files:
        (folder / file.name).write_bytes(file.read_bytes())
    command = [sys.executable, "-c", CODE, str(folder), url, DATE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_cubes_in_memory_by_a_glob(memory: object) -> None:
    for name in ("a", "b"):
        memory.pipe(f"/gndc-test/{name}.gndc", CUBE.read_bytes())  # type: ignore[attr-defined]
    catalog = build_gndc_catalog("memory://gndc-test/*.gndc")
    assert [n.rpartition("/")[2] for n in catalog.gdf["location"]] == ["a.gndc", "b.gndc"]
    local = build_gndc_catalog(CUBE)
    where = GeoSlice(local.total_bounds, "2020-01-03", 10, local.crs)
    np.testing.assert_array_equal(load_gndc(catalog, where).values, load_gndc(local, where).values)
    with pytest.raises(FileFormatError, match="no files match"):
        build_gndc_catalog("memory://gndc-test/*.zip")
    with pytest.raises(CatalogError, match="GDAL reads no memory://"):
        build_raster_catalog("memory://gndc-test/a.tif")


def test_a_catalog_is_read_from_a_url_and_written_to_paths(memory: object, tmp_path: Path) -> None:
    catalog = random_catalog(20, 1)
    catalog.to_geoparquet(tmp_path / "c.parquet")
    memory.pipe("/gndc-test/c.parquet", (tmp_path / "c.parquet").read_bytes())  # type: ignore[attr-defined]
    assert len(GeoCatalog.from_geoparquet("memory://gndc-test/c.parquet", bbox=(0, 0, 90, 90))) > 0
    assert len(open_catalog("memory://gndc-test/c.parquet")) == 20
    for write in (catalog.to_geoparquet, catalog.append, compact):
        with pytest.raises(CatalogError, match="local paths"):
            write("memory://gndc-test/new")
