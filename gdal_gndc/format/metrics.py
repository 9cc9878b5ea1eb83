"""``metrics.json``: measured quality, as few bytes as tell it.

A tiny cube of many bands would else be metrics for a tenth: figures of bands lie in columns, ``{"rmse": [...], ...}``,
in the order of ``meta.json``, rounded to what they are good for. Readers take rows, ``[{"rmse": ...}, ...]``, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

ENTRY = "metrics.json"
# Of errors that the encoder measured by decoding the file, unlike those of other encoders; the second as it was.
MEASURED = ("decoded", "decoded file against its sources")

_SPREADS = ("min", "max", "mean", "p2", "p98")
Document = dict[str, Any]


def packed(document: Document) -> Document:
    """Return metrics of a cube as they are stored: in columns, rounded, without what follows from the rest.

    Errors keep four digits, the largest of the cube six so that it does not seem beyond a bound; PSNR two decimals; R2
    three digits of what is missing to 1; statistics a thousandth of the standard deviation.
    """
    bands = [_rounded(band) for band in document["bands"]]
    names = list(dict.fromkeys(key for band in bands for key in band))
    short = {**_rounded(document), "max_error": document["max_error"]}
    if any(set(band) != set(names) for band in bands):
        # a band without data tells nothing of itself
        return {**short, "bands": bands}
    columns = {key: [band[key] for band in bands] for key in names if key != "name"}
    counts = columns.get("n_valid", [])
    if len(set(counts)) == 1 and sum(counts) == document["n_valid"]:
        del columns["n_valid"]
    return {**short, "bands": columns}


def unpacked(document: Document, names: Sequence[str], size: int | None = None) -> Document:
    """Return stored metrics with a row a band, and with what follows from them.

    Parameters
    ----------
    names
        Of the cube's bands.
    size
        Bytes of the file.
    """
    found, columns = dict(document), document.get("bands")
    n = found.get("n_valid")
    if isinstance(columns, dict):
        full = {
            key: column for key, column in columns.items() if isinstance(column, list) and len(column) == len(names)
        }
        if isinstance(n, int) and names:
            full.setdefault("n_valid", [n // len(names)] * len(names))
        rows = zip(*full.values(), strict=True) if full else ([] for _ in names)
        found["bands"] = [
            {"name": name, **dict(zip(full, row, strict=True))} for name, row in zip(names, rows, strict=True)
        ]
    if size is not None:
        found.setdefault("bytes", size)
        if isinstance(n, int) and n > 0:
            found.setdefault("bits_per_sample", digits(8 * size / n, 5))
    return found


def digits(value: float, n: int) -> float:
    """Round to so many digits."""
    return float(f"{value:.{n}g}")


def _rounded(members: Document) -> Document:
    found = dict(members)
    for key in ("rmse", "mae", "max_error", "spread", "stddev"):
        if isinstance(found.get(key), float):
            found[key] = digits(found[key], 4)
    if isinstance(found.get("psnr"), float):
        found["psnr"] = round(found["psnr"], 2)
    if isinstance(found.get("r2"), float):
        found["r2"] = _decimals(found["r2"], abs(1.0 - found["r2"]), 3)
    deviation = members.get("stddev")
    for key in _SPREADS:
        if isinstance(found.get(key), float):
            found[key] = _decimals(found[key], deviation, 4) if deviation else found[key]
    return found


def _decimals(value: float, scale: float, n: int) -> float:
    """Round a value to so many digits of a scale, six digits of its own at most."""
    if not scale:
        return value
    return digits(round(value, n - 1 - math.floor(math.log10(scale))), 6)
