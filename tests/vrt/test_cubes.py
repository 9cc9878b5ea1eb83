from __future__ import annotations

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import gdal_gndc
from gdal_gndc.vrt.cubes import OpenCubes, identify

CASES = Path(__file__).parents[1] / "cases"


@pytest.fixture
def cubes(tmp_path: Path) -> list[str]:
    return [str(shutil.copy(CASES / "basic_i8dec.gndc", tmp_path / f"{i}.gndc")) for i in range(3)]


def test_a_cube_is_opened_once(cubes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = gdal_gndc.open
    begin = threading.Barrier(6)

    def counting(path: str) -> Any:
        opened.append(path)
        return real(path)

    monkeypatch.setattr(gdal_gndc, "open", counting)
    held = OpenCubes()

    def work(_: int) -> int:
        begin.wait(20)
        with held.lease(cubes[0]) as cube:
            return id(cube.dataset)

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(work, range(6)))) == 1
    assert opened == [cubes[0]]
    held.close()


def test_the_least_recently_used_is_closed(cubes: list[str]) -> None:
    held = OpenCubes(max_open=2)
    datasets = []
    for path in [*cubes[:2], cubes[0], cubes[2]]:
        with held.lease(path) as cube:
            datasets.append(cube.dataset)
    assert [dataset.closed for dataset in datasets] == [False, True, False, False]
    held.close()
    assert all(dataset.closed for dataset in datasets)


def test_one_in_use_is_closed_when_it_is_left(cubes: list[str]) -> None:
    held = OpenCubes(max_open=1)
    with held.lease(cubes[0]) as first:
        with held.lease(cubes[1]):
            pass
        held.close()
        assert not first.dataset.closed
        assert first.dataset.read(0).shape == (61, 83, 3)
    assert first.dataset.closed


def test_a_replaced_file_is_opened_anew(cubes: list[str]) -> None:
    stale: list[Any] = []
    held = OpenCubes(on_stale=stale.append)
    with held.lease(cubes[0]) as before:
        old = before.identity
    Path(shutil.copy(CASES / "layout_f32_edges.gndc", cubes[0] + "x")).replace(cubes[0])
    with held.lease(cubes[0]) as after:
        assert after.dataset is not before.dataset
        assert before.dataset.closed
    assert stale == [old]
    held.close()


def test_one_that_cannot_be_opened_is_tried_again(cubes: list[str]) -> None:
    held = OpenCubes()
    content = Path(cubes[0]).read_bytes()
    Path(cubes[0]).write_bytes(b"nothing")
    for _ in range(2):
        with pytest.raises(gdal_gndc.FileFormatError), held.lease(cubes[0]):
            pass
    Path(cubes[0]).write_bytes(content)
    with held.lease(cubes[0]) as cube:
        assert cube.dataset.n_timestamps == 7
    held.close()


def test_identity(cubes: list[str]) -> None:
    before = identify(cubes[0])
    os.utime(cubes[0], ns=(1, 1))
    assert identify(cubes[0]) != before
    assert identify("https://example.org/cube.gndc")[0] == "https://example.org/cube.gndc"
    with pytest.raises(FileNotFoundError):
        identify("/no/such/file")
