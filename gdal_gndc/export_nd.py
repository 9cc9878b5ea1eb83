"""Cubes to netCDF and Zarr, after the CF conventions 1.8: several blocks at a time, in bounded memory, resumable.

A block is a part of a frame, whole chunks of the file in all bands. It is decoded, packed and compressed by a thread,
and lies in a folder ``.NAME.partial`` beside the target until all are done.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

import gdal_gndc
from gdal_gndc.atomic import replacing
from gdal_gndc.export import Resampling, checked_resampling, read_block, source_of
from gdal_gndc.geozarr import geozarr_attributes
from gdal_gndc.journal import Journal
from gdal_gndc.packing import FileType, Numbers, Packing, packing_of
from gdal_gndc.parallel import job_count, run_all
from gdal_gndc.selection import band_indices, moment_argument, select_moments
from gdal_gndc.time_axis import Moment, MomentLike
from gdal_gndc.times import TimeLike
from gdal_gndc.vrt.grid import Grid, grid_of

if TYPE_CHECKING:
    import xarray as xr

    from gdal_gndc.dataset import Box, GNDCDataset

log = logging.getLogger(__name__)

# values that all blocks being written hold together, in bytes
_BYTES = 64 << 20
# side of the chunks that are written
_CHUNK = 256
_LEVEL = 4
# the piece of an export that comes before its blocks: the store without its values
_HEADER = -1

# frame, first row, end row, first column, end column
Block = tuple[int, int, int, int, int]


class CubeOptions(TypedDict, total=False):
    """What a netCDF file or Zarr store holds.

    Attributes
    ----------
    times, every, start, end
        Which moments, as in `gdal_gndc.selection.select_moments`; all observations by default.
    bands, bbox, resolution, resampling, dtype, scale, offset, nodata
        As in `gdal_gndc.export.RasterOptions`. Integers are packed by ``scale_factor`` and ``add_offset``.
    progress
        Whether to show a progress bar on stderr, if that is a terminal; it is shown by default.
    jobs
        How many blocks are worked on at a time; by default the number of CPUs, at most 4.
    """

    times: Iterable[MomentLike] | None
    every: str | timedelta | None
    start: TimeLike | None
    end: TimeLike | None
    bands: Sequence[int | str] | None
    bbox: Box | None
    resolution: float | tuple[float, float] | None
    resampling: Resampling
    dtype: FileType
    scale: Numbers
    offset: Numbers
    nodata: float | None
    progress: bool
    jobs: int | None


def to_netcdf(dataset: GNDCDataset, path: str | os.PathLike[str], **options: Unpack[CubeOptions]) -> Path:
    """Write a cube as a compressed netCDF-4 file, a variable a band with the dimensions time, y and x.

    The file appears when it is complete; one that is there is replaced. The same call goes on where an interrupted one
    stopped. The coordinate ``observed`` tells observations from continuous reconstructions.

    Parameters
    ----------
    options
        Those of `CubeOptions`.

    Raises
    ------
    ModuleNotFoundError
        If xarray, h5netcdf or h5py is not installed.
    TimeError, CoordinateError
        If the cube has no such moment, band or box.
    GNDCError
        If number type and scale do not fit, or another process is at the same export.
    OSError
        If the file cannot be written.
    """
    import h5netcdf
    import h5py

    target = Path(path)
    with _prepared(dataset, **options) as work, _partial(target, work) as (folder, journal):

        def write(i: int) -> None:
            with replacing(folder / f"{i:08d}") as beside:
                beside.write_bytes(_compressed(work, blocks[i]))
            journal.add(i)

        blocks = work.blocks()
        journal.add(_HEADER)
        _run(write, work, len(blocks), journal, "netCDF")
        with replacing(target) as beside:
            # the header first, and then the chunks as they are, compressed
            encoding = {name: {**e, "zlib": True, "complevel": _LEVEL, "shuffle": True, "chunksizes": work.chunks}
                        for name, e in work.encoding.items()}  # fmt: skip
            header = work.data.isel(time=slice(0, 0))
            header.to_netcdf(beside, engine="h5netcdf", encoding=encoding, unlimited_dims=["time"])
            with h5netcdf.File(beside, "r+") as file:
                file.resize_dimension("time", len(work.moments))
                file.variables["time"][:] = _encoded_times(work.data)
                file.variables["observed"][:] = work.data["observed"].values
            with h5py.File(beside, "r+") as file:
                for i, block in enumerate(blocks):
                    for name, place, chunk in _stored(work, block, (folder / f"{i:08d}").read_bytes()):
                        file[name].id.write_direct_chunk(place, chunk)
    log.info("%s written from %s", target, dataset.name)
    return target


def to_zarr(
    dataset: GNDCDataset, path: str | os.PathLike[str], *, overwrite: bool = False, **options: Unpack[CubeOptions]
) -> Path:
    """Write a cube as a Zarr store, format 3, an array a band with the dimensions time, y and x.

    The store appears when it is complete. The same call goes on where an interrupted one stopped. It says where it is
    after CF and after the Zarr conventions ``proj`` and ``spatial``. Else as `to_netcdf`.

    Parameters
    ----------
    overwrite
        Replace a store that is there.

    Raises
    ------
    FileExistsError
        If there is something of this name, and ``overwrite`` is not set.
    ModuleNotFoundError
        If xarray, dask or zarr is not installed.
    """
    import zarr

    target = Path(path)
    if target.exists() and not overwrite:
        raise FileExistsError(17, "it is there already; overwrite=True replaces it", str(target))
    with _prepared(dataset, **options) as work, _partial(target, work) as (folder, journal):
        store = folder / "store"
        if _HEADER not in journal.done:
            shutil.rmtree(store, ignore_errors=True)
            encoding = {name: {**e, "chunks": work.chunks} for name, e in work.encoding.items()}
            # values lazily as dask arrays, so that nothing but the metadata is written
            sizes = dict(zip(("time", "y", "x"), work.chunks, strict=True))
            lazy = work.data.assign({name: work.data[name].variable.chunk(sizes) for name in work.names})
            lazy.attrs.update(geozarr_attributes(dataset, work.grid))
            lazy.to_zarr(store, compute=False, zarr_format=3, consolidated=False, encoding=encoding)
            journal.add(_HEADER)
        group = zarr.open_group(store, mode="r+")
        arrays = [group[name] for name in work.names]
        blocks = work.blocks()

        def write(i: int) -> None:
            k, y0, y1, x0, x1 = blocks[i]
            for array, values in zip(arrays, work.values(blocks[i]), strict=True):
                array[k, y0:y1, x0:x1] = values  # type: ignore[index]
            journal.add(i)

        _run(write, work, len(blocks), journal, "Zarr")
        _consolidate(store)
        if target.exists():
            target.replace(folder / "replaced")
        store.replace(target)
    log.info("%s written from %s", target, dataset.name)
    return target


@dataclass(frozen=True)
class _Work:
    """An export: the moments and bands of a grid, packed, in chunks; and ``data``, which describes them."""

    dataset: GNDCDataset
    data: xr.Dataset
    moments: Sequence[Moment]
    bands: Sequence[int]
    grid: Grid
    resampling: Resampling
    packing: Packing
    progress: bool
    jobs: int | None

    @property
    def names(self) -> list[str]:
        return [self.dataset.band_names[band] for band in self.bands]

    @property
    def chunks(self) -> tuple[int, int, int]:
        return 1, min(_CHUNK, self.grid.height), min(_CHUNK, self.grid.width)

    @property
    def encoding(self) -> dict[str, dict[str, Any]]:
        """How xarray shall describe the numbers."""
        found = {}
        for i, name in enumerate(self.names):
            dtype = np.dtype(self.packing.dtype)
            found[name] = {"dtype": dtype, "_FillValue": dtype.type(self.packing.nodata)}
            if self.packing.is_integer:
                found[name].update(scale_factor=self.packing.scales[i], add_offset=self.packing.offsets[i])
        return found

    def blocks(self) -> list[Block]:
        """Return the parts that are decoded at once: whole chunks, as many of a frame as memory is there for."""
        _, height, width = self.chunks
        count = max(1, _BYTES // job_count(self.jobs) // (height * width * 4 * len(self.bands)))
        across = -(-self.grid.width // width)
        rows, cols = max(1, count // across) * height, min(count, across) * width
        return [
            (k, y, min(y + rows, self.grid.height), x, min(x + cols, self.grid.width))
            for k in range(len(self.moments))
            for y in range(0, self.grid.height, rows)
            for x in range(0, self.grid.width, cols)
        ]

    def values(self, block: Block) -> list[NDArray[Any]]:
        """Decode a block: the numbers of each band, (rows, cols)."""
        k, y0, y1, x0, x1 = block
        window = (x0, y0, x1 - x0, y1 - y0)
        out = read_block(self.dataset, self.bands, self.grid, self.resampling, self.moments[k], window)
        return [self.packing.pack(out[..., i], i) for i in range(len(self.bands))]

    @property
    def signature(self) -> str:
        """What an interrupted export must share with this one to be gone on with."""
        said = [
            gdal_gndc.__version__, source_of(self.dataset), self.names, [repr(m) for m in self.moments],
            repr(self.grid), self.resampling, repr(self.packing), self.blocks()[:2],
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    def __enter__(self) -> _Work:
        return self

    def __exit__(self, *_: object) -> None:
        self.data.close()


def _prepared(
    dataset: GNDCDataset,
    *,
    times: Iterable[MomentLike] | None = None,
    every: str | timedelta | None = None,
    start: TimeLike | None = None,
    end: TimeLike | None = None,
    bands: Sequence[int | str] | None = None,
    bbox: Box | None = None,
    resolution: float | tuple[float, float] | None = None,
    resampling: Resampling = "nearest",
    dtype: FileType = "float32",
    scale: Numbers = None,
    offset: Numbers = None,
    nodata: float | None = None,
    progress: bool = True,
    jobs: int | None = None,
) -> _Work:
    moments = select_moments(dataset, times=times, every=every, start=start, end=end)
    indices, grid = band_indices(dataset, bands), grid_of(dataset, bbox, resolution)
    packing = packing_of(dataset, indices, dtype, scale, offset, nodata)
    chosen = [moment_argument(dataset, moment) for moment in moments]
    data = dataset.to_xarray(chosen, indices, bbox=bbox, resolution=resolution)
    name = Path(str(dataset.name)).name
    data.attrs["title"] = f"{name} decoded"
    data.attrs["history"] = f"decoded from {name} by gdal-gndc {gdal_gndc.__version__}"
    # where the file lies says nothing to another reader
    data.attrs["gndc_source"] = name
    for variable in data.data_vars.values():
        # an encoding given to a writer replaces the variable's own
        if (mapping := variable.encoding.pop("grid_mapping", None)) is not None:
            variable.attrs["grid_mapping"] = mapping
        if packing.note:
            variable.attrs["comment"] = packing.note
    if np.issubdtype(data["time"].dtype, np.datetime64):
        data["time"].encoding.update(units=_unit(data), calendar="standard", dtype=_encoded_times(data).dtype)
    for axis in ("time", "y", "x"):
        if axis in data.coords:
            # a coordinate has no gaps, says CF
            data[axis].encoding["_FillValue"] = None
    flags = {
        "long_name": "whether the time was observed",
        "flag_values": np.array([0, 1], np.int8),
        "flag_meanings": "continuous_reconstruction observation",
    }
    observed = np.array([moment.frame is not None for moment in moments], np.int8)
    described = data.assign_coords(observed=("time", observed, flags))
    return _Work(dataset, described, moments, indices, grid, checked_resampling(resampling), packing, progress, jobs)


class _partial:
    """The folder of an export that is not complete, and its journal; away when the ``with`` block succeeds."""

    def __init__(self, target: Path, work: _Work) -> None:
        self._folder = target.with_name(f".{target.name}.partial")
        self._signature = work.signature

    def __enter__(self) -> tuple[Path, Journal]:
        self._folder.mkdir(exist_ok=True)
        self._journal = Journal(self._folder / "journal", self._signature)
        return self._folder, self._journal

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        nothing = not self._journal.done - {_HEADER}
        self._journal.close()
        if kind is None or nothing:
            shutil.rmtree(self._folder, ignore_errors=True)


def _run(write: Callable[[int], None], work: _Work, count: int, journal: Journal, label: str) -> None:
    todo = [i for i in range(count) if i not in journal.done]
    if len(todo) < count:
        log.info("going on with %d of %d blocks done", count - len(todo), count)
    run_all(write, todo, jobs=work.jobs, label=label, unit="block", progress=work.progress, done=count - len(todo))


def _compressed(work: _Work, block: Block) -> bytes:
    """Return a block as HDF5 stores it: the lengths of its chunks, and these, shuffled and deflated."""
    _, height, width = work.chunks
    found = []
    for values in work.values(block):
        fill = values.dtype.type(work.packing.nodata)
        for y in range(0, values.shape[0], height):
            for x in range(0, values.shape[1], width):
                part = values[y : y + height, x : x + width]
                # chunks reach beyond the edge of the array
                chunk = np.full((height, width), fill, values.dtype)
                chunk[: part.shape[0], : part.shape[1]] = part
                shuffled = chunk.reshape(-1, 1).view(np.uint8).T.tobytes()
                found.append(zlib.compress(shuffled, _LEVEL))
    return np.array([len(chunk) for chunk in found], np.int64).tobytes() + b"".join(found)


def _stored(work: _Work, block: Block, data: bytes) -> Iterable[tuple[str, tuple[int, int, int], bytes]]:
    """Give the name, place and bytes of each chunk of a block that `_compressed` made."""
    _, height, width = work.chunks
    k, y0, y1, x0, x1 = block
    places = [(n, (k, y, x)) for n in work.names for y in range(y0, y1, height) for x in range(x0, x1, width)]
    lengths = np.frombuffer(data, np.int64, len(places))
    ends = 8 * len(places) + np.cumsum(lengths)
    for (name, place), end, length in zip(places, ends, lengths, strict=True):
        yield name, place, data[end - length : end]


def _consolidate(store: Path) -> None:
    """Put the metadata of all arrays into the group's, where readers look first."""
    import warnings

    import zarr

    with warnings.catch_warnings():
        # it says that the format does not know of it yet; readers that do not either pass over it
        warnings.simplefilter("ignore", UserWarning)
        zarr.consolidate_metadata(store)


def _unit(data: xr.Dataset) -> str:
    micros = data["time"].values.astype("datetime64[us]").astype(np.int64)
    return "microseconds since 1970-01-01" if (micros % 1_000_000).any() else "seconds since 1970-01-01"


def _encoded_times(data: xr.Dataset) -> NDArray[Any]:
    values: NDArray[Any] = data["time"].values
    if not np.issubdtype(values.dtype, np.datetime64):
        return values
    if _unit(data).startswith("micro"):
        # doubles, the larger of the types that CF 1.8 knows, would lose some of them on the way to nanoseconds
        return values.astype("datetime64[us]").astype(np.int64)
    return values.astype("datetime64[s]").astype(np.int64).astype(np.float64)
