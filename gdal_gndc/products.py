"""Rasters computed from a cube, as GeoTIFFs: an index, a derivative. Written by blocks in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import CoordinateError
from gdal_gndc.export import tags_of
from gdal_gndc.geotiff import GeoTIFF, Window
from gdal_gndc.indices import RatioIndex, bands_of, index_named
from gdal_gndc.packing import packing_of
from gdal_gndc.vrt.grid import grid_of

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset
    from gdal_gndc.time_axis import MomentLike

Floats = NDArray[np.float32]

DERIVATIVES = ("dx", "dy", "mag", "dir", "dt", "velocity", "acceleration")


def index_tif(
    dataset: GNDCDataset,
    path: str | os.PathLike[str],
    index: str | RatioIndex = "ndvi",
    t: MomentLike = 0,
    bands: Sequence[int | str | None] | None = None,
) -> Path:
    """Write a spectral index at a moment as a float32 GeoTIFF of one band; nodata is NaN.

    Parameters
    ----------
    index
        ``ndvi``, ``evi``, ``ndwi``, ``ndmi``, or a `gdal_gndc.indices.RatioIndex` of your own.
    bands
        Its bands by index or name, in the order of `gdal_gndc.indices.INDICES`; found where None.

    Raises
    ------
    CoordinateError, TimeError
        If there is no such index, band or moment.
    OSError
        If the file cannot be written.
    """
    formula = index_named(index)
    chosen = bands_of(dataset, formula, bands)

    def compute(window: Window) -> Floats:
        values = dataset.read_at_time(t, chosen, window)
        return formula(np.moveaxis(values, -1, 0))[..., None]

    return _write(dataset, path, t, [formula.name], formula.long_name, compute)


def derivative_tif(
    dataset: GNDCDataset,
    path: str | os.PathLike[str],
    mode: str = "mag",
    t: MomentLike = 0,
    bands: int | str | Sequence[int | str] | None = None,
    *,
    index: str | RatioIndex = "ndvi",
    metric: bool = False,
) -> Path:
    """Write a derivative at a moment as a float32 GeoTIFF; nodata is NaN.

    Parameters
    ----------
    mode
        ``dx``, ``dy``, ``mag`` or ``dir``: of each band by place, as `GNDCDataset.gradient`. ``dt``: of each band by
        time, per day. ``velocity`` or ``acceleration``: of an index by time, as `GNDCDataset.temporal_derivative`.
    bands
        All by default; for ``velocity`` and ``acceleration`` those of ``index`` in its order.
    metric
        Derivatives by place in value per metre, also in a CRS of degrees; see `GNDCDataset.gradient`.

    Raises
    ------
    CoordinateError, TimeError
        If there is no such mode, band or moment.
    OSError
        If the file cannot be written.
    """
    if mode not in DERIVATIVES:
        raise CoordinateError(f"derivative {mode!r}, expected one of {', '.join(DERIVATIVES)}")
    if mode in ("velocity", "acceleration"):
        order = 1 if mode == "velocity" else 2
        names = None if bands is None else [bands] if isinstance(bands, int | str) else list(bands)

        def of_index(window: Window) -> Floats:
            return dataset.temporal_derivative(t, order, window=window, index=index, bands=names)[..., None]

        unit = "per day" if order == 1 else "per day squared"
        name = index_named(index).name
        return _write(dataset, path, t, [f"{name}_{mode}"], f"{mode} of {name}, {unit}", of_index)
    chosen = dataset.band_list(bands)

    def of_bands(window: Window) -> Floats:
        if mode == "dt":
            return dataset.derivative(t, chosen, "t", window)
        return dataset.gradient(t, mode, chosen, window, metric=metric)  # type: ignore[call-overload, no-any-return]

    unit = "metre" if metric else "CRS unit"
    about = {
        "dx": f"derivative by x, per {unit}",
        "dy": f"derivative by y, per {unit}",
        "mag": f"slope, per {unit}",
        "dir": "direction of ascent, radians from growing x to growing y",
        "dt": "derivative by time, per day",
    }
    return _write(dataset, path, t, [f"{dataset.band_names[b]}_{mode}" for b in chosen], about[mode], of_bands)


def _write(
    dataset: GNDCDataset,
    path: str | os.PathLike[str],
    t: MomentLike,
    names: Sequence[str],
    description: str,
    compute: Callable[[Window], Floats],
    **options: Any,
) -> Path:
    target, moment = Path(path), dataset.resolve_time(t)
    packing = packing_of(None, range(len(names)))
    writer = GeoTIFF(grid_of(dataset), dataset.crs, tuple(names), (None,) * len(names), packing, **options)
    tags = {**tags_of(dataset, moment), "TIFFTAG_IMAGEDESCRIPTION": description}
    writer.write(target, compute, tags, moment.time)
    return target
