"""Choosing how a cube is shown: true colour where its bands are known, else one band with a ramp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gdal_gndc.errors import CoordinateError
from gdal_gndc.indices import band_roles, bands_of, index_named
from gdal_gndc.qgis_plugin.stretch import chosen, limits, shape_of
from gdal_gndc.qgis_plugin.style import DERIVATIVES, Style
from gdal_gndc.selection import band_indices, moment_argument
from gdal_gndc.vrt.arguments import DERIVATIVES as AXES
from gdal_gndc.window import Rect

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset
    from gdal_gndc.time_axis import Moment

_COLOURS = ("red", "green", "blue")


def look_of(
    dataset: GNDCDataset,
    moments: Sequence[Moment],
    *,
    bands: Sequence[int | str] | None = None,
    product: str | None = None,
) -> Style:
    """Return the style for the dates ``moments``.

    Parameters
    ----------
    bands
        Three bands for red, green and blue, or one, by 0-based index or name. By default the bands that the cube
        tells to be red, green and blue, or its first.
    product
        An index of :mod:`gdal_gndc.indices` instead; or ``dx``, ``dy`` or ``dt``, the derivative of the one of
        ``bands``, by default the first.

    The stretch is that of :func:`gdal_gndc.qgis_plugin.stretch.limits`, over at most 24 of the dates.

    Raises
    ------
    CoordinateError
        If a band or index does not exist, or the number of bands is neither one nor three.
    """
    sampled = [moments[i] for i in chosen(len(moments))]
    if product is not None and product.lower() in DERIVATIVES:
        shown = band_indices(dataset, [0] if bands is None else bands)
        if len(shown) != 1:
            raise CoordinateError(f"found {len(shown)} bands, expected the one whose {product} is shown")
        values = _sample(dataset, sampled, shown, product.lower())
        return Style((shown[0] + 1,), limits(values, product.lower()), product.lower())
    if product is not None:
        index = index_named(product)
        roles = bands_of(dataset, index)
        values = _sample(dataset, sampled, roles)
        one = index(np.moveaxis(values, -1, 0))[..., np.newaxis]
        return Style((1,), limits(one, index.name), index.name)
    if bands is None:
        known = band_roles(dataset)
        shown = [known[c] for c in _COLOURS] if all(c in known for c in _COLOURS) else [0]
    else:
        shown = band_indices(dataset, bands)
    if len(shown) not in (1, 3):
        raise CoordinateError(f"found {len(shown)} bands to show, expected one, or three for red, green and blue")
    return Style(tuple(band + 1 for band in shown), limits(_sample(dataset, sampled, shown), natural=bands is None))


def _sample(
    dataset: GNDCDataset, moments: Sequence[Moment], bands: list[int], derivative: str | None = None
) -> np.ndarray:
    window = Rect(0, 0, dataset.width, dataset.height)
    shape = shape_of(dataset.height, dataset.width)
    if derivative is not None:
        axis = AXES[derivative]
        times = [moment_argument(dataset, moment) for moment in moments]
        return np.stack([dataset.derivative(t, bands, axis, out_shape=shape) for t in times])
    views = [dataset.read_moment(moment, bands=bands, window=window, out_shape=shape) for moment in moments]
    return np.stack(views)
