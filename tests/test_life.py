"""A dataset among others: several on one file, processes, threads, files that change, and the end of it."""

from __future__ import annotations

import multiprocessing
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import gdal_gndc
from gdal_gndc.errors import FileFormatError, GNDCError
from tests.conftest import CASES

TILES = CASES / "tiles22_ov8_mask_res.gndc"
OTHER = CASES / "tiles22_missing.gndc"


def values(dataset) -> np.ndarray:
    return np.stack([dataset.read(t) for t in range(dataset.n_timestamps)])


def test_two_datasets_on_one_file_are_independent():
    with gdal_gndc.open(TILES) as first:
        second = gdal_gndc.open(TILES)
        np.testing.assert_array_equal(second.read(2), first.read(2))
        assert first.cache_info()["chunks"].misses == second.cache_info()["chunks"].misses == 4
        second.close()
        np.testing.assert_array_equal(first.read(3), first.read(3))
        with pytest.raises(GNDCError, match="closed"):
            second.read(3)


def test_a_file_that_is_replaced_goes_on_as_it_was_opened(tmp_path):
    """Writers here replace files as a whole; who has one open keeps what it was, and a new dataset sees the new one."""
    path, beside = tmp_path / "cube.gndc", tmp_path / "new.gndc"
    shutil.copy(TILES, path)
    shutil.copy(OTHER, beside)
    with gdal_gndc.open(TILES) as old, gdal_gndc.open(OTHER) as new, gdal_gndc.open(path) as dataset:
        dataset.read(0, window=(0, 0, 4, 4))  # some chunks are loaded, others are not
        beside.replace(path)
        np.testing.assert_array_equal(values(dataset), values(old))
        again = pickle.loads(pickle.dumps(dataset))
        np.testing.assert_array_equal(values(again), values(new))
        again.close()


def test_a_file_that_is_overwritten_in_place_is_an_error_or_what_it_was(tmp_path):
    path = tmp_path / "cube.gndc"
    shutil.copy(TILES, path)
    with gdal_gndc.open(path) as dataset:
        with path.open("r+b") as file:
            file.truncate(200)
        with pytest.raises(FileFormatError, match=r"cube\.gndc"):
            dataset.read(0)


def _series_in_child(dataset, expected, queue):
    try:
        queue.put(bool(np.array_equal(values(dataset), expected, equal_nan=True)))
    except BaseException as error:
        queue.put(repr(error))


def test_parent_and_forked_children_read_at_once():
    """They share the file's descriptor, not a position in it."""
    with gdal_gndc.open(TILES) as dataset:
        expected = values(dataset)
    with gdal_gndc.open(TILES) as dataset:  # nothing is loaded yet: all of them read the file
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        children = [context.Process(target=_series_in_child, args=(dataset, expected, queue)) for _ in range(3)]
        for child in children:
            child.start()
        np.testing.assert_array_equal(values(dataset), expected)
        assert [queue.get(timeout=60) for _ in children] == [True] * 3
        for child in children:
            child.join(60)
            assert child.exitcode == 0
        queue.close()
        queue.join_thread()


@pytest.mark.parametrize(
    "use",
    [
        lambda d: d.read(0),
        lambda d: d.read_at_time("2020-02-01T00:00Z"),
        lambda d: d.read(0, out_shape=(3, 3), resampling="average"),
        lambda d: d.pixel_series(1, 1),
        lambda d: d.series([[1, 1]]),
        lambda d: d.sample(d.bounds[0] + 1, d.bounds[3] - 1, crs=d.crs),
        lambda d: d.ndvi(0, 0, 1),
        lambda d: d.has_mask,
    ],
)
def test_every_use_after_close_says_so(use):
    dataset = gdal_gndc.open(TILES)
    dataset.close()
    with pytest.raises(GNDCError, match="closed"):
        use(dataset)


def test_closing_while_others_read():
    """A read that is under way ends in values or in the error of a closed dataset, never in a crash."""
    with gdal_gndc.open(TILES) as whole:
        expected = whole.read(1)
    for _ in range(5):
        dataset = gdal_gndc.open(TILES)

        def work(_, dataset=dataset):
            try:
                return np.array_equal(dataset.read(1), expected, equal_nan=True)
            except GNDCError as error:
                return "closed" in str(error)

        with ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(work, i) for i in range(12)]
            dataset.close()
            assert all(job.result(60) for job in jobs)
