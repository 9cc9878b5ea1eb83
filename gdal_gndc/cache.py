"""A cache with a byte budget: the least recently used goes first."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

V = TypeVar("V")


@dataclass(frozen=True)
class CacheInfo:
    """Counters of a `ByteCache`."""

    hits: int
    misses: int
    items: int
    bytes: int
    max_bytes: int


class _Making(Generic[V]):
    """A value that one thread makes and others wait for."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.ended = threading.Event()
        self.made: tuple[V] | None = None


class ByteCache(Generic[V]):
    """Values by key, at most ``max_bytes`` of them; safe to use from several threads.

    A value larger than the budget is returned but not kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._items: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self._making: dict[Hashable, _Making[V]] = {}
        self._bytes = 0
        self._hits = 0
        self._misses = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], tuple[V, int]]) -> V:
        """Return the value of ``key``; if there is none, ``make()`` gives it and its size in bytes.

        Threads that want the same key meanwhile wait for it; should ``make`` fail, the next of them tries.
        """
        mine: _Making[V] | None = None
        try:
            while True:
                with self._lock:
                    if key in self._items:
                        self._hits += 1
                        self._items.move_to_end(key)
                        return self._items[key][0]
                    other = self._making.get(key)
                    # a fork copies what a thread of the parent was making, but not the thread
                    if other is None or other.process != os.getpid():
                        mine = self._making[key] = _Making()
                        self._misses += 1
                        break
                other.ended.wait()
                if other.made is not None:
                    with self._lock:
                        self._hits += 1
                    return other.made[0]
            value, size = make()
            mine.made = (value,)
            self._keep(key, value, size)
            return value
        finally:
            if mine is not None:
                mine.ended.set()
                with self._lock:
                    if self._making.get(key) is mine:
                        del self._making[key]

    def _keep(self, key: Hashable, value: V, size: int) -> None:
        with self._lock:
            self._items[key] = (value, size)
            self._bytes += size
            while self._bytes > self.max_bytes and self._items:
                _, (_, freed) = self._items.popitem(last=False)
                self._bytes -= freed

    def find(self, key: Hashable) -> V | None:
        """Return the value of ``key`` if it is there, which counts as a hit; None, which counts as nothing, if not."""
        with self._lock:
            found = self._items.get(key)
            if found is None:
                return None
            self._hits += 1
            self._items.move_to_end(key)
            return found[0]

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._items.clear()
            self._bytes = 0

    def info(self) -> CacheInfo:
        """Return the counters."""
        with self._lock:
            return CacheInfo(self._hits, self._misses, len(self._items), self._bytes, self.max_bytes)
