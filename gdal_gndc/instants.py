"""Moments as the core takes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.chunk_model import TimeAnswer
from gdal_gndc.field.core import pointer


@dataclass(frozen=True, eq=False)
class Instants:
    """Moments as arrays, (N,) each: frame coordinates, seconds since 1970, the observed frame or -1 for none."""

    frames: NDArray[np.float64]
    seconds: NDArray[np.float64]
    observed: NDArray[np.int64]
    # per chunk, what does not depend on the points that are read: see `Cube.read_series`
    answers: dict[int, TimeAnswer] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return self.frames.size

    @cached_property
    def c_frames(self) -> Any:
        return pointer("double", self.frames)
