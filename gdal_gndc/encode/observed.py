"""The observations of a source whose gaps are filled, as entries of the container."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gdal_gndc.encode.inputs import Source
from gdal_gndc.format.manifest import ChunkEntry
from gdal_gndc.format.mask import Mask
from gdal_gndc.observations import observation_entry


def observation_entries(source: Source, chunks: Iterable[ChunkEntry]) -> dict[str, bytes]:
    """Read a source once more, and return by name the entry of each chunk that has gaps."""
    entries = {}
    for chunk in chunks:
        gaps = np.stack([~np.isfinite(source.read_frame(k, chunk.y, chunk.x)).any(axis=-1) for k in range(*chunk.time)])
        if packed := Mask.pack(gaps):
            entries[observation_entry(chunk)] = packed
    return entries
