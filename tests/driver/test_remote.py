"""Cubes behind /vsicurl: what is asked of the server."""

from __future__ import annotations

import re
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import CASES
from tests.driver.conftest import Gdal

TILES = CASES / "tiles22_missing.gndc"
PADDING = 300_000
Range = tuple[int, int]


@contextmanager
def serving(data: bytes) -> Iterator[tuple[str, list[Range]]]:
    """A server of one file by ranges, and the ranges that were asked for."""
    asked: list[Range] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(False)

        def do_GET(self) -> None:
            self.answer(True)

        def answer(self, body: bool) -> None:
            if self.path != "/cube.gndc":
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            start, end = (int(match[1]), min(int(match[2]) + 1, len(data))) if match else (0, len(data))
            self.send_response(206 if match else 200)
            if match:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(end - start))
            self.end_headers()
            if body:
                asked.append((start, end))
                self.wfile.write(data[start:end])

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/cube.gndc", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Range]]:
    """The tiles far apart from each other, and where each lies in the file."""
    path = tmp_path_factory.mktemp("remote") / "cube.gndc"
    noise = np.random.default_rng(0).bytes(PADDING)
    with zipfile.ZipFile(TILES) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
            new.writestr(f"x_padding/{name}", noise)
    with zipfile.ZipFile(path) as archive:
        places = {i.filename: (i.header_offset, i.header_offset + i.file_size) for i in archive.infolist()}
    return path, {name: place for name, place in places.items() if name.endswith(".gndcc") and "padding" not in name}


def read(gdal: Gdal, url: str, window: tuple[int, int, int, int], tmp_path: Path) -> np.ndarray:
    out = tmp_path / "out.tif"
    # GDAL itself looks for files beside the one it opens; that is not this driver's to stop
    done = gdal.run(
        "gdal_translate", "-srcwin", *map(str, window), f"GNDC:/vsicurl/{url}:t=2", out,
        GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", no_proxy="127.0.0.1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return gdal.reads([{"name": str(out)}], tmp_path)[0]


def test_only_the_chunks_of_the_window_are_fetched(
    osgeo: Gdal, spread: tuple[Path, dict[str, Range]], tmp_path: Path
) -> None:
    path, places = spread
    assert len(places) == 3
    data = path.read_bytes()
    with serving(data) as (url, asked):
        got = read(osgeo, url, (0, 0, 40, 25), tmp_path)
    touched = {name for name, (a, b) in places.items() if any(start < b and a < end for start, end in asked)}
    assert touched == {"chunks/t0000_y0000_x0000.gndcc"}
    assert sum(end - start for start, end in asked) < 150_000 < len(data)
    assert len(asked) <= 6
    (expected,) = osgeo.reads([{"name": f"GNDC:{path}:t=2", "window": [0, 0, 40, 25]}], tmp_path)
    np.testing.assert_array_equal(got, expected)


def test_whole_frame(osgeo: Gdal, spread: tuple[Path, dict[str, Range]], tmp_path: Path) -> None:
    path, _ = spread
    with serving(path.read_bytes()) as (url, asked):
        got = read(osgeo, url, (0, 0, 83, 61), tmp_path)
    assert sum(end - start for start, end in asked) < 250_000
    (expected,) = osgeo.reads([{"name": f"GNDC:{TILES}:t=2"}], tmp_path)
    np.testing.assert_array_equal(got, expected)


def test_what_is_not_there(gdal: Gdal, spread: tuple[Path, dict[str, Range]]) -> None:
    with serving(spread[0].read_bytes()) as (url, _):
        done = gdal.run("gdalinfo", f"GNDC:/vsicurl/{url}x", no_proxy="127.0.0.1")
    assert done.returncode == 1
    assert "cannot be opened" in done.stderr
