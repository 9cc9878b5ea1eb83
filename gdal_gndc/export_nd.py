"""Cubes to netCDF and Zarr, after the CF conventions 1.8: streamed, so that memory stays bounded whatever the size."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdal_gndc.atomic import replacing, write_text
from gdal_gndc.selection import band_indices, moment_argument, select_moments
from gdal_gndc.time_axis import MomentLike
from gdal_gndc.times import format_time

if TYPE_CHECKING:
    import xarray as xr

    from gdal_gndc.dataset import GNDCDataset

log = logging.getLogger(__name__)

# values of all bands decoded at once
_SLAB = 1 << 24
# side of the chunks that are written
_CHUNK = 256


def to_netcdf(
    dataset: GNDCDataset,
    path: str | os.PathLike[str],
    *,
    times: Iterable[MomentLike] | None = None,
    every: str | timedelta | None = None,
    start: str | datetime | None = None,
    end: str | datetime | None = None,
    bands: Sequence[int | str] | None = None,
    progress: bool = True,
) -> Path:
    """Write a cube as a compressed netCDF-4 file, a variable a band with the dimensions time, y and x.

    The file appears when it is complete; one that is there is replaced.

    Parameters
    ----------
    times, every, start, end
        Which moments, as in `gdal_gndc.selection.select_moments`; all observations by default.
    bands
        Bands by 0-based index or name; all by default.
    progress
        Whether to show a progress bar on stderr.

    Raises
    ------
    ModuleNotFoundError
        If xarray, h5netcdf or h5py is not installed.
    TimeError, CoordinateError
        If the cube has no such moment or band.
    OSError
        If the file cannot be written.
    """
    import h5netcdf

    target = Path(path)
    with _open(dataset, times, every, start, end, bands) as data, replacing(target) as beside:
        names = [str(name) for name in data.data_vars]
        frame = data.isel(time=slice(0, 0))
        shape = tuple(data.sizes[d] for d in ("time", "y", "x"))
        chunks = (1, min(_CHUNK, shape[1]), min(_CHUNK, shape[2]))
        encoding = {
            name: {
                "zlib": True, "complevel": 4, "shuffle": True, "_FillValue": np.float32(np.nan),
                "chunksizes": chunks,
            }
            for name in names
        }  # fmt: skip
        # the header first, then the values slab by slab
        frame.to_netcdf(beside, engine="h5netcdf", encoding=encoding, unlimited_dims=["time"])
        with h5netcdf.File(beside, "r+") as file:
            file.resize_dimension("time", shape[0])
            file.variables["time"][:] = _encoded_times(data)
            for index, values in _slabs(data, progress, "netCDF"):
                for name in names:
                    file.variables[name][index] = values[name].values
    log.info("%s written from %s", target, dataset.name)
    return target


def to_zarr(
    dataset: GNDCDataset,
    path: str | os.PathLike[str],
    *,
    times: Iterable[MomentLike] | None = None,
    every: str | timedelta | None = None,
    start: str | datetime | None = None,
    end: str | datetime | None = None,
    bands: Sequence[int | str] | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Write a cube as a Zarr store, format 3, an array a band with the dimensions time, y and x.

    The store appears when it is complete. Until then it lies beside as ``.NAME.partial``, and the same call goes on
    where an interrupted one stopped. Parameters are those of `to_netcdf`.

    Parameters
    ----------
    overwrite
        Replace a store that is there.

    Raises
    ------
    FileExistsError
        If there is something of this name, and ``overwrite`` is not set.
    ModuleNotFoundError
        If xarray or zarr is not installed.
    TimeError, CoordinateError
        If the cube has no such moment or band.
    """
    target = Path(path)
    if target.exists() and not overwrite:
        raise FileExistsError(17, "the store exists; say so to overwrite it", str(target))
    partial = target.with_name(f".{target.name}.partial")
    # not in the store itself, where it would be no part of a Zarr hierarchy
    state = target.with_name(f".{target.name}.partial.json")
    with _open(dataset, times, every, start, end, bands) as data:
        signature = _signature(dataset, data)
        done = _resumed(state, signature) if partial.is_dir() else 0
        if done == 0:
            shutil.rmtree(partial, ignore_errors=True)
            sizes = (1, min(_CHUNK, data.sizes["y"]), min(_CHUNK, data.sizes["x"]))
            encoding: dict[str, Any] = {str(name): {"chunks": sizes} for name in data.data_vars}
            # values lazily as dask arrays, so that nothing but the metadata is written
            lazy = data.chunk(dict(zip(("time", "y", "x"), sizes, strict=True)))
            lazy.to_zarr(partial, compute=False, zarr_format=3, consolidated=False, encoding=encoding)
        for index, values in _slabs(data, progress, "Zarr", skip=done):
            fixed = [name for name in values.variables if "time" not in values[name].dims]
            region = {"time": index}
            values.drop_vars(fixed).to_zarr(partial, region=region, zarr_format=3, consolidated=False)
            write_text(state, json.dumps({"signature": signature, "done": index.stop}))
        if target.is_dir():
            shutil.rmtree(target)
        partial.replace(target)
        state.unlink(missing_ok=True)
    log.info("%s written from %s", target, dataset.name)
    return target


