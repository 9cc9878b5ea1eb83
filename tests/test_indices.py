"""Spectral indices on arrays and on cubes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import gdal_gndc
from gdal_gndc.errors import CoordinateError
from gdal_gndc.format.meta import Band
from gdal_gndc.indices import INDICES, band_roles, bands_of
from tests.conftest import CASES

reflectances = hnp.arrays(np.float32, 7, elements=st.floats(0, 1, width=32, allow_subnormal=False))


def test_formulas():
    red, nir, blue, green, swir = (np.float32(v) for v in (0.05, 0.45, 0.03, 0.08, 0.2))
    assert gdal_gndc.compute_ndvi(red, nir) == pytest.approx(0.8)
    assert gdal_gndc.compute_evi(red, nir, blue) == pytest.approx(2.5 * 0.4 / (0.45 + 0.3 - 0.225 + 1))
    assert gdal_gndc.compute_ndwi(green, nir) == pytest.approx(-0.37 / 0.53)
    assert gdal_gndc.compute_ndmi(nir, swir) == pytest.approx(0.25 / 0.65)


@given(reflectances, reflectances, reflectances)
def test_float32_formulas_are_written_out_operation_by_operation(red, nir, blue):
    f = np.float32
    with np.errstate(all="ignore"):
        ndvi = (nir - red) / (nir + red)
        evi = f(2.5) * (nir - red) / (nir + f(6) * red - f(7.5) * blue + f(1))
    ndvi[~np.isfinite(ndvi)] = np.nan
    evi[~np.isfinite(evi)] = np.nan
    np.testing.assert_array_equal(gdal_gndc.compute_ndvi(red, nir), ndvi)
    np.testing.assert_array_equal(gdal_gndc.compute_evi(red, nir, blue), evi)


def test_nothing_divides_by_zero_and_nodata_stays():
    red = np.array([0.0, np.nan, 0.2, 0.3, 1e-38], np.float32)
    nir = np.array([0.0, 0.5, np.nan, -0.3, 3e-38], np.float32)
    found = gdal_gndc.compute_ndvi(red, nir)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(found[:4]), True)
    assert np.isfinite(found[4])
    # a band with the factor 0 above the line still says where there is no data
    assert np.isnan(gdal_gndc.compute_evi(0.1, 0.4, np.nan))


def test_integers_and_their_nodata():
    red, nir = np.array([[1000, -9999]], np.int16), np.array([[3000, 3000]], np.int16)
    found = gdal_gndc.compute_ndvi(red, nir, nodata=-9999)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[0.5, np.nan]])
    # unsigned differences do not wrap around
    assert gdal_gndc.compute_ndvi(np.uint16(3000), np.uint16(1000)) == pytest.approx(-0.5)
    assert gdal_gndc.compute_ndvi(np.float64(1), np.float64(3)).dtype == np.float64


def test_bands_broadcast():
    assert gdal_gndc.compute_ndwi(np.ones((3, 1)), np.ones(4) * 2).shape == (3, 4)


@given(st.sampled_from(sorted(INDICES)), st.data())
def test_the_rate_of_an_index_is_its_derivative(name, data):
    index, n = INDICES[name], len(INDICES[name].roles)
    value = st.floats(0.05, 0.6)
    bands = np.array(data.draw(st.lists(value, min_size=n, max_size=n)))
    rates = np.array(data.draw(st.lists(st.floats(-1, 1), min_size=n, max_size=n)))
    if abs(bands @ np.array(index.denominator) + index.offset) < 0.1:
        return
    step = 1e-6
    found = (index(bands + step * rates) - index(bands - step * rates)) / (2 * step)
    assert index.rate(bands, rates) == pytest.approx(found, rel=1e-5, abs=1e-6)


@dataclasses.dataclass
class Bands:
    """As much of a dataset as finding bands takes."""

    bands_meta: tuple[Band, ...]
    name: str = "cube.gndc"

    @property
    def band_names(self):
        return [band.name for band in self.bands_meta]

    @property
    def band_wavelengths(self):
        return [band.center_wavelength for band in self.bands_meta]

    def band_list(self, band):
        return [self.band_names.index(band) if isinstance(band, str) else band]


@pytest.mark.parametrize(
    ("bands", "expected"),
    [
        ([Band("a", common_name="nir"), Band("b", common_name="red")], {"red": 1, "nir": 0}),
        ([Band("a", center_wavelength=665.0), Band("b", center_wavelength=842.0)], {"red": 0, "nir": 1}),
        ([Band("red_edge", center_wavelength=740.0), Band("x", center_wavelength=1610.0)], {"swir16": 1}),
        ([Band("Red"), Band("NIR"), Band("Blue")], {"red": 0, "nir": 1, "blue": 2}),
        ([Band(f"sur_refl_b0{i}") for i in (1, 2, 3, 4)], {"red": 0, "nir": 1, "blue": 2, "green": 3}),
        # the common name says more than the band's name
        ([Band("red", common_name="nir"), Band("x", common_name="red")], {"red": 1, "nir": 0}),
        # B04 is red on Sentinel-2, near infrared on Landsat 5: without B08 or B8A it could be either
        ([Band("B03"), Band("B04")], {}),
        ([Band("B03"), Band("B04"), Band("B8A")], {"green": 0, "red": 1}),
        (
            [Band(n) for n in ("B02", "B03", "B04", "B05", "B08", "B8A", "B11", "B12")],
            {"blue": 0, "green": 1, "red": 2, "nir": 4, "swir16": 6, "swir22": 7},
        ),
    ],
)
def test_bands_are_found_by_what_a_cube_says_of_them(bands, expected):
    assert band_roles(Bands(tuple(bands))) == expected


def test_a_band_that_is_not_found_is_asked_for():
    cube = Bands((Band("red"), Band("height")))
    with pytest.raises(CoordinateError, match=r"cube.gndc: ndvi needs a nir band, and none of red, height"):
        bands_of(cube, INDICES["ndvi"])
    assert bands_of(cube, INDICES["ndvi"], [None, "height"]) == [0, 1]


@pytest.fixture(scope="module")
def cube():
    with gdal_gndc.open(CASES / "basic_i8dec.gndc") as dataset:
        yield dataset


def test_indices_of_a_cube_are_those_of_its_bands(cube):
    values = cube.read(2)
    red, nir = values[..., 0], values[..., 1]
    np.testing.assert_array_equal(cube.ndvi(2, 0, "LAI"), gdal_gndc.compute_ndvi(red, nir))
    np.testing.assert_array_equal(cube.ndwi(2, 0, 1), gdal_gndc.compute_ndwi(red, nir))
    np.testing.assert_array_equal(cube.ndmi(2, 0, 1), gdal_gndc.compute_ndmi(red, nir))
    expected = gdal_gndc.compute_evi(red, nir, values[..., 2])
    np.testing.assert_array_equal(cube.evi(2, 0, 1, 2), expected)
    np.testing.assert_array_equal(cube.evi(2, 0, 1, 2, window=(5, 7, 20, 10)), expected[7:17, 5:25])
    left, _, _, top = cube.bounds
    box = (left + 50, top - 170, left + 250, top - 70)
    np.testing.assert_array_equal(cube.evi(2, 0, 1, 2, bbox=box), expected[7:17, 5:25])
    assert cube.ndvi(2, 0, 1, out_shape=(4, 6)).shape == (4, 6)


def test_an_index_between_observations(cube):
    time = "2020-02-10T00:00:00Z"
    values = cube.read_at_time(time)
    found = cube.ndvi(time, 0, 1)
    assert found.shape == (61, 83)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, gdal_gndc.compute_ndvi(values[..., 0], values[..., 1]))


def test_bands_of_a_cube_have_to_be_known_or_named(cube):
    with pytest.raises(CoordinateError, match="ndvi needs a red band"):
        cube.ndvi()
    with pytest.raises(CoordinateError, match="no band 'X'"):
        cube.ndvi(0, "X", 0)
