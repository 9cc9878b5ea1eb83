"""Bands and value ranges for a display in true colour, computed only when a template asks for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from gdal_gndc.errors import CoordinateError
from gdal_gndc.indices import band_roles

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset
    from gdal_gndc.time_axis import Moment
    from gdal_gndc.window import Rect

_COLORS = ("red", "green", "blue")
# The view from which percentiles are taken, when the cube's metrics do not have them.
_VIEW = 256


def stretches(dataset: GNDCDataset, moment: Moment, window: Rect) -> dict[str, Callable[[], object]]:
    """Return what gives the placeholders ``red``, ``red_stretch`` and so on.

    ``red`` is the number of the red band, from 1; ``red_stretch`` the 2nd and 98th percentile of its
    values, as ``low,high``: those of the cube's metrics, or else of the moment's pixels.

    Calling one raises ``CoordinateError`` if the cube does not tell which of its bands are red, green and
    blue.
    """

    @lru_cache(maxsize=1)
    def bands() -> dict[str, int]:
        roles = band_roles(dataset)
        if missing := [color for color in _COLORS if color not in roles]:
            names = ", ".join(dataset.band_names)
            raise CoordinateError(f"none of the bands {names} is known to be {missing[0]}")
        return {color: roles[color] for color in _COLORS}

    @lru_cache(maxsize=1)
    def ranges() -> dict[str, str]:
        documents = (dataset.metrics() or {}).get("bands") or []
        chosen = bands()
        told = {color: documents[i] if i < len(documents) else {} for color, i in chosen.items()}
        if all(isinstance(told[c].get(p), int | float) for c in _COLORS for p in ("p2", "p98")):
            limits = {c: (float(told[c]["p2"]), float(told[c]["p98"])) for c in _COLORS}
        else:
            shrink = max(1.0, window.width / _VIEW, window.height / _VIEW)
            shape = (math.ceil(window.height / shrink), math.ceil(window.width / shrink))
            view = dataset.read_moment(moment, bands=[chosen[c] for c in _COLORS], window=window, out_shape=shape)
            limits = {c: _percentiles(view[..., i]) for i, c in enumerate(_COLORS)}
        return {c: ",".join(repr(v) for v in _apart(*limits[c])) for c in _COLORS}

    found: dict[str, Callable[[], object]] = {}
    for color in _COLORS:
        found[color] = lambda color=color: bands()[color] + 1  # type: ignore[misc]
        found[f"{color}_stretch"] = lambda color=color: ranges()[color]  # type: ignore[misc]
    return found


def _percentiles(values: np.ndarray) -> tuple[float, float]:
    valid = values[np.isfinite(values)]
    if not valid.size:
        return 0.0, 1.0
    low, high = np.percentile(valid.astype(np.float64), (2, 98))
    return float(low), float(high)


def _apart(low: float, high: float) -> tuple[float, float]:
    return (low, high) if low < high else (low, low + max(1.0, abs(low)))
