"""xarray reads cubes: ``xr.open_dataset("cube.gndc", engine="gndc")``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray, BackendEntrypoint, CachingFileManager
from xarray.core import indexing

from gdal_gndc.cache import ByteCache
from gdal_gndc.dataset import GNDCDataset
from gdal_gndc.dataset_points import Extrapolate, clamps
from gdal_gndc.errors import CoordinateError
from gdal_gndc.time_axis import Moment, MomentLike
from gdal_gndc.vrt.grid import grid_of
from gdal_gndc.window import sample_positions
from gdal_gndc.xarray_coords import axis_blocks, coordinates, dataset_attributes, pixel_positions, variable_attributes

if TYPE_CHECKING:
    from gdal_gndc.field.backend import BackendName, DeviceName, Precision

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

STACKED = "values"
_MANAGER = "gndc_manager"
# variables of one cube share what they evaluate, up to so many bytes, a block up to a quarter of them: dask computes an
# expression of bands block by block, on several threads
_SHARED_BYTES = 256 << 20
# so few pixels at several times are read as series
_SERIES_PIXELS = 256


class _Handle:
    """An open cube, and the blocks that its variables share."""

    def __init__(self, path: str, mode: str = "r", **options: Any) -> None:
        self.dataset = GNDCDataset(path, **options)
        self._blocks: ByteCache[Floats] = ByteCache(_SHARED_BYTES)

    def close(self) -> None:
        self._blocks.clear()
        self.dataset.close()

    def grid(self, moment: Moment, rows: Doubles, cols: Doubles, bands: Sequence[int]) -> Floats:
        """Values (R, K, C) at ascending positions."""
        n_bands = self.dataset.n_bands
        if len(bands) < n_bands and 4 * rows.size * cols.size * n_bands <= _SHARED_BYTES // 4:
            key = (moment, rows.tobytes(), cols.tobytes())
            return self._blocks.get(key, lambda: self._block(moment, rows, cols))[..., list(bands)]
        out = np.empty((rows.size, cols.size, len(bands)), np.float32)
        self.dataset.cube.read_grid(moment, rows, cols, bands, out)
        return out

    def _block(self, moment: Moment, rows: Doubles, cols: Doubles) -> tuple[Floats, int]:
        # the network gives all bands at once: the next variable will want them
        out = np.empty((rows.size, cols.size, self.dataset.n_bands), np.float32)
        self.dataset.cube.read_grid(moment, rows, cols, range(self.dataset.n_bands), out)
        return out, out.nbytes


class CubeArray(BackendArray):
    """A cube at given moments and places as a lazy array (time, band, y, x), or (time, y, x) of one band.

    An index decodes just the frames, rows and columns it names; scattered points are read as points. It pickles by
    the path of its file.
    """

    def __init__(
        self,
        manager: CachingFileManager[_Handle],
        moments: Sequence[Moment],
        rows: Doubles,
        cols: Doubles,
        bands: Sequence[int],
        *,
        stacked: bool,
    ) -> None:
        self._manager = manager
        self._moments = tuple(moments)
        self._rows, self._cols = rows, cols
        self._bands = np.asarray(bands, np.int64)
        self._stacked = stacked
        full = (len(self._moments), len(bands), rows.size, cols.size)
        self.shape = full if stacked else (full[0], *full[2:])
        self.dtype = np.dtype(np.float32)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        if isinstance(key, indexing.VectorizedIndexer):
            return self._points(self._full(key.tuple))
        return self._box(self._full(key.tuple))

    def _full(self, key: tuple[Any, ...]) -> tuple[Any, ...]:
        return key if self._stacked else (key[0], 0, *key[1:])

    def _box(self, key: tuple[Any, ...]) -> Any:
        """Basic and outer indexing: every axis by itself."""
        lengths = (len(self._moments), self._bands.size, self._rows.size, self._cols.size)
        taken = [np.atleast_1d(np.arange(n)[k]) for n, k in zip(lengths, key, strict=True)]
        t, b, y, x = taken
        # an integer drops its axis
        kept = tuple(slice(None) if isinstance(k, slice) or np.ndim(k) else 0 for k in key)
        out = np.empty((t.size, b.size, y.size, x.size), np.float32)
        if out.size:
            rows, to_rows = np.unique(self._rows[y], return_inverse=True)
            cols, to_cols = np.unique(self._cols[x], return_inverse=True)
            bands = [int(i) for i in self._bands[b]]
            place = np.ix_(to_rows, to_cols)
            moments = [self._moments[i] for i in t]
            handle = self._manager.acquire()
            if len(set(moments)) > 2 and rows.size * cols.size <= _SERIES_PIXELS:
                r, c = np.repeat(rows, cols.size), np.tile(cols, rows.size)
                found = handle.dataset.cube.read_series(moments, r, c, bands)
                frames = found.reshape(rows.size, cols.size, len(moments), len(bands)).transpose(2, 3, 0, 1)
                out[:] = frames[:, :, place[0], place[1]]
            else:
                for i, moment in enumerate(moments):
                    out[i] = handle.grid(moment, rows, cols, bands).transpose(2, 0, 1)[:, place[0], place[1]]
        return out[kept]

    def _points(self, key: tuple[Any, ...]) -> Any:
        """Vectorised indexing: arrays that broadcast, and slices, whose dimensions come after them."""
        lengths = (len(self._moments), self._bands.size, self._rows.size, self._cols.size)
        sliced = [i for i, k in enumerate(key) if isinstance(k, slice)]
        arrays = [np.asarray(np.arange(n)[k]) for n, k in zip(lengths, key, strict=True)]
        ndim = np.broadcast(*(a for i, a in enumerate(arrays) if i not in sliced)).ndim
        for place, i in enumerate(sliced):
            arrays[i] = arrays[i].reshape((-1,) + (1,) * (len(sliced) - 1 - place))
        for i in set(range(4)) - set(sliced):
            arrays[i] = arrays[i].reshape((1,) * (ndim - arrays[i].ndim) + arrays[i].shape + (1,) * len(sliced))
        t, b, y, x = np.broadcast_arrays(*arrays)
        flat_t, flat_b = t.ravel(), b.ravel()
        out = np.empty(flat_t.size, np.float32)
        if out.size:
            pixels, to_pixel = np.unique(
                np.stack([self._rows[y.ravel()], self._cols[x.ravel()]], axis=1), axis=0, return_inverse=True
            )
            to_pixel = to_pixel.ravel()
            bands, to_band = np.unique(flat_b, return_inverse=True)
            names = [int(i) for i in self._bands[bands]]
            cube = self._manager.acquire().dataset.cube
            times = np.unique(flat_t)
            # all pixels at all times at once, unless few of these pairs are asked for
            together = times.size * len(pixels) <= 4 * out.size
            groups = [times] if together else np.split(times, times.size)
            for group in groups:
                chosen = np.flatnonzero(np.isin(flat_t, group))
                used, to_used = np.unique(to_pixel[chosen], return_inverse=True)
                rows, cols = (np.ascontiguousarray(pixels[used, i]) for i in (0, 1))
                found = cube.read_series([self._moments[i] for i in group], rows, cols, names)
                out[chosen] = found[to_used, np.searchsorted(group, flat_t[chosen]), to_band[chosen]]
        return out.reshape(t.shape)


class GNDCBackendEntrypoint(BackendEntrypoint):
    """Opens ``.gndc`` files: dimensions time, y and x, a variable a band, read when they are computed."""

    description = "Open neural data cubes (.gndc) in xarray"
    url = "https://github.com/gdal-gndc/gdal-gndc"
    open_dataset_parameters = (
        "filename_or_obj", "drop_variables", "times", "bands", "stack_bands", "bbox", "resolution", "backend", "device",
        "precision", "storage_options", "n_threads", "cache_bytes",
    )  # fmt: skip

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether the name ends in ``.gndc``, be it a path or a URL."""
        try:
            name = os.fspath(filename_or_obj)
        except TypeError:
            return False
        return isinstance(name, str) and name.split("?")[0].lower().endswith(".gndc")

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        times: Iterable[MomentLike] | None = None,
        bands: int | str | Sequence[int | str] | None = None,
        stack_bands: bool = False,
        bbox: tuple[float, float, float, float] | None = None,
        resolution: float | tuple[float, float] | None = None,
        backend: BackendName = "auto",
        device: DeviceName = "auto",
        precision: Precision = "float32",
        storage_options: dict[str, Any] | None = None,
        n_threads: int = 0,
        cache_bytes: int | None = None,
    ) -> xr.Dataset:
        """Open a cube lazily; call it through ``xarray.open_dataset``.

        Parameters
        ----------
        times
            Any moments instead of the observations: indices, ISO 8601 text, datetimes.
        bands
            Bands by 0-based index or name; all by default.
        stack_bands
            One variable ``values`` (time, band, y, x) instead of a variable a band. Reading several bands costs about
            as much as one.
        bbox
            (min_x, min_y, max_x, max_y) in the cube's CRS, widened to the pixels it touches.
        resolution
            Pixel size in CRS units, (x, y) or one number: the field is evaluated at the centres of such pixels.
        backend, device, precision, storage_options, n_threads, cache_bytes
            As in `gdal_gndc.open`.
        """
        options = {
            "backend": backend, "device": device, "precision": precision, "storage_options": storage_options,
            "n_threads": n_threads, "cache_bytes": cache_bytes,
        }  # fmt: skip
        path = _absolute(os.fspath(filename_or_obj))
        manager = CachingFileManager(_Handle, path, mode="r", kwargs=options, lock=False)
        dataset = manager.acquire().dataset
        chosen = range(dataset.n_timestamps) if times is None else times
        moments = [dataset.resolve_time(t) for t in chosen]
        grid = grid_of(dataset, bbox, resolution)
        rows, cols = sample_positions(grid.window, (grid.height, grid.width))
        out = build(manager, moments, rows, cols, dataset.band_list(bands), stack_bands=stack_bands)
        out.set_close(manager.close)
        dropped = [drop_variables] if isinstance(drop_variables, str) else list(drop_variables or ())
        return out.drop_vars(dropped, errors="ignore")


