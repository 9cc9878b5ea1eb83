"""The demonstration behind ``make demo``: a real stack becomes a cube, and three roads read it.

Writes into demo/, or the folder that it is given: the cube, GeoTIFFs of an observed and of an interpolated date, VRTs,
and overview.png. What was in that folder is removed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
STACK = ROOT / "tests" / "data" / "s2_flanders"
OBSERVED, BETWEEN = "2018-06-30", "2018-07-06"
SHOWN = ("2018-04-26", BETWEEN, "2018-10-13")
PIXEL = (26, 42)
# classes of the scene classification that are cloud or its shadow
CLOUDY = (3, 8, 9, 10)
BIN = Path(sys.executable).parent


def run(*command: str, out: Path, env: dict[str, str] | None = None) -> str:
    """Run a command as a user would, show it, and stop at its failure."""
    print("$", " ".join(command), flush=True)
    done = subprocess.run(command, cwd=out, env=env, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\n{command[0]} failed with exit code {done.returncode}")
    return done.stdout


def driver_environment(out: Path) -> dict[str, str]:
    """What ``eval "$(gndc driver env)"`` would set."""
    lines = run(str(BIN / "gndc"), "driver", "env", out=out)
    shell = subprocess.run(
        ["bash", "-c", f"{lines}\nenv -0"], text=True, capture_output=True, check=True, env={**os.environ}
    )
    return dict(item.split("=", 1) for item in shell.stdout.split("\0") if "=" in item)


def stretch(image: np.ndarray) -> np.ndarray:
    """Reflectance to display values, the same stretch for every picture."""
    return np.clip(image / 0.22, 0, 1) ** 0.7


def draw(cube: Path) -> None:
    """Write overview.png: true colour at three dates, and a pixel's NDVI with its observations."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    import gdal_gndc
    from gdal_gndc.times import time_range

    style = {"font.size": 11, "axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left"}
    with gdal_gndc.open(cube) as ds, plt.rc_context(style):
        figure = plt.figure(figsize=(12, 8), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.08, h_pad=0.03)
        grid = figure.add_gridspec(2, 3, height_ratios=[1.35, 1])
        shown = [(ds.resolve_time(date), date) for date in SHOWN]
        for i, (moment, date) in enumerate(shown):
            axes = figure.add_subplot(grid[0, i])
            axes.imshow(stretch(ds.read_at_time(date, ["B04", "B03", "B02"])), interpolation="nearest")
            axes.set_title(f"{date}, {'between observations' if moment.frame is None else 'an observation'}")
            axes.plot(PIXEL[1], PIXEL[0], "o", mfc="none", mec="white", mew=2.5, ms=13)
            axes.plot(PIXEL[1], PIXEL[0], "o", mfc="none", mec="crimson", mew=1.5, ms=13)
            axes.set_axis_off()
        axes = figure.add_subplot(grid[1, :])
        days = time_range(ds.timestamps[0], ds.timestamps[-1], "1d")
        nir, red = ds.series_at([PIXEL], days, ["B08", "B04"])[0].T
        observed, cloudy = source_series(PIXEL)
        times = np.array([t.replace(tzinfo=None) for t in ds.timestamps])
        axes.plot(days, gdal_gndc.compute_ndvi(red, nir), color="seagreen", lw=1.3, label="cube, every day", zorder=2)
        axes.plot(
            times[cloudy], observed[cloudy], "o", mfc="white", mec="silver", ms=4, label="source, cloudy", zorder=1
        )
        axes.plot(times[~cloudy], observed[~cloudy], "o", color="crimson", ms=4.5, label="source, clear", zorder=3)
        for moment, _ in shown:
            axes.axvline(moment.time, color="0.6", lw=1, ls=":", zorder=0)
        axes.set(ylim=(-0.2, 1.05), xlim=(days[0], days[-1]), title="NDVI of the pixel in the circle")
        axes.legend(ncols=3, loc="lower left", frameon=False)
        figure.savefig(cube.with_name("overview.png"), dpi=100)


