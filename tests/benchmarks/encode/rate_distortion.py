"""Bytes against error of the encoder on the real stacks of tests/data, every byte of the file counted.

    python -m tests.benchmarks.encode.rate_distortion --output rd.csv [--cube s2_flanders/all] [--setting fast]

Figures come from decoding the files written. Presets are run without sidecars and without teaching the times in
between, which is what the classical codecs of ``classical.csv`` do, and once "as it comes". ``b4_clear`` keeps B02,
B03, B04, B08 and the dates with clouds or shadow (SCL 3, 8, 9, 10) on less than a tenth of the pixels.
"""

from __future__ import annotations

import argparse
import csv
import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

import gdal_gndc
from gdal_gndc.encode.encoder import encode
from tests.benchmarks.encode.classical import frontier

DATA = Path(__file__).parents[2] / "data"
CUBES = ("modis_mt_vi/all", "s2_flanders/all", "s2_flanders/b4_clear", "s2_puglia/all", "sst_gulfstream/all")
_PLAIN: dict[str, Any] = {"sidecars": False, "interpolate": False}
SETTINGS: dict[str, dict[str, Any]] = {
    "tiny": {"preset": "tiny", **_PLAIN},
    "fast": {"preset": "fast", **_PLAIN},
    "balanced": {"preset": "balanced", **_PLAIN},
    "best": {"preset": "best", **_PLAIN},
    "fast, as it comes": {"preset": "fast"},
    "balanced, as it comes": {"preset": "balanced"},
    "balanced, max error 0.01": {"preset": "balanced", "max_error": 0.01, **_PLAIN},
    "best, max error 0.01": {"preset": "best", "max_error": 0.01, **_PLAIN},
    "best, max error 0.005": {"preset": "best", "max_error": 0.005, **_PLAIN},
}
COLUMNS = (
    "dataset", "variant", "codec", "setting", "bytes", "bits_per_sample", "psnr_db", "rmse", "max_abs_err", "r2",
    "encode_s", "decode_s",
)  # fmt: skip


@contextmanager
def sources(cube: str) -> Iterator[list[Path]]:
    """Give the files of a cube; those of a variant are made for the time being."""
    name, variant = cube.split("/")
    folder = DATA / name / "laea" if name == "s2_puglia" else DATA / name
    files = sorted(folder.glob("*.tif"))
    if variant == "all":
        yield files
        return
    if variant == "clear":
        yield [path for path in files if _cloudy(path) < 0.1]
        return
    with tempfile.TemporaryDirectory() as made:
        yield [_four_bands(path, Path(made)) for path in files if _cloudy(path) < 0.1]


def _cloudy(path: Path) -> float:
    date = path.stem.rsplit("_", 1)[1]
    (layer,) = (path.parent / "scl").glob(f"*{date}*.tif")
    with rasterio.open(layer) as source:
        return float(np.isin(source.read(1), (3, 8, 9, 10)).mean())


def _four_bands(path: Path, folder: Path) -> Path:
    target = folder / path.name
    with rasterio.open(path) as source:
        kept = [source.descriptions.index(name) + 1 for name in ("B02", "B03", "B04", "B08")]
        profile = {**source.profile, "count": 4}
        with rasterio.open(target, "w", **profile) as out:
            out.write(source.read(kept))
            out.descriptions = [source.descriptions[i - 1] for i in kept]
            out.scales = [source.scales[i - 1] for i in kept]
    return target


def measure(cube: str, setting: str) -> dict[str, Any]:
    """Encode a cube and return a row of the table."""
    with sources(cube) as files, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cube.gndc"
        report = encode(files, path, progress=False, device="cpu", **SETTINGS[setting])
        started = time.perf_counter()
        with gdal_gndc.open(path, device="cpu") as opened:
            for k in range(opened.n_timestamps):
                opened.read(k)
        decode = time.perf_counter() - started
    name, variant = cube.split("/")
    metrics = report.metrics
    row = (name, variant, "gndc", setting, report.bytes, f"{report.bits_per_sample:.4f}", metrics["psnr"])
    row += (metrics["rmse"], metrics["max_error"], metrics["r2"], f"{report.seconds:.3f}", f"{decode:.3f}")
    return dict(zip(COLUMNS, row, strict=True))


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--cube", action="append", choices=CUBES)
    parser.add_argument("--setting", action="append", choices=list(SETTINGS))
    options = parser.parse_args()
    with options.output.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        for cube in options.cube or CUBES:
            for setting in options.setting or SETTINGS:
                if "max error" in setting and cube != "s2_flanders/b4_clear":
                    continue
                row = measure(cube, setting)
                table.writerow(row)
                file.flush()
                rate, psnr = float(row["bits_per_sample"]), float(row["psnr_db"])
                gap = psnr - frontier(row["dataset"], row["variant"], rate)
                beside = "no classical codec is as small" if math.isnan(gap) else f"{gap:+.2f}"
                print(f"{cube} {setting}: {rate:.4f} bits, {psnr:.2f} dB ({beside}), {row['encode_s']} s", flush=True)


if __name__ == "__main__":
    main()
