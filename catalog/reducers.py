"""Reductions of a stream of masked arrays, one at a time: what merge and temporal_aggregation mean."""

from __future__ import annotations

import numpy as np

from gdal_gndc.catalog.options import choose

METHODS = ("first", "last", "min", "max", "mean", "median", "count")


class Reducer:
    """Takes arrays of one shape with their validity in order, and gives one.

    ``first`` and ``last`` are the first and last valid value a pixel had in the order given; ``min``,
    ``max``, ``mean`` (float64 sums, float32 result) and ``median`` (float32) are over valid values; ``count``
    (int32) is how many there were. Memory is that of one or two arrays, except for ``median``, which keeps
    them all.
    """

    def __init__(self, method: str) -> None:
        self.method = choose("merge", method, METHODS)
        self._data: np.ndarray | None = None
        self._valid: np.ndarray | None = None
        self._count: np.ndarray | None = None
        self._stack: list[np.ndarray] = []

    def add(self, data: np.ndarray, valid: np.ndarray) -> None:
        """One more array; ``data`` may be kept or changed."""
        if self.method == "median":
            self._stack.append(np.where(valid, data, np.nan).astype(np.float32, copy=False))
            return
        if self.method in ("count", "mean"):
            if self._count is None:
                self._count = np.zeros(valid.shape, dtype=np.int32)
            self._count += valid
            if self.method == "mean":
                if self._data is None:
                    self._data = np.zeros(data.shape, dtype=np.float64)
                np.add(self._data, data, out=self._data, where=valid)
            return
        if self._data is None or self._valid is None:
            self._data, self._valid = data.copy(), valid.copy()
            return
        kind = np.result_type(self._data.dtype, data.dtype)
        self._data = self._data.astype(kind, copy=False)
        take = valid & ~self._valid
        if self.method == "last":
            take = valid
        elif self.method == "min":
            take |= valid & (data < self._data)
        elif self.method == "max":
            take |= valid & (data > self._data)
        np.copyto(self._data, data, where=take, casting="same_kind")
        self._valid |= valid

    def result(self) -> tuple[np.ndarray, np.ndarray] | None:
        """(data, valid); None if nothing was added."""
        if self.method == "median":
            return _median(self._stack) if self._stack else None
        if self.method == "count":
            return None if self._count is None else (self._count, np.ones(self._count.shape, dtype=bool))
        if self.method == "mean":
            if self._data is None or self._count is None:
                return None
            valid = self._count > 0
            return (self._data / np.maximum(self._count, 1)).astype(np.float32), valid
        if self._data is None or self._valid is None:
            return None
        return self._data, self._valid


def _median(stack: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    # Sorting puts NaN last, so the middle of the valid ones is at a position known from their count.
    ranked = np.sort(np.stack(stack), axis=0)
    count = (~np.isnan(ranked)).sum(axis=0)
    low, high = np.maximum(count - 1, 0) // 2, np.maximum(count, 1) // 2
    low, high = np.minimum(low, len(stack) - 1), np.minimum(high, len(stack) - 1)
    pick = [np.take_along_axis(ranked, k[None], axis=0)[0] for k in (low, high)]
    valid = count > 0
    return np.where(valid, (pick[0] + pick[1]) / 2, np.nan).astype(np.float32), valid
