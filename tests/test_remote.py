"""What reading a cube behind a URL asks of the server."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import gdal_gndc
from gdal_gndc.errors import StalledError
from gdal_gndc.field.layout import Layout
from gdal_gndc.format.config import ModelConfig
from tests.benchmarks.cubes import write_cube
from tests.conftest import TESTS
from tests.driver.test_remote import serving

CONFIG = ModelConfig(
    n_bands=2, xy_hash_size=11, xy_base_resolution=16, xy_n_levels=4, xy_per_level_scale=1.5, xy_features_per_level=4,
    t_hash_size=11, t_base_resolution=8, t_n_levels=2, t_per_level_scale=1.5, t_features_per_level=2,
    spatial_scale=0.5, decoder_hidden=16, n_hidden_layers=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    path = write_cube(
        tmp_path_factory.mktemp("remote") / "cube.gndc", size=128, frames=6, config=CONFIG, grid=8, masked=True
    )
    with zipfile.ZipFile(path) as archive:
        assert sum(name.startswith("chunks/") for name in archive.namelist()) == 64
    assert sum(Layout.of(CONFIG).counts) > 20_000
    return path


def test_a_series_costs_the_directory_and_one_chunk(cube):
    data = cube.read_bytes()
    with zipfile.ZipFile(cube) as archive:
        largest = max(info.compress_size for info in archive.infolist() if info.filename.startswith("chunks/"))
        documents = sum(archive.getinfo(name).compress_size for name in ("meta.json", "manifest.json"))
    with gdal_gndc.open(cube) as local, serving(data) as (url, asked), gdal_gndc.open(url) as remote:
        opening = list(asked)
        # the end of the file with its directory, and the two documents together unless they lie there too
        assert len(opening) <= 2
        assert sum(b - a for a, b in opening) <= (64 << 10) + documents + 1024
        series = remote.pixel_series(70, 20)
        np.testing.assert_array_equal(series, local.pixel_series(70, 20))
        added = asked[len(opening) :]
        assert len(added) == 1
        assert added[0][1] - added[0][0] <= largest + 256
        info = remote.cache_info()["chunks"]
        assert (info.misses, info.items) == (1, 1)

        before = info.hits
        remote.pixel_series(70, 21)
        remote.read(3, window=(16, 64, 16, 16))
        assert remote.cache_info()["chunks"].hits == before + 2
        assert remote.cache_info()["chunks"].misses == 1
        assert len(asked) == len(opening) + 1
        assert sum(b - a for a, b in asked) < len(data) / 8


def test_a_window_costs_the_chunks_it_touches(cube):
    data = cube.read_bytes()
    with serving(data) as (url, asked), gdal_gndc.open(url) as remote:
        opening = len(asked)
        remote.read(0, window=(10, 10, 12, 4))
        assert len(asked) == opening + 2
        assert remote.cache_info()["chunks"].misses == 2


@pytest.mark.parametrize("times", [1, 2])
def test_a_server_that_stops_half_way(cube, times, monkeypatch):
    """It is asked once more, then given up."""
    monkeypatch.setenv("GDAL_HTTP_LOW_SPEED_TIME", "0.5")
    command = [sys.executable, str(TESTS / "stalling_server.py"), str(cube.parent), "0", str(times)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = f"http://127.0.0.1:{int(server.stdout.readline())}/{cube.name}"
            if times == 1:
                with gdal_gndc.open(url) as remote, gdal_gndc.open(cube) as local:
                    np.testing.assert_array_equal(remote.read(0), local.read(0))
                return
            said = r"/cube\.gndc: no bytes came for [01][\d.]* s, expected bytes \d+ to \d+; GDAL_HTTP_LOW_SPEED_TIME"
            with pytest.raises(StalledError, match=said):
                gdal_gndc.open(url)
        finally:
            server.terminate()


def test_a_small_budget_drops_chunks(cube, monkeypatch):
    with gdal_gndc.open(cube) as dataset:
        dataset.read(0, window=(0, 0, 16, 16))
        one = dataset.cache_info()["chunks"].bytes
    monkeypatch.setenv("GNDC_CHUNK_CACHE_BYTES", str(3 * one))
    for asked, budget in ((None, 3 * one), (2 * one, 2 * one)):
        with gdal_gndc.open(cube, cache_bytes=asked) as dataset:
            dataset.read(0)
            info = dataset.cache_info()["chunks"]
            assert (info.items, info.misses, info.max_bytes) == (budget // one, 64, budget)
            assert info.bytes <= info.max_bytes
            frames = dataset.cache_info()["frames"].max_bytes
            assert frames == budget if asked else frames > budget
            again = pickle.loads(pickle.dumps(dataset))
            assert again.cache_info()["chunks"].max_bytes == budget
            again.close()


def test_only_the_frames_asked_for_are_decompressed(cube):
    with gdal_gndc.open(cube) as dataset:
        dataset.read(2, window=(0, 0, 16, 16))
        assert dataset.cache_info()["frames"].misses == 1
        dataset.read(2, window=(4, 4, 8, 8))
        assert dataset.cache_info()["frames"].misses == 1
        dataset.pixel_series(3, 3)
        assert dataset.cache_info()["frames"].misses == 6


def test_damaged_frames_show_only_where_they_are_read(cube, tmp_path):
    """What is not asked for is not unpacked: damage in one frame's mask leaves the others readable."""
    damaged = tmp_path / "damaged.gndc"
    with zipfile.ZipFile(cube) as source, zipfile.ZipFile(damaged, "w") as target:
        for name in source.namelist():
            data = bytearray(source.read(name))
            if name == json.loads(source.read("manifest.json"))["chunks"][0]["file"]:
                data[-3] ^= 0xFF  # within the last frame of the mask
            target.writestr(name, bytes(data))
    with gdal_gndc.open(damaged) as dataset, gdal_gndc.open(cube) as whole:
        window = (0, 0, 16, 16)
        np.testing.assert_array_equal(dataset.read(4, window=window), whole.read(4, window=window))
        with pytest.raises(gdal_gndc.errors.FileFormatError, match="mask frame 5"):
            dataset.read(5, window=window)
