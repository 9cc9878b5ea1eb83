"""Does the file written give back its sources?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdal_gndc.encode.inputs import Source
from gdal_gndc.encode.metrics import Metrics
from gdal_gndc.errors import EncodeError

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset

_STRIP = 4_000_000  # samples


def measure(cube: GNDCDataset, source: Source) -> dict[str, Any]:
    """Decode every frame of a cube and compare it with its source.

    Raises
    ------
    EncodeError
        If the file does not give back every sample of the sources.
    """
    metrics = Metrics([band.name for band in source.bands], int(np.prod(source.shape, dtype=np.int64)))
    for k in range(len(source.times)):
        for rows in strips(source.shape):
            given = source.read((k, k + 1), rows)[0]
            metrics.add(given, cube.read(k, window=(0, rows[0], source.width, rows[1] - rows[0])))
    if metrics.lost:
        raise EncodeError(f"{cube.name}: {metrics.lost} samples of the sources read as NaN from the file written")
    return metrics.summary()


def strips(shape: tuple[int, int, int, int]) -> Iterator[tuple[int, int]]:
    """Ranges of rows: a frame of a large scene, and what is computed from it, would take too much memory at once."""
    _, height, width, n_bands = shape
    rows = max(1, _STRIP // (width * n_bands))
    for top in range(0, height, rows):
        yield top, min(height, top + rows)


def check_bound(metrics: dict[str, Any], bounds: Sequence[float], target: Path) -> None:
    for problem in beyond_bound(metrics, bounds):
        raise EncodeError(f"{target}: {problem}")


def beyond_bound(metrics: dict[str, Any], bounds: Sequence[float]) -> list[str]:
    """Say which bands have a larger error than their bound."""
    return [
        f"band {band['name']} has an error of {band['max_error']}, the bound is {most}"
        for band, most in zip(metrics["bands"], bounds, strict=True)
        if band.get("max_error") is not None and band["max_error"] > most
    ]


def check_opens(path: Path) -> None:
    import gdal_gndc

    with gdal_gndc.open(path, device="cpu") as cube:
        cube.read(0, window=(0, 0, 1, 1))
