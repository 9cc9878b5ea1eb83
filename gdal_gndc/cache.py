"""A cache with a byte budget: the least recently used goes first."""

from __future__ import annotations

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


class ByteCache(Generic[V]):
    """Values by key, at most ``max_bytes`` of them; safe to use from several threads.

    A value larger than the budget is returned but not kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._items: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self._bytes = 0
        self._hits = 0
        self._misses = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], tuple[V, int]]) -> V:
        """Return the value of ``key``; if there is none, ``make()`` gives it and its size in bytes.

        Two threads that miss the same key at once may both make it; the first one kept wins.
        """
        with self._lock:
            if key in self._items:
                self._hits += 1
                self._items.move_to_end(key)
                return self._items[key][0]
            self._misses += 1
        value, size = make()
        with self._lock:
            if key in self._items:
                return self._items[key][0]
            self._items[key] = (value, size)
            self._bytes += size
            while self._bytes > self.max_bytes and self._items:
                _, (_, freed) = self._items.popitem(last=False)
                self._bytes -= freed
        return value

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
