"""What can be encoded: frames of one grid as physical values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.encode.inputs.grid import Grid, Transform
from gdal_gndc.errors import EncodeError
from gdal_gndc.format.meta import Band, Meta

Range = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
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
    skipped
        What was left out of the cube and why, one sentence each; see ``skip_bad`` of `open_source`.
    fill_gaps
        Whether the cube answers where a frame has no data but another one has, instead of masking it.
    """

    times: tuple[datetime, ...]
    height: int
    width: int
    bands: tuple[Band, ...]
    crs: str | None
    transform: Transform | None
    dtype: str
    skipped: tuple[str, ...] = ()
    fill_gaps: bool = False

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Where each frame comes from, for messages."""

    @abstractmethod
    def read_frame(self, k: int, rows: Range, cols: Range) -> NDArray[np.float32]:
        """Read a window of frame ``k`` as (H, W, C) float32 in physical units, NaN where a band has no data.

        Raises
        ------
        EncodeError
            If the frame cannot be read; it is named.
        """

    def read_codes(self, k: int, band: int, rows: Range, cols: Range) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Read a window of a band as the whole numbers that are stored, and where there are any: (H, W) each.

        A nodata of 0 is the code of a quality band that has nothing to report.
        """
        described = self.bands[band]
        values = self.read_frame(k, rows, cols)[..., band].astype(np.float64)
        known = np.isfinite(values)
        stored = np.where(known, (values - described.add_offset) / described.scale_factor, 0.0)
        return np.rint(stored).astype(np.int64), known | (described.fill_value == 0)

    def select(self, bands: tuple[int, ...]) -> Source:
        """Return the same frames with some of the bands, by their indices from 0."""
        from gdal_gndc.encode.inputs.selected import SelectedBands

        return SelectedBands.of(self, bands)

    @property
    def grid(self) -> Grid:
        """The grid of all frames."""
        return Grid(self.height, self.width, self.crs, self.transform)

    def check_fits(self, meta: Meta, name: str) -> None:
        """Raise an EncodeError with what of the grid or the bands differs from a cube, ``name``."""
        grid = Grid(meta.shape[1], meta.shape[2], meta.crs, meta.transform)
        if difference := self.grid.difference(grid):
            what, found, expected = difference
            raise EncodeError(f"{self.names[0]}: its {what} is {found}, but {expected} in {name}")
        names = [band.name for band in self.bands]
        if names != list(meta.band_names):
            raise EncodeError(f"{self.names[0]}: its bands are {names}, but {list(meta.band_names)} in {name}")

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
        frames: Range | None = None,
        rows: Range | None = None,
        cols: Range | None = None,
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
