"""Speed of decoding beside pygndc's native_cpu decoder, both in one run, interleaved.

    GNDC_PEER_PYTHON=/path/to/venv/bin/python python -m tests.benchmarks.decode

GNDC_PEER_PYTHON names a Python with pygndc 1.0.14; without it only our own figures are printed. The cube has random
weights in the configuration that published cubes have.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import gdal_gndc
from gdal_gndc.field.core import ffi, lib
from tests.benchmarks.cubes import DEFAULT, write_cube

WORKER = Path(__file__).with_name("peer_worker.py")
SIZE, FRAMES = 2400, 46


class Peer:
    """The reference decoder in a process of its own; it answers with the seconds a call took there."""

    def __init__(self, python: str) -> None:
        self._process = subprocess.Popen(
            [python, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __call__(self, **request: Any) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        return float(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate()


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def compare(
    ours: Callable[[], object], peer: Callable[[], float] | None, rounds: int, ours_repeat: int = 3
) -> tuple[float, float | None]:
    """Medians in seconds of both, a round of one after a round of the other."""
    mine, theirs = [], []
    ours()
    if peer:
        peer()
    for _ in range(rounds):
        mine += [timed(ours) for _ in range(ours_repeat)]
        if peer:
            theirs.append(peer())
    return statistics.median(mine), statistics.median(theirs) if theirs else None


def in_turns(call: Callable[[], object], other: Callable[[], float], rounds: int) -> float:
    """How many times as long a call takes as another, which tells its seconds."""
    one, two = compare(call, other, rounds, 1)
    assert two
    return one / two


def machine() -> str:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return f"{model}, {lib.gndc_threads()} threads, {ffi.string(lib.gndc_isa()).decode()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--isa", nargs="*", default=["avx512", "avx2"])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="cuda: the torch backend, by itself")
    parser.add_argument("--backend", choices=["native", "torch"], default="native", help="torch: it alone, on --device")
    parser.add_argument("--json", type=Path, help="write the table here too")
    options = parser.parse_args()
    python = os.environ.get("GNDC_PEER_PYTHON")
    peer = Peer(python) if python else None
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = write_cube(Path(folder) / "cube.gndc", size=SIZE, frames=FRAMES, config=DEFAULT)
        if peer:
            peer(open=str(path), call="read", args={"time": 5, "window": [0, 0, 16, 16]})
        if options.device == "cuda" or options.backend == "torch":
            measure_torch(path, options.device, options.rounds, rows)
            options.isa = []
        for isa in options.isa:
            if not lib.gndc_set_isa(isa.encode()):
                print(f"(this machine has no {isa})")
                continue
            print(f"\n{machine()}")
            with gdal_gndc.open(path) as dataset, gdal_gndc.open(path, precision="fast") as fast:
                measure(dataset, fast, path, peer, options.rounds, isa, rows)
        if options.isa:
            measure_more(Path(folder), path, options.rounds, rows)
        print(f"\npeak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    if peer:
        peer.close()
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1))


def measure(
    dataset: Any, fast: Any, path: Path, peer: Peer | None, rounds: int, isa: str, rows: list[dict[str, Any]]
) -> None:
    rng = np.random.default_rng(1)
    corners = rng.integers(0, SIZE - 256, (8, 2)).tolist()
    points = rng.integers(0, SIZE, (10_000, 2))
    few = points[:200].tolist()

    def window(
        col: int, row: int, w: int, h: int, source: Any = dataset
    ) -> tuple[Callable[[], object], Callable[[], float] | None]:
        box = (col, row, w, h)
        mine = lambda: source.read(5, window=box)  # noqa: E731
        theirs = (lambda: peer(call="read", args={"time": 5, "window": box})) if peer else None
        return mine, theirs

    def add(what: str, unit: str, amount: float, mine: float, theirs: float | None, scale: float = 1.0) -> None:
        ratio = theirs / mine * scale if theirs else None
        rows.append({"isa": isa, "what": what, "seconds": mine, "rate": amount / mine, "unit": unit, "ratio": ratio})
        beside = f"{amount / scale / theirs:10.3g} {unit:8}  {ratio:6.1f} x" if theirs and ratio else ""
        print(f"{what:38} {amount / mine:10.3g} {unit:8} {beside}", flush=True)

    mega = 1e-6
    add("window 1024 x 1024", "Mpx/s", 1024**2 * mega, *compare(*window(700, 500, 1024, 1024), rounds))
    add("frame 2400 x 2400", "Mpx/s", SIZE**2 * mega, *compare(*window(0, 0, SIZE, SIZE), 1, 2))
    if lib.gndc_has_fast():
        found = compare(*window(700, 500, 1024, 1024, fast), rounds)
        add('window 1024 x 1024, precision="fast"', "Mpx/s", 1024**2 * mega, *found)

    def ours_random() -> None:
        for col, row in corners:
            dataset.read(5, window=(col, row, 256, 256))

    def peer_random() -> float:
        assert peer is not None
        return sum(peer(call="read", args={"time": 5, "window": [c, r, 256, 256]}) for c, r in corners)

    found = compare(ours_random, peer_random if peer else None, rounds)
    add("256 x 256 at random places", "Mpx/s", 8 * 65536 * mega, *found)
    whole = lambda: dataset.read(5, out_shape=(256, 256))  # noqa: E731
    times = in_turns(whole, lambda: timed(ours_random) / 8, 4 * rounds)
    print(f"{'frame decimated to 256 x 256':38} {times:10.2f} times a 256 x 256 window")
    rows.append({"isa": isa, "what": "decimated to 256 x 256 / window", "ratio": times})

    peer_series = (lambda: peer(call="series", points=few)) if peer else None
    one = compare(lambda: [dataset.pixel_series(r, c) for r, c in few], peer_series, rounds)
    add("one pixel's series, per call", "calls/s", 200, *one)
    print(f"{'':38} {one[0] / 200 * 1e6:10.1f} us")
    here = few[0]
    same = compare(lambda: [dataset.pixel_series(*here) for _ in few], None, rounds)[0]
    print(f"{'the same pixel again and again':38} {same / 200 * 1e6:10.1f} us")
    rows.append({"isa": isa, "what": "the same pixel's series, us", "ratio": same / 200 * 1e6})
    many = compare(lambda: dataset.series(points), peer_series, rounds, 1)
    add("10,000 pixels' series in one call", "pixels/s", 10_000, many[0], many[1], scale=50)

    def ours_open() -> None:
        with gdal_gndc.open(path) as fresh:
            fresh.read(5, window=(0, 0, 256, 256))

    request = {"open": str(path), "call": "read", "args": {"time": 5, "window": [0, 0, 256, 256]}}
    add(
        "open and first 256 x 256",
        "times/s",
        1,
        *compare(ours_open, (lambda: peer(**request)) if peer else None, rounds),
    )


def measure_more(folder: Path, path: Path, rounds: int, rows: list[dict[str, Any]]) -> None:
    """What needs no peer: residuals, several callers at once, the memory of a whole frame."""
    box = (700, 500, 1024, 1024)
    with (
        gdal_gndc.open(path) as plain,
        gdal_gndc.open(write_cube(folder / "corrected.gndc", size=SIZE, frames=FRAMES, corrected=[5])) as corrected,
    ):
        without = lambda: timed(lambda: plain.read(5, window=box))  # noqa: E731
        times = in_turns(lambda: corrected.read(5, window=box), without, 2 * rounds)
        ratio("window with residuals / without, once decompressed", times, rows)
        boxes = [(c, r, 512, 512) for c in range(0, 2048, 512) for r in (0, 512)]
        with ThreadPoolExecutor(8) as pool:
            alone = lambda: timed(lambda: [plain.read(5, window=b) for b in boxes])  # noqa: E731
            times = in_turns(lambda: list(pool.map(lambda b: plain.read(5, window=b), boxes)), alone, 2 * rounds)
        ratio("8 threads at once / one caller, the same windows", times, rows)
    done = subprocess.run([sys.executable, "-c", _PEAK, path], capture_output=True, text=True, check=True)
    ratio("memory of a frame beyond output and tables, MB", float(done.stdout), rows)


_PEAK = """
import re, sys
from pathlib import Path
import gdal_gndc
# not ru_maxrss, which a process inherits
peak = lambda: int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
with gdal_gndc.open(sys.argv[1]) as dataset:
    dataset.band_list(None)
    before = peak()
    frame = dataset.read(5)
    tables = dataset.cache_info()["chunks"].bytes
    print(peak() - before - (frame.nbytes + tables) / 2**20)
