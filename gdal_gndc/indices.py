"""Spectral indices, and the bands of a cube they are made of.

Every index here is a ratio of two linear functions of reflectances, so its derivative is one line too. In float32,
every operation is one float32 operation in the order written, so that other implementations can give the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gdal_gndc.errors import CoordinateError

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset

Floats = NDArray[Any]
Arrays = Sequence[ArrayLike] | Floats


@dataclass(frozen=True)
class RatioIndex:
    """The index gain * sum(numerator * bands) / (sum(denominator * bands) + offset).

    Attributes
    ----------
    roles
        Which bands, in the order of the coefficients: ``blue``, ``green``, ``red``, ``nir``, ``swir16``.
    """

    name: str
    long_name: str
    roles: tuple[str, ...]
    numerator: tuple[float, ...]
    denominator: tuple[float, ...]
    offset: float = 0.0
    gain: float = 1.0

    def __call__(self, bands: Arrays, nodata: float | None = None) -> Floats:
        """Return the index of bands (first axis), which broadcast.

        It is NaN where a band is NaN or ``nodata``, or where the quotient is not finite. The result is float32, or
        float64 where a band is float64 or an integer of more than 16 bits.
        """
        return _ratio(*self._parts(_floats(bands, nodata)))

    def rate(self, bands: Arrays, rates: Arrays) -> Floats:
        """Return what the index changes by where its bands change by ``rates``: the quotient rule."""
        top, bottom = self._parts(_floats(bands))
        slopes = _floats(rates)
        top_rate = _weighted(self.numerator, slopes) * top.dtype.type(self.gain)
        bottom_rate = _weighted(self.denominator, slopes)
        return _ratio(top_rate * bottom - top * bottom_rate, bottom * bottom)

    def _parts(self, values: Sequence[Floats]) -> tuple[Floats, Floats]:
        top, bottom = _weighted(self.numerator, values), _weighted(self.denominator, values)
        return top * top.dtype.type(self.gain), bottom + bottom.dtype.type(self.offset)


INDICES = {
    index.name: index
    for index in (
        # Rouse et al. 1974
        RatioIndex("ndvi", "normalized difference vegetation index", ("red", "nir"), (-1, 1), (1, 1)),
        # Huete et al. 2002, the coefficients for MODIS
        RatioIndex("evi", "enhanced vegetation index", ("red", "nir", "blue"), (-1, 1, 0), (6, 1, -7.5), 1, 2.5),
        # McFeeters 1996
        RatioIndex("ndwi", "normalized difference water index", ("green", "nir"), (1, -1), (1, 1)),
        # Gao 1996
        RatioIndex("ndmi", "normalized difference moisture index", ("nir", "swir16"), (1, -1), (1, 1)),
    )
}


# a band by itself, as an index: b / (0 b + 1)
BAND = RatioIndex("band", "a band by itself", ("band",), (1,), (0,), 1)


def compute_ndvi(red: ArrayLike, nir: ArrayLike, *, nodata: float | None = None) -> Floats:
    """Return the normalized difference vegetation index (nir - red) / (nir + red) (Rouse et al. 1974).

    Parameters
    ----------
    red, nir
        Reflectances of any shape that broadcast, in any common unit.
    nodata
        A value that stands for nodata, beside NaN.

    Returns
    -------
    ndarray
        float32, or float64 where an input is float64 or an integer of more than 16 bits; NaN where an input is
        nodata or the denominator is 0.
    """
    return INDICES["ndvi"]([red, nir], nodata)


def compute_evi(red: ArrayLike, nir: ArrayLike, blue: ArrayLike, *, nodata: float | None = None) -> Floats:
    """Return the enhanced vegetation index 2.5 (nir - red) / (nir + 6 red - 7.5 blue + 1) (Huete et al. 2002).

    The bands must be reflectances from 0 to 1, not scaled integers: the formula has a constant. Else as
    `compute_ndvi`.
    """
    return INDICES["evi"]([red, nir, blue], nodata)


def compute_ndwi(green: ArrayLike, nir: ArrayLike, *, nodata: float | None = None) -> Floats:
    """Return the normalized difference water index (green - nir) / (green + nir) (McFeeters 1996).

    Else as `compute_ndvi`.
    """
    return INDICES["ndwi"]([green, nir], nodata)


def compute_ndmi(nir: ArrayLike, swir: ArrayLike, *, nodata: float | None = None) -> Floats:
    """Return the normalized difference moisture index (nir - swir) / (nir + swir), swir at 1.6 um (Gao 1996).

    Else as `compute_ndvi`.
    """
    return INDICES["ndmi"]([nir, swir], nodata)


def index_named(name: str | RatioIndex) -> RatioIndex:
    """Return an index by its name, in any case; one that is an index already is itself.

    Raises
    ------
    CoordinateError
        If there is none.
    """
    if isinstance(name, RatioIndex):
        return name
    if (index := INDICES.get(name.lower())) is None:
        raise CoordinateError(f"no index {name!r}, expected one of {', '.join(INDICES)}")
    return index


def bands_of(dataset: GNDCDataset, index: RatioIndex, given: Sequence[int | str | None] | None = None) -> list[int]:
    """Return the 0-based bands that an index takes, in the order of its roles.

    Parameters
    ----------
    given
        A band by index or name for each role; None, for one or all, to find it as `band_roles` does.

    Raises
    ------
    CoordinateError
        If a band does not exist, or is neither given nor found.
    """
    known = band_roles(dataset)
    found = []
    for role, band in zip(index.roles, given or [None] * len(index.roles), strict=True):
        if band is not None:
            found += dataset.band_list(band)
        elif role in known:
            found.append(known[role])
        else:
            names = ", ".join(dataset.band_names)
            raise CoordinateError(
                f"{dataset.name}: {index.name} needs a {role} band, and none of {names} is known to be one: name it"
            )
    return found


# Common names and wavelengths (nanometres) of STAC's electro-optical extension.
_COMMON = {"nir": ("nir", "nir08")}
_WAVELENGTHS = {
    "blue": (450, 530),
    "green": (510, 600),
    "red": (600, 690),
    "nir": (760, 1000),
    "swir16": (1550, 1750),
    "swir22": (2050, 2450),
}
_ROLES = tuple(_WAVELENGTHS)
# Names of bands in the order of the roles, beside the roles themselves. Landsat's numbers differ from one satellite to
# the next, so they tell nothing.
_SENTINEL2 = ("b02", "b03", "b04", "b08", "b11", "b12")
_MODIS = ("sur_refl_b03", "sur_refl_b04", "sur_refl_b01", "sur_refl_b02", "sur_refl_b06", "sur_refl_b07")
_NBAR = tuple(name.replace("sur_refl_b0", "nadir_reflectance_band") for name in _MODIS)


def band_roles(dataset: GNDCDataset) -> dict[str, int]:
    """Return the 0-based band of each role (red, nir, ...) that a cube's own description tells.

    By common name, then centre wavelength, then a usual name: the role's own, Sentinel-2's or MODIS'.
    """
    common = [(band.common_name or "").lower() for band in dataset.bands_meta]
    names = [name.lower() for name in dataset.band_names]
    # B8 of another sensor is something else; B08 and B8A are Sentinel-2's alone
    usual = [_ROLES, _MODIS, _NBAR, *([_SENTINEL2] if {"b08", "b8a"} & set(names) else [])]
    found: dict[str, int] = {}
    for place, role in enumerate(_ROLES):
        accepted = _COMMON.get(role, (role,))
        candidates = [common.index(name) for name in accepted if name in common]
        candidates += _nearest(dataset.band_wavelengths, *_WAVELENGTHS[role])
        wanted = [*accepted, *(listed[place] for listed in usual)]
        candidates += [names.index(name) for name in wanted if name in names]
        if candidates:
            found[role] = candidates[0]
    return found


def _nearest(wavelengths: Sequence[float | None], low: float, high: float) -> list[int]:
    inside = [(abs(w - (low + high) / 2), i) for i, w in enumerate(wavelengths) if w and low <= w <= high]
    return [min(inside)[1]] if inside else []


def _floats(bands: Arrays, nodata: float | None = None) -> list[Floats]:
    arrays = [np.asarray(band) for band in bands]
    # float32, unless a band would lose digits by it
    kind = np.result_type(np.float32, *(array.dtype for array in arrays))
    values = [array.astype(kind, copy=False) for array in arrays]
    if nodata is None or np.isnan(nodata):
        return values
    pairs = zip(arrays, values, strict=True)
    return [np.where(array == nodata, kind.type(np.nan), value) for array, value in pairs]


def _weighted(factors: Sequence[float], values: Sequence[Floats]) -> Floats:
    # a factor of 0 keeps its band in the sum, so that its nodata counts
    total = values[0] * values[0].dtype.type(factors[0])
    for factor, value in zip(factors[1:], values[1:], strict=True):
        total = total + value * value.dtype.type(factor)
    return np.asarray(total)


def _ratio(top: Floats, bottom: Floats) -> Floats:
    out = np.full(np.broadcast_shapes(top.shape, bottom.shape), np.nan, np.result_type(top, bottom))
    with np.errstate(over="ignore", invalid="ignore"):
        np.divide(top, bottom, out=out, where=bottom != 0)
    out[~np.isfinite(out)] = np.nan
    return out
