from __future__ import annotations

import os
import threading
import time
from typing import Any

import numpy as np
import pytest

from gdal_gndc.errors import GNDCError
from gdal_gndc.vrt.blocks import DEFAULT_BYTES, ENVIRONMENT, Block, BlockCache, CacheCounters


def block(value: float, size: int = 256) -> Block:
    return np.full(size, value, np.float32)


def loader(calls: list[list[Any]]) -> Any:
    def load(keys: list[Any]) -> dict[Any, Block]:
        calls.append(list(keys))
        return {key: block(key) for key in keys}

    return load


def test_evaluates_once_and_counts() -> None:
    cache, calls = BlockCache(10_000), []
    first = cache.fetch([1, 2], loader(calls))
    again = cache.fetch([2, 3], loader(calls))
    assert calls == [[1, 2], [3]]
    assert first[2] is again[2]
    assert again[3][0] == 3
    assert cache.counters() == CacheCounters(hits=1, misses=3, loads=2, blocks=3, bytes=3072)


def test_blocks_are_read_only_and_own_their_memory() -> None:
    cache = BlockCache(10_000)
    whole = np.zeros((4, 64), np.float32)
    found = cache.fetch([0], lambda keys: {0: whole[:, :8]})[0]
    assert not found.flags.writeable
    assert found.base is None
    assert whole.flags.writeable


def test_budget_drops_the_least_recently_used() -> None:
    cache, calls = BlockCache(2048), []
    cache.fetch([1], loader(calls))
    cache.fetch([2], loader(calls))
    cache.fetch([1], loader(calls))
    cache.fetch([3], loader(calls))
    assert cache.peek([2]) is None
    assert cache.peek([1, 3]) is not None
    assert cache.counters().bytes == 2048


def test_a_block_larger_than_the_budget_is_given_but_not_kept() -> None:
    cache, calls = BlockCache(100), []
    assert cache.fetch([1], loader(calls))[1][0] == 1
    assert cache.counters().blocks == 0
    cache.fetch([1], loader(calls))
    assert calls == [[1], [1]]


def test_concurrent_callers_share_one_evaluation() -> None:
    cache = BlockCache(10_000)
    calls: list[list[Any]] = []
    begin = threading.Barrier(8)

    def load(keys: list[Any]) -> dict[Any, Block]:
        calls.append(keys)
        time.sleep(0.1)
        return {key: block(key) for key in keys}

    results: list[Block] = []

    def work() -> None:
        begin.wait()
        results.append(cache.fetch([7], load)[7])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert calls == [[7]]
    assert len(results) == 8
    assert all(result is results[0] for result in results)


def test_crossing_requests_do_not_wait_for_each_other_forever() -> None:
    cache = BlockCache(100_000)
    begin = threading.Barrier(2)
    calls: list[list[Any]] = []

    def load(keys: list[Any]) -> dict[Any, Block]:
        calls.append(keys)
        time.sleep(0.05)
        return {key: block(key) for key in keys}

    def work(keys: list[int]) -> None:
        begin.wait()
        for _ in range(20):
            cache.fetch(keys, load)
            cache.clear()

    threads = [threading.Thread(target=work, args=(keys,)) for keys in ([1, 2, 3], [3, 2, 1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)


def test_a_failure_reaches_the_caller_and_leaves_nothing() -> None:
    cache, calls = BlockCache(10_000), []

    def fail(keys: list[Any]) -> dict[Any, Block]:
        raise GNDCError("broken chunk")

    with pytest.raises(GNDCError, match="broken chunk"):
        cache.fetch([1], fail)
    assert cache.counters().blocks == 0
    assert cache.fetch([1], loader(calls))[1][0] == 1


def test_one_waiting_for_a_failed_evaluation_tries_itself() -> None:
    cache, calls = BlockCache(10_000), []
    started, failing = threading.Event(), threading.Event()

    def fail(keys: list[Any]) -> dict[Any, Block]:
        started.set()
        failing.wait(10)
        raise GNDCError("broken chunk")

    errors: list[BaseException] = []

    def first() -> None:
        try:
            cache.fetch([1], fail)
        except GNDCError as error:
            errors.append(error)

    found: list[Block] = []
    one = threading.Thread(target=first)
    one.start()
    started.wait(10)
    two = threading.Thread(target=lambda: found.append(cache.fetch([1], loader(calls))[1]))
    two.start()
    time.sleep(0.05)
    failing.set()
    one.join(10)
    two.join(10)
    assert len(errors) == 1
    assert found[0][0] == 1


def test_discard_drops_what_belongs() -> None:
    cache, calls = BlockCache(100_000), []
    cache.fetch([1, 2, 3, 4], loader(calls))
    cache.discard(lambda key: key % 2 == 0)
    assert cache.peek([1, 3]) is not None
    assert cache.peek([2]) is None
    assert cache.counters().bytes == 2048


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_begins_with_free_locks() -> None:
    cache = BlockCache(10_000)
    cache.fetch([1], loader([]))
    with cache._lock:
        child = os.fork()
        if child == 0:
            calls: list[list[Any]] = []
            cache.fetch([1], loader(calls))
            os._exit(0 if calls == [[1]] else 1)
    deadline = time.monotonic() + 20
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        if time.monotonic() > deadline:
            os.kill(child, 9)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(status) == 0


def test_budget_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    assert BlockCache().max_bytes == DEFAULT_BYTES
    monkeypatch.setenv(ENVIRONMENT, "1000000")
    assert BlockCache().max_bytes == 1_000_000
    monkeypatch.setenv(ENVIRONMENT, "lots")
    with pytest.raises(GNDCError, match=ENVIRONMENT):
        BlockCache()
