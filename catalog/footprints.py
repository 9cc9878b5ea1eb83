"""The spatial and temporal index over rows: an STR tree, and rows sorted by start with a running maximum of
stops."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely

from gdal_gndc.catalog.box_pairs import BoxGrid, spread
from gdal_gndc.catalog.intervals import STATIC_START

MAX_PAIRS = 4_000_000
FEW_PAIRS = 32


@dataclass(frozen=True)
class Plan:
    """How a query will run: which structure proposes candidates, how many, out of how many rows."""

    first: str
    candidates: int
    rows: int

    def __str__(self) -> str:
        return f"{self.first}: about {self.candidates} candidates of {self.rows} rows"


class FootprintIndex:
    """Rows by footprint and time.

    Parameters
    ----------
    geometries
        Footprints, (N,) object array of shapely geometries.
    starts, stops
        Microseconds since 1970, (N,) int64; rows of all times span STATIC_START to STATIC_STOP.
    """

    def __init__(self, geometries: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> None:
        self.geometries = geometries
        self.starts = starts
        self.stops = stops

    def __len__(self) -> int:
        return len(self.geometries)

    @cached_property
    def bounds(self) -> np.ndarray:
        """(N, 4) float64."""
        return np.asarray(shapely.bounds(self.geometries)).reshape(-1, 4)

    @cached_property
    def sides(self) -> np.ndarray:
        """(4, N) float64: `bounds` by column."""
        return np.ascontiguousarray(self.bounds.T)

    @cached_property
    def boxes(self) -> np.ndarray:
        """(N,) bool: footprints that are their own bounding box, for which arithmetic replaces geometry."""
        b = self.bounds
        area = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
        full = np.asarray(shapely.area(self.geometries)) >= area * (1.0 - 1e-12)
        boxes: np.ndarray = full & (area > 0) & (shapely.get_num_coordinates(self.geometries) == 5)
        return boxes

    @cached_property
    def all_boxes(self) -> bool:
        return bool(self.boxes.all())

    @cached_property
    def tree(self) -> shapely.STRtree:
        return shapely.STRtree(self.geometries, node_capacity=16)

    @cached_property
    def grid(self) -> BoxGrid:
        return BoxGrid(self.sides)

    @cached_property
    def _by_start(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        dated = np.flatnonzero(self.starts != STATIC_START)
        order = dated[np.argsort(self.starts[dated], kind="stable")]
        static = np.flatnonzero(self.starts == STATIC_START)
        return order, self.starts[order], np.maximum.accumulate(self.stops[order]), static

    @cached_property
    def _extent(self) -> tuple[float, float, float, float]:
        b = self.bounds
        low, high = np.nanmin(b[:, :2], axis=0), np.nanmax(b[:, 2:], axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def _time_slice(self, start: int, stop: int) -> tuple[int, int]:
        _, starts, reach, _ = self._by_start
        return int(np.searchsorted(reach, start, side="left")), int(np.searchsorted(starts, stop, side="right"))

    def plan(self, geometry: shapely.Geometry | None, span: tuple[int, int] | None) -> Plan:
        """Which structure a query asks first."""
        rows = len(self)
        if not rows or (geometry is None and span is None):
            return Plan("all rows", rows, rows)
        in_time = rows
        if span is not None:
            low, high = self._time_slice(*span)
            in_time = max(0, high - low) + self._by_start[3].size
        if geometry is None:
            return Plan("time", in_time, rows)
        if span is None:
            return Plan("space", self._guess(geometry), rows)
        in_space = self._guess(geometry)
        return Plan("time", in_time, rows) if in_time <= max(in_space, 256) else Plan("space", in_space, rows)

    def _guess(self, geometry: shapely.Geometry) -> int:
        left, bottom, right, top = geometry.bounds
        west, south, east, north = self._extent
        width = max(0.0, min(right, east) - max(left, west)) / max(east - west, 1e-300)
        height = max(0.0, min(top, north) - max(bottom, south)) / max(north - south, 1e-300)
        return int(np.ceil(len(self) * min(1.0, width) * min(1.0, height)))

    def search(self, geometry: shapely.Geometry | None, span: tuple[int, int] | None) -> np.ndarray:
        """Positions, ascending, of rows whose footprint intersects ``geometry`` and whose time meets
        ``span``.

        Sets are closed: touching edges and equal instants count. None asks for everything.
        """
        plan = self.plan(geometry, span)
        if not plan.rows:
            return np.empty(0, dtype=np.int64)
        if plan.first == "space":
            assert geometry is not None
            found = np.sort(self.tree.query(geometry))
            if span is not None:
                found = found[(self.starts[found] <= span[1]) & (self.stops[found] >= span[0])]
        else:
            found = np.arange(plan.rows)
            if span is not None:
                low, high = self._time_slice(*span)
                order, _, _, static = self._by_start
                dated = order[low:high]
                found = np.sort(np.concatenate([static, dated[self.stops[dated] >= span[0]]]))
            if geometry is not None:
                left, bottom, right, top = geometry.bounds
                b = self.bounds[found]
                found = found[(b[:, 0] <= right) & (b[:, 2] >= left) & (b[:, 1] <= top) & (b[:, 3] >= bottom)]
        if geometry is None:
            return found
        doubtful = np.ones(found.size, dtype=bool)
        if _is_box(geometry):
            doubtful = ~self.boxes[found] if not self.all_boxes else np.zeros(found.size, dtype=bool)
        if doubtful.any():
            shapely.prepare(geometry)
            keep = np.ones(found.size, dtype=bool)
            keep[doubtful] = shapely.intersects(geometry, self.geometries[found[doubtful]])
            found = found[keep]
        return found

    def pairs(self, other: FootprintIndex, *, in_time: bool) -> tuple[np.ndarray, np.ndarray]:
        """Positions (left, right) of rows whose bounding boxes meet and, if asked, whose times do."""
        if not len(self) or not len(other):
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        guess = self._guess_space_pairs(other)
        if in_time and guess > FEW_PAIRS * len(self) and self._count_time_pairs(other) < guess:
            left, right = self._time_pairs(other)
            a, b = self.bounds, other.bounds
            near = (a[left, 0] <= b[right, 2]) & (a[left, 2] >= b[right, 0])
            near &= (a[left, 1] <= b[right, 3]) & (a[left, 3] >= b[right, 1])
            left, right = left[near], right[near]
        else:
            block = max(1, int(MAX_PAIRS * len(self) / max(1.0, guess)))
            found = []
            for first in range(0, len(self), block):
                part = slice(first, first + block)
                met = other.grid.meet(self.sides[:, part])
                mine, theirs = other.tree.query(self.geometries[part]) if met is None else met
                mine = mine + first
                if in_time:
                    meet = (self.starts[mine] <= other.stops[theirs]) & (self.stops[mine] >= other.starts[theirs])
                    mine, theirs = mine[meet], theirs[meet]
                found.append((mine, theirs))
            left, right = (np.concatenate(side) for side in zip(*found, strict=True))
        return np.divmod(np.sort(left * len(other) + right), len(other))

    def _guess_space_pairs(self, other: FootprintIndex) -> float:
        sample = np.linspace(0, len(self) - 1, min(len(self), 64)).astype(np.int64)
        hits = other.tree.query(self.geometries[sample])
        return float(hits.shape[1]) / sample.size * len(self)

    def _count_time_pairs(self, other: FootprintIndex) -> int:
        started = np.searchsorted(np.sort(other.starts), self.stops, side="right")
        ended = np.searchsorted(np.sort(other.stops), self.starts, side="left")
        return int((started - ended).sum())

    def _time_pairs(self, other: FootprintIndex) -> tuple[np.ndarray, np.ndarray]:
        # Two closed intervals meet once: the later start lies in the other one. Ties go to the first case.
        begins = _ranges(other.starts, self.starts, self.stops, side="left")
        within = _ranges(self.starts, other.starts, other.stops, side="right")
        return np.concatenate([begins[0], within[1]]), np.concatenate([begins[1], within[0]])


def _ranges(keys: np.ndarray, low: np.ndarray, high: np.ndarray, *, side: str) -> tuple[np.ndarray, np.ndarray]:
    """All (i, j) with low[i] <= keys[j] <= high[i] (``side="right"``: low[i] < keys[j])."""
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    first = np.searchsorted(ranked, low, side="left" if side == "left" else "right")
    last = np.searchsorted(ranked, high, side="right")
    count = np.maximum(last - first, 0)
    owner, place = spread(first, count)
    return owner, order[place]


def _is_box(geometry: shapely.Geometry) -> bool:
    if shapely.get_num_coordinates(geometry) != 5:
        return False
    left, bottom, right, top = geometry.bounds
    return bool(geometry.area >= (right - left) * (top - bottom) * (1.0 - 1e-12) and geometry.area > 0.0)
