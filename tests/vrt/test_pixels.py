from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from rasterio.errors import RasterioIOError
from rasterio.windows import Window

import gdal_gndc
from gdal_gndc.errors import CoordinateError, FileFormatError, GNDCError, TimeError
from gdal_gndc.vrt import pixels
from gdal_gndc.vrt.blocks import BlockCache


def moments(dataset: Any) -> list[Any]:
    """Every frame, and times between them where the cube has dates."""
    times = dataset.timestamps
    between = [a + (b - a) / 3 for a, b in pairwise(times)]
    return [*range(dataset.n_timestamps), *between]


@pytest.mark.parametrize("block", [256, 16])
def test_equals_the_dataset_whole_windowed_and_decimated(
    case: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "BLOCK", block)
    with gdal_gndc.open(case) as dataset:
        height, width = dataset.height, dataset.width
        for t in moments(dataset):
            with rasterio.open(gdal_gndc.vrt(case, t)) as raster:
                assert raster.shape == (height, width)
                assert raster.dtypes == ("float32",) * dataset.n_bands
                whole = dataset.read_at_time(t)
                assert_array_equal(raster.read().transpose(1, 2, 0), whole)
                window = (11, 7, 40, 33)
                part = raster.read(window=Window(*window)).transpose(1, 2, 0)
                assert_array_equal(part, dataset.read_at_time(t, window=window))
                assert_array_equal(part, whole[7:40, 11:51])
                small = raster.read(out_shape=(dataset.n_bands, 9, 13)).transpose(1, 2, 0)
                assert_array_equal(small, dataset.read_at_time(t, out_shape=(9, 13)))
                zoomed = raster.read(window=Window(*window), out_shape=(dataset.n_bands, 100, 50)).transpose(1, 2, 0)
                assert_array_equal(zoomed, dataset.read_at_time(t, window=window, out_shape=(100, 50)))


