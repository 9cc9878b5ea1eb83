"""Stacks of rasters, one or several a date."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.encode.inputs.dates import DateFinder
from gdal_gndc.encode.inputs.find import Paths, find_files
from gdal_gndc.encode.inputs.grid import Grid, Reach
from gdal_gndc.encode.inputs.look import Look
from gdal_gndc.encode.inputs.merge import Merge, check_merge, merged
from gdal_gndc.encode.inputs.options import Stacking
from gdal_gndc.encode.inputs.rule import MaskRule
from gdal_gndc.encode.inputs.source import Range, Source
from gdal_gndc.encode.inputs.stored import Stored, read_stored
from gdal_gndc.errors import EncodeError
from gdal_gndc.times import format_time

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scene:
    """Files of one grid and time, whose bands together are those of the cube: most often a single file.

    Attributes
    ----------
    reach
        Rows and columns of the cube beyond which they have no data, as far as is known without reading.
    """

    time: datetime
    files: tuple[str, ...]
    reach: Reach | None = None

    def meets(self, rows: Range, cols: Range) -> bool:
        """Tell whether there can be data in a window."""
        return self.reach is None or all(
            low < stop and start < high for (low, high), (start, stop) in zip(self.reach, (rows, cols), strict=True)
        )


@dataclass(frozen=True, kw_only=True)
class RasterStack(Source):
    """Rasters in the order of their dates.

    Attributes
    ----------
    frames
        The scenes of each frame, merged as ``merge`` says.
    indexes
        Of each file of a scene the numbers of its bands, from 1.
    nodata
        The stored value that says so, of each band.
    resampling
        How rasters of another grid than the cube's are warped; None if all have it.
    hidden_by
        A band that hides pixels of its scene, as (file of a scene, number from 1), and by which codes.
    """

    frames: tuple[tuple[Scene, ...], ...]
    indexes: tuple[tuple[int, ...], ...]
    nodata: tuple[float | None, ...]
    merge: Merge = "first"
    resampling: str | None = None
    hidden_by: tuple[tuple[int, int], MaskRule] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The first file of each frame."""
        return tuple(scenes[0].files[0] for scenes in self.frames)

    @property
    def files(self) -> tuple[str, ...]:
        """All files."""
        return tuple(file for scenes in self.frames for scene in scenes for file in scene.files)

    def read_frame(self, k: int, rows: Range, cols: Range) -> NDArray[np.float32]:
        scenes = [scene for scene in self.frames[k] if scene.meets(rows, cols)]
        if not scenes:
            return np.full((rows[1] - rows[0], cols[1] - cols[0], len(self.bands)), np.nan, np.float32)
        return merged((self._read_scene(scene, rows, cols) for scene in scenes), self.merge)

    def read_codes(self, k: int, band: int, rows: Range, cols: Range) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """As `Source.read_codes`, exact for integers of any size; of several scenes the first that knows.

        A nodata of 0 is the code of a quality band that has nothing to report, where no scene tells more.
        """
        shape = rows[1] - rows[0], cols[1] - cols[0]
        codes, known, inside = np.zeros(shape, np.int64), np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
        (file, index), nodata = self.place(band), self.nodata[band]
        for scene in self.frames[k]:
            if not scene.meets(rows, cols):
                continue
            stored, valid = self._read_stored(scene.files[file], (index,), rows, cols, codes=True)
            here = valid[0] & np.isfinite(stored[0])
            inside |= here
            if nodata is not None:
                here &= stored[0] != np.asarray(nodata).astype(stored.dtype)
            take = here & ~known
            codes[take] = np.rint(stored[0][take]).astype(np.int64)
            known |= here
        return codes, inside if nodata == 0 else known

    def select(self, bands: tuple[int, ...]) -> RasterStack:
        """As `Source.select`; bands that are left out are not read. The order must be that of the stack."""
        kept = [self.place(b) for b in bands]
        return replace(
            self,
            bands=tuple(self.bands[b] for b in bands),
            nodata=tuple(self.nodata[b] for b in bands),
            indexes=tuple(tuple(i for file, i in kept if file == f) for f in range(len(self.indexes))),
        )

    def place(self, band: int) -> tuple[int, int]:
        """Return where a band is: the file of a scene, and its number there from 1."""
        return [(f, i) for f, indexes in enumerate(self.indexes) for i in indexes][band]

    def _read_scene(self, scene: Scene, rows: Range, cols: Range) -> NDArray[np.float32]:
        out = np.empty((rows[1] - rows[0], cols[1] - cols[0], len(self.bands)), np.float32)
        b = 0
        for path, indexes in zip(scene.files, self.indexes, strict=True):
            if not indexes:
                continue
            stored, valid = self._read_stored(path, indexes, rows, cols)
            for layer, known in zip(stored, valid, strict=True):
                band, nodata = self.bands[b], self.nodata[b]
                values = layer.astype(np.float64)
                known = known & np.isfinite(values)
                if nodata is not None:
                    # compared as the file stores it: -3.4e38 as text is not quite -3.4e38 as float32
                    known &= layer != np.asarray(nodata).astype(stored.dtype)
                values = values * band.scale_factor + band.add_offset
                out[..., b] = np.where(known, values, np.nan)
                b += 1
        if self.hidden_by:
            (file, index), rule = self.hidden_by
            # the nodata of a picture, often 0, is a code like others in its quality band
            codes, valid = self._read_stored(scene.files[file], (index,), rows, cols, codes=True)
            known = valid[0] & np.isfinite(codes[0])
            out[rule.hides(np.where(known, codes[0], 0).astype(np.int64)) | ~known] = np.nan
        return out

    def _read_stored(
        self, path: str, indexes: tuple[int, ...], rows: Range, cols: Range, *, codes: bool = False
    ) -> Stored:
        return read_stored(path, indexes, rows, cols, grid=self.grid, resampling=self.resampling, codes=codes)


