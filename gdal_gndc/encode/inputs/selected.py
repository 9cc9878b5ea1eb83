"""Some of the bands of a source."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.encode.inputs.source import Range, Source


@dataclass(frozen=True, kw_only=True)
class SelectedBands(Source):
    """The frames of another source with the bands of these indices only."""

    whole: Source
    indices: tuple[int, ...]

    @classmethod
    def of(cls, whole: Source, indices: tuple[int, ...]) -> SelectedBands:
        """Select bands by their indices from 0."""
        shared = {field.name: getattr(whole, field.name) for field in fields(Source)}
        shared["bands"] = tuple(whole.bands[b] for b in indices)
        return cls(**shared, whole=whole, indices=indices)

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the whole."""
        return self.whole.names

    def read_frame(self, k: int, rows: Range, cols: Range) -> NDArray[np.float32]:
        return self.whole.read_frame(k, rows, cols)[..., list(self.indices)]

    def read_codes(self, k: int, band: int, rows: Range, cols: Range) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """As `Source.read_codes`."""
        return self.whole.read_codes(k, self.indices[band], rows, cols)
