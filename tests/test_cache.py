from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from gdal_gndc.cache import ByteCache


def test_least_recently_used_goes_first():
    cache: ByteCache[str] = ByteCache(10)
    for key in "abc":
        cache.get(key, lambda key=key: (key, 4))
    assert cache.info().items == 2
    cache.get("b", lambda: ("again", 4))
    cache.get("d", lambda: ("d", 4))
    assert cache.get("b", lambda: ("again", 4)) == "b"
    assert cache.get("c", lambda: ("again", 4)) == "again"
    info = cache.info()
    assert (info.hits, info.misses, info.bytes) == (2, 5, 8)


def test_what_is_larger_than_the_budget_is_not_kept():
    cache: ByteCache[str] = ByteCache(10)
    assert cache.get("a", lambda: ("a", 11)) == "a"
    assert cache.info().items == cache.info().bytes == 0


def test_threads_see_one_value():
    cache: ByteCache[object] = ByteCache(100)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: cache.get("k", lambda: (object(), 1)), range(200)))
    assert len({id(v) for v in found[-100:]}) == 1
    cache.clear()
    assert cache.info().bytes == 0


def test_what_a_thread_makes_others_wait_for():
    cache: ByteCache[int] = ByteCache(10)
    makers, started = [], threading.Barrier(8)

    def make():
        makers.append(threading.get_ident())
        time.sleep(0.05)
        return len(makers), 100  # more than the budget: those who wait get it all the same

    def ask(_):
        started.wait()
        return cache.get("k", make)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [1] * 8
    assert (cache.info().hits, cache.info().misses) == (7, 1)


def test_should_making_fail_the_next_tries():
    cache: ByteCache[str] = ByteCache(10)
    failing = threading.Event()

    def fail():
        failing.set()
        time.sleep(0.05)
        raise OSError("gone")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, "k", fail)
        failing.wait()
        assert pool.submit(cache.get, "k", lambda: ("made", 1)).result() == "made"
        with pytest.raises(OSError, match="gone"):
            first.result()


def test_a_fork_makes_what_the_parent_was_making():
    cache: ByteCache[str] = ByteCache(10)
    forked = threading.Event()

    def slow():
        forked.wait()
        return "parent", 1

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(cache.get, "k", slow)
        while cache.info().misses == 0:
            time.sleep(0.001)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # a fork with threads: what is tested
            child = os.fork()
        if child == 0:
            signal.alarm(10)
            os._exit(0 if cache.get("k", lambda: ("child", 1)) == "child" else 1)
        forked.set()
        assert first.result() == "parent"
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
