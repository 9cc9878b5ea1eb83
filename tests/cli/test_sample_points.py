"""gndc sample --points, and tables of samples and series."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

import gdal_gndc
from tests.cli.test_read_commands import rows_of

Gndc = Callable[..., Result]

# pixels (30, 41), (0, 0) and (60, 82) of the cube, and a point outside it
XY = [(399960 + 415, 5300040 - 305), (399962, 5300038), (400789, 5299431), (0, 0)]
PIXELS = [(30, 41), (0, 0), (60, 82)]


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    path = tmp_path / "points.csv"
    path.write_text("id,x,y\n" + "".join(f"s{i},{x},{y}\n" for i, (x, y) in enumerate(XY[:3])))
    return path


def test_a_csv_of_points(gndc: Gndc, cube: Path, csv_file: Path) -> None:
    result = gndc("sample", cube, "--points", csv_file, "--crs", "EPSG:32633", "--bands", "T,B2")
    assert result.exit_code == 0, result.output
    lines = [line.split(",") for line in result.stdout.splitlines()]
    assert lines[0] == ["point", "x", "y", "time", "T", "B2"]
    assert [line[0] for line in lines[1:]] == [str(i) for i in range(3) for _ in range(7)]
    with gdal_gndc.open(cube) as dataset:
        expected = dataset.series(PIXELS, bands=["T", "B2"]).reshape(-1, 2)
    found = np.array([[np.float32(cell) for cell in line[4:]] for line in lines[1:]])
    np.testing.assert_array_equal(found, expected)
    assert lines[1][1:4] == ["400375.0", "5299735.0", "2020-01-03T10:30:00Z"]


def test_points_in_degrees_by_name_and_in_parts(
    gndc: Gndc, cube: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyproj import Transformer

    from gdal_gndc.cli import sample

    lon, lat = Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True).transform(*zip(*XY[:3], strict=True))
    path = tmp_path / "p.geojson"
    features = [
        {"type": "Feature", "properties": {"id": f"s{i}"}, "geometry": {"type": "Point", "coordinates": c}}
        for i, c in enumerate(zip(lon, lat, strict=True))
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    options = ["--points", path, "--id", "id", "--start", "2020-02-01", "--end", "2020-03-01", "--interval", "14"]
    whole = gndc("sample", cube, *options).output
    monkeypatch.setattr(sample, "_VALUES", 1)
    assert gndc("sample", cube, *options).output == whole
    assert whole.splitlines()[0] == "point,lon,lat,time,B2,LAI,T"
    rows = json.loads(gndc("sample", cube, *options, "--json").output)
    assert len(rows) == 9
    assert (rows[4]["point"], rows[4]["time"]) == ("s1", "2020-02-15T00:00:00Z")
    with gdal_gndc.open(cube) as dataset:
        assert rows[4]["LAI"] == pytest.approx(dataset.series_at([[0, 0]], ["2020-02-15"], "LAI").item(), rel=1e-6)


def test_points_outside(gndc: Gndc, cube: Path, csv_file: Path) -> None:
    with csv_file.open("a") as file:
        file.write("s3,0,0\n")
    options = ["--points", csv_file, "--crs", "EPSG:32633", "--timestamp", 0, "--id", "id"]
    result = gndc("sample", cube, *options)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the point (0, 0) lies outside the cube, whose bounds in EPSG:32633 are (399960, " in result.stderr
    result = gndc("sample", cube, *options, "--skip-outside")
    assert result.exit_code == 0
    assert result.stderr == "gndc: 1 of 4 points lie outside the cube\n"
    assert [line.split(",")[0] for line in result.stdout.splitlines()] == ["point", "s0", "s1", "s2"]


def test_nan_outside(cube: Path) -> None:
    x, y = (np.array(a, float) for a in zip(*XY, strict=True))
    with gdal_gndc.open(cube) as dataset:
        found = dataset.sample(x, y, 0, crs="EPSG:32633", outside="nan")
        assert found.shape == (4, 3)
        assert np.isnan(found[3]).all()
        np.testing.assert_array_equal(found[:3], dataset.sample(x[:3], y[:3], 0, crs="EPSG:32633"))


def test_parquet(gndc: Gndc, cube: Path, csv_file: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "out" / "s.parquet"
    out.parent.mkdir()
    result = gndc("sample", cube, "--points", csv_file, "--crs", "EPSG:32633", "--id", "id", "-o", out)
    assert (result.exit_code, result.output) == (0, "")
    table = parquet.read_table(out)
    assert table.column_names == ["point", "x", "y", "time", "B2", "LAI", "T"]
    assert str(table.schema.field("time").type) == "timestamp[us, tz=UTC]"
    assert str(table.schema.field("LAI").type) == "float"
    with gdal_gndc.open(cube) as dataset:
        np.testing.assert_array_equal(table["LAI"].to_numpy(), dataset.series(PIXELS, "LAI").ravel())
        assert table["time"].to_pylist() == dataset.timestamps * 3
    series = tmp_path / "out" / "t.parquet"
    assert gndc("timeseries", cube, "--row", 30, "--col", 41, "-o", series).exit_code == 0
    np.testing.assert_array_equal(parquet.read_table(series)["LAI"].to_numpy(), table["LAI"].to_numpy()[:7])
    assert sorted(path.name for path in out.parent.iterdir()) == ["s.parquet", "t.parquet"]


def test_no_data_is_null(gndc: Gndc, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    cube = Path(__file__).parents[1] / "cases" / "sensors.gndc"
    assert gndc("timeseries", cube, "--row", 3, "--col", 4, "-o", tmp_path / "t.parquet").exit_code == 0
    table = parquet.read_table(tmp_path / "t.parquet")
    with gdal_gndc.open(cube) as dataset:
        missing = int(np.isnan(dataset.pixel_series(3, 4)[:, dataset.band_names.index("T")]).sum())
    assert table["T"].null_count == missing > 0


def test_a_regular_series(gndc: Gndc, cube: Path) -> None:
    result = gndc("timeseries", cube, "--row", 1, "--col", 2, "--start", "2020-02-01", "--end", "2020-02-03",
                  "--interval", "12h", "--bands", "T")  # fmt: skip
    head, times, values = rows_of(result.output)
    assert head == ["time", "T"]
    assert times == [f"2020-02-0{day}T{hour}:00:00Z" for day in (1, 2) for hour in ("00", "12")] + [
        "2020-02-03T00:00:00Z"
    ]
    with gdal_gndc.open(cube) as dataset:
        np.testing.assert_array_equal(values, dataset.series_at([[1, 2]], times, "T")[0])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "give --lon and --lat, or --points"),
        (["--lon", 1], "give --lon and --lat, or --points"),
        (["--lon", 1, "--lat", 2, "--points", "x.csv"], "give --lon and --lat, or --points"),
        (["--lon", 1, "--lat", 2, "--id", "a"], "--id and --skip-outside are for --points"),
        (["--lon", 1, "--lat", 2, "--timestamp", 0, "--start", 1], "give --timestamp, or --start"),
        (["--lon", 1, "--lat", 2, "--interval", "soon"], "not a duration"),
    ],
)
def test_wrong_usage(gndc: Gndc, cube: Path, options: list[object], says: str) -> None:
    result = gndc("sample", cube, *options)
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_file_that_is_not_there(gndc: Gndc, cube: Path, tmp_path: Path) -> None:
    result = gndc("sample", cube, "--points", tmp_path / "no.csv", "-o", tmp_path / "out.csv")
    assert result.exit_code == 1
    assert result.stderr == f"gndc: {tmp_path / 'no.csv'}: No such file or directory\n"
    assert not (tmp_path / "out.csv").exists()
