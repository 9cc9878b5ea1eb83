"""What classical codecs reach on the same stacks, from ``classical.csv``.

The table holds, for each stack, the codecs that are best at some rate, and those that promise a largest error: x265
(HEVC, a video a band, or a component of the bands' principal axes), SPERR, JPEG 2000, JPEG XL, SZ3, LERC and truncated
principal components, each encoded to bytes and decoded again. ``b4_clear`` are four bands on clear dates.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

Curve = tuple[list[float], list[float]]


@cache
def curves(dataset: str, variant: str) -> Mapping[str, Curve]:
    """Rates in bits a sample and PSNR in dB of each codec, both rising."""
    found: dict[str, list[tuple[float, float]]] = {}
    with Path(__file__).with_name("classical.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if (row["dataset"], row["variant"]) == (dataset, variant):
                found.setdefault(row["codec"], []).append((float(row["bits_per_sample"]), float(row["psnr_db"])))
    made: dict[str, Curve] = {}
    for codec, points in found.items():
        rates: list[float] = []
        quality: list[float] = []
        for rate, psnr in sorted(points):
            if not rates or (rate > rates[-1] * 1.0001 and psnr > quality[-1]):
                rates.append(rate)
                quality.append(psnr)
        made[codec] = (rates, quality)
    return made


def frontier(dataset: str, variant: str, rate: float) -> float:
    """Best PSNR of all codecs at a rate: monotone cubic in the logarithm of the rate; NaN below the lowest."""
    from scipy.interpolate import PchipInterpolator

    best = [float("nan")]
    for rates, quality in curves(dataset, variant).values():
        if len(rates) < 2 or rate < rates[0]:
            continue
        at = min(rate, rates[-1])
        best.append(float(PchipInterpolator(np.log2(rates), quality)(np.log2(at))))
    return float(np.nanmax(best)) if len(best) > 1 else best[0]