windows = st.tuples(st.integers(0, 820), st.integers(0, 600), st.integers(1, 830), st.integers(1, 610)).map(
    lambda w: (w[0], w[1], min(w[2], 830 - w[0]), min(w[3], 610 - w[1]))
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(windows, st.one_of(st.none(), st.tuples(st.integers(1, 300), st.integers(1, 300))))
def test_any_window_and_size(large: Path, window: Any, shape: tuple[int, int] | None) -> None:
    with gdal_gndc.open(large) as dataset, rasterio.open(gdal_gndc.vrt(large, "2020-02-01")) as raster:
        size = {} if shape is None else {"out_shape": (3, *shape)}
        got = raster.read(window=Window(*window), **size).transpose(1, 2, 0)
        assert_array_equal(got, dataset.read_at_time("2020-02-01", window=window, out_shape=shape))


def test_a_small_read_from_held_blocks_is_the_same(large: Path) -> None:
    with rasterio.open(gdal_gndc.vrt(large, 1)) as raster:
        fresh = raster.read(window=Window(250, 250, 12, 12))
        raster.read()
        before = pixels.counters()
        held = raster.read(window=Window(250, 250, 12, 12))
    assert_array_equal(held, fresh)
    assert pixels.counters().misses == before.misses


def test_three_bands_are_one_evaluation(large: Path, case: Path) -> None:
    with rasterio.open(gdal_gndc.vrt(case, 0)) as raster:
        count = raster.count
        raster.read()
    assert pixels.counters().loads == 1
    assert pixels.counters().hits == count - 1
    pixels.clear()
    with rasterio.open(gdal_gndc.vrt(large, 0)) as raster:
        raster.read()
        first = pixels.counters()
        raster.read(masked=True)
        raster.read(2)
    # 3 x 4 blocks, one evaluation a row of blocks
    assert (first.loads, first.misses, first.hits) == (3, 12, 24)
    assert pixels.counters().misses == 12


def test_a_raster_beyond_the_budget_is_read_band_by_band(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "_cache", BlockCache(1_000_000))
    with gdal_gndc.open(large) as dataset, rasterio.open(gdal_gndc.vrt(large, 3)) as raster:
        assert_array_equal(raster.read().transpose(1, 2, 0), dataset.read(3))
    assert pixels.counters().blocks == 0


@pytest.mark.parametrize("budget", [0, 3_000_000])
def test_a_small_budget_changes_no_value(large: Path, budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "_cache", BlockCache(budget))
    with gdal_gndc.open(large) as dataset, rasterio.open(gdal_gndc.vrt(large, 3)) as raster:
        for window in [(0, 0, 300, 300), (200, 300, 300, 300), (0, 0, 830, 610), (5, 5, 3, 3)]:
            got = raster.read(window=Window(*window)).transpose(1, 2, 0)
            assert_array_equal(got, dataset.read(3, window=window))
    assert pixels.counters().bytes <= budget


def test_many_threads_at_once(large: Path) -> None:
    text = gdal_gndc.vrt(large, 4)
    with gdal_gndc.open(large) as dataset:
        whole = dataset.read(4)
    begin = threading.Barrier(8)

    def work(i: int) -> None:
        rng = np.random.default_rng(i)
        begin.wait(20)
        with rasterio.open(text) as raster:
            assert_array_equal(raster.read(1 + i % 3), whole[..., i % 3])
            for _ in range(10):
                x, y = int(rng.integers(0, 700)), int(rng.integers(0, 500))
                got = raster.read(window=Window(x, y, 100, 90)).transpose(1, 2, 0)
                assert_array_equal(got, whole[y : y + 90, x : x + 100])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    # Whoever came first evaluated each of the 12 blocks, all others waited for it.
    assert pixels.counters().misses == 12


def _read_in_child(text: str, queue: Any) -> None:
    with rasterio.open(text) as raster:
        queue.put(raster.read())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks by default")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_reads_too(large: Path) -> None:
    text = gdal_gndc.vrt(large, 2)
    with rasterio.open(text) as raster:
        expected = raster.read()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_read_in_child, args=(text, queue), daemon=True)
    child.start()
    try:
        assert_array_equal(queue.get(timeout=60), expected)
        child.join(20)
        assert child.exitcode == 0
    finally:
        child.kill()


def test_a_replaced_file_is_noticed(tmp_path: Path) -> None:
    cases = Path(__file__).parents[1] / "cases"
    cube = tmp_path / "cube.gndc"
    shutil.copy(cases / "basic_i8dec.gndc", cube)
    text = gdal_gndc.vrt(cube, 0)
    with rasterio.open(text) as raster:
        old = raster.read()
    beside = tmp_path / "new.gndc"
    shutil.copy(cases / "layout_f32_edges.gndc", beside)
    beside.replace(cube)
    with rasterio.open(text) as raster:
        new = raster.read()
    with gdal_gndc.open(cases / "layout_f32_edges.gndc") as dataset:
        assert_array_equal(new.transpose(1, 2, 0), dataset.read(0))
    assert not np.array_equal(old, new)
    assert pixels.counters().blocks == 1


def failure(text: str) -> BaseException:
    """Return our own error below rasterio's."""
    with rasterio.open(text) as raster, pytest.raises(RasterioIOError) as caught:
        raster.read()
    error: BaseException = caught.value
    while isinstance(error, RasterioIOError) and (below := error.__cause__ or error.__context__):
        error = below
    return error


def test_errors_reach_the_reader(tmp_path: Path) -> None:
    case = Path(__file__).parents[1] / "cases" / "basic_i8dec.gndc"
    cube = tmp_path / "cube.gndc"
    shutil.copy(case, cube)
    text = gdal_gndc.vrt(cube, 0)
    data = bytearray(cube.read_bytes())
    with zipfile.ZipFile(cube) as archive:
        offset = next(item for item in archive.infolist() if item.filename.startswith("chunks/")).header_offset
    data[offset + 200 : offset + 2000] = os.urandom(1800)
    cube.write_bytes(data)
    assert str(cube) in str(failure(text))
    cube.unlink()
    assert "cube.gndc" in str(failure(text))