def open_rasters(inputs: Paths, how: Stacking | None = None, *, date_regex: str | None = None) -> RasterStack:
    """Look at every file of a stack, without reading pixels.

    Parameters
    ----------
    inputs
        See `gdal_gndc.encode.inputs.find.find_files`.
    date_regex
        As for `gdal_gndc.encode.inputs.open_source`.

    Raises
    ------
    EncodeError
        If a file cannot be opened, has no date, shares its date with another, or lies on another grid than the first.
    """
    finder = DateFinder(date_regex)
    return stack_of((((path,), finder) for path in find_files(inputs)), how or Stacking())


def stack_of(
    scenes: Iterable[tuple[tuple[str, ...], datetime | DateFinder]],
    how: Stacking,
    described: Callable[[int, Look], Look] | None = None,
) -> RasterStack:
    """Make a stack of scenes.

    Parameters
    ----------
    scenes
        Files of each, and its time, or what finds that of the first of them.
    described
        Puts right what the n-th file of a scene says of its bands.
    """
    check_merge(how.merge)
    if how.group_by not in ("time", "day"):
        raise EncodeError(f"group_by {how.group_by!r}, expected time or day")
    alignment, grid = how.alignment, how.grid
    first: list[Look] = []
    found: list[Scene] = []
    grids: list[Grid] = []
    own_grids: list[Grid] = []
    skipped: list[str] = []
    warps = None if alignment is None and grid is None else True
    for files, time in scenes:
        try:
            looks = [Look.at(file) for file in files]
            when = time(looks[0]) if isinstance(time, DateFinder) else time
            if how.skip_bad:
                for look in looks:
                    look.check_pixels()
        except EncodeError as error:
            if not how.skip_bad:
                raise
            skipped.append(str(error))
            _log.warning("left out: %s", error)
            continue
        if described:
            looks = [described(n, look) for n, look in enumerate(looks)]
        first = first or looks
        for look, other in zip(looks, first, strict=True):
            look.check_like(other)
            if warps is None and (found_other := look.grid.difference(first[0].grid)):
                what, value, expected = found_other
                raise EncodeError(
                    f"{look.path}: its {what} is {value}, but {expected} in {first[0].path}; "
                    "align=True (--align) warps all to one grid"
                )
        found.append(Scene(when, tuple(files)))
        grids += [look.grid for look in looks]
        own_grids.append(looks[0].grid)
    if not found:
        raise EncodeError(f"none of {len(skipped)} inputs can be used; the first: {skipped[0]}")
    if grid is None:
        grid = alignment.grid_for(grids, first[0].path) if alignment else grids[0]
    else:
        warps = any(other.difference(grid) for other in dict.fromkeys(grids))
    if warps:
        reaches = {other: grid.reach_of(other) for other in dict.fromkeys(grids)}
        found = [replace(scene, reach=reaches[own]) for scene, own in zip(found, own_grids, strict=True)]
    frames = _frames(found, how.merge, how.group_by)
    _log.debug("%d frames from %s to %s", len(frames), frames[0][0].time, frames[-1][0].time)
    return RasterStack(
        frames=tuple(frames),
        times=tuple(scenes[0].time for scenes in frames),
        height=grid.height,
        width=grid.width,
        bands=tuple(band for look in first for band in look.bands),
        nodata=tuple(value for look in first for value in look.nodata),
        indexes=tuple(look.indexes for look in first),
        crs=grid.crs,
        transform=grid.transform,
        dtype=np.result_type(*(look.dtype for look in first)).name,
        merge=how.merge or "first",
        resampling=(alignment.resampling if alignment else "nearest") if warps else None,
        skipped=tuple(skipped),
    )


def _frames(scenes: Sequence[Scene], merge: Merge | None, group_by: str) -> list[tuple[Scene, ...]]:
    """Scenes of one time, or one day, together; in the order given within a frame."""
    frames: dict[object, list[Scene]] = {}
    for scene in scenes:
        frames.setdefault(scene.time.date() if group_by == "day" else scene.time, []).append(scene)
    for several in frames.values():
        if merge is None and len(several) > 1:
            one, other = several[:2]
            raise EncodeError(
                f"{other.files[0]}: has the same date {format_time(other.time)} as {one.files[0]}; "
                "merge (--merge) says how to make one of them"
            )
    return sorted((tuple(frame) for frame in frames.values()), key=lambda frame: frame[0].time)
