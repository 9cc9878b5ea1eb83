from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

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