def build(
    manager: CachingFileManager[_Handle],
    moments: Sequence[Moment],
    rows: Doubles,
    cols: Doubles,
    bands: Sequence[int],
    *,
    stack_bands: bool,
) -> xr.Dataset:
    """Return a lazy dataset of a cube at moments and pixel coordinates."""
    dataset = manager.acquire().dataset
    coords = coordinates(dataset, moments, rows, cols)
    blocks = {
        "time": axis_blocks(dataset, 0, len(moments)),
        "y": axis_blocks(dataset, 1, rows.size),
        "x": axis_blocks(dataset, 2, cols.size),
    }
    variables: dict[str, xr.Variable] = {}

    def variable(dims: tuple[str, ...], chosen: Sequence[int], attrs: dict[str, Any]) -> xr.Variable:
        array = CubeArray(manager, moments, rows, cols, chosen, stacked="band" in dims)
        encoding = {"preferred_chunks": {d: blocks[d] for d in dims if d in blocks}, "dtype": np.dtype(np.float32)}
        if "spatial_ref" in coords:
            encoding["grid_mapping"] = "spatial_ref"
        return xr.Variable(dims, indexing.LazilyIndexedArray(array), attrs, encoding)

    if stack_bands:
        names = [dataset.band_names[b] for b in bands]
        coords["band"] = xr.Variable("band", np.array(names, dtype=str), {"long_name": "band"})
        waves = [dataset.band_wavelengths[b] for b in bands]
        if any(w is not None for w in waves):
            numbers = np.array([np.nan if w is None else w for w in waves], np.float64)
            coords["wavelength"] = xr.Variable("band", numbers, {"units": "nm", "long_name": "centre wavelength"})
        variables[STACKED] = variable(("time", "band", "y", "x"), bands, {})
    else:
        for band in bands:
            attrs = variable_attributes(dataset.bands_meta[band])
            variables[dataset.band_names[band]] = variable(("time", "y", "x"), [band], attrs)
    out = xr.Dataset(variables, coords, dataset_attributes(dataset))
    out.encoding["source"] = dataset.name
    # for the accessor, which is given the dataset only
    out.encoding[_MANAGER] = manager
    return out


