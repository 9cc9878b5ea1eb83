from __future__ import annotations

import json
import shutil
from pathlib import Path

from click.testing import CliRunner

import gdal_gndc
from gdal_gndc.cli.main import main

DATA = Path(__file__).parents[1] / "data" / "modis_mt_vi"
QUICK = ["--preset", "fast", "--steps", "100", "--device", "cpu"]


def few_dates(folder: Path) -> Path:
    for path in sorted(DATA.glob("*.tif"))[:4]:
        shutil.copy(path, folder)
    return folder


def test_a_folder_becomes_a_cube(tmp_path: Path) -> None:
    output = tmp_path / "out.gndc"
    arguments = ["encode", str(few_dates(tmp_path)), "-o", str(output), *QUICK]
    done = CliRunner().invoke(main, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["bytes"] == output.stat().st_size and report["shape"] == [4, 27, 37, 6]
    with gdal_gndc.open(output) as cube:
        assert cube.n_timestamps == 4
    done = CliRunner().invoke(main, [*arguments, "--quiet"])
    assert done.exit_code == 1 and "exists" in done.stderr
    done = CliRunner().invoke(main, [*arguments, "--overwrite", "--date-regex", r"_(\d{8})\."])
    assert done.exit_code == 0 and "PSNR" in done.stdout


def test_a_dry_run_writes_a_plan_that_a_run_takes(tmp_path: Path) -> None:
    folder, plan, output = few_dates(tmp_path), tmp_path / "plan.yaml", tmp_path / "out.gndc"
    done = CliRunner().invoke(main, ["encode", str(folder), "--dry-run", "--save-config", str(plan), *QUICK])
    assert done.exit_code == 0, done.output
    assert "expected: " in done.stdout and "training: 100 steps" in done.stdout and not output.exists()
    done = CliRunner().invoke(main, ["encode", str(folder), "-o", str(output), "--config", str(plan), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["plan"]["steps"] == 100
    done = CliRunner().invoke(main, ["encode", str(folder)])
    assert done.exit_code == 2 and "--output" in done.stderr


def test_a_missed_target_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    output = tmp_path / "out.gndc"
    arguments = ["encode", str(few_dates(tmp_path)), "-o", str(output), "--target-size", "50", "--steps", "50", "-q"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 3 and "50 bytes or less was not reached" in done.stderr
    assert output.exists()


def test_errors_are_one_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["encode", str(tmp_path / "no.tif"), "-o", str(tmp_path / "x.gndc")])
    assert done.exit_code == 1
    assert done.stderr.startswith("gndc: ") and "no.tif" in done.stderr and done.stderr.count("\n") == 1
    assert CliRunner().invoke(main, ["encode"]).exit_code == 2


def test_help_shows_an_example() -> None:
    assert "gndc encode s2/*.tif -o s2.gndc" in CliRunner().invoke(main, ["encode", "--help"]).output