def _open(
    dataset: GNDCDataset,
    times: Iterable[MomentLike] | None,
    every: str | timedelta | None,
    start: str | datetime | None,
    end: str | datetime | None,
    bands: Sequence[int | str] | None,
) -> xr.Dataset:
    moments = select_moments(dataset, times=times, every=every, start=start, end=end)
    chosen = [moment_argument(dataset, moment) for moment in moments]
    data = dataset.to_xarray(chosen, band_indices(dataset, bands))
    data.attrs["title"] = f"{Path(str(dataset.name)).name} decoded"
    data.attrs["history"] = "decoded by gdal-gndc"
    # where the file lies says nothing to another reader
    data.attrs["gndc_source"] = Path(str(dataset.name)).name
    for name in data.data_vars:
        # an encoding given to a writer replaces the variable's own
        if (mapping := data[name].encoding.pop("grid_mapping", None)) is not None:
            data[name].attrs["grid_mapping"] = mapping
    if np.issubdtype(data["time"].dtype, np.datetime64):
        data["time"].encoding.update(units=_unit(data), calendar="standard", dtype="int64")
    return data


def _unit(data: xr.Dataset) -> str:
    micros = data["time"].values.astype("datetime64[us]").astype(np.int64)
    return "microseconds since 1970-01-01" if (micros % 1_000_000).any() else "seconds since 1970-01-01"


def _encoded_times(data: xr.Dataset) -> Any:
    values = data["time"].values
    if not np.issubdtype(values.dtype, np.datetime64):
        return values
    step = "datetime64[us]" if _unit(data).startswith("micro") else "datetime64[s]"
    return values.astype(step).astype(np.int64)


def _slabs(data: xr.Dataset, progress: bool, label: str, skip: int = 0) -> Iterable[tuple[slice, xr.Dataset]]:
    """Give (slice of time, values) for as many frames at once as bounded memory allows."""
    from tqdm import tqdm

    n = data.sizes["time"]
    step = max(1, _SLAB // max(1, data.sizes["y"] * data.sizes["x"] * len(data.data_vars)))
    with tqdm(total=n, initial=skip, desc=label, unit="date", disable=not progress, leave=False) as bar:
        for first in range(skip, n, step):
            index = slice(first, min(first + step, n))
            yield index, data.isel(time=index).load()
            bar.update(index.stop - index.start)


def _signature(dataset: GNDCDataset, data: xr.Dataset) -> str:
    """What an interrupted export must share with this one to be gone on with."""
    path = Path(str(dataset.name))
    status = path.stat() if path.is_file() else None
    said = [
        path.name,
        [status.st_size, status.st_mtime_ns] if status else [],
        [str(name) for name in data.data_vars],
        [str(t) for t in data["time"].values],
        [format_time(t) for t in dataset.timestamps[:1]],
    ]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _resumed(state: Path, signature: str) -> int:
    try:
        found = json.loads(state.read_text("utf-8"))
        return int(found["done"]) if found["signature"] == signature else 0
    except (OSError, ValueError, KeyError):
        return 0
