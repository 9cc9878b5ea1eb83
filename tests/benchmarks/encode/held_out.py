"""What a cube knows of what it was not shown: dates left out, and blocks of pixels under simulated clouds.

    python -m tests.benchmarks.encode.held_out [--cube modis_mt_vi/all] [--preset balanced] [--output held_out.csv]

Dates: every fourth is left out of the stack (the second, third or fourth of four by ``--offset``), the rest is encoded
with and without teaching the times in between, and the dates left out are read from the files. Clouds: in each date a
square of 20 x 20 pixels is nodata, and the field is read there. R2 is the mean over bands; RMSE is that of the dates
encoded, in physical units. ``clear`` keeps the dates with clouds or shadow on less than a tenth of the pixels.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

import gdal_gndc
from gdal_gndc.encode.encoder import encode
from gdal_gndc.encode.inputs import open_rasters
from gdal_gndc.times import to_seconds
from tests.benchmarks.encode.rate_distortion import sources

Floats = NDArray[np.float32]
COLUMNS = ("dataset", "variant", "task", "offset", "method", "r2", "rmse_encoded", "bytes")
_BLOCK = 20


def r2(truth: Floats, found: Floats) -> float:
    """Mean over bands of 1 - SSE / SST."""
    scores = []
    for b in range(truth.shape[-1]):
        values, error = truth[..., b].astype(np.float64), (found - truth)[..., b].astype(np.float64)
        both = np.isfinite(error)
        scores.append(1 - np.mean(error[both] ** 2) / np.var(values[both]))
    return float(np.mean(scores))


def rmse(truth: Floats, found: Floats) -> float:
    return float(np.sqrt(np.nanmean((found.astype(np.float64) - truth) ** 2)))


def dates(files: list[Path], offset: int, options: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Leave every fourth date out."""
    held = np.zeros(len(files), bool)
    held[offset:-1:4] = True
    stack = open_rasters(files)
    values, seconds = stack.read(), np.array([to_seconds(t) for t in stack.times])
    places = np.flatnonzero(held)
    share = (seconds[places] - seconds[places - 1]) / (seconds[places + 1] - seconds[places - 1])
    share = share.astype(np.float32)[:, None, None, None]
    lines = (1 - share) * values[places - 1] + share * values[places + 1]
    rows: list[dict[str, Any]] = [{"method": "linear", "r2": r2(values[held], lines)}]
    for method, taught in (("plain", False), ("taught", True)):
        path = folder / f"{method}.gndc"
        kept = [path for path, out in zip(files, held, strict=True) if not out]
        report = encode(
            kept, path, interpolate=taught, progress=False, device="cpu", sidecars=False, overwrite=True, **options
        )
        with gdal_gndc.open(path, device="cpu") as cube:
            found = np.stack([cube.read_at_time(stack.times[k]) for k in places])
            read = np.stack([cube.read(k) for k in range(len(kept))])
        rows.append(
            {
                "method": method,
                "r2": r2(values[held], found),
                "rmse_encoded": rmse(values[~held], read),
                "bytes": report.bytes,
            }
        )
    return [{"task": "dates", "offset": offset, **row} for row in rows]


def clouds(files: list[Path], options: dict[str, Any], folder: Path, seed: int = 1) -> list[dict[str, Any]]:
    """Hide a block of every date."""
    rng = np.random.default_rng(seed)
    stack = open_rasters(files)
    values = stack.read()
    hidden = np.zeros(values.shape[:3], bool)
    copies = []
    for k, path in enumerate(files):
        i, j = (rng.integers(0, n - _BLOCK + 1) for n in values.shape[1:3])
        hidden[k, i : i + _BLOCK, j : j + _BLOCK] = True
        with rasterio.open(path) as source:
            stored = source.read()
            profile = {**source.profile, "nodata": 0 if stored.dtype.kind == "u" else -32768}
            stored[:, hidden[k]] = profile["nodata"]
            copies.append(folder / path.name)
            with rasterio.open(copies[-1], "w", **profile) as out:
                out.write(stored)
                out.scales, out.offsets, out.descriptions = source.scales, source.offsets, source.descriptions
    seconds = np.array([to_seconds(t) for t in stack.times])
    lines = _lines(np.where(hidden[..., None], np.float32(np.nan), values), seconds)
    rows: list[dict[str, Any]] = [{"method": "linear", "r2": r2(values[hidden], lines[hidden])}]
    for method, taught in (("plain", False), ("taught", True)):
        path = folder / f"{method}.gndc"
        report = encode(
            copies,
            path,
            interpolate=taught,
            fill_gaps=True,
            progress=False,
            device="cpu",
            sidecars=False,
            overwrite=True,
            **options,
        )
        with gdal_gndc.open(path, device="cpu") as cube:
            found = np.stack([cube.read(k) for k in range(len(files))])
        rows.append(
            {
                "method": method,
                "r2": r2(values[hidden], found[hidden]),
                "rmse_encoded": rmse(values[~hidden], found[~hidden]),
                "bytes": report.bytes,
            }
        )
    return [{"task": "clouds", **row} for row in rows]


def _lines(values: Floats, seconds: NDArray[np.float64]) -> Floats:
    import xarray as xr

    array = xr.DataArray(values, dims=("time", "y", "x", "band"), coords={"time": seconds})
    return np.asarray(array.interpolate_na("time", fill_value="extrapolate"), np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cube", action="append", help="Of tests/data; several times for several.")
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--offset", type=int, action="append", choices=(1, 2, 3))
    parser.add_argument("--no-clouds", action="store_true")
    parser.add_argument("--output", type=Path)
    chosen = parser.parse_args()
    target = chosen.output.open("w", newline="") if chosen.output else sys.stdout
    writer = csv.DictWriter(target, COLUMNS, lineterminator="\n")
    writer.writeheader()
    options = {"preset": chosen.preset, "steps": chosen.steps}
    for cube in chosen.cube or ["modis_mt_vi/all", "s2_flanders/clear"]:
        name, variant = cube.split("/")
        with sources(cube) as files, tempfile.TemporaryDirectory() as made:
            rows = [row for k in chosen.offset or [2, 3] for row in dates(files, k, options, Path(made))]
            if not chosen.no_clouds:
                rows += clouds(files, options, Path(made))
        for row in rows:
            rounded = {key: float(f"{v:.5g}") if isinstance(v, float) else v for key, v in row.items()}
            writer.writerow({"dataset": name, "variant": variant, **rounded})
            target.flush()


if __name__ == "__main__":
    main()
