"""Seconds, memory, bytes and seams of a large cube: 2048 x 2048 pixels, 24 dates, 4 bands, in 4 spatial chunks.

    python -m tests.benchmarks.encode.large --output large.csv [--preset fast] [--memory 2G] [--side 2048]

The scenery is synthetic, its textures are real. 24 dates of the stack ``s2_flanders`` (64 x 64 pixels, bands B02,
B03, B04, B08) that are clear on nine tenths of their pixels are laid side by side over the large grid, 32 x 32
copies, each turned and mirrored at random in one of 8 ways, the same for all dates, so that every copy has the
textures and the seasons of the original. A terrain of fractal relief (spectrum 1/f^2) multiplies them by a shade of
0.6 to 1.4 that moves with the sun over the year, and a second such field shifts each place's season by up to two
dates. Borders of copies are edges of the scenery, as fields have them; they lie 32 pixels from those of the chunks.
Values are int16 with a scale of 0.0001, in GeoTIFFs with deflate and tiles of 256 pixels.

``cpu_seconds`` are those of all processes and cores. Memory is what all processes held together at their peak,
sampled ten times a second (resident pages, those shared counted once a process).
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from tests.benchmarks.encode.rate_distortion import sources

_TILE = 64
_PROGRAM = """
import json, sys, gdal_gndc
report = gdal_gndc.encode(sys.argv[1], sys.argv[2], progress=False, device="cpu", **json.loads(sys.argv[3]))
print(json.dumps(report.to_json()))
"""


def relief(side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a field with a spectrum of 1/f^2, from -1 to 1."""
    waves = np.fft.rfft2(rng.standard_normal((side, side)))
    fy, fx = np.fft.fftfreq(side)[:, np.newaxis], np.fft.rfftfreq(side)
    waves /= np.maximum(fy**2 + fx**2, (1 / side) ** 2)
    field = np.fft.irfft2(waves, (side, side))
    low, high = np.percentile(field, (0.5, 99.5))
    scaled: NDArray[np.float32] = np.clip(2 * (field - low) / (high - low) - 1, -1, 1).astype(np.float32)
    return scaled


def write_stack(folder: Path, side: int, n_dates: int = 24) -> list[Path]:
    """Write the stack; the same for the same arguments."""
    rng = np.random.default_rng(0)
    with sources("s2_flanders/b4_clear") as found:
        chosen = [found[round(i)] for i in np.linspace(0, len(found) - 1, n_dates)]
        frames = []
        for path in chosen:
            with rasterio.open(path) as source:
                frames.append(source.read().astype(np.float32))
                profile = {"crs": source.crs, "transform": source.transform}
    stack = np.stack(frames)  # date, band, row, column
    dates = [path.stem.rsplit("_", 1)[1] for path in chosen]
    n = -(-side // _TILE) + 1
    ways = rng.integers(0, 8, (n, n))
    height, season = relief(side, rng), relief(side, rng)
    slope_y, slope_x = (gradient / np.abs(gradient).max() for gradient in np.gradient(height))
    paths = []
    for k, date in enumerate(dates):
        # each place takes its season from a date up to two before or after
        moved = np.clip(k + 2 * season, 0, n_dates - 1)
        before = np.floor(moved).astype(int)
        share = (moved - before).astype(np.float32)
        values = np.zeros((4, side, side), np.float32)
        for j in range(max(0, k - 2), min(n_dates, k + 4)):
            weight = np.where(before == j, 1 - share, 0) + np.where(np.minimum(before + 1, n_dates - 1) == j, share, 0)
            if weight.any():
                values += weight * _mosaic(stack[j], ways, side)
        angle = 2 * np.pi * k / n_dates
        shade = 1 + 4 * (slope_x * np.cos(angle) + slope_y * np.sin(angle)) + 0.1 * height
        values *= np.clip(shade, 0.6, 1.4)
        path = folder / f"large_{date}.tif"
        with rasterio.open(
            path, "w", driver="GTiff", width=side, height=side, count=4, dtype="int16", compress="deflate",
            tiled=True, blockxsize=256, blockysize=256, nodata=-32768, **profile,
        ) as target:  # fmt: skip
            target.write(np.clip(np.rint(values), 0, 32767).astype(np.int16))
            target.scales = [1e-4] * 4
            target.descriptions = ("B02", "B03", "B04", "B08")
        paths.append(path)
    return paths


def _mosaic(tile: NDArray[np.float32], ways: NDArray[np.int64], side: int) -> NDArray[np.float32]:
    turned = []
    for way in range(8):
        one = np.rot90(tile, way % 4, axes=(1, 2))
        turned.append(one[:, :, ::-1] if way >= 4 else one)
    rows = [np.concatenate([turned[way] for way in row], axis=2) for row in ways]
    half = slice(_TILE // 2, _TILE // 2 + side)
    whole: NDArray[np.float32] = np.concatenate(rows, axis=1)[:, half, half]
    return whole


class Watch(threading.Thread):
    """Adds up the resident memory of a process and its children."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak, self.over = pid, 0, threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.1):
            self.peak = max(self.peak, sum(_resident(pid) for pid in _family(self.pid)))


def _family(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [one for child in task.read_text().split() for one in _family(int(child))]
        except OSError:
            continue
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    except (OSError, IndexError):
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--memory", default="2G")
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--options", default="{}", help="others of encode(), as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_stack(folder, arguments.side)
        options = {"preset": arguments.preset, "memory": arguments.memory, "chunk_size": arguments.side // 2}
        # twice as many samples would be needed to teach the times between the dates too
        options |= {"interpolate": False}
        options |= json.loads(arguments.options)
        command = [sys.executable, "-c", _PROGRAM, str(folder), str(folder / "large.gndc"), json.dumps(options)]
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        watch = Watch(process.pid)
        watch.start()
        said, _ = process.communicate()
        seconds = time.monotonic() - started
        watch.over.set()
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        if process.returncode:
            raise SystemExit(process.returncode)
    report = json.loads(said)
    row = {
        "side": arguments.side,
        "preset": arguments.preset,
        "steps": report["plan"]["steps"],
        "batch": report["plan"]["batch"],
        "seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": round(watch.peak / 1e6),
        "bytes": report["bytes"],
        "bits_per_sample": report["bits_per_sample"],
        "psnr_db": report["metrics"]["psnr"],
        "rmse": report["metrics"]["rmse"],
        "r2": report["metrics"]["r2"],
        **{f"seam_{axis}": value for axis, value in report["metrics"].get("seams", {}).items()},
    }
    with arguments.output.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(row)
    print(row)


if __name__ == "__main__":
    main()