def test_errors_of_arguments(large: Path, vrt_text: str) -> None:
    out = np.zeros((4, 4), np.float32)

    def call(**given: str) -> None:
        encoded = {key: value.encode() for key, value in given.items()}
        pixels.read([], out, 0, 0, 4, 4, 830, 610, 0, [], **encoded)

    path = str(large)
    call(path=path, t="3", band="B2")
    with gdal_gndc.open(large) as dataset:
        assert_array_equal(out, dataset.read(3, window=(0, 0, 4, 4))[..., 0])
    with pytest.raises(GNDCError, match="lack 'path'"):
        call(t="0")
    with pytest.raises(GNDCError, match="unknown argument 'bnad'"):
        call(path=path, bnad="1")
    with pytest.raises(CoordinateError, match="no band 4; expected 1 to 3"):
        call(path=path, band="4")
    with pytest.raises(CoordinateError, match="no band 0"):
        call(path=path, band="0")
    with pytest.raises(CoordinateError, match="no band 'B9'; expected one of B2, LAI, T"):
        call(path=path, band="B9")
    with pytest.raises(TimeError, match="1999"):
        call(path=path, t="1999-01-01")
    for window in ["1,2,3", "a,b,c,d", "0,0,0,5", "0,0,nan,1"]:
        with pytest.raises(GNDCError, match="window is"):
            call(path=path, window=window)
    with pytest.raises(CoordinateError):
        call(path=path, window="800,600,100,100")
    with pytest.raises(FileNotFoundError):
        call(path=path + ".not")
    with pytest.raises(FileFormatError):
        call(path=str(Path(__file__).parents[1] / "cases" / "bad_truncated.gndc"))


def test_a_window_of_the_cube_at_another_resolution(large: Path) -> None:
    """What overviews and clipped rasters are made of."""
    with gdal_gndc.open(large) as dataset:
        for window, shape in [((100, 50, 400, 300), (150, 200)), ((0, 0, 830, 610), (305, 415))]:
            out = np.zeros(shape, np.float32)
            named = ",".join(map(str, window)).encode()
            pixels.read(
                [], out, 0, 0, shape[1], shape[0], shape[1], shape[0], 0, [],
                path=str(large).encode(), t=b"1", band=b"3", window=named,
            )  # fmt: skip
            assert_array_equal(out, dataset.read(1, bands=2, window=window, out_shape=shape)[..., 0])
            part = np.zeros((40, 30), np.float32)
            pixels.read(
                [], part, 60, 70, 30, 40, shape[1], shape[0], 0, [],
                path=str(large).encode(), t=b"1", band=b"3", window=named,
            )  # fmt: skip
            np.testing.assert_allclose(part, out[70:110, 60:90], rtol=1e-5)


def test_nothing_here_imports_rasterio(large: Path, gdal_programs: dict[str, str]) -> None:
    """GDAL's programs carry their own GDAL; rasterio's beside it could crash them."""
    import subprocess

    code = (
        "import sys, numpy as np, gdal_gndc\n"
        "out = np.zeros((8, 8), np.float32)\n"
        f"given = dict(path={str(large).encode()!r}, t=b'2020-02-01')\n"
        "gdal_gndc.vrt_pixels([], out, 0, 0, 8, 8, 830, 610, 0, [], **given)\n"
        "assert out.any() and 'rasterio' not in sys.modules and 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], env=gdal_programs, check=True)


def test_times_between_use_the_continuous_cube(large: Path) -> None:
    with gdal_gndc.open(large) as dataset:
        between = dataset.timestamps[0] + timedelta(days=3)
        with rasterio.open(gdal_gndc.vrt(large, between)) as raster:
            got = raster.read(1)
        assert_array_equal(got, dataset.read_at_time(between)[..., 0])
        assert not np.array_equal(got, dataset.read(0)[..., 0])
