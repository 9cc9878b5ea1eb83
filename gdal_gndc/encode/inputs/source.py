"""What can be encoded: frames of one grid as physical values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.format.meta import Band


@dataclass(frozen=True)
class Source(ABC):
    """Frames of one grid in the order of their dates. Sources can be pickled: chunks are trained in other processes.

    Attributes
    ----------
    times
        One UTC datetime per frame, ascending.
    height, width
        Pixels.
    bands
        Name, scale, offset, nodata and wavelength of each band.
    crs
        ``EPSG:n`` or WKT2, or None.
    transform
        Affine a..f of the upper-left corner, or None.
    dtype
        Of the stored values.
    """

    times: tuple[datetime, ...]
    height: int
    width: int
    bands: tuple[Band, ...]
    crs: str | None
    transform: tuple[float, float, float, float, float, float] | None
    dtype: str

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Where each frame comes from, for messages."""

    @abstractmethod
    def read_frame(self, k: int, rows: tuple[int, int], cols: tuple[int, int]) -> NDArray[np.float32]:
        """Read a window of frame ``k`` as (H, W, C) float32 in physical units, NaN where a band has no data.

        Raises
        ------
        EncodeError
            If the frame cannot be read; it is named.
        """

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, H, W, C)."""
        return len(self.times), self.height, self.width, len(self.bands)

    @property
    def raw_bytes(self) -> int:
        """Size of the stored values without compression."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

    def read(
        self,
        frames: tuple[int, int] | None = None,
        rows: tuple[int, int] | None = None,
        cols: tuple[int, int] | None = None,
    ) -> NDArray[np.float32]:
        """Read a box.

        Parameters
        ----------
        frames, rows, cols
            Half-open ranges, all of it by default.

        Returns
        -------
        ndarray
            (T, H, W, C) float32 in physical units, NaN where a band has no data.

        Raises
        ------
        EncodeError
            If a frame cannot be read; it is named.
        """
        t0, t1 = frames or (0, len(self.times))
        r0, r1 = rows or (0, self.height)
        c0, c1 = cols or (0, self.width)
        out = np.empty((t1 - t0, r1 - r0, c1 - c0, len(self.bands)), np.float32)
        for k in range(t0, t1):
            out[k - t0] = self.read_frame(k, (r0, r1), (c0, c1))
        return out
