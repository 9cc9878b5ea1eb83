"""Inputs behind URLs: rasters by HTTP, netCDF and Zarr by fsspec, and servers that do not answer."""

from __future__ import annotations

import pickle
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from gdal_gndc import raster_handles
from gdal_gndc.encode.inputs import open_source
from gdal_gndc.errors import EncodeError
from tests.conftest import DATA, TESTS

FILES = sorted((DATA / "s2_flanders").glob("s2_flanders_2018060*.tif"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a stack, and the same small series as netCDF, Zarr 3 and Zarr 2."""
    folder = tmp_path_factory.mktemp("www")
    for file in FILES:
        shutil.copy(file, folder)
    values = np.random.default_rng(0).random((4, 6, 8), np.float32)
    times = np.arange("2020-01-01", "2020-01-05", dtype="datetime64[D]").astype("datetime64[ns]")
    coords = {"time": times, "lat": np.arange(6.0)[::-1], "lon": np.arange(8.0)}
    data = xr.Dataset({"a": (("time", "lat", "lon"), values)}, coords=coords)
    data.to_netcdf(folder / "w.nc", engine="h5netcdf")
    data.to_zarr(folder / "w3.zarr", consolidated=False)
    data.to_zarr(folder / "w2.zarr", zarr_format=2, consolidated=True)
    return folder


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[str]:
    command = [sys.executable, str(TESTS / "catalog" / "range_server.py"), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def memory(folder: Path) -> Iterator[str]:
    fsspec = pytest.importorskip("fsspec")
    system = fsspec.filesystem("memory")
    system.put(str(folder), "/gndc-inputs", recursive=True)
    yield "memory://gndc-inputs"
    system.rm("/gndc-inputs", recursive=True)


@pytest.mark.parametrize("place", ["served", "memory"])
@pytest.mark.parametrize("inputs", ["files", "*.tif", "w.nc", "w2.zarr", "w3.zarr"])
def test_what_lies_behind_urls_is_what_lies_here(
    place: str, inputs: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    base = request.getfixturevalue(place)
    names = [file.name for file in FILES] if inputs == "files" else [inputs]
    local = open_source(FILES if "*" in inputs else [folder / name for name in names])
    source = open_source([f"{base}/{name}" for name in names])
    assert (source.shape, source.times, source.grid) == (local.shape, local.times, local.grid)
    np.testing.assert_array_equal(source.read(), local.read())
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source)).read(), local.read())


@pytest.mark.parametrize("name", ["n_20200101.tif", "n.nc", "n.zarr", "n.json", "n.parquet"])
def test_what_is_not_there_is_named(name: str, served: str, memory: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    said = {
        f"{served}/{name}": r"404|no such file",
        f"{memory}/{name}": "no such file",
        f"http://127.0.0.1:{port}/{name}": "(?i)could not connect|connect",
    }
    for url, why in said.items():
        with pytest.raises(EncodeError, match=why) as caught:
            open_source(url)
        assert str(caught.value).count(url) >= 1


def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a_20200101.tif"
        monkeypatch.setitem(raster_handles.PATIENCE, "GDAL_HTTP_LOW_SPEED_TIME", "1")
        with pytest.raises(EncodeError, match=r"a_20200101\.tif: cannot be opened as a raster"):
            open_source(url)


def test_a_scheme_that_nobody_knows(monkeypatch: Any) -> None:
    with pytest.raises(EncodeError, match=r"nope://a/b_20200101\.tif.*Protocol not known"):
        open_source("nope://a/b_20200101.tif")