"""


def measure_torch(path: Path, device: str, rounds: int, rows: list[dict[str, Any]]) -> None:
    """The torch backend, uncompiled and compiled, beside the core: windows, series, derivatives. All equal the core.

    On a CPU one thread of both, and its own time, which other programs do not change.
    """
    import torch

    if device == "cuda":
        print(f"\n{torch.cuda.get_device_name()}, torch {torch.__version__}")
        clock, sizes, n_points, side = time.perf_counter, (1024, SIZE), 10_000, 1024
    else:
        torch.set_num_threads(1)
        gdal_gndc.set_threads(1)
        print(f"\n{machine()}, torch {torch.__version__}; seconds of the processor")
        # a frame would take minutes
        clock, sizes, n_points, side = time.process_time, (256, 512), 500, 128
    points = np.random.default_rng(1).integers(0, SIZE, (n_points, 2))

    def add(how: str, what: str, amount: float, unit: str, work: Callable[[], object]) -> None:
        seconds = []
        for _ in range(1 + rounds):
            start = clock()
            work()
            seconds.append(clock() - start)
        rate = amount / statistics.median(seconds[1:])
        rows.append({"isa": device, "how": how, "what": what, "rate": rate, "unit": unit, "first": seconds[0]})
        print(f"{how:12} {what:38} {rate:10.4g} {unit:8} (first {seconds[0]:.3g} s)", flush=True)

    def measure_one(how: str, dataset: Any) -> tuple[Any, Any, Any]:
        for size in sizes:
            box = (0, 0, size, size)
            add(how, f"window {size} x {size}", size**2 * 1e-6, "Mpx/s", lambda w=box: dataset.read(5, window=w))
        if how != "compiled":  # which only grids are
            add(how, f"{n_points} pixels' series", n_points, "pixels/s", lambda: dataset.series(points))
            box = (0, 0, side, side)
            add(how, f"gradient of {side} x {side}", side**2 * 1e-6, "Mpx/s", lambda: dataset.gradient(5, window=box))
        answers = dataset.read(5, window=(0, 0, 256, 256)), dataset.series(points[:100])
        return *answers, np.stack(dataset.gradient(5, window=(0, 0, 32, 32)))

    with gdal_gndc.open(path) as core:
        expected = measure_one("the core", core)
    for how, compiles in (("uncompiled", False), ("compiled", True)):
        os.environ["GNDC_TORCH_COMPILE"] = str(int(compiles))
        with gdal_gndc.open(path, backend="torch", device=device) as dataset:
            for found, wanted, share in zip(measure_one(how, dataset), expected, (1e-5, 1e-5, 1e-4), strict=True):
                assert np.abs(found - wanted).max() <= share * np.abs(wanted).max(), "the backends disagree"
            evaluator = dataset.cube.backend.torch
            assert evaluator is not None
            assert evaluator.compiles == compiles, "the compiler has failed: see the warning"
    if device == "cuda":
        print(f"{'peak memory of the device':38} {torch.cuda.max_memory_allocated() / 2**20:10.0f} MB")


def ratio(what: str, value: float, rows: list[dict[str, Any]]) -> None:
    rows.append({"what": what, "ratio": value})
    print(f"{what:52} {value:8.2f}", flush=True)


if __name__ == "__main__":
    main()
