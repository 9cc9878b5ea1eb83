from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import gdal_gndc
from gdal_gndc.cli.main import main
from gdal_gndc.encode.append import append
from gdal_gndc.encode.check import verify
from gdal_gndc.encode.inputs import open_rasters
from gdal_gndc.errors import EncodeError
from tests.encode.quick import encode

QUICK: dict[str, Any] = {"steps": 200, "progress": False, "device": "cpu", "interpolate": False}


@pytest.fixture(scope="module")
def files() -> list[Path]:
    return sorted((Path(__file__).parents[1] / "data" / "modis_mt_vi").glob("*.tif"))[:30]


@pytest.fixture(scope="module")
def made(files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A cube of one chunk, and one of two in space and two in time."""
    folder = tmp_path_factory.mktemp("append")
    encode(files[:10], folder / "one.gndc", steps=200)
    encode(files[:16], folder / "many.gndc", steps=200, chunk_size=20, chunk_dates=8)
    return {"one": folder / "one.gndc", "many": folder / "many.gndc"}


def _chunks(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.startswith("chunks/")}


@pytest.mark.parametrize(("name", "n"), [("one", 10), ("many", 16)])
def test_new_dates_are_added_and_old_chunks_stay(
    made: dict[str, Path], files: list[Path], tmp_path: Path, name: str, n: int
) -> None:
    cube = Path(shutil.copy(made[name], tmp_path / "x.gndc"))
    with gdal_gndc.open(cube, device="cpu") as dataset:
        before = np.stack([dataset.read(k) for k in range(n)])
        old_metrics = dataset.metrics()
    report = append(cube, files[n : n + 9], **QUICK)
    old, new = _chunks(made[name]), _chunks(cube)
    assert {key: new[key] for key in old} == old
    assert len(new) == len(old) + (1 if name == "one" else 4)
    source = open_rasters(files[: n + 9]).read()
    with gdal_gndc.open(cube, device="cpu") as dataset:
        assert dataset.shape == (n + 9, 27, 37, 6) == report.shape
        assert list(dataset.timestamps) == list(open_rasters(files[: n + 9]).times)
        after = np.stack([dataset.read(k) for k in range(n + 9)])
        metrics = dataset.metrics()
    # dates that are not shared read as before; those that are, nearly
    shared = 2 if name == "many" else 0
    np.testing.assert_array_equal(after[: n - shared], before[: n - shared])
    error = after - source
    assert np.nanstd(error[n:]) < 1.5 * np.nanstd(error[:n])
    assert old_metrics and metrics
    assert metrics["rmse"] == pytest.approx(float(np.sqrt(np.nanmean(error**2))), rel=1e-3 if not shared else 0.03)
    assert metrics["n_valid"] == np.isfinite(source).sum()
    assert metrics["bytes"] == cube.stat().st_size == report.bytes
    # what it would be with all sources at hand
    whole = verify(cube, files[: n + 9])
    assert whole.holds and metrics["psnr"] == pytest.approx(whole.metrics["psnr"], abs=0.5)
    assert metrics["r2"] == pytest.approx(whole.metrics["r2"], abs=0.03)
    assert metrics["bands"][3]["mean"] == pytest.approx(whole.metrics["bands"][3]["mean"], rel=1e-3)
    assert [path.name for path in tmp_path.iterdir()] == ["x.gndc"]


def test_a_bound_is_kept_on_new_dates(files: list[Path], tmp_path: Path) -> None:
    cube = tmp_path / "x.gndc"
    encode(files[:3], cube, max_error=0.02, steps=200)
    append(cube, files[3:5], **QUICK)
    found = verify(cube, files[:5])
    assert found.holds and found.metrics["max_error"] <= 0.02 and "the error bound" in found.checked
    assert not verify(cube, files[:5], max_error=0.001).holds


def test_stacks_that_do_not_fit_are_refused(
    made: dict[str, Path], files: list[Path], tmp_path: Path, write_raster: Any
) -> None:
    cube = Path(shutil.copy(made["one"], tmp_path / "x.gndc"))
    with pytest.raises(EncodeError, match="is not after the last"):
        append(cube, files[9:12], **QUICK)
    with pytest.raises(EncodeError, match=r"b_20300101.tif: its size is 10x8, but 37x27"):
        append(cube, write_raster("b_20300101.tif"), **QUICK)
    assert cube.read_bytes() == made["one"].read_bytes()


def test_verify_tells_when_a_file_is_another(made: dict[str, Path], files: list[Path], tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["verify", str(made["one"]), *map(str, files[:10])])
    assert done.exit_code == 0 and "the stored metrics" in done.stdout
    with pytest.raises(EncodeError, match="its 10 dates are not the 9 of the sources"):
        verify(made["one"], files[:9])
    # the chunk of another training in its place
    other, mixed = tmp_path / "other.gndc", tmp_path / "mixed.gndc"
    encode(files[:10], other, seed=1)
    with zipfile.ZipFile(made["one"]) as good, zipfile.ZipFile(other) as bad, zipfile.ZipFile(mixed, "w") as target:
        for name in good.namelist():
            data = (bad if name.endswith((".gndcc", "manifest.json")) else good).read(name)
            target.writestr(name, data)
    done = CliRunner().invoke(main, ["verify", str(mixed), *map(str, files[:10]), "--json"])
    assert done.exit_code == 1
    assert "rmse is" in json.loads(done.stdout)["problems"][0]


def test_append_on_the_command_line(made: dict[str, Path], files: list[Path], tmp_path: Path) -> None:
    cube = shutil.copy(made["one"], tmp_path / "x.gndc")
    arguments = ["append", str(cube), str(files[10]), "--steps", "50", "--device", "cpu", "--json", "--quiet"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["shape"][0] == 11
