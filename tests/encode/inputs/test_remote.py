"""Inputs behind URLs: rasters by HTTP, netCDF and Zarr by fsspec, and servers that do not answer."""

from __future__ import annotations

import pickle
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr

from gdal_gndc.encode.inputs import open_source
from gdal_gndc.errors import EncodeError
from gdal_gndc.remote import fsspec_options, gdal_patience
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
        monkeypatch.setenv("GDAL_HTTP_LOW_SPEED_TIME", "1")
        with pytest.raises(
            EncodeError, match=r"a_20200101\.tif: cannot be opened as a raster: .*no bytes came for 1 s"
        ):
            open_source(url)


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raster, a netCDF and a Zarr whose pixels take more than a request."""
    folder = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(0)
    profile = {"driver": "GTiff", "width": 512, "height": 512, "count": 1, "dtype": "uint16", "tiled": True,
               "crs": "EPSG:32631", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)}  # fmt: skip
    with rasterio.open(folder / "a_20200101.tif", "w", **profile) as out:
        out.write(rng.integers(0, 10_000, (1, 512, 512)).astype(np.uint16))
    coords = {"time": np.arange("2020-01-01", "2020-01-03", dtype="datetime64[D]").astype("datetime64[ns]")}
    coords |= {"lat": np.arange(300.0)[::-1], "lon": np.arange(400.0)}
    data = xr.Dataset({"a": (("time", "lat", "lon"), rng.random((2, 300, 400), np.float32))}, coords=coords)
    data.to_netcdf(folder / "w.nc", engine="h5netcdf")
    data.to_zarr(folder / "w.zarr", zarr_format=2, consolidated=True)
    return folder


@contextmanager
def stalling(folder: Path, start: int, times: int) -> Iterator[str]:
    """A server of a folder; so many of its answers that reach beyond a byte stop half-way."""
    command = [sys.executable, str(TESTS / "stalling_server.py"), str(folder), str(start), str(times)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


@pytest.mark.parametrize(("name", "start"), [("a_20200101.tif", 100_000), ("w.nc", 100_000), ("w.zarr", 100_000)])
def test_a_server_that_stops_half_way_is_named(
    name: str, start: int, noise: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDAL_HTTP_TIMEOUT", "1")
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    with (
        stalling(noise, start, 99) as base,
        pytest.raises(EncodeError, match=r"no bytes came for 1 s, expected the rest.*GDAL_HTTP_TIMEOUT sets") as caught,
    ):
        open_source(f"{base}/{name}").read()
    assert str(caught.value).startswith(f"{base}/{name}: ")


def test_a_server_that_stops_half_way_once_is_asked_again(noise: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_HTTP_TIMEOUT", "1")
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    with stalling(noise, 100_000, 1) as base:
        found = open_source(f"{base}/a_20200101.tif").read()
    np.testing.assert_array_equal(found, open_source(noise / "a_20200101.tif").read())


def test_waiting_is_set_by_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    told = fsspec_options("https://a/b.nc")["client_kwargs"]["timeout"]
    assert (told.sock_connect, told.sock_read, told.total) == (30, 60, None)
    assert fsspec_options("s3://a/b.nc") == {}
    with rasterio.Env(GDAL_HTTP_LOW_SPEED_TIME=5):
        assert "GDAL_HTTP_LOW_SPEED_TIME" not in gdal_patience()
        assert "GDAL_HTTP_CONNECTTIMEOUT" in gdal_patience()
        assert fsspec_options("https://a/b.nc")["client_kwargs"]["timeout"].sock_read == 5
    monkeypatch.setenv("GDAL_HTTP_LOW_SPEED_TIME", "7")
    assert "GDAL_HTTP_LOW_SPEED_TIME" not in gdal_patience()
    chained = fsspec_options("simplecache::http://a/b", {"simplecache": {"expiry_time": 1}})
    assert chained["simplecache"] == {"expiry_time": 1}
    assert chained["http"]["client_kwargs"]["timeout"].sock_read == 7
    own = {"client_kwargs": {"timeout": 3}}
    assert fsspec_options("http://a/b", own) == own


def test_a_scheme_that_nobody_knows(monkeypatch: Any) -> None:
    with pytest.raises(EncodeError, match=r"nope://a/b_20200101\.tif.*Protocol not known"):
        open_source("nope://a/b_20200101.tif")
