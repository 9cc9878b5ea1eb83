"""Pairs of boxes that meet, by a grid: a few passes of numpy where a tree would be asked once a box."""

from __future__ import annotations

import numpy as np

MOST_CANDIDATES = 24


class BoxGrid:
    """Boxes by the grid cell of their lower left corner, cells at least as large as the largest box.

    Parameters
    ----------
    sides
        (4, N) float64, finite: left, bottom, right, top.
    """

    def __init__(self, sides: np.ndarray) -> None:
        self.sides = sides
        low, extent = sides[:2].min(axis=1), np.ptp(sides[:2], axis=1)
        # a little more, so that rounding cannot lose a pair
        self.reach = (sides[2:] - sides[:2]).max(axis=1) + 1e-9 * (extent + np.abs(sides).max())
        self.low = low
        self.step = np.maximum(self.reach, extent / np.sqrt(sides.shape[1]))
        self.step[self.step == 0.0] = 1.0
        x, y = cells = self._cells(sides[:2])
        self.shape = cells.max(axis=1) + 1
        key = y * self.shape[0] + x
        self.order = np.argsort(key, kind="stable")
        self.first = np.concatenate([[0], np.cumsum(np.bincount(key, minlength=int(self.shape.prod())))])

    def _cells(self, corners: np.ndarray) -> np.ndarray:
        """Cells (2, N) of points (2, N), in the grid or not."""
        cells: np.ndarray = np.floor((corners - self.low[:, None]) / self.step[:, None]).clip(-1e9, 1e9)
        return cells.astype(np.int64)

    def meet(self, sides: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Positions (i, j) of ``sides`` (4, M) and of these boxes that share a point, touching ones too.

        None where sizes differ so much that a tree is the better choice.
        """
        from_x, from_y = np.maximum(self._cells(sides[:2] - self.reach[:, None]), 0)
        to_x, to_y = np.minimum(self._cells(sides[2:]), self.shape[:, None] - 1)
        rows = np.where(to_x >= from_x, np.maximum(to_y - from_y + 1, 0), 0)
        if rows.sum() > MOST_CANDIDATES * sides.shape[1]:
            return None
        owner, row = spread(from_y, rows)
        base = row * self.shape[0]
        first = self.first[base + from_x[owner]]
        count = self.first[base + to_x[owner] + 1] - first
        if count.sum() > MOST_CANDIDATES * (sides.shape[1] + self.order.size):
            return None
        place, slot = spread(first, count)
        i, j = owner[place], self.order[slot]
        # one side after the other: each leaves fewer to gather for the next
        for mine, theirs, later in ((0, 2, False), (2, 0, True), (1, 3, False), (3, 1, True)):
            a, b = sides[mine][i], self.sides[theirs][j]
            near = a >= b if later else a <= b
            i, j = i[near], j[near]
        return i, j


def spread(first: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs of ``count`` integers from ``first`` on, one after the other: the run each belongs to, and the integers."""
    owner = np.repeat(np.arange(first.size), count)
    return owner, np.arange(owner.size) + np.repeat(first - np.cumsum(count) + count, count)
