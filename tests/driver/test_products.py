"""Spectral indices and chosen bands: product= and the option BANDS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gdal_gndc
from gdal_gndc.indices import INDICES
from tests.conftest import CASES
from tests.driver.conftest import Gdal
from tests.driver.containers import rewritten

SOURCE = CASES / "i16_all_residual_native.gndc"


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four bands that are told by common name, wavelength, and name."""
    bands = [
        {"name": "sur_refl_b06"},
        {"name": "x", "common_name": "Red"},
        {"name": "y", "center_wavelength": 850},
        {"name": "blue"},
    ]
    return rewritten(SOURCE, tmp_path_factory.mktemp("products") / "cube.gndc", meta={"bands": bands})


@pytest.mark.parametrize("product", ["ndvi", "evi", "ndmi", "NDVI"])
@pytest.mark.parametrize("t", ["3", "2020-05-05"])
def test_equals_sdk(osgeo: Gdal, cube: Path, tmp_path: Path, product: str, t: str) -> None:
    name = f"GNDC:{cube}:t={t}:product={product}"
    jobs = [{"name": name}, {"name": name, "by": "band", "window": [7, 8, 20, 30]}, {"name": name, "size": [30, 20]}]
    whole, window, small = osgeo.reads(jobs, tmp_path)
    with gdal_gndc.open(cube) as dataset:
        index = getattr(dataset, product.lower())
        moment = int(t) if t.isdigit() else t
        expected = index(moment)
        np.testing.assert_array_equal(small[0], index(moment, out_shape=(20, 30)))
    assert np.isfinite(expected).any()
    np.testing.assert_array_equal(whole[0], expected)
    np.testing.assert_array_equal(window[0], expected[8:38, 7:27])


def test_series(gdal: Gdal, osgeo: Gdal, cube: Path, tmp_path: Path) -> None:
    """Without a time the observations are the bands."""
    name = f"GNDC:{cube}:product=ndvi"
    info = gdal.info(name)
    assert [band["description"] for band in info["bands"]][1] == "2020-01-19T10:32:10Z"
    assert info["bands"][0]["metadata"][""]["band"] == "ndvi"
    jobs = [{"name": name}, {"name": name, "by": "band", "window": [40, 50, 1, 1]}]
    whole, pixel = osgeo.reads(jobs, tmp_path)
    with gdal_gndc.open(cube) as dataset:
        expected = np.stack([dataset.ndvi(t) for t in range(7)])
        series = dataset.pixel_series(50, 40)
    np.testing.assert_array_equal(whole, expected)
    np.testing.assert_array_equal(pixel[:, 0, 0], INDICES["ndvi"]([series[:, 1], series[:, 2]]))
    np.testing.assert_allclose(pixel[:, 0, 0], expected[:, 50, 40], rtol=1e-4)


def test_description(gdal: Gdal, cube: Path) -> None:
    (band,) = gdal.info(f"GNDC:{cube}:t=0:product=evi")["bands"]
    assert band["description"] == "evi"
    assert band["metadata"][""]["description"] == "enhanced vegetation index"
    assert "unit" not in band


def test_chosen_bands(gdal: Gdal, osgeo: Gdal, cube: Path, tmp_path: Path) -> None:
    info = gdal.info(f"GNDC:{cube}:t=1", "-oo", "BANDS=blue, 1,Y")
    assert [band["description"] for band in info["bands"]] == ["blue", "sur_refl_b06", "y"]
    jobs = [{"name": str(cube), "options": {"T": "1", "BANDS": "4,1,3"}, "by": by} for by in ("band", "dataset")]
    with gdal_gndc.open(cube) as dataset:
        expected = np.moveaxis(dataset.read(1, bands=[3, 0, 2]), -1, 0)
    for got in osgeo.reads(jobs, tmp_path):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{}:product=ndwi"], "needs a green band"),
        (["{}:product=nothing"], "ndvi, evi, ndwi, ndmi"),
        (["{}:product=ndvi:band=1"], "bands of its own"),
        (["{}:t=0:band=1", "-oo", "BANDS=1"], "one of them"),
        (["{}", "-oo", "BANDS=1"], "without a time"),
        (["{}:t=0", "-oo", "BANDS=1,9"], "1 to 4"),
        (["{}:t=0", "-oo", "BANDS=,"], "names no band"),
        (["{}:t=0:product=ndvi", "-oo", "BANDS=1"], "bands of its own"),
        (["{}", "-oo", "MASK=YES"], "NODATA, BAND, NONE"),
        (["{}", "-oo", "RESAMPLING=CUBIC"], "NEAREST, AVERAGE, BILINEAR"),
        (["{}", "-oo", "NUM_THREADS=0"], "positive number"),
        (["{}:t=0:bands=1"], "the key bands"),
    ],
)
def test_refused(gdal: Gdal, cube: Path, arguments: list[str], message: str) -> None:
    done = gdal.run("gdalinfo", *[argument.format(f"GNDC:{cube}") for argument in arguments])
    assert done.returncode == 1
    assert message in done.stderr
