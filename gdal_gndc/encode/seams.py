"""Do chunks show? Steps across their borders beside those everywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from gdal_gndc.encode.inputs import Source

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset

Range = tuple[int, int]
Shape = tuple[int, int, int, int]
Read = Callable[[int, Range, Range], Any]

# Frames that are looked at in space; all of them tell no more.
_FRAMES = 12
_NEAR = 8
_STRIP = 2_000_000  # samples


def measure_seams(cube: GNDCDataset, source: Source | None = None) -> dict[str, float]:
    """Measure how much larger a step across a border of two chunks is than one beside it.

    Parameters
    ----------
    cube
        An open cube.
    source
        What it was made from: then an edge that the scenery itself has along a border does not count.

    Returns
    -------
    dict
        ``y``, ``x``, ``time``, for the axes that have borders inside: the mean absolute difference of neighbours on
        both sides of a border, over the mean of those on the next 8 pixels or frames that are not blended, averaged
        over the bands; with a source, over the same ratio there. ``y_halo``, ``x_halo`` and ``time_halo`` are those of
        the steps at the ends of halos, where the blending of neighbours begins. 1 where nothing shows.
    """
    manifest, shape = cube.cube.container.manifest, cube.shape

    def decoded(k: int, rows: Range, cols: Range) -> Any:
        return cube.read(k, window=(cols[0], rows[0], cols[1] - cols[0], rows[1] - rows[0]))

    found = {}
    for axis, name in enumerate(("time", "y", "x")):
        borders = sorted({getattr(chunk, name)[0] for chunk in manifest.chunks} - {0})
        halo = manifest.t_overlap if axis == 0 else manifest.overlap
        ratios = _ratios(decoded, shape, axis, borders, halo)
        if source is not None and borders:
            ratios = ratios / _ratios(source.read_frame, shape, axis, borders, halo)
        for key, ratio in zip((name, f"{name}_halo"), ratios, strict=True):
            if np.isfinite(ratio).any():
                found[key] = float(f"{np.mean(ratio[np.isfinite(ratio)]):.4g}")
    return found


def _ratios(read: Read, shape: Shape, axis: int, borders: list[int], halo: int) -> Any:
    """Mean steps at borders and at ends of halos, each over the mean of those beside the halos: (2, C)."""
    n = shape[axis]
    blended = {step for border in borders for step in range(border - halo, border + halo + 1)}
    ends = {border + away for border in borders for away in (-halo, halo)} - set(borders)
    # beside, at borders, at ends
    sums, counts = np.zeros((3, shape[3])), np.zeros((3, shape[3]))
    for border in borders:
        first, last = max(0, border - halo - _NEAR), min(n, border + halo + _NEAR)
        kinds = [
            1 if step == border else 2 if step in ends else None if step in blended else 0
            for step in range(first + 1, last)
        ]
        for steps in _steps(read, shape, axis, (first, last)):
            for step, kind in zip(steps, kinds, strict=True):
                if kind is not None:
                    sums[kind] += np.nansum(step, axis=0)
                    counts[kind] += np.isfinite(step).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / counts
        return means[1:] / means[0]


def _steps(read: Read, shape: Shape, axis: int, span: Range) -> Iterator[Any]:
    """|differences| of neighbours in a span of an axis, piece by piece: (N - 1, pixels, C) each."""
    n_frames, height, width, n_bands = shape
    n = span[1] - span[0]
    if axis == 0:
        strip = max(1, _STRIP // (width * n_bands * n))
        for top in range(0, height, strip):
            rows = top, min(height, top + strip)
            values = np.stack([read(k, rows, (0, width)) for k in range(*span)])
            yield np.abs(np.diff(values, axis=0)).reshape(n - 1, -1, n_bands)
        return
    across = width if axis == 1 else height
    strip = max(1, _STRIP // (n * n_bands))
    for k in np.unique(np.linspace(0, n_frames - 1, _FRAMES).round().astype(int)):
        for start in range(0, across, strip):
            along = start, min(across, start + strip)
            values = read(int(k), span, along) if axis == 1 else np.swapaxes(read(int(k), along, span), 0, 1)
            yield np.abs(np.diff(values, axis=0))
