"""What holds for every cube, window, band and point."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gdal_gndc
from gdal_gndc.format.container import Container, ContainerWriter
from gdal_gndc.format.manifest import ChunkEntry, Manifest
from tests.conftest import CASES, VALID
from tests.test_dataset import close

NAMES = sorted(case.name for case in VALID)


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_series_are_reads(data):
    with gdal_gndc.open(CASES / f"{data.draw(st.sampled_from(NAMES))}.gndc") as dataset:
        n = data.draw(st.integers(1, 6))
        rows = data.draw(st.lists(st.integers(0, dataset.height - 1), min_size=n, max_size=n))
        cols = data.draw(st.lists(st.integers(0, dataset.width - 1), min_size=n, max_size=n))
        bands = data.draw(st.lists(st.integers(0, dataset.n_bands - 1), min_size=1, max_size=3))
        reads = np.stack([dataset.read(t, bands)[rows, cols] for t in range(dataset.n_timestamps)], axis=1)
        series = dataset.series(np.stack([rows, cols], axis=1), bands)
        whole = np.concatenate([dataset.read(t, bands) for t in range(dataset.n_timestamps)]).reshape(-1, len(bands))
        span = np.nanmax(whole, axis=0) - np.nanmin(whole, axis=0)
        np.testing.assert_array_equal(np.isnan(series), np.isnan(reads))
        assert (np.nan_to_num(np.abs(series - reads)) <= 2e-5 * np.maximum(span, 1e-6)).all()
        one = dataset.pixel_series(rows[0], cols[0], bands)
        np.testing.assert_array_equal(one, series[0])


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_bands_are_slices(data):
    with gdal_gndc.open(CASES / f"{data.draw(st.sampled_from(NAMES))}.gndc") as dataset:
        t = data.draw(st.integers(0, dataset.n_timestamps - 1))
        bands = data.draw(st.lists(st.integers(0, dataset.n_bands - 1), min_size=1, max_size=6))
        shape = data.draw(st.sampled_from([None, (9, 7), (130, 140)]))
        np.testing.assert_array_equal(
            dataset.read(t, bands, out_shape=shape), dataset.read(t, out_shape=shape)[..., bands]
        )


@pytest.mark.parametrize("t_overlap", [0, 1, 2])
@pytest.mark.parametrize("cuts", [(3,), (2, 5), (1, 2, 3, 4, 5, 6)])
def test_chunks_in_time_of_one_network_are_one_chunk(tmp_path, cuts, t_overlap):
    """Where the weights of chunks agree, how a cube is divided does not show: one after the other, or blended."""
    with Container.open(CASES / "basic_i8dec.gndc") as container:
        (entry,) = container.manifest.chunks
        chunk = container.read_chunk(entry)
        meta = container.meta
        chunk = replace(
            chunk, train_start=chunk.train_start or meta.times[0], train_end=chunk.train_end or meta.times[-1]
        )
        edges = (0, *cuts, meta.shape[0])
        blob = chunk.to_bytes()
        entries = tuple(
            ChunkEntry((i, 0, 0), (a, b), entry.y, entry.x, f"chunks/{i}.gndcc", len(blob))
            for i, (a, b) in enumerate(pairwise(edges))
        )
        with ContainerWriter(tmp_path / "cut.gndc", meta, Manifest(entries, t_overlap=t_overlap)) as writer:
            for item in entries:
                writer.add_chunk(item.file, blob)
    with gdal_gndc.open(CASES / "basic_i8dec.gndc") as whole, gdal_gndc.open(tmp_path / "cut.gndc") as cut:
        compare = close if t_overlap else np.testing.assert_array_equal
        for t in range(whole.n_timestamps):
            compare(cut.read(t), whole.read(t))
        at = "2020-04-01T06:00Z"
        compare(cut.read_at_time(at), whole.read_at_time(at))
        compare(cut.pixel_series(9, 30), whole.pixel_series(9, 30))


def test_tiles_of_one_network_are_that_network(tmp_path):
    """A chunk's coordinates are its own: tiles of equal size and weights show the same."""
    with Container.open(CASES / "basic_i8dec.gndc") as container:
        (entry,) = container.manifest.chunks
        blob = container.read_chunk(entry).to_bytes()
        t, h, w, c = container.meta.shape
        meta = replace(container.meta, shape=(t, 2 * h, 2 * w, c), raw={})
        entries = tuple(
            ChunkEntry((0, i, j), (0, t), (i * h, i * h + h), (j * w, j * w + w), f"chunks/{i}{j}.gndcc", len(blob))
            for i in range(2)
            for j in range(2)
        )
        with ContainerWriter(tmp_path / "tiles.gndc", meta, Manifest(entries)) as writer:
            for item in entries:
                writer.add_chunk(item.file, blob)
    with gdal_gndc.open(CASES / "basic_i8dec.gndc") as one, gdal_gndc.open(tmp_path / "tiles.gndc") as tiles:
        np.testing.assert_array_equal(tiles.read(3), np.tile(one.read(3), (2, 2, 1)))
        close(tiles.pixel_series(h + 5, w + 7), one.pixel_series(5, 7))
