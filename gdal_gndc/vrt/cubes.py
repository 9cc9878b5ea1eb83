"""The cubes that pixel functions hold open between calls."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset
    from gdal_gndc.time_axis import Moment

# Path, and for a local file the time of its last change in ns and its size.
Identity = tuple[str, int, int]


class OpenCube:
    """One open dataset and the moments resolved on it."""

    def __init__(self, identity: Identity, dataset: GNDCDataset) -> None:
        self.identity = identity
        self.dataset = dataset
        self.users = 0
        self.dropped = False
        self._moments: dict[str, Moment] = {}

    def moment(self, t: str) -> Moment:
        """Return ``dataset.resolve_time(t)``, remembered."""
        moment = self._moments.get(t)
        if moment is None:
            moment = self.dataset.resolve_time(t)
            if len(self._moments) < 4096:
                self._moments[t] = moment
        return moment


class OpenCubes:
    """Open datasets by path, the least recently used closed beyond a number of them.

    A file that was replaced (another time of change or size) is opened anew. Safe for threads; a forked
    child begins with none open.
    """

    def __init__(self, max_open: int = 16, on_stale: Callable[[Identity], None] | None = None) -> None:
        self.max_open = max_open
        self._on_stale = on_stale
        self._begin()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._cubes: OrderedDict[str, OpenCube] = OrderedDict()
        self._opening: dict[str, threading.Lock] = {}

    @contextmanager
    def lease(self, path: str) -> Iterator[OpenCube]:
        """Hold the cube at ``path`` open for the ``with`` block.

        Raises
        ------
        OSError
            If there is no such file, or it cannot be read.
        GNDCError
            What :func:`gdal_gndc.open` raises.
        """
        cube = self._enter(path)
        try:
            yield cube
        finally:
            with self._lock:
                cube.users -= 1
                close = cube.dropped and cube.users == 0
            if close:
                cube.dataset.close()

    def close(self) -> None:
        """Close every cube that nobody uses; those in use close when they are left."""
        with self._lock:
            idle = [cube for path in list(self._cubes) if (cube := self._drop(path))]
        for cube in idle:
            cube.dataset.close()

    def _enter(self, path: str) -> OpenCube:
        identity = identify(path)
        with self._lock:
            if cube := self._current(path, identity):
                return cube
            opening = self._opening.setdefault(path, threading.Lock())
        with opening:
            with self._lock:
                if cube := self._current(path, identity):
                    return cube
            import gdal_gndc

            cube = OpenCube(identity, gdal_gndc.open(path))
            cube.users = 1
            idle: list[OpenCube | None] = []
            stale: Identity | None = None
            with self._lock:
                self._opening.pop(path, None)
                if path in self._cubes:
                    stale = self._cubes[path].identity
                    idle.append(self._drop(path))
                self._cubes[path] = cube
                while len(self._cubes) > self.max_open:
                    idle.append(self._drop(next(iter(self._cubes))))
            for old in idle:
                if old is not None:
                    old.dataset.close()
            if stale is not None and self._on_stale is not None:
                self._on_stale(stale)
            return cube

    def _current(self, path: str, identity: Identity) -> OpenCube | None:
        cube = self._cubes.get(path)
        if cube is None or cube.identity != identity:
            return None
        self._cubes.move_to_end(path)
        cube.users += 1
        return cube

    def _drop(self, path: str) -> OpenCube | None:
        """Forget a cube; return it if it may be closed at once. The lock is held."""
        cube = self._cubes.pop(path)
        cube.dropped = True
        return cube if cube.users == 0 else None


def identify(path: str) -> Identity:
    """Return what tells one version of a file from the next.

    Raises
    ------
    FileNotFoundError
        If a local path does not exist.
    """
    if "://" in path or path.startswith("/vsi"):
        return path, -1, -1
    status = os.stat(path)  # noqa: PTH116 - runs on every read; building a Path costs more than the call
    return path, status.st_mtime_ns, status.st_size
