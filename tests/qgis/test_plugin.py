"""The plugin in a window without a screen: what it shows and plots is what the SDK reads."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import gdal_gndc
from gdal_gndc.indices import band_roles, compute_ndvi, index_named
from gdal_gndc.qgis.plugin import NAME, build_plugin
from gdal_gndc.time_axis import TimeAxis
from gdal_gndc.times import parse_time, to_seconds
from gdal_gndc.window import apply
from tests.cli.conftest import gndc as gndc
from tests.conftest import VALID
from tests.driver.containers import CUBE, rewritten
from tests.qgis.conftest import Qgis

ROOT = Path(__file__).parents[2]
POSITION, ROW, COLUMN = 70, 26, 42
INDICES = ("ndvi", "evi", "ndwi", "ndmi")
RGB = ("B04", "B03", "B02")
# holds no observation but its last day but one
WEEK = ("2018-07-01T00:00:00Z", "2018-07-06T00:00:00Z")


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """The folder in which QGIS would find the installed plugin."""
    folder = tmp_path / "plugins"
    with zipfile.ZipFile(build_plugin(tmp_path / "plugin.zip")) as archive:
        archive.extractall(folder)
    return folder


def milliseconds(time: datetime) -> int:
    return round(to_seconds(time) * 1000)


def test_add_slide_follow_and_click(
    qgis: Qgis, real_cube: Path, plugin: Path, tmp_path: Path, as_shown: Callable[..., np.ndarray]
) -> None:
    missing = tmp_path / "missing.gndc"
    with gdal_gndc.open(real_cube) as ds:
        assert ds.transform is not None
        x, y = apply(ds.transform, COLUMN + 0.5, ROW + 0.5)
        got = qgis.run(
            "plugin",
            tmp_path,
            plugin=plugin,
            cube=real_cube,
            missing=missing,
            crs="EPSG:32631",
            position=POSITION,
            week=WEEK,
            point=[x, y],
            band="B11",
            size=[ds.width, ds.height],
        )
        assert [str(missing) in text for text in got["warnings"]] == [True]
        assert got["empty"]
        assert got["unexpected"] == []
        derived = [f"={product}:{name}" for product in ("dx", "dy", "dt") for name in ds.band_names]
        assert got["views"] == ["rgb", "=ndvi", "=evi", "=ndwi", "=ndmi", *ds.band_names, *derived]
        assert got["top"] == ds.n_timestamps - 1
        assert got["added"]["valid"]
        assert got["project_layers"] == 1

        slid, label, renderer = got["slid"]
        stamp = ds.timestamps[POSITION]
        assert slid["source"] == f"{real_cube}|option:T={stamp:%Y-%m-%dT%H:%M:%SZ}"
        assert (label, renderer) == (f"{stamp:%Y-%m-%d}", "multibandcolor")
        expected = as_shown(ds.read(POSITION, bands=list(RGB)), got["limits"])
        assert np.abs(got["images"]["slid"][..., :3] - expected).max() <= 1.5

        # the last observation before the end of the controller's range; its very beginning between observations
        before = max(i for i, t in enumerate(ds.timestamps) if t < parse_time(WEEK[1]))
        assert got["followed"][0] == before
        assert got["followed"][1].endswith(f"T={ds.timestamps[before]:%Y-%m-%dT%H:%M:%SZ}")
        source, label, top = got["between"]
        assert source.endswith(f"T={WEEK[0]}")
        assert label == "2018-07-01, between observations"
        assert top == (ds.timestamps[-1] - ds.timestamps[0]).days
        expected = as_shown(ds.read_at_time(WEEK[0], bands=list(RGB)), got["limits"])
        assert np.abs(got["images"]["between"][..., :3] - expected).max() <= 1.5
        assert abs(parse_time(got["led"]) - stamp) < timedelta(days=1)
        assert [parse_time(t) for t in got["extents"]] == [ds.timestamps[0], ds.timestamps[-1]]

        assert got["tool"]
        assert got["title"] == f"column {COLUMN}, row {ROW}"
        series = ds.pixel_series(ROW, COLUMN)
        times = [milliseconds(t) for t in ds.timestamps]
        names = ds.band_names
        for name, (shown, at, values) in zip(RGB, got["rgb"], strict=True):
            assert (shown, at) == (name, times)
            np.testing.assert_array_equal(np.float32(values), series[:, names.index(name)])
        layer, renderer, [[shown, _, values]] = got["ndvi"]
        assert (shown, renderer) == ("NDVI", "singlebandpseudocolor")
        assert layer["source"].endswith("|option:PRODUCT=ndvi")
        red, nir = series[:, names.index("B04")], series[:, names.index("B08")]
        np.testing.assert_array_equal(np.float32(values), compute_ndvi(red, nir))
        [[at, values]] = got["line"]
        days = [datetime.fromtimestamp(t / 1000, UTC) for t in at]
        assert 200 < len(days) <= 401
        nir, red = ds.series_at([(ROW, COLUMN)], days, ["B08", "B04"])[0].T
        np.testing.assert_allclose(values, compute_ndvi(red, nir), atol=1e-5)
        layer, band, [[shown, _, values]] = got["band"]
        assert (shown, band) == ("B11", names.index("B11") + 1)
        assert "PRODUCT" not in layer["source"]
        np.testing.assert_array_equal(np.float32(values), series[:, names.index("B11")])

        layer, band, [[shown, _, values]] = got["dt"]
        assert (shown, band) == ("dt of B11", names.index("B11") + 1)
        assert layer["source"].endswith("|option:PRODUCT=dt")
        place = (COLUMN, ROW, 1, 1)
        slopes = [float(ds.derivative(k, ["B11"], "t", place)[0, 0, 0]) for k in (3, POSITION)]
        np.testing.assert_allclose([values[3], values[POSITION]], slopes, rtol=1e-4)

        shown, asked = got["picked"]
        assert shown == milliseconds(TimeAxis(ds.timestamps, ds.n_timestamps).nearest(_time(asked)).time or _time(0))
    assert got["outside"] == ["This place is outside the cube.", []]
    assert got["removed"] == [True, True, False, ""]
    assert got["again"]
    # dots, a line and text: more than a few colours
    assert len(np.unique(got["images"]["plot"].reshape(-1, 4), axis=0)) > 10


def _time(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def test_without_the_driver_the_command_is_named(qgis: Qgis, real_cube: Path, plugin: Path, tmp_path: Path) -> None:
    got = qgis.run("no_driver", tmp_path, env={"GDAL_DRIVER_PATH": "disable"}, plugin=plugin, cube=real_cube)
    [warning] = got["warnings"]
    assert "gndc driver install" in warning
    assert got["layers"] == 0


def test_the_zip(gndc: Callable[..., object], tmp_path: Path) -> None:
    result = gndc("qgis-plugin", "build", "-o", tmp_path / "a.zip", "--json")
    assert result.exit_code == 0, result.output  # type: ignore[attr-defined]
    data = (tmp_path / "a.zip").read_bytes()
    assert build_plugin(tmp_path / "b.zip").read_bytes() == data
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        names = set(archive.namelist())
        about = archive.read(f"{NAME}/metadata.txt").decode()
        assert archive.read(f"{NAME}/LICENSE") == (ROOT / "LICENSE").read_bytes()
        sources = {name: archive.read(name).decode() for name in names if name.endswith(".py")}
    assert {f"{NAME}/{name}" for name in ("__init__.py", "metadata.txt", "LICENSE", "icon.svg")} <= names
    assert f"version={gdal_gndc.__version__}\n" in about
    assert "qgisMinimumVersion=3.22\n" in about
    # QGIS' Python has no gdal_gndc
    assert not any("import gdal_gndc" in text or "from gdal_gndc" in text for text in sources.values())


def test_a_folder_that_is_not_there(gndc: Callable[..., object], tmp_path: Path) -> None:
    result = gndc("qgis-plugin", "build", "-o", tmp_path / "none" / "a.zip")
    assert result.exit_code == 1  # type: ignore[attr-defined]
    assert result.stderr.startswith(f"gndc: {tmp_path / 'none'}")  # type: ignore[attr-defined]
    assert result.stderr.count("\n") == 1  # type: ignore[attr-defined]


def test_colours_and_indices_are_those_of_the_sdk(qgis: Qgis, real_cube: Path, plugin: Path, tmp_path: Path) -> None:
    waves = [{"name": f"b{i}", "center_wavelength": length} for i, length in enumerate((842.0, 560.0, 665.0))]
    common = [{"name": name, "common_name": name} for name in ("green", "blue", "red")]
    modis = [{"name": f"sur_refl_b0{i}"} for i in (1, 3, 4)]
    cubes = [case.path for case in VALID] + [real_cube]
    for i, bands in enumerate((waves, common, modis)):
        cubes += [rewritten(CUBE, tmp_path / f"{i}.gndc", meta={"bands": bands})]
    got = qgis.run("views", tmp_path, plugin=plugin, cubes=cubes)
    for cube, (colours, indices, bands, times) in zip(cubes, got["views"], strict=True):
        with gdal_gndc.open(cube) as ds:
            roles = band_roles(ds)
            known = [roles[c] + 1 for c in ("red", "green", "blue") if c in roles]
            assert (colours or []) == (known if len(known) == 3 else []), cube
            assert indices == [name for name in INDICES if set(index_named(name).roles) <= set(roles)], cube
            assert bands == ds.band_names
            assert times == sorted(milliseconds(t) for t in ds.timestamps)
    assert [colours for colours, *_ in got["views"][-4:]] == [[3, 2, 1], None, [3, 1, 2], [1, 3, 2]]
