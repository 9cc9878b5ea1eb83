"""Value ranges for a display, from a sample of a cube's dates."""

from __future__ import annotations

from typing import Any

import numpy as np

from .style import CENTRED, Limits

# How many dates are sampled, and the longer side of the sample of each in pixels.
DATES = 24
SIDE = 128
_CUT = (2, 98)
_UNKNOWN = (0.0, 1.0)


def limits(sample: Any, product: str = "", natural: bool = False) -> tuple[Limits, ...]:
    """Return the 2nd and 98th percentile of each band.

    Parameters
    ----------
    sample
        (T, H, W, C) values, NaN where there is none.
    product
        The index or derivative that the band is; those whose sign has a meaning get limits of equal size around 0.
    natural
        Whether three bands are red, green and blue light, which get one range, so that green looks green.

    One band's range is that of all its values, so that a place can be followed through the year. Three bands are a
    colour picture, in most cubes with clouds, beside which the land would be nearly black. Their range is that of a
    usual clear date: of each date's percentiles, over the darker half of the dates, the lower quartile of the low ends
    and the median of the high ones.
    """
    values = np.asarray(sample, np.float64)
    bands = [values[..., i] for i in range(values.shape[-1])]
    if len(bands) == 3:
        seen = [date for date in values if np.isfinite(date).any()]
        clear = sorted(seen, key=np.nanmean)[: (len(seen) + 1) // 2]
        found = [_usual([_cut(date[..., i]) for date in clear]) for i in range(3)]
        if natural:
            found = [(min(low for low, _ in found), max(high for _, high in found))] * 3
    else:
        found = [_cut(band) or _UNKNOWN for band in bands]
    if product in CENTRED:
        found = [(-max(abs(low), abs(high)), max(abs(low), abs(high))) for low, high in found]
    return tuple((low, high) if low < high else (low, low + max(1.0, abs(low))) for low, high in found)


def _cut(values: Any) -> Limits | None:
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    low, high = np.percentile(values, _CUT)
    return float(low), float(high)


def _usual(dates: list[Limits | None]) -> Limits:
    known = [date for date in dates if date is not None]
    if not known:
        return _UNKNOWN
    lows, highs = np.asarray(known).T
    return float(np.percentile(lows, 25)), float(np.median(highs))


def chosen(count: int) -> list[int]:
    """Return which of ``count`` dates are sampled: all, or DATES of them over the whole period."""
    if count <= DATES:
        return list(range(count))
    return [round(i * (count - 1) / (DATES - 1)) for i in range(DATES)]


def shape_of(height: int, width: int) -> tuple[int, int]:
    """Return (rows, columns) of the sample of one date."""
    shrink = max(1.0, height / SIDE, width / SIDE)
    return max(1, round(height / shrink)), max(1, round(width / shrink))
