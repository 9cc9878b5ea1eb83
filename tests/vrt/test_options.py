from __future__ import annotations

import json
import os
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.testing import assert_allclose, assert_array_equal
from rasterio.enums import ColorInterp, Resampling
from rasterio.warp import reproject

import gdal_gndc
from gdal_gndc.errors import CoordinateError, GNDCError
from gdal_gndc.vrt import pixels
from gdal_gndc.vrt.writer import series_vrt, write_vrts

T = "2020-02-01"


def read(text: str) -> np.ndarray:
    with rasterio.open(text) as raster:
        return raster.read().transpose(1, 2, 0)


# -- products


@pytest.mark.parametrize("product", ["ndvi", "EVI"])
def test_an_index_is_that_of_the_dataset(spectral: Path, product: str) -> None:
    with gdal_gndc.open(spectral) as dataset:
        expected = getattr(dataset, product.lower())(T)
    with rasterio.open(gdal_gndc.vrt(spectral, T, product=product)) as raster:
        assert raster.descriptions == (product.upper(),)
        assert raster.units == ("1",)
        assert_array_equal(raster.read(1), expected)
        assert raster.tags(1) == {}


def test_an_index_of_named_bands(large: Path) -> None:
    with gdal_gndc.open(large) as dataset:
        expected = dataset.ndvi(T, red_band="T", nir_band="LAI")
    got = read(gdal_gndc.vrt(large, T, product="ndvi", product_bands=["T", "LAI"]))
    assert_array_equal(got[..., 0], expected)


@pytest.mark.parametrize(("product", "axis"), [("dx", "x"), ("dy", "y"), ("dt", "t")])
def test_derivatives_are_those_of_the_dataset(large: Path, product: str, axis: str) -> None:
    with gdal_gndc.open(large) as dataset:
        expected = dataset.derivative(T, ["T", "B2"], axis=axis)
    with rasterio.open(gdal_gndc.vrt(large, T, product=product, bands=["T", "B2"])) as raster:
        assert raster.descriptions == (f"T {product}", f"B2 {product}")
        assert raster.units[0] == ("K/day" if product == "dt" else "K/metre")
        assert_array_equal(raster.read().transpose(1, 2, 0), expected)


def test_a_product_is_one_evaluation(spectral: Path) -> None:
    text = gdal_gndc.vrt(spectral, 0, product="ndvi")
    read(gdal_gndc.vrt(spectral, 0))
    before = pixels.counters()
    read(text)
    assert pixels.counters().misses == before.misses


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"product": "nothing"}, "'nothing'"),
        ({"product": "ndvi"}, "needs a red band"),
        ({"product": "ndvi", "product_bands": ["T"]}, "1 bands for ndvi; expected red, nir"),
        ({"product": "ndvi", "product_bands": ["T", "B99"]}, "B99"),
        ({"bbox": (0, 0, 10, 10)}, "does not touch the cube"),
        ({"resolution": 0}, "the resolution is 0"),
        ({"resolution": 1e6}, "no pixel of"),
        ({"crs": "EPSG:nonsense"}, "the CRS 'EPSG:nonsense' cannot be read"),
        ({"crs": "EPSG:4326", "resampling": "best"}, "no resampling method 'best'"),
    ],
)
def test_errors_of_options(large: Path, options: dict[str, object], says: str) -> None:
    with pytest.raises(GNDCError, match=says):
        gdal_gndc.vrt(large, 0, **options)


# -- part, resolution, overviews, CRS


def test_a_box_is_the_pixels_that_it_touches(large: Path) -> None:
    box = (401003, 5297000, 404000, 5298999)
    with gdal_gndc.open(large) as dataset, rasterio.open(gdal_gndc.vrt(large, 1, bbox=box)) as raster:
        assert raster.bounds == (401000, 5297000, 404000, 5299000)
        assert raster.res == (10, 10)
        assert_array_equal(raster.read().transpose(1, 2, 0), dataset.read(1, bbox=box))


@pytest.mark.parametrize(("resolution", "size"), [(25, (332, 244)), ((5, 20), (1660, 305)), (7.3, (1136, 835))])
def test_any_resolution(large: Path, resolution: float | tuple[float, float], size: tuple[int, int]) -> None:
    with rasterio.open(gdal_gndc.vrt(large, 1, bands=[2], resolution=resolution)) as raster:
        assert (raster.width, raster.height) == size
        assert raster.res == (resolution if isinstance(resolution, tuple) else (resolution, resolution))
        assert (raster.bounds.left, raster.bounds.top) == (399960, 5300040)
        got = raster.read(1)
        window = (0, 0, size[0] * raster.res[0] / 10, size[1] * raster.res[1] / 10)
    with gdal_gndc.open(large) as dataset:
        window = (0, 0, min(window[2], 830), min(window[3], 610))
        expected = dataset.read(1, bands=2, window=window, out_shape=(size[1], size[0]))[..., 0]
    assert_array_equal(got, expected)


