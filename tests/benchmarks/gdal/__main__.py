"""The driver beside GDAL's own formats, and beside the bare core.

    python -m tests.benchmarks.gdal

prints a table. It needs the driver (``gndc driver install``; GNDC_TEST_DRIVER names another folder), gdal-bin and
python3-gdal. All sources hold the same frame of 2400 x 2400 pixels and 7 bands. The cube has random weights, so that
the frame is rougher than a satellite's: codecs that follow the content are slower than on a scene.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import gdal_gndc
from gdal_gndc.driver.install import environment, plugin_folder
from gdal_gndc.field.core import ffi, lib
from tests.benchmarks.cubes import DEFAULT, write_cube

PYTHON = "/usr/bin/python3"
WORKER = Path(__file__).with_name("worker.py")
T = 23
# label, format, creation options; integers for JPEG 2000, which knows no floats
FORMATS = {
    "COG, ZSTD": ("COG", ["-co", "COMPRESS=ZSTD", "-co", "PREDICTOR=YES"]),
    "COG, ZSTD, no overviews": ("COG", ["-co", "COMPRESS=ZSTD", "-co", "PREDICTOR=YES", "-co", "OVERVIEWS=NONE"]),
    "COG, LERC_ZSTD 0.001": ("COG", ["-co", "COMPRESS=LERC_ZSTD", "-co", "MAX_Z_ERROR=0.001"]),
    "JPEG 2000, quality 25": (
        "JP2OpenJPEG",
        ["-ot", "UInt16", "-scale", "-1", "2", "0", "30000", "-co", "QUALITY=25", "-co", "REVERSIBLE=NO"],
    ),
}


def run(env: dict[str, str], *command: str | Path) -> str:
    done = subprocess.run([str(c) for c in command], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr}")
    return done.stdout


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def core_seconds(cube: Path) -> float:
    """Seconds of one frame by the package's core, warm."""
    with gdal_gndc.open(cube) as dataset:
        dataset.read(T, window=(0, 0, 8, 8))
        return timed(lambda: dataset.read(T))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2400)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    env = {**os.environ, **environment(Path(os.environ.get("GNDC_TEST_DRIVER") or plugin_folder()))}
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.processor())  # fmt: skip
    print(f"{cpu}, {os.cpu_count()} cores, {ffi.string(lib.gndc_isa()).decode()}, {run(env, 'gdalinfo', '--version')}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        cube = write_cube(folder / "cube.gndc", size=options.size, config=DEFAULT)
        sources = {"GNDC": f"GNDC:{cube}:t={T}"}
        for label, (kind, creation) in FORMATS.items():
            path = folder / f"{label.replace(' ', '_').replace(',', '')}{'.jp2' if kind != 'COG' else '.tif'}"
            run(env, "gdal_translate", "-q", "-of", kind, *creation, sources["GNDC"], path)
            sources[label] = str(path)
        whole: dict[str, list[float]] = {label: [] for label in sources}
        session: dict[str, list[float]] = {label: [] for label in sources}
        overview: dict[str, list[float]] = {label: [] for label in sources}
        core, driver = [], []
        for i in range(options.rounds):  # in turns: whatever else the machine does meets all of them
            for label, name in sources.items():
                call = ["gdal_translate", "-q", name, "/vsimem/out.tif"]
                whole[label].append(timed(lambda call=call: run(env, *call)))  # type: ignore[misc]
                session[label].append(float(run(env, PYTHON, WORKER, "session", name, str(i))))
                overview[label].append(float(run(env, PYTHON, WORKER, "overview", name)))
            core.append(core_seconds(cube))
            driver.append(float(run(env, PYTHON, WORKER, "frame", sources["GNDC"])))
    print("| source | gdal_translate | ratio | whole on 300 x 300 | ratio | 20 views | ratio |")
    print("|---|---|---|---|---|---|---|")
    for label in sources:
        cells = []
        for seconds in (whole, overview, session):
            own, base = statistics.median(seconds[label]), statistics.median(seconds["GNDC"])
            cells += [f"{own:.2f} s", f"{own / base:.2f}"]
        print(f"| {label} | {' | '.join(cells)} |")
    over = statistics.median(d / c for c, d in zip(core, driver, strict=True))
    print(
        f"one frame: core {statistics.median(core):.2f} s, driver {statistics.median(driver):.2f} s, ratio {over:.3f}"
    )


if __name__ == "__main__":
    main()
