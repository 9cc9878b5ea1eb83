"""A small picture of a cube."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.format.meta import Band

_SIDE = 256
_LOOK = 32  # pixels a side by which a date is chosen
_LEVELS = 32  # of grey or of a colour: few bytes, and enough for a first look
# Centres of what an eye takes for a colour, and how far a band may lie from it, in nanometres.
_COLOURS = {"red": (660.0, 50.0), "green": (555.0, 40.0), "blue": (480.0, 50.0)}


def preview_png(path: Path) -> bytes:
    """Draw one date of a cube as a PNG, at most 256 pixels a side, stretched from the 2nd to the 98th percentile.

    The date is the one of middle brightness among those with the most data. Colours are those of bands that say by
    name, common name or wavelength that they are red, green and blue; else the first band is shown in grey. Where there
    is no data it is black.
    """
    import rasterio
    from rasterio.io import MemoryFile

    import gdal_gndc

    with gdal_gndc.open(path, device="cpu") as cube:
        bands = colour_bands(cube.bands_meta)
        height, width = cube.shape[1:3]
        frame = _frame(cube, bands)
        values = cube.read(frame, bands=bands, out_shape=_fit(height, width, _SIDE))
    pixels = _stretched(values)
    profile = {"driver": "PNG", "dtype": "uint8", "count": len(bands), "ZLEVEL": 9}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with MemoryFile() as memory:
            with memory.open(**profile, height=pixels.shape[0], width=pixels.shape[1]) as target:
                target.write(np.moveaxis(pixels, -1, 0))
            return bytes(memory.read())


def colour_bands(bands: tuple[Band, ...]) -> list[int]:
    """Return the indices of red, green and blue, or of the first band only."""
    found = []
    for colour, (centre, room) in _COLOURS.items():
        named = [i for i, band in enumerate(bands) if colour in ((band.common_name or "").lower(), band.name.lower())]
        near = sorted(
            (abs(band.center_wavelength - centre), i)
            for i, band in enumerate(bands)
            if band.center_wavelength is not None and abs(band.center_wavelength - centre) <= room
        )
        if named or near:
            found.append(named[0] if named else near[0][1])
    return found if len(found) == 3 else [0]


def _frame(cube: Any, bands: list[int]) -> int:
    height, width = cube.shape[1:3]
    size = _fit(height, width, _LOOK)
    looks = [cube.read(k, bands=bands, out_shape=size) for k in range(cube.shape[0])]
    valid = np.array([np.isfinite(look).mean() for look in looks])
    full = np.flatnonzero(valid >= valid.max() - 0.01)
    brightness = np.array([np.nanmean(looks[k]) if valid[k] > 0 else 0.0 for k in full])
    return int(full[np.argsort(brightness, kind="stable")[(len(full) - 1) // 2]])


def _fit(height: int, width: int, side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _stretched(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    out = np.zeros(values.shape, np.uint8)
    for b in range(values.shape[-1]):
        band = values[..., b]
        known = np.isfinite(band)
        if not known.any():
            continue
        low, high = np.percentile(band[known], (2, 98))
        share = np.clip((band[known] - low) / max(high - low, 1e-30), 0, 1)
        out[..., b][known] = np.rint(np.rint(share * (_LEVELS - 1)) * (255 / (_LEVELS - 1)))
    return out
