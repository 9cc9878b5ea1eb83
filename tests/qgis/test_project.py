"""Projects, styles and layer definitions in QGIS itself: valid layers, the right dates, the SDK's pixels."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdal_gndc
from gdal_gndc.errors import CoordinateError, TimeError
from gdal_gndc.indices import compute_ndvi
from gdal_gndc.qgis import write_project
from gdal_gndc.qgis_plugin.stretch import chosen, limits
from gdal_gndc.times import parse_time
from tests.cli.conftest import gndc as gndc
from tests.conftest import CASES
from tests.driver.containers import CUBE, rewritten
from tests.qgis.conftest import Qgis

RGB = ("B04", "B03", "B02")
SIZE = 64


@pytest.fixture
def cube(real_cube: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "dr & <é>"
    folder.mkdir()
    return Path(shutil.copy(real_cube, folder / "flanders.gndc"))


def test_every_way_to_open_and_three_zooms(
    qgis: Qgis, cube: Path, tmp_path: Path, as_shown: Callable[..., np.ndarray]
) -> None:
    """One look, three names of the same raster, each rendered at 1:1, magnified and reduced."""
    vrts = write_project(cube, cube.parent / "v.qgs", source="vrt", start="2018-06-29", end="2018-07-01")
    written = write_project(cube, cube.with_suffix(".qgs"))
    with gdal_gndc.open(cube) as ds:
        left, bottom, right, top = ds.bounds
        # columns 8 to 24 and rows 40 to 56, four pixels of the picture each
        part = [left + 80, top - 560, left + 240, top - 400]
        views = [[[left, bottom, right, top], [SIZE, SIZE]], [part, [64, 64]], [[left, bottom, right, top], [32, 32]]]
        names = [f"{cube}|option:T=2018-06-30", f"GNDC:{cube}:t=2018-06-30", f"{vrts.vrts[0]}"]
        asked = [{"uri": name, "style": written.style, "views": views} for name in names]
        # neither a style file nor Python: the driver's own account of the cube
        asked += [{"uri": f"GNDC:{cube}:t=2018-07-06T12:00:00Z"}, {"uri": f"GNDC:{cube}:t=2030-01-01"}]
        # a style file beside the cube, of its name, is taken by itself
        asked += [{"uri": names[0]}]
        got = qgis.run("layers", tmp_path, env=qgis.vrt, layers=asked, container=cube)
        reads = [
            ds.read("2018-06-30", bands=list(RGB)),
            ds.read("2018-06-30", bands=list(RGB), window=(8, 40, 16, 16)).repeat(4, 0).repeat(4, 1),
            ds.read("2018-06-30", bands=list(RGB), out_shape=(32, 32)),
        ]
        for k in range(3):
            layer = got["layers"][k]
            assert layer["valid"], layer["error"]
            assert (layer["style"], layer["renderer"]) == (True, "multibandcolor")
            assert (layer["crs"], layer["size"]) == ("EPSG:32631", [ds.width, ds.height])
            assert layer["extent"] == list(ds.bounds)
            assert [name.partition(": ")[2] for name in layer["bands"]] == ds.band_names
            for i, values in enumerate(reads):
                picture = got["images"][f"{k}_{i}"]
                assert (picture[..., 3] == 255).all()
                away = np.abs(picture[..., :3] - as_shown(values, written.look.limits))
                assert away.max() <= 1.5, (names[k], i, away.max())
        assert got["layers"][3]["valid"]
        assert not got["layers"][4]["valid"]
        assert got["layers"][5]["renderer"] == "multibandcolor"
        assert len(got["sublayers"]) == ds.n_timestamps
        assert got["sublayers"][0].endswith(":t=2017-08-04T00:00:00Z")


def test_a_project_steps_through_the_observations(
    qgis: Qgis, cube: Path, tmp_path: Path, as_shown: Callable[..., np.ndarray]
) -> None:
    written = write_project(cube, tmp_path / "p" / "all.qgs", definition=True)
    # relative: the folder moves as a whole
    moved = tmp_path / "moved"
    moved.mkdir()
    for folder in (written.project.parent, cube.parent):
        shutil.move(folder, moved / folder.name)
    project = moved / "p" / "all.qgs"
    pictures = [0, 70, 117]
    got = qgis.run(
        "project",
        tmp_path,
        project=project,
        definition=project.with_suffix(".qlr"),
        pictures=pictures,
        size=[SIZE, SIZE],
    )
    with gdal_gndc.open(moved / cube.parent.name / cube.name) as ds:
        dates = [f"{t:%Y-%m-%d}" for t in ds.timestamps]
        assert [layer["valid"] for layer in got["layers"]] == [True] * len(dates)
        assert [layer["name"] for layer in got["layers"]] == dates
        assert (got["animated"], got["crs"], got["renderers"]) == (True, "EPSG:32631", ["multibandcolor"])
        assert got["steps"] == [[f"{date}T00:00:00Z", [date]] for date in dates]
        assert got["definition"] == [True, ""]
        assert [layer["source"] for layer in got["added"]] == [layer["source"] for layer in got["layers"]]
        assert all(layer["valid"] for layer in got["added"])
        assert got["added_ranges"] == [f"{date}T00:00:00Z" for date in dates]
        for i in pictures:
            expected = as_shown(ds.read(i, bands=list(RGB)), written.look.limits)
            assert np.abs(got["images"][f"frame_{i}"][..., :3] - expected).max() <= 1.5


@pytest.mark.parametrize("source", ["option", "gndc", "vrt"])
def test_an_index_at_regular_times(
    qgis: Qgis, cube: Path, tmp_path: Path, source: str, as_shown: Callable[..., np.ndarray]
) -> None:
    written = write_project(
        cube, tmp_path / "ndvi.qgs", product="NDVI", every="5d", start="2018-06-28", end="2018-07-20", source=source
    )
    assert (written.layers, written.look.product) == (5, "ndvi")
    got = qgis.run(
        "project", tmp_path, env=qgis.vrt, project=written.project, pictures=[2], size=[SIZE, SIZE], definition=None
    )
    dates = ["2018-06-28", "2018-07-03", "2018-07-08", "2018-07-13", "2018-07-18"]
    assert got["steps"] == [[f"{date}T00:00:00Z", [date]] for date in dates]
    assert all(layer["valid"] for layer in got["layers"])
    assert got["renderers"] == ["singlebandpseudocolor"]
    with gdal_gndc.open(cube) as ds:
        values = ds.read_at_time("2018-07-08", bands=["B04", "B08"])
    [share] = as_shown(compute_ndvi(values[..., 0], values[..., 1])[..., None], written.look.limits).T / 255
    # the ramp of the style file, interpolated as QGIS says that it does
    items = ET.parse(written.style).getroot().findall(".//colorrampshader/item")
    stops = np.array([[int(item.attrib["color"][i : i + 2], 16) for i in (1, 3, 5)] for item in items])
    colours = np.stack([np.interp(share.T, np.linspace(0, 1, len(stops)), channel) for channel in stops.T], -1)
    assert np.abs(got["images"]["frame_2"][..., :3] - colours).max() <= 2


@pytest.mark.parametrize("source", ["option", "vrt"])
def test_a_derivative(qgis: Qgis, cube: Path, tmp_path: Path, source: str, as_shown: Callable[..., np.ndarray]) -> None:
    written = write_project(
        cube, tmp_path / "dt.qgs", product="dt", bands=["B08"], start="2018-06-28", end="2018-07-03", source=source
    )
    [(low, high)] = written.look.limits
    assert low == -high
    got = qgis.run("project", tmp_path, env=qgis.vrt, project=written.project, pictures=[0], size=[SIZE, SIZE],
                   definition=None)  # fmt: skip
    assert all(layer["valid"] for layer in got["layers"])
    with gdal_gndc.open(cube) as ds:
        values = ds.derivative(next(t for t in ds.timestamps if t >= parse_time("2018-06-28")), ["B08"], "t")
    [share] = as_shown(values, written.look.limits).T / 255
    items = ET.parse(written.style).getroot().findall(".//colorrampshader/item")
    stops = np.array([[int(item.attrib["color"][i : i + 2], 16) for i in (1, 3, 5)] for item in items])
    colours = np.stack([np.interp(share.T, np.linspace(0, 1, len(stops)), channel) for channel in stops.T], -1)
    assert np.abs(got["images"]["frame_0"][..., :3] - colours).max() <= 2


def test_cubes_that_say_less(qgis: Qgis, tmp_path: Path) -> None:
    """No dates, no place, two observations at the same time: projects all the same."""
    times = json.loads(zipfile.ZipFile(CUBE).read("meta.json"))["time"]
    twice = times | {"values": [*times["values"][:1], *times["values"][:6]]}
    cubes = {
        "undated": rewritten(CASES / "notemporal_t1_block.gndc", tmp_path / "undated.gndc", meta={"time": None}),
        "nowhere": rewritten(CUBE, tmp_path / "nowhere.gndc", meta={"crs": None, "transform": None}),
        "twice": rewritten(CUBE, tmp_path / "twice.gndc", meta={"time": twice}),
    }
    got = {}
    for name, cube in cubes.items():
        written = write_project(cube, tmp_path / f"{name}.qgs")
        got[name] = qgis.run("project", tmp_path, project=written.project, definition=None)
        assert len(got[name]["layers"]) == written.layers
        assert all(layer["valid"] for layer in got[name]["layers"])
        assert got[name]["renderers"] == ["singlebandpseudocolor"]
    assert [layer["name"] for layer in got["undated"]["layers"]] == ["frame 0"]
    assert not got["undated"]["animated"]
    assert got["nowhere"]["crs"] == ""
    # the first observation of the day by its number, so that the two are two
    assert [layer["source"].rpartition("=")[2] for layer in got["twice"]["layers"]][:3] == [
        "2020-01-03T10:30:00Z",
        "1",
        "2020-01-19T10:32:10Z",
    ]


def test_the_command(gndc: Callable[..., Any], cube: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.qgs"
    result = gndc("qgis", cube, "-o", out, "--bands", "B08,B04,3", "--qlr", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["look"]["bands"] == [7, 3, 3]
    assert {Path(told[key]) for key in ("project", "style", "definition")} == {
        out.with_suffix(suffix) for suffix in (".qgs", ".qml", ".qlr")
    }
    result = gndc("qgis", cube, "-o", out, "--product", "ndvi", "--every", "30d")
    assert result.exit_code == 0
    assert "17 layers; NDVI" in result.stdout
    root = ET.parse(out).getroot()
    sources = [element.text or "" for element in root.iter("datasource")]
    assert sources[0] == "./dr & <é>/flanders.gndc|option:T=2017-08-04T00:00:00Z|option:PRODUCT=ndvi"
    ends = [parse_time(element.text or "") for element in root.iterfind(".//fixedRange/end")]
    starts = [parse_time(element.text or "") for element in root.iterfind(".//fixedRange/start")]
    assert [end + timedelta(seconds=1) for end in ends[:-1]] == starts[1:]
    # beside a cube of its name the style of an index would be taken for that of the bands
    assert gndc("qgis", cube, "-o", cube.with_suffix(".qgs"), "--product", "evi").exit_code == 0
    assert not cube.with_suffix(".qml").exists()
    assert cube.with_name("flanders_evi.qml").exists()
    assert gndc("qgis", cube, "--product", "ndvi", "--bands", "1").exit_code == 2
    assert gndc("qgis", cube, "--bands", "1,2").exit_code == 2
    result = gndc("qgis", cube, "-o", tmp_path / "dx.qgs", "--product", "dx", "--bands", "B11")
    assert result.exit_code == 0
    assert "dx of B11 -" in result.stdout
    assert gndc("qgis", cube, "--product", "dx", "--bands", "1,2,3").exit_code == 2
    failed = gndc("qgis", tmp_path / "none.gndc", "-o", tmp_path / "none.qgs")
    assert (failed.exit_code, failed.stderr.count("\n")) == (1, 1)
    assert not (tmp_path / "none.qgs").exists()


def test_errors(cube: Path, tmp_path: Path) -> None:
    out = tmp_path / "e" / "x.qgs"
    with pytest.raises(CoordinateError, match="no source 'cog'"):
        write_project(cube, out, source="cog")
    with pytest.raises(CoordinateError, match="no index 'abc'"):
        write_project(cube, out, product="abc")
    with pytest.raises(CoordinateError, match="found 2 bands"):
        write_project(cube, out, bands=[0, 1])
    with pytest.raises(TimeError):
        write_project(cube, out, start="2030-01-01")
    assert not out.parent.exists()


def test_the_stretch_sees_land_below_clouds() -> None:
    """Two dates of three are clouds; the range of the colours is that of the land, an index's has 0 in its middle."""
    random = np.random.default_rng(1)
    land = random.uniform(0.02, 0.2, (24, 20, 20, 3))
    clouds = np.arange(24) % 3 > 0
    land[clouds] = random.uniform(0.5, 1.2, (int(clouds.sum()), 20, 20, 3))
    land[0, :5] = np.nan
    land[3] = np.nan
    for low, high in limits(land):
        assert 0.02 <= low < 0.04
        assert 0.18 < high <= 1.2
    land[..., 2] *= 0.5
    one, *others = limits(land, natural=True)
    assert others == [one, one]
    assert one[0] < 0.02
    assert one[1] > 0.18
    [(low, high)] = limits(land[:, ..., :1])
    assert high > 1
    [(low, high)] = limits(np.linspace(-0.1, 0.6, 1000).reshape(10, 10, 10, 1), "ndmi")
    assert low == -high
    assert limits(np.full((2, 3, 3, 1), np.nan)) == ((0.0, 1.0),)
    assert limits(np.full((2, 3, 3, 1), 5.0)) == ((5.0, 10.0),)
    assert limits(np.full((2, 3, 3, 3), np.nan)) == ((0.0, 1.0),) * 3
    assert chosen(3) == [0, 1, 2]
    assert (chosen(118)[0], chosen(118)[-1], len(chosen(118))) == (0, 117, 24)
