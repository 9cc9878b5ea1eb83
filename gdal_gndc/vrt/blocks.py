"""A cache of decoded blocks, shared by the bands and threads that read one raster."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import GNDCError

ENVIRONMENT = "GNDC_BLOCK_CACHE_BYTES"
DEFAULT_BYTES = 512 * 2**20

Block = NDArray[np.float32]


@dataclass(frozen=True)
class CacheCounters:
    """What a :class:`BlockCache` has done so far.

    ``hits`` counts blocks found or awaited from another thread, ``misses`` blocks evaluated, ``loads`` the
    calls that evaluated them; ``blocks`` and ``bytes`` are what is held now.
    """

    hits: int
    misses: int
    loads: int
    blocks: int
    bytes: int


class BlockCache:
    """Decoded blocks by key, the least recently used dropped beyond a byte budget.

    Safe for threads, with one evaluation a block however many threads ask for it at once. In a forked
    child the cache begins empty.

    Parameters
    ----------
    max_bytes
        Budget in bytes; 0 keeps nothing (concurrent callers still share one evaluation). By default the
        environment variable ``GNDC_BLOCK_CACHE_BYTES``, or 512 MiB.

    Raises
    ------
    GNDCError
        If the environment variable is not a count of bytes.
    """

    def __init__(self, max_bytes: int | None = None) -> None:
        self.max_bytes = _environment_bytes() if max_bytes is None else max_bytes
        self._begin()
        _ALL.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._blocks: OrderedDict[Hashable, Block] = OrderedDict()
        self._flights: dict[Hashable, threading.Event] = {}
        self._bytes = self._hits = self._misses = self._loads = 0

    def fetch(self, keys: Sequence[Hashable], load: Callable[[list[Any]], Mapping[Any, Block]]) -> dict[Any, Block]:
        """Return the blocks of ``keys`` (read-only arrays), evaluating those that are missing.

        Parameters
        ----------
        keys
            What identifies the blocks; distinct.
        load
            Called at most once a round with the missing keys that no other thread evaluates; returns
            a block for each. What it raises reaches the caller, and nothing is kept.
        """
        found: dict[Any, Block] = {}
        wanted = list(keys)
        while wanted:
            mine, others = self._claim(wanted, found)
            if mine:
                self._load(mine, load, found)
            for event in others.values():
                event.wait()
            # Evaluated elsewhere: mostly found now; after a failure or a drop there it is our turn.
            wanted = list(others)
        return found

    def peek(self, keys: Sequence[Hashable]) -> dict[Any, Block] | None:
        """Return the blocks of ``keys`` if all of them are held, else None."""
        with self._lock:
            found = {key: self._blocks[key] for key in keys if key in self._blocks}
            if len(found) < len(keys):
                return None
            for key in keys:
                self._blocks.move_to_end(key)
            self._hits += len(keys)
            return found

    def counters(self) -> CacheCounters:
        """Return the counters of this moment."""
        with self._lock:
            return CacheCounters(self._hits, self._misses, self._loads, len(self._blocks), self._bytes)

    def clear(self) -> None:
        """Drop every block and set the counters to zero."""
        with self._lock:
            self._blocks.clear()
            self._bytes = self._hits = self._misses = self._loads = 0

    def discard(self, belongs: Callable[[Any], bool]) -> None:
        """Drop the blocks whose key ``belongs`` says so of."""
        with self._lock:
            for key in [key for key in self._blocks if belongs(key)]:
                self._bytes -= self._blocks.pop(key).nbytes

    def _claim(self, keys: list[Any], found: dict[Any, Block]) -> tuple[list[Any], dict[Any, threading.Event]]:
        mine: list[Any] = []
        others: dict[Any, threading.Event] = {}
        with self._lock:
            for key in keys:
                if (block := self._blocks.get(key)) is not None:
                    self._blocks.move_to_end(key)
                    found[key] = block
                    self._hits += 1
                elif (flight := self._flights.get(key)) is not None:
                    others[key] = flight
                else:
                    self._flights[key] = threading.Event()
                    mine.append(key)
        return mine, others

    def _load(self, mine: list[Any], load: Callable[[list[Any]], Mapping[Any, Block]], found: dict[Any, Block]) -> None:
        try:
            loaded = load(mine)
            for key in mine:
                block = loaded[key]
                # A view would keep the whole array it was cut from alive, beyond the budget.
                found[key] = block if block.base is None else block.copy()
                found[key].setflags(write=False)
            with self._lock:
                self._loads += 1
                self._misses += len(mine)
                for key in mine:
                    self._keep(key, found[key])
        finally:
            with self._lock:
                for key in mine:
                    self._flights.pop(key).set()

    def _keep(self, key: Hashable, block: Block) -> None:
        if block.nbytes > self.max_bytes:
            return
        self._blocks[key] = block
        self._bytes += block.nbytes
        while self._bytes > self.max_bytes:
            self._bytes -= self._blocks.popitem(last=False)[1].nbytes


_ALL: weakref.WeakSet[BlockCache] = weakref.WeakSet()


def _after_fork() -> None:
    # A thread that the child does not have may have held the lock, or a block in flight.
    for cache in _ALL:
        cache._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _environment_bytes() -> int:
    text = os.environ.get(ENVIRONMENT, "").strip()
    if not text:
        return DEFAULT_BYTES
    if not text.isdecimal():
        raise GNDCError(f"{ENVIRONMENT} is {text!r}; expected a number of bytes, such as {DEFAULT_BYTES}")
    return int(text)
