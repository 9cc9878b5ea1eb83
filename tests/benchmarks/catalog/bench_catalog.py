"""Speed of the catalog beside the plain geopandas idiom and ``gpd.overlay``, in one run.

The idiom, ``gdf[gdf.index.overlaps(i)].cx[...]``, is also the look-up of TorchGeo 0.8.1
(``RasterDataset.__getitem__``), which is measured too where
GNDC_TORCHGEO_PYTHON names an interpreter that has it.

``python -m tests.benchmarks.catalog.bench_catalog [--rows 10000 100000 1000000] [--big 10000000] [--files
10000] [--json out.json]``. Medians of repeated runs on one machine; the load average is part of the report,
since a shared machine slows both sides.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import shapely

from gdal_gndc.catalog import DuckCatalog, GeoCatalog, build_raster_catalog
from gdal_gndc.catalog import geoparquet as gp
from tests.catalog.catalog_frames import random_catalog

DATA = Path(__file__).parents[2] / "data"
BOX = (0.0, 0.0, 20.0, 20.0)
WHEN = pd.Interval(pd.Timestamp("2018-01-01", tz="UTC"), pd.Timestamp("2018-06-30", tz="UTC"), closed="both")


def median_ms(call: Callable[[], Any], repeat: int) -> float:
    """The median time of a call in milliseconds, after one that does not count."""
    call()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def queries(rows: int) -> dict[str, Any]:
    """A warm query, with and without its frame, and the idiom on the same frame; both give the same rows."""
    catalog = random_catalog(rows, 0).index()
    gdf = catalog.gdf

    def idiom() -> gpd.GeoDataFrame:
        return gdf[gdf.index.overlaps(WHEN)].cx[BOX[0] : BOX[2], BOX[1] : BOX[3]]

    found = catalog.query(BOX, WHEN)
    assert found.gdf["location"].tolist() == idiom()["location"].tolist()
    repeat = 50 if rows <= 100_000 else 15
    report = {
        "rows": rows,
        "hits": len(found),
        "query_ms": median_ms(lambda: catalog.query(BOX, WHEN), repeat),
        "query_with_gdf_ms": median_ms(lambda: catalog.query(BOX, WHEN).gdf, repeat),
        "geopandas_ms": median_ms(idiom, 5),
    }
    report["ratio"] = report["geopandas_ms"] / report["query_ms"]
    report["ratio_with_gdf"] = report["geopandas_ms"] / report["query_with_gdf_ms"]
    return report


def intersections(rows: int, size: float) -> dict[str, Any]:
    """``intersect`` beside ``gpd.overlay`` on the same frames, results equal; footprints of ``size``
    degrees."""
    left, right = random_catalog(rows, 1, size=size).index(), random_catalog(rows, 2, size=size).index()
    a, b = left.gdf.reset_index(drop=True), right.gdf.reset_index(drop=True)
    slim = [f[["location", "geometry"]] for f in (a, b)]

    def ours() -> GeoCatalog:
        return left.intersect(right, spatial_only=True)

    plain = gpd.overlay(*slim, keep_geom_type=True)
    pairs = ours()
    key = ["location_1", "location_2"]
    mine = pairs.gdf.rename(columns={"location": "location_1"}).sort_values(key)
    theirs = plain.sort_values(key)
    assert mine[key].to_numpy().tolist() == theirs[key].to_numpy().tolist()
    np.testing.assert_allclose(shapely.area(mine.geometry.array), shapely.area(theirs.geometry.array), rtol=1e-9)
    report = {
        "rows": f"{rows} x {rows}",
        "degrees": size,
        "pairs": len(pairs),
        "intersect_ms": median_ms(ours, 15),
        "intersect_with_gdf_ms": median_ms(lambda: ours().gdf, 15),
        "intersect_with_time_ms": median_ms(lambda: left.intersect(right), 15),
        "overlay_two_columns_ms": median_ms(lambda: gpd.overlay(*slim, keep_geom_type=True), 5),
        "overlay_all_columns_ms": median_ms(lambda: gpd.overlay(a, b, keep_geom_type=True), 5),
    }
    for name in ("two_columns", "all_columns"):
        report[f"ratio_{name}"] = report[f"overlay_{name}_ms"] / report["intersect_ms"]
        report[f"ratio_with_gdf_{name}"] = report[f"overlay_{name}_ms"] / report["intersect_with_gdf_ms"]
    return report


def torchgeo(rows: int, size: float, folder: Path) -> dict[str, Any]:
    """TorchGeo's look-up and intersection beside ours on the same frames, by the interpreter named in
    GNDC_TORCHGEO_PYTHON; the numbers of rows found are equal."""
    left, right = random_catalog(rows, 1, size=size).index(), random_catalog(rows, 2, size=size).index()
    paths = [folder / f"{side}.pickle" for side in ("left", "right")]
    for catalog, path in zip((left, right), paths, strict=True):
        frame = catalog.gdf[["location", "geometry"]].rename(columns={"location": "filepath"})
        path.write_bytes(pickle.dumps(frame.astype({"filepath": object})))
    command = [os.environ["GNDC_TORCHGEO_PYTHON"], str(Path(__file__).with_name("peer_torchgeo.py"))]
    done = subprocess.run([*command, *map(str, paths)], capture_output=True, text=True, check=True)
    report: dict[str, Any] = {"rows": rows, "degrees": size, **json.loads(done.stdout.splitlines()[-1])}
    assert report["torchgeo_hits"] == len(left.query(BOX, WHEN))
    assert report["torchgeo_pairs"] == len(left.intersect(right, spatial_only=True))
    report["query_with_gdf_ms"] = median_ms(lambda: left.query(BOX, WHEN).gdf, 50)
    report["intersect_with_gdf_ms"] = median_ms(lambda: left.intersect(right, spatial_only=True).gdf, 15)
    for name in ("query", "intersect"):
        report[f"ratio_{name}"] = report[f"torchgeo_{name}_ms"] / report[f"{name}_with_gdf_ms"]
    return report


def unions(rows: int) -> dict[str, Any]:
    """Union with duplicates removed: half of the second catalog's rows are in the first."""
    first, second = random_catalog(rows, 1), random_catalog(rows, 2)
    half = first.take(np.arange(rows // 2)).union(second.take(np.arange(rows - rows // 2)), dedupe=False)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        whole = first.union(half)
        times.append(time.perf_counter() - start)
    assert len(whole) == rows + rows - rows // 2
    return {"rows": f"{rows} + {rows}", "seconds": statistics.median(times)}


def files(count: int, folder: Path) -> dict[str, Any]:
    """Copies of a real GeoTIFF: built, and built again with nothing changed."""
    source = (DATA / "s2_puglia" / "utm33" / "s2_puglia_utm33_20230817.tif").read_bytes()
    for number in range(count):
        (folder / f"t_{20200101 + number % 28}_{number:06d}.tif").write_bytes(source)
    regex = r"t_(?P<date>\d{8})"
    rates, again = [], []
    for _ in range(3):
        start = time.perf_counter()
        catalog = build_raster_catalog(folder, regex)
        rates.append(count / (time.perf_counter() - start))
        start = time.perf_counter()
        same = build_raster_catalog(folder, regex, previous=catalog)
        again.append(time.perf_counter() - start)
        assert same.report is not None
        assert same.report.reused == len(catalog) == count
    built = count / statistics.median(rates)
    return {
        "files": count,
        "files_per_second": statistics.median(rates),
        "build_seconds": built,
        "rebuild_seconds": statistics.median(again),
        "rebuild_ratio": built / statistics.median(again),
    }


def write_big(rows: int, path: Path) -> None:
    """A Hilbert-like sorted file of many rows, written in bands of longitude so that memory stays small."""
    writer = None
    step = min(rows, 500_000)
    bands = -(-rows // step)
    try:
        base = random_catalog(step, 0)
        box = base.gdf.bounds.to_numpy()
        width = 359.0 / bands
        for band in range(bands):
            gdf = base.gdf.copy()
            left = -180.0 + width * band + (box[:, 0] + 180.0) / 360.0 * width
            gdf["geometry"] = gpd.GeoSeries(
                shapely.box(left, box[:, 1], left + 0.05, box[:, 1] + 0.05), index=gdf.index, crs=4326
            )
            table = gp.to_table(GeoCatalog._of(gdf))
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table, row_group_size=gp.ROW_GROUP)
    finally:
        if writer is not None:
            writer.close()


def big(rows: int, folder: Path) -> dict[str, Any]:
    """A query of many rows on disk, by a new process each time, so that nothing is warm but the disk
    cache."""
    path = folder / "big.parquet"
    start = time.perf_counter()
    write_big(rows, path)
    wrote = time.perf_counter() - start
    code = (
        "import sys, time, gdal_gndc.catalog as c, duckdb; t = time.perf_counter();"
        "n = len(c.DuckCatalog(sys.argv[1]).query((10.0, 10.0, 12.0, 12.0), '2018').collect());"
        "print(time.perf_counter() - t, n)"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(5)
    ]
    plan = DuckCatalog(path).query((10.0, 10.0, 12.0, 12.0), "2018").explain()
    scanned = plan.split("Row Groups Scanned:")[1].split("\n")[0].strip(" │")
    return {
        "rows": rows,
        "file_mb": path.stat().st_size / 1e6,
        "write_seconds": wrote,
        "query_seconds": statistics.median(float(r[0]) for r in runs),
        "hits": int(runs[0][1]),
        "row_groups": scanned,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--union", type=int, default=1_000_000)
    parser.add_argument("--big", type=int, default=0, help="10000000 for the full test")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report: dict[str, Any] = {"cpus": os.cpu_count(), "load_before": os.getloadavg()}
    report["query"] = [queries(rows) for rows in options.rows]
    report["intersect"] = [intersections(10_000, size) for size in (0.5, 2.0)]
    if options.union:
        report["union"] = unions(options.union)
    folder = Path(tempfile.mkdtemp(prefix="bench-catalog-"))
    try:
        if "GNDC_TORCHGEO_PYTHON" in os.environ:
            report["torchgeo"] = [torchgeo(10_000, size, folder) for size in (0.5, 2.0)]
        if options.files:
            report["build"] = files(options.files, folder)
        if options.big:
            report["big"] = big(options.big, folder)
    finally:
        shutil.rmtree(folder)
    report["load_after"] = os.getloadavg()
    text = json.dumps(report, indent=1)
    if options.json:
        options.json.write_text(text)
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
