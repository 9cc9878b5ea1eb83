"""stitch: predictions on overlapping chips as one raster, in memory or straight to a GeoTIFF or Zarr
store."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gdal_gndc.catalog.crs import same_crs
from gdal_gndc.catalog.georeference import georeference
from gdal_gndc.catalog.geoslice import GeoSlice
from gdal_gndc.catalog.options import choose, need
from gdal_gndc.errors import CatalogError, CoordinateError

if TYPE_CHECKING:
    import xarray as xr

METHODS = ("average", "max", "first", "last", "weighted")
BLOCK = 512


def stitch(
    predictions: Iterable[Any],
    slices: Iterable[GeoSlice],
    method: str = "average",
    *,
    over: GeoSlice,
    out: str | Path | None = None,
    weights: np.ndarray | None = None,
    names: list[str] | None = None,
) -> xr.DataArray | Path:
    """Chips in any order as one raster.

    Parameters
    ----------
    predictions
        (C, h, w) or (h, w) arrays, tensors or DataArrays, NaN where there is no prediction; taken one at a
        time.
    slices
        Where each lies: on the grid of ``over``, which all chips must share.
    method
        ``average``, ``max``, ``first``, ``last``, or ``weighted``: the average weighted by a taper.
    over
        The slice that the result covers; chips may reach over its edge.
    out
        ``*.tif`` or ``*.zarr``: written block by block from scratch files on disk, so that memory holds one
        chip and one block. None: in memory.
    weights
        (h, w) taper for ``weighted``; default a cosine (Hann) taper that falls to a small positive value at
        the edge.
    names
        Of the channels.

    Returns
    -------
    xarray.DataArray or Path
        (band, y, x) float32, NaN where no chip lies, or the path.

    Raises
    ------
    CoordinateError
        If a chip does not lie on the grid or its shape is not its slice's.
    CatalogError
        If there is no prediction, or ``out`` has another ending.
    """
    choose("method", method, METHODS)
    target = None if out is None else Path(out)
    if target is not None and target.suffix not in (".tif", ".zarr"):
        raise CatalogError(f"{out}: expected a name that ends in .tif or .zarr")
    scratch = None if target is None else tempfile.mkdtemp(prefix=".stitch-", dir=target.parent)
    try:
        canvas: _Canvas | None = None
        for prediction, where in zip(predictions, slices, strict=True):
            chip = _chip(prediction)
            canvas = canvas or _Canvas(chip.shape[0], over, method, scratch, weights)
            canvas.add(chip, where)
        if canvas is None:
            raise CatalogError("there are no predictions to stitch")
        labels = names or [f"band_{k}" for k in range(1, canvas.channels + 1)]
        if target is None:
            whole = canvas.block(slice(0, over.shape[0]))
            return georeference(whole, ~np.isnan(whole), over, bands=labels, nodata=float("nan"))
        _write(canvas, over, target, labels)
        return target
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def cosine_taper(height: int, width: int, floor: float = 1e-3) -> np.ndarray:
    """A Hann window over pixel centres, (height, width) float32, at least ``floor``."""
    y = np.sin(np.pi * (np.arange(height) + 0.5) / height) ** 2
    x = np.sin(np.pi * (np.arange(width) + 0.5) / width) ** 2
    return np.maximum(np.outer(y, x), floor).astype(np.float32)


class _Canvas:
    """Sums and weights, or values and whether they are set, over the whole slice; on disk if there is a
    directory."""

    def __init__(
        self, channels: int, over: GeoSlice, method: str, scratch: str | None, weights: np.ndarray | None
    ) -> None:
        self.channels = channels
        self.over = over
        self.method = method
        self.taper = weights
        self.values = self._array(scratch, "values", (channels, *over.shape), np.float64 if self._sums else np.float32)
        self.weight = self._array(scratch, "weight", (channels, *over.shape), np.float32)

    @property
    def _sums(self) -> bool:
        return self.method in ("average", "weighted")

    @staticmethod
    def _array(scratch: str | None, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        if scratch is None:
            return np.zeros(shape, dtype=dtype)
        return np.memmap(Path(scratch) / name, dtype=dtype, mode="w+", shape=shape)

    def add(self, chip: np.ndarray, where: GeoSlice) -> None:
        row, col = self._place(where, chip)
        height, width = chip.shape[1:]
        rows = slice(max(row, 0), min(row + height, self.over.shape[0]))
        cols = slice(max(col, 0), min(col + width, self.over.shape[1]))
        if rows.stop <= rows.start or cols.stop <= cols.start:
            return
        part = chip[:, rows.start - row : rows.stop - row, cols.start - col : cols.stop - col]
        there = np.s_[:, rows, cols]
        known = ~np.isnan(part)
        if self._sums:
            weight = np.ones(chip.shape[1:], dtype=np.float32)
            if self.method == "weighted":
                weight = cosine_taper(height, width) if self.taper is None else self.taper
                if tuple(weight.shape) != (height, width):
                    raise CoordinateError(f"weights have shape {weight.shape}, a chip has {(height, width)}")
            weight = weight[rows.start - row : rows.stop - row, cols.start - col : cols.stop - col]
            self.values[there] += np.where(known, part * weight, 0.0)
            self.weight[there] += np.where(known, weight, 0.0)
            return
        present = self.weight[there] > 0
        take = known & ~present
        if self.method == "last":
            take = known
        elif self.method == "max":
            take |= known & (part > self.values[there])
        self.values[there] = np.where(take, part, self.values[there])
        self.weight[there] = np.where(known, 1.0, self.weight[there])

    def _place(self, where: GeoSlice, chip: np.ndarray) -> tuple[int, int]:
        if not same_crs(where.crs, self.over.crs):
            raise CoordinateError(f"{where!r} is not in the CRS of {self.over!r}")
        if chip.shape[0] != self.channels or chip.shape[1:] != where.shape:
            raise CoordinateError(
                f"a prediction of shape {chip.shape} does not fit {where!r} with {self.channels} channels"
            )
        a, b = self.over.transform, where.transform
        col, row = (b.c - a.c) / a.a, (b.f - a.f) / a.e
        off = max(abs(col - round(col)), abs(row - round(row)))
        if off > 0.05 or abs(a.a - b.a) > 1e-3 * a.a or abs(a.e - b.e) > 1e-3 * -a.e:
            raise CoordinateError(f"{where!r} does not lie on the pixel grid of {self.over!r}")
        return round(row), round(col)

    def block(self, rows: slice) -> np.ndarray:
        """(C, rows, W) float32 of the result."""
        weight = np.asarray(self.weight[:, rows])
        values = np.asarray(self.values[:, rows])
        if self._sums:
            values = np.divide(values, weight, out=np.full(values.shape, np.nan), where=weight > 0)
        return np.where(weight > 0, values, np.nan).astype(np.float32)

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        height = self.over.shape[0]
        for first in range(0, height, BLOCK):
            rows = slice(first, min(first + BLOCK, height))
            yield rows, self.block(rows)


def _chip(prediction: Any) -> np.ndarray:
    if hasattr(prediction, "detach"):
        prediction = prediction.detach().cpu().numpy()
    chip = np.asarray(getattr(prediction, "values", prediction), dtype=np.float32)
    chip = chip[None] if chip.ndim == 2 else chip
    if chip.ndim != 3:
        raise CoordinateError(f"a prediction is (C, h, w) or (h, w), found shape {chip.shape}")
    return chip


def _write(canvas: _Canvas, over: GeoSlice, target: Path, names: list[str]) -> None:
    scratch = target.with_name(f".{target.name}.writing{target.suffix}")
    if target.suffix == ".tif":
        _write_tif(canvas, over, scratch, names)
    else:
        _write_zarr(canvas, over, scratch, names)
        if target.exists():
            shutil.rmtree(target)
    scratch.replace(target)


def _write_tif(canvas: _Canvas, over: GeoSlice, path: Path, names: list[str]) -> None:
    rasterio = need("rasterio", "writing a GeoTIFF")
    from rasterio.windows import Window

    height, width = over.shape
    profile = {"tiled": True, "blockxsize": 256, "blockysize": 256} if min(height, width) >= 256 else {}
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=height,
        width=width,
        count=canvas.channels,
        dtype="float32",
        crs=over.crs.to_wkt(),
        transform=over.transform,
        nodata=float("nan"),
        compress="deflate",
        predictor=3,
        BIGTIFF="IF_SAFER",
        **profile,
    ) as sink:
        sink.descriptions = names
        for rows, block in canvas.blocks():
            sink.write(block, window=Window(0, rows.start, width, rows.stop - rows.start))


def _write_zarr(canvas: _Canvas, over: GeoSlice, path: Path, names: list[str]) -> None:
    need("zarr", "writing a Zarr store")
    if path.exists():
        shutil.rmtree(path)
    first = True
    for rows, block in canvas.blocks():
        t = over.transform
        top, bottom = t.f + t.e * rows.start, t.f + t.e * rows.stop
        strip = replace(over, bounds=(over.bounds[0], bottom, over.bounds[2], top))
        # One validity is in the NaN already; the georeference is that of the whole.
        part = georeference(block, ~np.isnan(block), strip, bands=names, name="prediction").drop_vars("valid")
        dataset = part.to_dataset()
        dataset["spatial_ref"].attrs["GeoTransform"] = " ".join(repr(float(v)) for v in (t.c, t.a, t.b, t.f, t.d, t.e))
        if first:
            dataset.to_zarr(path, mode="w", consolidated=False)
            first = False
        else:
            dataset.drop_vars(["spatial_ref", "x", "band"]).to_zarr(path, append_dim="y", consolidated=False)