def test_a_box_at_another_resolution_is_exact(large: Path) -> None:
    box = (401003.0, 5297001.0, 404000.0, 5298999.0)
    with rasterio.open(gdal_gndc.vrt(large, 1, bbox=box, resolution=3)) as raster:
        assert (raster.bounds.left, raster.bounds.top) == (401003, 5298999)
        assert (raster.width, raster.height) == (999, 666)
        got = raster.read().transpose(1, 2, 0)
    with gdal_gndc.open(large) as dataset:
        window = (104.3, 104.1, 999 * 0.3, 666 * 0.3)
        assert_allclose(got, dataset.read(1, window=window, out_shape=(666, 999)), rtol=1e-4)


def test_overviews(large: Path) -> None:
    text = gdal_gndc.vrt(large, 1, overviews=True)
    with gdal_gndc.open(large) as dataset, rasterio.open(text) as raster:
        assert raster.overviews(1) == [2, 4]
        for shape in [(305, 415), (153, 208), (61, 83)]:
            got = raster.read(out_shape=(3, *shape)).transpose(1, 2, 0)
            assert_array_equal(got, dataset.read(1, out_shape=shape))
        assert_array_equal(raster.read().transpose(1, 2, 0), dataset.read(1))
    with rasterio.open(gdal_gndc.vrt(large, 1, overviews=True, bbox=(399960, 5298000, 402000, 5300040))) as raster:
        assert raster.overviews(1) == []


def test_another_crs_is_gdals_warp_of_the_same_pixels(large: Path) -> None:
    with rasterio.open(gdal_gndc.vrt(large, 1, crs="EPSG:3857")) as raster:
        assert raster.crs.to_epsg() == 3857
        assert raster.descriptions == ("B2", "LAI", "T")
        assert raster.tags()["time"] == "2020-01-19T10:32:10Z"
        assert all(np.isnan(value) for value in raster.nodatavals)
        got, transform = raster.read(), raster.transform
    expected = np.full(got.shape, np.nan, np.float32)
    with gdal_gndc.open(large) as dataset:
        reproject(
            np.ascontiguousarray(dataset.read(1).transpose(2, 0, 1)), expected,
            src_transform=dataset.transform, src_crs=dataset.crs, src_nodata=np.nan,
            dst_transform=transform, dst_crs="EPSG:3857", dst_nodata=np.nan, resampling=Resampling.bilinear,
        )  # fmt: skip
    both = np.isfinite(got) & np.isfinite(expected)
    assert (np.isfinite(got) == np.isfinite(expected)).mean() > 0.995
    assert both.mean() > 0.9
    assert_allclose(got[both], expected[both], rtol=0.02, atol=0.05)


# -- templates


def test_the_ndvi_template(spectral: Path) -> None:
    with gdal_gndc.open(spectral) as dataset:
        assert_array_equal(read(gdal_gndc.vrt(spectral, T, template="ndvi"))[..., 0], dataset.ndvi(T))


def test_the_rgb_template(colors: Path) -> None:
    with gdal_gndc.open(colors) as dataset:
        values = dataset.read_at_time(T, bands=[1, 2, 0]).astype(np.float64)
        view = dataset.read_at_time(T, bands=[1, 2, 0], out_shape=(189, 256)).astype(np.float64)
    with rasterio.open(gdal_gndc.vrt(colors, T, template="rgb8")) as raster:
        assert raster.dtypes == ("uint8",) * 3
        assert raster.colorinterp == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        assert raster.nodata == 0
        got = raster.read().transpose(1, 2, 0)
    low, high = np.percentile(view, (2, 98), axis=(0, 1))
    assert_array_equal(got, np.clip(np.rint((values - low) * (254 / (high - low))) + 1, 1, 255))


def test_the_rgb_template_shows_no_data_as_zero(tmp_path: Path) -> None:
    cases = Path(__file__).parents[1] / "cases"
    with gdal_gndc.open(cases / "tiles22_missing.gndc") as dataset:
        values = dataset.read(0, bands=[0])[..., 0]
    template = tmp_path / "grey.vrt"
    template.write_text(
        '<VRTDataset rasterXSize="${width}" rasterYSize="${height}"><GeoTransform>${geotransform}</GeoTransform>'
        '<VRTRasterBand dataType="Byte" band="1" subClass="VRTDerivedRasterBand">'
        "<PixelFunctionType>gdal_gndc.vrt_pixels</PixelFunctionType>"
        "<PixelFunctionLanguage>Python</PixelFunctionLanguage>"
        '<PixelFunctionArguments path="${path}" t="${t}" scale="-100,100"/></VRTRasterBand></VRTDataset>'
    )
    got = read(gdal_gndc.vrt(cases / "tiles22_missing.gndc", 0, template=template))[..., 0]
    assert np.isnan(values).any()
    assert_array_equal(got == 0, np.isnan(values))


def test_the_rgb_template_needs_known_bands(large: Path) -> None:
    with pytest.raises(CoordinateError, match="known to be red"):
        gdal_gndc.vrt(large, 0, template="rgb8")


