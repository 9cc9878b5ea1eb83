"""Options of ``gndc encode`` and what each does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import gdal_gndc
from gdal_gndc.encode import encoder
from gdal_gndc.encode.plan import Plan
from gdal_gndc.encode.planner import make_plan
from gdal_gndc.errors import EncodeError

Gndc = Callable[..., Result]
FILES = sorted((Path(__file__).parents[1] / "data" / "modis_mt_vi").glob("*.tif"))
QUICK = ("--preset", "tiny", "--steps", "40", "--device", "cpu")


def planned(gndc: Gndc, folder: Path, command: str, *options: object) -> tuple[Plan, str]:
    """The plan that options make, and what is told of it."""
    path = folder / "plan.yaml"
    done = gndc(command, *FILES[:12], "--dry-run", "--save-config", path, *QUICK, *options)
    assert done.exit_code == 0, done.stderr
    return Plan.load(path), done.stdout


def test_options_of_the_training_are_in_the_plan(gndc: Gndc, tmp_path: Path) -> None:
    options = ("--seed", 7, "--threads", 1, "--rate-weight", 0.25, "--decoder", "float16", "--chunk-dates", 8)
    plan, said = planned(gndc, tmp_path, "encode", *options, "--no-interpolate")
    assert (plan.seed, plan.rate_weight, plan.preset) == (7, 0.25, "tiny")
    assert plan.chunk[0] <= 8 and plan.t_overlap > 0 and plan.decoder_scale == 0.0 and "2 of at most" in said
    assert plan.virtual_frames == 0
    assert planned(gndc, tmp_path, "encode", "--interpolate")[0].virtual_frames > 0


@pytest.mark.parametrize(
    ("command", "said"),
    [(["encode", "--target-psnr", "24"], "24 dB"), (["encode", "--target-bps", "0.3"], "0.3 bits")],
)
def test_goals_are_in_what_is_told(gndc: Gndc, command: list[str], said: str) -> None:
    done = gndc(*command, *FILES[:4], "--dry-run", "--steps", 60)
    assert done.exit_code == 0 and said in done.stdout


def config(folder: Path, *shape: int) -> tuple[str, str, str, str]:
    """Options of a plan by the rules, without trials."""
    assert len(shape) == 4
    make_plan(shape, preset="tiny", steps=20).save(folder / "plan.yaml")
    return "--config", str(folder / "plan.yaml"), "--device", "cpu"


def test_passes_of_a_day_are_merged_and_aligned(gndc: Gndc, tmp_path: Path) -> None:
    names = ("a_20200101T103000.tif", "b_20200101T103015.tif", "a_20200103T103000.tif")
    passes = [shutil.copy(file, tmp_path / name) for file, name in zip(FILES, names, strict=False)]
    options = ("--group-by", "day", "--align", *config(tmp_path, 2, 27, 37, 6))
    done = gndc("encode", *passes, "-o", tmp_path / "x.gndc", "-q", *options)
    assert done.exit_code == 1 and "merge" in done.stderr
    done = gndc("encode", *passes, "-o", tmp_path / "x.gndc", "--json", "--merge", "first", *options)
    assert done.exit_code == 0 and json.loads(done.stdout)["shape"] == [2, 27, 37, 6]


def test_assets_of_items_are_the_bands(gndc: Gndc, tmp_path: Path) -> None:
    features = [
        {
            "type": "Feature",
            "id": f"i{k}",
            "properties": {"datetime": f"2020-01-0{k + 1}T00:00:00Z"},
            "assets": {name: {"href": str(file), "roles": ["data"], "type": "image/tiff"} for name in ("one", "two")},
        }
        for k, file in enumerate(FILES[:2])
    ]
    (tmp_path / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    arguments = ("encode", tmp_path / "items.json", "-o", tmp_path / "x.gndc", "--assets", "two")
    done = gndc(*arguments, "--json", *config(tmp_path, 2, 27, 37, 6))
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["shape"] == [2, 27, 37, 6]


def test_a_preview_when_asked_for(gndc: Gndc, tmp_path: Path) -> None:
    for option, there in (("--preview", True), ("--no-preview", False)):
        path = tmp_path / f"x{option}.gndc"
        done = gndc("encode", *FILES[:2], "-o", path, "-q", option, *config(tmp_path, 2, 27, 37, 6))
        assert done.exit_code == 0, done.stderr
        with zipfile.ZipFile(path) as archive:
            assert ("preview.png" in archive.namelist()) is there


def test_finished_chunks_are_taken_or_not(gndc: Gndc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise EncodeError("the power went out")

    command = ("encode", *FILES[:2], "-o", tmp_path / "x.gndc", "--json", "--overwrite")
    options = config(tmp_path, 2, 27, 37, 6)
    for option, found in (("--resume", 1), ("--no-resume", 0)):
        with monkeypatch.context() as patched:
            patched.setattr(encoder, "measure", fails)
            assert "the power went out" in gndc(*command, *options).stderr
        done = gndc(*command, option, *options)
        assert done.exit_code == 0, done.stderr
        assert json.loads(done.stdout)["chunks_found"] == found


def test_no_scheduler_there(gndc: Gndc, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    import dask

    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        done = gndc(
            "encode", *FILES[:2], "-o", tmp_path / "x.gndc", "-q", "--scheduler", "tcp://127.0.0.1:9",
            *config(tmp_path, 2, 27, 37, 6),
        )  # fmt: skip
    assert done.exit_code == 1 and "no Dask scheduler answers there" in done.stderr


def test_verbose_tells_the_plan(tmp_path: Path) -> None:
    """In a process of its own, whose logging nobody has set up."""
    program = [sys.executable, "-c", "from gdal_gndc.cli.main import main; main()"]
    command = ["encode", *map(str, FILES[:2]), "-o", str(tmp_path / "x.gndc"), "-q", "--verbose"]
    done = subprocess.run([*program, *command, *config(tmp_path, 2, 27, 37, 6)], capture_output=True, text=True,
                          check=False, timeout=60)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "cube: 2 dates, 27 x 37 pixels, 6 bands" in done.stderr
    with gdal_gndc.open(tmp_path / "x.gndc") as cube:
        assert cube.shape == (2, 27, 37, 6)
