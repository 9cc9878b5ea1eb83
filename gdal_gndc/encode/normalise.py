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
            band = values[..., b]
            valid = band[np.isfinite(band)].astype(np.float64)
            means.append(float(valid.mean()) if valid.size else 0.0)
            if valid.size:
                variances.append(float(valid.var()))
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

    def apply(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return normalised values, a new array."""
        out = values - np.asarray(self.means, np.float32)
        out *= np.float32(1.0 / self.scale)
        return out


def _digits(scale: float) -> int:
    """Return the decimals that say a number of this size to three digits."""
    return 2 - math.floor(math.log10(scale))


def _short(value: float) -> float:
    return round(value, _digits(value)) if value > 0 else 0.0


def _near(value: float, scale: float) -> float:
    """Round to a decimal that the scale makes fine enough."""
    return round(value, _digits(scale))
