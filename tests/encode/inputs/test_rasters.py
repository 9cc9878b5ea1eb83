from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

from gdal_gndc.encode.inputs import find_files, open_rasters
from gdal_gndc.errors import EncodeError

DATA = Path(__file__).parents[2] / "data"


def test_a_real_stack() -> None:
    stack = open_rasters(DATA / "s2_flanders")
    assert stack.shape == (118, 64, 64, 10)
    assert [band.name for band in stack.bands][:3] == ["B02", "B03", "B04"]
    assert stack.bands[0].scale_factor == pytest.approx(1e-4)
    assert list(stack.times) == sorted(stack.times)
    assert stack.crs is not None and "32631" in stack.crs
    assert stack.dtype == "uint16" and stack.raw_bytes == 118 * 64 * 64 * 10 * 2
    values = stack.read(frames=(3, 5), rows=(10, 20), cols=(0, 7))
    assert values.shape == (2, 10, 7, 10)
    assert np.nanmin(values) > 0 and np.nanmax(values) < 3
    np.testing.assert_array_equal(values, stack.read()[3:5, 10:20, 0:7])


def test_inputs_are_files_directories_patterns_and_lists(write_raster: Any, tmp_path: Path) -> None:
    a, b = write_raster("a_20200101.tif"), write_raster("b_20200201.tif")
    names = [str(a), str(b)]
    (tmp_path / "list.txt").write_text(f"# two\n{a}\n\n{b}\n")
    assert find_files(tmp_path) == names
    assert find_files(str(tmp_path / "*_2020*.tif")) == names
    assert find_files(tmp_path / "list.txt") == names
    assert find_files([a, tmp_path]) == names
    assert find_files("/vsicurl/https://host/x.tif") == ["/vsicurl/https://host/x.tif"]


def test_inputs_that_name_nothing(tmp_path: Path) -> None:
    for inputs in (tmp_path / "absent.tif", str(tmp_path / "*.tif"), tmp_path, []):
        with pytest.raises(EncodeError):
            find_files(inputs)


def test_nodata_and_scale(write_raster: Any) -> None:
    values = np.full((2, 4, 4), 50, "int16")
    values[0, 1, 2] = -999
    path = write_raster("x_20200101.tif", values, nodata=-999, scale=0.1, offset=-1.0)
    read = open_rasters(path).read()
    assert np.isnan(read[0, 1, 2, 0])
    assert np.isfinite(read[0, 1, 2, 1])
    assert read[0, 0, 0, 0] == pytest.approx(4.0)


def test_float_nodata_is_compared_as_stored(write_raster: Any) -> None:
    values = np.ones((1, 4, 4), "float32")
    values[0, 0, 0] = np.float32(-3.4e38)
    values[0, 1, 1] = np.nan
    path = write_raster("x_20200101.tif", values, nodata=float(np.float32(-3.4e38)))
    assert np.isnan(open_rasters(path).read()).sum() == 2


def test_dates_from_tags(write_raster: Any) -> None:
    late = write_raster("b.tif", tags={"TIFFTAG_DATETIME": "2020:03:01 10:00:00"})
    early = write_raster("c.tif", tags={"ACQUISITION_DATE": "2020-01-01"})
    assert open_rasters([late, early]).names == (str(early), str(late))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"transform": Affine(10, 0, 500010, 0, -10, 5600000)}, "transform"),
        ({"crs": "EPSG:32632"}, "CRS"),
        ({"values": np.ones((1, 8, 9), "int16")}, "size is 9x8, but 10x8"),
        ({"values": np.ones((2, 8, 10), "int16")}, "number of bands"),
        ({"names": ("NIR",)}, "name of a band"),
        ({"scale": 0.5}, "scale and offset"),
        ({"nodata": -1}, "nodata"),
    ],
)
def test_the_first_file_that_differs_is_named(write_raster: Any, change: dict[str, Any], said: str) -> None:
    first = write_raster("a_20200101.tif")
    other = write_raster("b_20200102.tif", **change)
    with pytest.raises(EncodeError, match=said) as caught:
        open_rasters([first, other])
    assert str(other) in str(caught.value) and str(first) in str(caught.value)


def test_duplicate_and_missing_dates(write_raster: Any) -> None:
    a, b, c = (write_raster(name) for name in ("a_20200101.tif", "b_20200101.tif", "plain.tif"))
    with pytest.raises(EncodeError, match="same date") as caught:
        open_rasters([a, b])
    assert str(a) in str(caught.value) and str(b) in str(caught.value)
    with pytest.raises(EncodeError, match=r"plain\.tif: no date"):
        open_rasters([a, c])
    with pytest.raises(EncodeError, match="does not match its name"):
        open_rasters([a], date_regex=r"acq(\d{8})")


def test_a_file_that_is_no_raster_is_named(write_raster: Any, tmp_path: Path) -> None:
    good = write_raster("a_20200101.tif")
    bad = tmp_path / "b_20200102.tif"
    bad.write_bytes(b"not a raster")
    with pytest.raises(EncodeError, match=r"b_20200102\.tif: cannot be opened"):
        open_rasters([good, bad])


def test_a_damaged_raster_is_named_when_read(write_raster: Any) -> None:
    path = write_raster("a_20200101.tif", np.arange(40000, dtype="int32").reshape(1, 200, 200), compress="deflate")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    path.write_bytes(bytes(data))
    stack = open_rasters(path)
    with pytest.raises(EncodeError, match=r"a_20200101\.tif: cannot be read"):
        stack.read()
