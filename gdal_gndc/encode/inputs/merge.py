"""Several rasters of one date as one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import EncodeError

Merge = Literal["first", "last", "mean", "median", "min", "max"]
MERGES: tuple[Merge, ...] = ("first", "last", "mean", "median", "min", "max")
_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "mean": np.nanmean,
    "median": np.nanmedian,
    "min": np.nanmin,
    "max": np.nanmax,
}

Floats = NDArray[np.float32]


def check_merge(merge: str | None) -> None:
    """Raise if a word is none of `MERGES`.

    Raises
    ------
    EncodeError
        If so.
    """
    if merge is not None and merge not in MERGES:
        raise EncodeError(f"merge {merge!r}, expected one of {', '.join(MERGES)}")


def merged(arrays: Iterable[Floats], merge: Merge) -> Floats:
    """Reduce arrays of one shape to one, sample by sample, NaN left aside.

    ``first`` takes no more arrays than it needs.
    """
    stream = iter(arrays)
    if merge in ("first", "last"):
        out = next(stream).copy()
        for array in stream:
            take = np.isnan(out) if merge == "first" else np.isfinite(array)
            np.copyto(out, array, where=take)
            if merge == "first" and not np.isnan(out).any():
                break
        return out
    stack = list(stream)
    if len(stack) == 1:
        return stack[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # samples that no array has
        return np.asarray(_REDUCTIONS[merge](np.stack(stack), axis=0), np.float32)
