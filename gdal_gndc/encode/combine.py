"""Metrics of a cube of which only the new dates have their sources at hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from gdal_gndc.encode.inputs import Source
from gdal_gndc.encode.metrics import Metrics, short
from gdal_gndc.encode.verify import strips
from gdal_gndc.errors import EncodeError

Document = dict[str, Any]


def combined_metrics(path: Path, new: Source, before: Document | None) -> Document:
    """Measure the last dates of a cube against their sources, and add what was measured of those before.

    Parameters
    ----------
    path
        The whole cube.
    new
        Its last dates.
    before
        ``metrics.json`` of the dates before; None: unknown, and only the new dates are told.

    Returns
    -------
    dict
        As of `gdal_gndc.encode.metrics.Metrics.summary`. Errors and their numbers are added up; the variance that R2
        refers to follows from what the documents tell of both parts, with means of decoded values. Statistics are
        those of the decoded values of all dates; the spread is that of decoded values before and sources after.

    Raises
    ------
    EncodeError
        If the file does not give back every sample of the new dates.
    """
    import gdal_gndc

    names = [band.name for band in new.bands]
    with gdal_gndc.open(path, device="cpu") as cube:
        total = int(np.prod(cube.shape, dtype=np.int64))
        latest, whole = Metrics(names, total), Metrics(names, total)
        first = cube.shape[0] - len(new.times)
        for k in range(cube.shape[0]):
            for rows in strips(cube.shape):
                decoded = cube.read(k, window=(0, rows[0], cube.shape[2], rows[1] - rows[0]))
                given = new.read((k - first, k - first + 1), rows)[0] if k >= first else decoded
                if k >= first:
                    latest.add(given, decoded)
                whole.add(given, decoded)
    if latest.lost:
        raise EncodeError(f"{path}: {latest.lost} samples of the sources read as NaN from the file written")
    added, stats = latest.summary(), whole.summary()
    old = {band.get("name"): band for band in (before or {}).get("bands", [])}
    if set(old) != set(names):
        return {**added, "dates": f"the last {len(new.times)}"}
    bands = [
        _together(old[name], one, both) for name, one, both in zip(names, added["bands"], stats["bands"], strict=True)
    ]
    return {**_overall(bands, stats["spread"]), "bands": bands}


def _together(old: Document, new: Document, both: Document) -> Document:
    """One band: errors of two parts added up, statistics of both."""
    parts = [part for part in (old, new) if part.get("n_valid")]
    if not parts:
        return new
    n = sum(part["n_valid"] for part in parts)
    error2 = sum(part["n_valid"] * part["rmse"] ** 2 for part in parts)
    found = {
        "name": new["name"],
        "rmse": short(math.sqrt(error2 / n)),
        "mae": short(sum(part["n_valid"] * part["mae"] for part in parts) / n),
        "max_error": max(part["max_error"] for part in parts),
        "psnr": None,
        "r2": _r2(parts, error2, n),
        "n_valid": n,
    }
    # what its PSNR refers to, from the figures of the whole without errors of the dates before
    if both.get("psnr") is not None and both["rmse"] > 0 and found["rmse"]:
        spread = both["rmse"] * 10 ** (both["psnr"] / 20)
        found["psnr"] = round(20 * math.log10(spread / found["rmse"]), 3)
    return found | {key: both[key] for key in ("min", "max", "mean", "stddev", "p2", "p98") if key in both}


def _r2(parts: list[Document], error2: float, n: int) -> float | None:
    total = 0.0
    mean = sum(part["n_valid"] * part["mean"] for part in parts) / n
    for part in parts:
        if part.get("r2") is None or part["r2"] >= 1.0:
            return None
        total += part["n_valid"] * (part["rmse"] ** 2 / (1.0 - part["r2"]) + (part["mean"] - mean) ** 2)
    return short(1.0 - error2 / total) if total > 0 else None


def _overall(bands: list[Document], spread: float) -> Document:
    valid = [band for band in bands if band.get("n_valid")]
    n = sum(band["n_valid"] for band in valid)
    rmse = math.sqrt(sum(band["n_valid"] * band["rmse"] ** 2 for band in valid) / max(1, n))
    r2 = [band["r2"] for band in valid if band["r2"] is not None]
    return {
        "psnr": round(20 * math.log10(spread / rmse), 3) if spread and rmse else None,
        "rmse": short(rmse),
        "mae": short(sum(band["n_valid"] * band["mae"] for band in valid) / max(1, n)),
        "max_error": max((band["max_error"] for band in valid), default=0.0),
        "r2": short(float(np.mean(r2))) if r2 else None,
        "spread": spread,
        "n_valid": n,
    }
