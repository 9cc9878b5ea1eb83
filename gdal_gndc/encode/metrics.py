"""How near a decoded cube is to its source, band by band and over all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
# Values of each side that are kept for percentiles; exact as long as a cube has no more.
_KEPT = 8_000_000


@dataclass
class _Band:
    n: int = 0
    sum_error2: float = 0.0
    sum_error: float = 0.0
    max_error: float = 0.0
    shift: float = 0.0  # sums of the source are taken about this, so that they keep their digits
    sum_source: float = 0.0
    sum_source2: float = 0.0
    sum_decoded: float = 0.0
    sum_decoded2: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    kept: list[Array] = field(default_factory=list)


class Metrics:
    """Adds up frames of source and decoded values.

    Parameters
    ----------
    names
        Of the bands.
    total
        Samples of the whole cube, which says how thinly values are kept for percentiles.

    Notes
    -----
    A sample counts when source and decoded value are both numbers. PSNR is 20 log10(R / RMSE), where R is the
    distance of the 0.1th and 99.9th percentile of the source values, over all bands for the cube and per band for
    a band. R2 is 1 - SSE / SST, its mean over bands for the cube.
    """

    def __init__(self, names: Sequence[str], total: int) -> None:
        self.names = list(names)
        self._bands = [_Band() for _ in names]
        self._stride = max(1, math.ceil(total / _KEPT))
        self._source: list[list[Array]] = [[] for _ in names]
        self.lost = 0

    def add(self, source: Array, decoded: Array) -> None:
        """Add (..., C) values; samples that only the source has are counted in ``lost``."""
        for b, band in enumerate(self._bands):
            given, found = source[..., b].ravel(), decoded[..., b].ravel()
            valid = np.isfinite(given) & np.isfinite(found)
            self.lost += int(np.count_nonzero(np.isfinite(given) & ~np.isfinite(found)))
            s, d = given[valid].astype(np.float64), found[valid].astype(np.float64)
            if not s.size:
                continue
            if band.n == 0:
                band.shift = float(s.mean())
            error = d - s
            band.n += s.size
            band.sum_error2 += float(error @ error)
            band.sum_error += float(np.abs(error).sum())
            band.max_error = max(band.max_error, float(np.abs(error).max()))
            for values, names in ((s, ("sum_source", "sum_source2")), (d, ("sum_decoded", "sum_decoded2"))):
                centred = values - band.shift
                setattr(band, names[0], getattr(band, names[0]) + float(centred.sum()))
                setattr(band, names[1], getattr(band, names[1]) + float(centred @ centred))
            band.low, band.high = min(band.low, float(d.min())), max(band.high, float(d.max()))
            self._source[b].append(s[:: self._stride].astype(np.float32))
            band.kept.append(d[:: self._stride].astype(np.float32))

    @property
    def n_valid(self) -> int:
        """Samples counted so far."""
        return sum(band.n for band in self._bands)

    def summary(self) -> dict[str, Any]:
        """Return the figures of the cube and of each band.

        ``min``, ``max``, ``mean``, ``stddev``, ``p2`` and ``p98`` of a band are those of the decoded values.
        """
        bands = [self._band_summary(b) for b in range(len(self.names))]
        n = self.n_valid
        rmse = math.sqrt(sum(band.sum_error2 for band in self._bands) / n) if n else math.nan
        spread = _spread([part for parts in self._source for part in parts])
        r2 = [band["r2"] for band in bands if band["r2"] is not None]
        return {
            "psnr": _psnr(spread, rmse),
            "rmse": short(rmse),
            "mae": short(sum(band.sum_error for band in self._bands) / n) if n else None,
            "max_error": short(max(band.max_error for band in self._bands)),
            "r2": short(float(np.mean(r2))) if r2 else None,
            "spread": short(spread),
            "n_valid": n,
            "bands": bands,
        }

    def _band_summary(self, b: int) -> dict[str, Any]:
        band = self._bands[b]
        if not band.n:
            return {"name": self.names[b], "n_valid": 0, "rmse": None, "r2": None}
        rmse = math.sqrt(band.sum_error2 / band.n)
        total = band.sum_source2 - band.sum_source**2 / band.n
        mean = band.sum_decoded / band.n
        variance = max(0.0, band.sum_decoded2 / band.n - mean * mean)
        p2, p98 = (float(v) for v in np.percentile(np.concatenate(band.kept), (2, 98)))
        return {
            "name": self.names[b],
            "rmse": short(rmse),
            "mae": short(band.sum_error / band.n),
            "max_error": short(band.max_error),
            "psnr": _psnr(_spread(self._source[b]), rmse),
            "r2": short(1.0 - band.sum_error2 / total) if total > 0 else None,
            "n_valid": band.n,
            "min": short(band.low),
            "max": short(band.high),
            "mean": short(band.shift + mean),
            "stddev": short(math.sqrt(variance)),
            "p2": short(p2),
            "p98": short(p98),
        }


def _spread(parts: list[Array]) -> float:
    if not parts:
        return 0.0
    low, high = np.percentile(np.concatenate(parts), (0.1, 99.9))
    return float(high - low)


def _psnr(spread: float, rmse: float) -> float | None:
    if not (spread > 0 and rmse > 0):
        return None
    return round(20 * math.log10(spread / rmse), 3)


def short(value: float) -> float | None:
    """Six digits are plenty, and every byte of the file counts."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