def test_integers_without_a_scale_are_refused(large: Path) -> None:
    out = np.zeros((4, 4), np.uint8)
    with pytest.raises(GNDCError, match="expected Float32, or Byte with a scale"):
        pixels.read([], out, 0, 0, 4, 4, 830, 610, 0, [], path=str(large).encode())


# -- series, relative paths


def test_times_as_bands(large: Path) -> None:
    with gdal_gndc.open(large) as dataset, rasterio.open(series_vrt(large, "LAI")) as raster:
        assert raster.count == 7
        assert raster.descriptions[0] == "2020-01-03T10:30:00Z"
        assert raster.tags(2)["TIFFTAG_DATETIME"] == "2020:01:19 10:32:10"
        got = raster.read(window=rasterio.windows.Window(41, 30, 1, 1))[:, 0, 0]
        assert_array_equal(got, [dataset.read(i, bands="LAI")[30, 41, 0] for i in range(7)])


def test_a_regular_series_of_a_product(spectral: Path) -> None:
    text = series_vrt(spectral, every="30d", start=T, end="2020-04-20", product="ndvi")
    with gdal_gndc.open(spectral) as dataset, rasterio.open(text) as raster:
        assert [name[:10] for name in raster.descriptions] == ["2020-02-01", "2020-03-02", "2020-04-01"]
        assert_array_equal(raster.read(2), dataset.ndvi("2020-03-02"))


def test_series_files(large: Path, tmp_path: Path) -> None:
    files = write_vrts(large, tmp_path, series=True, times=[0, 1], bands=["T", "B2"])
    assert [file.name for file in files[2:]] == [f"{large.stem}_T_series.vrt", f"{large.stem}_B2_series.vrt"]
    with rasterio.open(files[2]) as raster:
        assert raster.count == 2
    assert len(json.loads((tmp_path / "index.json").read_text())["rasters"]) == 2


def test_relative_paths_are_found(large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cube = tmp_path / "data" / "cube.gndc"
    cube.parent.mkdir()
    shutil.copy(large, cube)
    file = write_vrts(cube, tmp_path / "data" / "vrts", times=[0], relative=True)[0]
    arguments = ElementTree.parse(file).find("VRTRasterBand/PixelFunctionArguments")
    assert arguments is not None
    assert arguments.get("path") == os.path.join("..", "cube.gndc")  # noqa: PTH118
    (tmp_path / "data").rename(tmp_path / "moved")
    file = tmp_path / "moved" / "vrts" / file.name
    monkeypatch.delenv("GNDC_PATH", raising=False)
    monkeypatch.chdir("/")
    with rasterio.open(file) as raster, pytest.raises(rasterio.errors.RasterioIOError) as caught:
        raster.read(1)
    assert "GNDC_PATH" in str(caught.value.__cause__)
    with gdal_gndc.open(large) as dataset:
        expected = dataset.read(0)
    monkeypatch.setenv("GNDC_PATH", os.pathsep.join(["/nowhere", str(file.parent)]))
    with rasterio.open(file) as raster:
        assert_array_equal(raster.read().transpose(1, 2, 0), expected)
    monkeypatch.delenv("GNDC_PATH")
    monkeypatch.chdir(file.parent)
    with rasterio.open(file) as raster:
        assert_array_equal(raster.read().transpose(1, 2, 0), expected)


@pytest.mark.system_gdal
def test_gdals_programs_read_all_of_it(
    spectral: Path, colors: Path, tmp_path: Path, gdal_programs: dict[str, str]
) -> None:
    """Overviews, warps, products and series in a GDAL without this package's Python."""
    for name, options in {
        "ndvi": {"product": "ndvi"},
        "overviews": {"overviews": True},
        "warped": {"crs": "EPSG:3857", "overviews": True},
        "rgb": {"template": "rgb8"},
        "part": {"bbox": (401000, 5297000, 404000, 5299000), "resolution": 25},
    }.items():
        file, out = tmp_path / f"{name}.vrt", tmp_path / f"{name}.tif"
        file.write_text(gdal_gndc.vrt(colors if name == "rgb" else spectral, T, **options))
        command = ["gdal_translate", "-q", str(file), str(out)]
        result = subprocess.run(command, env=gdal_programs, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr) == (0, ""), name
        got, expected = read(str(out)), read(str(file))
        if name == "warped":
            # Two versions of GDAL need not warp alike to the last bit, nor at the very edge.
            both = np.isfinite(got) & np.isfinite(expected)
            assert (np.isfinite(got) == np.isfinite(expected)).mean() > 0.995
            assert both.mean() > 0.9
            assert_allclose(got[both], expected[both], rtol=0.02, atol=0.05)
        else:
            assert_array_equal(got, expected)
    file = tmp_path / "series.vrt"
    file.write_text(series_vrt(spectral, 0))
    command = ["gdallocationinfo", "-valonly", str(file), "41", "30"]
    result = subprocess.run(command, env=gdal_programs, capture_output=True, text=True, check=True)
    with gdal_gndc.open(spectral) as dataset:
        series = [dataset.read(i, bands=0)[30, 41, 0] for i in range(7)]
    assert_allclose([float(line) for line in result.stdout.split()], series, rtol=1e-6)
