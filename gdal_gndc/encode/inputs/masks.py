"""Sources behind quality masks: what is hidden reads as no data."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.encode.inputs.rasters import RasterStack
from gdal_gndc.encode.inputs.rule import MaskRule
from gdal_gndc.encode.inputs.source import Range, Source
from gdal_gndc.errors import EncodeError
from gdal_gndc.times import format_time


@dataclass(frozen=True, kw_only=True)
class MaskedSource(Source):
    """The frames of a source, NaN where the first band of a quality layer hides a pixel or knows nothing of it.

    Attributes
    ----------
    whole, quality
        The frames, and the layer on the same grid.
    frames
        Of each frame the one of ``whole`` and the one of ``quality``.
    """

    whole: Source
    quality: Source
    frames: tuple[tuple[int, int], ...]
    rule: MaskRule

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the frames behind the mask."""
        return tuple(self.whole.names[k] for k, _ in self.frames)

    def read_frame(self, k: int, rows: Range, cols: Range) -> NDArray[np.float32]:
        own, other = self.frames[k]
        values = self.whole.read_frame(own, rows, cols)
        codes, known = self.quality.read_codes(other, 0, rows, cols)
        values[self.rule.hides(codes) | ~known] = np.nan
        return values


def masked_by_band(source: Source, name: str, rule: MaskRule) -> Source:
    """Hide pixels by one of the source's own bands, which is no longer a band of the result.

    Raises
    ------
    EncodeError
        If there is no such band, or no other.
    """
    names = [band.name for band in source.bands]
    if name not in names:
        raise EncodeError(f"{source.names[0]}: has no band {name!r} to mask by, only {', '.join(names)}")
    rest = tuple(b for b in range(len(names)) if names[b] != name)
    if not rest:
        raise EncodeError(f"{source.names[0]}: has no band beside {name!r}, which masks")
    if isinstance(source, RasterStack):
        # scene by scene, so that another scene of the date can show what is hidden in one
        return replace(source.select(rest), hidden_by=(source.place(names.index(name)), rule))
    every = tuple((k, k) for k in range(len(source.times)))
    return _masked(source.select(rest), source.select((names.index(name),)), every, rule, source.skipped)


def masked_by(source: Source, quality: Source, rule: MaskRule, *, skip_bad: bool = False) -> Source:
    """Hide pixels by the first band of another source, whose dates are matched: of the same time, else of the day.

    Parameters
    ----------
    skip_bad
        Leave out dates without a mask instead of an error.

    Raises
    ------
    EncodeError
        If the grids differ, or a date has no mask.
    """
    if found := quality.grid.difference(source.grid):
        what, value, expected = found
        raise EncodeError(
            f"{quality.names[0]}: the {what} of the mask is {value}, but {expected} in {source.names[0]}; "
            "align=True (--align) warps it to that grid"
        )
    exact = {time: k for k, time in enumerate(quality.times)}
    days: dict[date, list[int]] = {}
    for k, time in enumerate(quality.times):
        days.setdefault(time.date(), []).append(k)
    frames: list[tuple[int, int]] = []
    skipped = list(dict.fromkeys((*source.skipped, *quality.skipped)))
    for k, time in enumerate(source.times):
        of_day = days.get(time.date(), [])
        if time in exact:
            frames.append((k, exact[time]))
        elif len(of_day) == 1:
            frames.append((k, of_day[0]))
        else:
            found_none = "no mask" if not of_day else f"{len(of_day)} masks of its day, none of its time,"
            text = f"{source.names[k]}: {found_none} for {format_time(time)} among {len(quality.times)} dates of masks"
            if not skip_bad:
                raise EncodeError(text)
            skipped.append(text)
    if not frames:
        raise EncodeError(f"{source.names[0]}: no date has a mask; those of the masks begin with {quality.names[0]}")
    return _masked(source, quality, tuple(frames), rule, tuple(skipped))


def _masked(
    whole: Source, quality: Source, frames: tuple[tuple[int, int], ...], rule: MaskRule, skipped: tuple[str, ...]
) -> MaskedSource:
    shared = {field.name: getattr(whole, field.name) for field in fields(Source)}
    shared |= {"times": tuple(whole.times[k] for k, _ in frames), "skipped": skipped}
    return MaskedSource(**shared, whole=whole, quality=quality, frames=frames, rule=rule)
