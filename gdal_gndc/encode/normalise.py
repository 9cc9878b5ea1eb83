"""From physical values to what a network is fitted to, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import EncodeError


@dataclass(frozen=True)
class Normalisation:
    """Bands centred on their means, one scale for all: equal errors count alike in physical units.

    The pair (mean, mean + scale) of a band is its ``train_data_range``.
    """

    means: tuple[float, ...]
    scale: float

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> Normalisation:
        """Measure (T, H, W, C) values, NaN left out.

        Raises
        ------
        EncodeError
            If no sample has a value.
        """
        means, variances = [], []
        for b in range(values.shape[-1]):
            mean, variance = _moments(values[..., b])
            means.append(mean)
            if variance is not None:
                variances.append(variance)
        if not variances:
            raise EncodeError("no sample of the stack has a value: everything is nodata")
        # Nothing asks for the exact mean and spread, and few digits take little room. A constant cube has no spread of
        # its own.
        scale = _short(float(np.sqrt(np.mean(variances)))) or 1.0
        return cls(tuple(_near(mean, scale) for mean in means), scale)

    @property
    def data_range(self) -> tuple[tuple[float, float], ...]:
        """``train_data_range``: (value of output 0, value of output 1) per band."""
        digits = _digits(self.scale)
        return tuple((mean, round(mean + self.scale, digits)) for mean in self.means)

    def apply(self, values: NDArray[np.float32], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return normalised values, in a new array or in ``out``, which may be ``values``."""
        found: NDArray[np.float32] = np.subtract(values, np.asarray(self.means, np.float32), out=out)
        found *= np.float32(1.0 / self.scale)
        return found


def _moments(band: NDArray[np.float32]) -> tuple[float, float | None]:
    """Mean and variance of (T, H, W) values, NaN left out; frame by frame, so that it takes little memory."""
    n, total = 0, 0.0
    for frame in band:
        valid = frame[np.isfinite(frame)]
        n += valid.size
        total += float(valid.sum(dtype=np.float64))
    if not n:
        return 0.0, None
    mean = total / n
    squares = 0.0
    for frame in band:
        away = frame[np.isfinite(frame)].astype(np.float64) - mean
        squares += float(away @ away)
    return mean, squares / n


def _digits(scale: float) -> int:
    """Return the decimals that say a number of this size to three digits."""
    return 2 - math.floor(math.log10(scale))


def _short(value: float) -> float:
    return round(value, _digits(value)) if value > 0 else 0.0


def _near(value: float, scale: float) -> float:
    """Round to a decimal that the scale makes fine enough."""
    return round(value, _digits(scale))