def source_series(pixel: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(T,) NDVI of one pixel in the source files, and whether the scene classification calls it cloudy."""
    import rasterio

    import gdal_gndc

    window = ((pixel[0], pixel[0] + 1), (pixel[1], pixel[1] + 1))
    ndvi, cloudy = [], []
    for path in sorted(STACK.glob("*.tif")):
        with rasterio.open(path) as source:
            index = [source.descriptions.index(name) + 1 for name in ("B04", "B08")]
            red, nir = source.read(index, window=window)[:, 0, 0] * source.scales[0]
        with rasterio.open(STACK / "scl" / path.name.replace("flanders", "flanders_scl")) as classes:
            cloudy.append(classes.read(1, window=window)[0, 0] in CLOUDY)
        ndvi.append(gdal_gndc.compute_ndvi(red, nir))
    return np.array(ndvi), np.array(cloudy)


def raw_bytes(path: Path) -> int:
    """Bytes of a raster's samples, uncompressed."""
    import rasterio

    with rasterio.open(path) as source:
        return source.count * source.height * source.width * np.dtype(source.dtypes[0]).itemsize


def main() -> None:
    parser = argparse.ArgumentParser(description="Encode a real stack and read it with every program.")
    parser.add_argument(
        "folder", nargs="?", type=Path, default=ROOT / "demo", help="Where to; what is there is removed."
    )
    parser.add_argument("--steps", help="Training steps, fewer than the encoder's own choice for a worse cube sooner.")
    parser.add_argument("--installed", action="store_true", help="Take the driver that is installed.")
    given = parser.parse_args()
    out = given.folder.resolve()
    started = time.perf_counter()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    gndc = str(BIN / "gndc")
    tifs = sorted(str(p) for p in STACK.glob("*.tif"))
    print(f"$ gndc encode {STACK.relative_to(ROOT)}/*.tif -o flanders.gndc", flush=True)
    steps = ["--steps", given.steps] if given.steps else []
    subprocess.run([gndc, "encode", *tifs, "-o", "flanders.gndc", *steps], cwd=out, check=True)
    encoded = time.perf_counter() - started
    cube = out / "flanders.gndc"

    if not given.installed:
        run(gndc, "driver", "install", out=out)
    env = driver_environment(out)
    print("\n".join(run("gdalinfo", "flanders.gndc", out=out, env=env).splitlines()[:8]), "\n  ...")
    for date in (OBSERVED, BETWEEN):
        run("gdal_translate", "-q", f"GNDC:flanders.gndc:t={date}", f"driver_{date}.tif", out=out, env=env)
    run(str(BIN / "gndc-vrt"), "flanders.gndc", "-o", "vrts", "-t", OBSERVED, "-t", BETWEEN, out=out)

    import rasterio

    import gdal_gndc

    with gdal_gndc.open(cube) as ds:
        metrics = ds.metrics() or {}
        for date, vrt in zip((OBSERVED, BETWEEN), sorted((out / "vrts").glob("*.vrt")), strict=True):
            pixels = np.moveaxis(ds.read_at_time(date), -1, 0)
            with rasterio.open(out / f"driver_{date}.tif") as a, rasterio.open(vrt) as b:
                same = np.array_equal(a.read(), pixels, equal_nan=True) and np.array_equal(
                    b.read(), pixels, equal_nan=True
                )
            print(f"{date}: driver, VRT and Python give {'the same bits' if same else 'DIFFERENT PIXELS'}")
            if not same:
                sys.exit(1)
    draw(cube)
    raw = sum(raw_bytes(Path(p)) for p in tifs)
    before = sum(Path(p).stat().st_size for p in tifs)
    after = cube.stat().st_size
    print(f"\n{'raw samples':>16} {raw:>12,} bytes")
    print(f"{'GeoTIFFs':>16} {before:>12,} bytes")
    print(f"{'cube':>16} {after:>12,} bytes, {before / after:.0f} times smaller than the GeoTIFFs")
    print(f"{'PSNR':>16} {metrics['psnr']:>12.1f} dB")
    print(f"{'encoding':>16} {encoded:>12.1f} s")
    print(f"{'in all':>16} {time.perf_counter() - started:>12.1f} s")
    print(f"\nlook at {out / 'overview.png'}")


if __name__ == "__main__":
    main()