def to_xarray(
    dataset: GNDCDataset,
    times: Iterable[MomentLike] | None = None,
    bands: int | str | Sequence[int | str] | None = None,
    *,
    stack_bands: bool = False,
    bbox: tuple[float, float, float, float] | None = None,
    resolution: float | tuple[float, float] | None = None,
    chunks: Any = None,
) -> xr.Dataset:
    """Open a dataset's file in xarray; see `GNDCDataset.to_xarray`."""
    return xr.open_dataset(
        dataset.name,
        engine=GNDCBackendEntrypoint,
        chunks=chunks,
        times=None if times is None else list(times),
        bands=bands,
        stack_bands=stack_bands,
        bbox=bbox,
        resolution=resolution,
        **dataset.options,
    )


@xr.register_dataset_accessor("gndc")  # type: ignore[no-untyped-call]
class GNDCAccessor:
    """``ds.gndc``: the cube behind a dataset as the continuous function it is."""

    def __init__(self, data: xr.Dataset) -> None:
        self._data = data
        manager = data.encoding.get(_MANAGER)
        if manager is None:
            path = data.encoding.get("source") or data.attrs.get("gndc_source")
            if path is None:
                raise CoordinateError("this dataset does not say which .gndc file it was opened from")
            manager = CachingFileManager(_Handle, path, mode="r", lock=False)
        self._manager = manager

    @property
    def dataset(self) -> GNDCDataset:
        """The open `GNDCDataset`; xarray closes it."""
        handle: _Handle = self._manager.acquire()
        return handle.dataset

    def at(
        self,
        time: MomentLike,
        *,
        resolution: float | tuple[float, float] | None = None,
        extrapolate: Extrapolate = "error",
    ) -> xr.Dataset:
        """Return the cube at any moment between its first and last observation: (y, x), lazy.

        Parameters
        ----------
        time
            As `GNDCDataset.read_at_time`.
        resolution
            Size of a pixel in CRS units, (x, y) or one number for both: the field is evaluated at the centres of such
            pixels over the extent of this dataset. By default at this dataset's own pixels.
        extrapolate
            As `GNDCDataset.read_at_time`: with ``"clamp"`` a time outside the observed range stands for its nearest
            end, which is then the coordinate ``time`` of the result.

        Raises
        ------
        TimeError, CoordinateError
            As `interp`.
        """
        return self.interp([time], resolution=resolution, extrapolate=extrapolate).isel(time=0)

    def interp(
        self,
        time: Iterable[MomentLike],
        *,
        resolution: float | tuple[float, float] | None = None,
        extrapolate: Extrapolate = "error",
    ) -> xr.Dataset:
        """Return the cube at any moments: (time, y, x), lazy. The field is evaluated there, not interpolated.

        Parameters are those of `at`, with any number of times.

        Raises
        ------
        TimeError
            If a time lies outside the observed range, and ``extrapolate`` is ``"error"``.
        CoordinateError
            If the dataset's coordinates lie outside the cube, or no pixel of the resolution fits in it.
        """
        dataset = self.dataset
        clamp = clamps(extrapolate)
        moments = [dataset.resolve_time(_plain(t), clamp=clamp) for t in time]
        rows, cols = pixel_positions(dataset, self._data, resolution)
        stacked = STACKED in self._data.data_vars
        found = self._data["band"].values.ravel() if stacked else list(self._data.data_vars)
        names = [str(name) for name in found if name in dataset.band_names]
        bands = dataset.band_list(names or None)
        return build(self._manager, moments, rows, cols, bands, stack_bands=stacked)


def _absolute(path: str) -> str:
    # a worker elsewhere may have another working directory
    return path if "://" in path else str(Path(path).absolute())


def _plain(t: Any) -> MomentLike:
    return t.values[()] if isinstance(t, xr.DataArray) else t
