"""Sources on another grid than their own, warped window by window."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.encode.inputs.grid import Alignment, Grid
from gdal_gndc.encode.inputs.source import Range, Source
from gdal_gndc.encode.inputs.stored import read_warped


@dataclass(frozen=True, kw_only=True)
class WarpedSource(Source):
    """The frames of another source, which are no files of a grid that GDAL knows, on this grid."""

    whole: Source
    resampling: str

    @classmethod
    def of(cls, whole: Source, grid: Grid, resampling: str) -> Source:
        """Warp a source to a grid; on that grid it stays as it is."""
        if grid.difference(whole.grid) is None:
            return whole
        shared = {field.name: getattr(whole, field.name) for field in fields(Source)}
        shared |= {"height": grid.height, "width": grid.width, "crs": grid.crs, "transform": grid.transform}
        return cls(**shared, whole=whole, resampling=resampling)

    @classmethod
    def aligned(cls, whole: Source, alignment: Alignment | None, grid: Grid | None) -> Source:
        """Warp a source to a grid, else as an alignment says.

        Raises
        ------
        EncodeError
            If the source has no CRS.
        """
        if grid is None:
            grid = whole.grid if alignment is None else alignment.grid_for([whole.grid], whole.names[0])
        return cls.of(whole, grid, alignment.resampling if alignment else "nearest")

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the whole."""
        return self.whole.names

    def read_frame(self, k: int, rows: Range, cols: Range) -> NDArray[np.float32]:
        own = self._own(rows, cols)
        if own is None:
            return np.full((rows[1] - rows[0], cols[1] - cols[0], len(self.bands)), np.nan, np.float32)
        values = self.whole.read_frame(k, *own)
        return self._warp(np.moveaxis(values, -1, 0), own, rows, cols, self.resampling).transpose(1, 2, 0)

    def read_codes(self, k: int, band: int, rows: Range, cols: Range) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """As `Source.read_codes`; codes are not mixed."""
        own = self._own(rows, cols)
        if own is None:
            shape = rows[1] - rows[0], cols[1] - cols[0]
            return np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
        codes, known = self.whole.read_codes(k, band, *own)
        values = self._warp(np.where(known, codes, np.nan)[np.newaxis], own, rows, cols, "nearest")[0]
        inside = np.isfinite(values)
        return np.where(inside, values, 0).astype(np.int64), inside

    def _own(self, rows: Range, cols: Range) -> tuple[Range, Range] | None:
        """The window of the whole that a window takes from; None if there is none."""
        size = self.whole.height, self.whole.width
        reach = self.whole.grid.reach_of(self.grid.window(rows, cols)) or tuple((0, n) for n in size)
        (r0, r1), (c0, c1) = ((max(low, 0), min(high, n)) for (low, high), n in zip(reach, size, strict=True))
        return ((r0, r1), (c0, c1)) if r0 < r1 and c0 < c1 else None

    def _warp(
        self, values: NDArray[Any], own: tuple[Range, Range], rows: Range, cols: Range, resampling: str
    ) -> NDArray[Any]:
        """Warp a window of the whole, (B, H, W) with NaN."""
        from rasterio.io import MemoryFile

        part = self.whole.grid.window(*own)
        profile = {"driver": "GTiff", "count": len(values), "dtype": values.dtype.name, "nodata": np.nan}
        profile |= {"height": part.height, "width": part.width, "crs": part.crs, "transform": part.affine}
        with MemoryFile() as memory:
            with memory.open(**profile) as target:
                target.write(values)
            with memory.open() as source:
                indexes = tuple(source.indexes)
                return read_warped(source, indexes, rows, cols, self.grid, resampling, raw=False)[0]
