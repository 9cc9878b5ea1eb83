from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdal_gndc
from gdal_gndc.encode.encoder import encode
from gdal_gndc.encode.inputs import open_rasters
from gdal_gndc.encode.plan import Plan
from gdal_gndc.encode.prepare import prepare
from gdal_gndc.errors import EncodeError

DATA = Path(__file__).parents[1] / "data"
MODIS = sorted((DATA / "modis_mt_vi").glob("*.tif"))


def test_a_goal_is_reached_and_its_plan_gives_the_same_file_again(tmp_path: Path) -> None:
    options: dict[str, Any] = {"steps": 700, "progress": False, "device": "cpu", "threads": 1}
    report = encode(MODIS[:46], tmp_path / "a.gndc", target_psnr=25.0, **options)
    assert report.goal_reached and report.psnr is not None and 25.0 <= report.psnr < 26.0
    assert report.to_json()["goal"] == "a PSNR of 25 dB or more"
    report.plan.save(tmp_path / "plan.yaml")
    plan = Plan.load(tmp_path / "plan.yaml")
    assert plan == report.plan
    encode(MODIS[:46], tmp_path / "b.gndc", plan=plan, sidecars=False, progress=False, device="cpu")
    encode(MODIS[:46], tmp_path / "c.gndc", plan=plan, sidecars=False, progress=False, device="cpu", threads=1)
    assert (tmp_path / "b.gndc").read_bytes() == (tmp_path / "c.gndc").read_bytes()
    with gdal_gndc.open(tmp_path / "a.gndc", device="cpu") as a, gdal_gndc.open(tmp_path / "b.gndc", device="cpu") as b:
        np.testing.assert_array_equal(a.read(7), b.read(7))


def test_a_goal_out_of_reach_is_told(tmp_path: Path) -> None:
    report = encode(
        MODIS[:12], tmp_path / "x.gndc", target_size=100, steps=60, progress=False, device="cpu"
    )  # fmt: skip
    assert report.goal_reached is False
    assert "NOT reached" in report.table()


def test_times_between_are_taught_where_that_helps() -> None:
    modis = prepare(open_rasters(MODIS), preset="fast", steps=1500, temporal_cells=4)
    assert modis.plan.virtual_frames > 0 and modis.held_out is not None
    scores = modis.held_out.to_json()
    assert scores["r2_linear"] < scores["r2_smoother"] and scores["r2_field"] > 0.3
    # half of these dates are clouds
    clouds = prepare(open_rasters(DATA / "s2_flanders"), preset="fast", temporal_cells=4)
    assert clouds.plan.virtual_frames == 0 and clouds.held_out is None
    assert prepare(open_rasters(MODIS[:10]), preset="fast").plan.virtual_frames == 0


def test_cells_follow_a_trial() -> None:
    sea = prepare(open_rasters(DATA / "sst_gulfstream"), preset="fast", interpolate=False)
    assert sea.plan.config.spatial_scale * 12 == pytest.approx(10, abs=0.1)
    land = prepare(open_rasters(MODIS), preset="fast", interpolate=False)
    assert land.plan.config.spatial_scale * len(MODIS) == pytest.approx(4, abs=0.1)


def test_what_is_expected_is_near_what_comes(tmp_path: Path) -> None:
    prepared = prepare(open_rasters(MODIS), preset="fast", steps=3000, interpolate=False, temporal_cells=4)
    outlook = prepared.outlook()
    report = encode(MODIS, tmp_path / "x.gndc", plan=prepared.plan, progress=False, device="cpu")
    assert report.psnr == pytest.approx(outlook.psnr, abs=1.5)
    assert report.bits_per_sample == pytest.approx(outlook.bits_per_sample, rel=0.3)
    assert "expected: " in prepared.explain()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target_psnr": 30, "preset": "fast"}, "expected one of them"),
        ({"target_psnr": 30, "max_error": 0.01}, "expected one of them"),
        ({"target_psnr": 30, "rate_weight": 0.1}, "expected one of them"),
        ({"target_psnr": 30, "target_size": 10}, "2 goals"),
        ({"temporal_cells": 1}, "2 to 64"),
    ],
)
def test_what_does_not_go_together(options: dict[str, Any], said: str) -> None:
    with pytest.raises(EncodeError, match=said):
        prepare(open_rasters(MODIS[:3]), **options)


def test_plans_in_files_are_checked(tmp_path: Path) -> None:
    source = open_rasters(MODIS[:3])
    plan = prepare(source, preset="tiny").plan
    members = plan.to_json()
    assert Plan.from_json(members) == plan
    for change, said in (
        ({"colour": 1}, "'colour' is no member"),
        ({"steps": "many"}, "steps is 'many', expected a whole number"),
        ({"table_rate": -1.0}, "finite number from 0"),
        ({"shape": 3}, "expected a list"),
        ({"config": {"decoder_hidden": "wide"}}, "decoder_hidden"),
    ):
        with pytest.raises(EncodeError, match=said):
            Plan.from_json(members | change)
    with pytest.raises(EncodeError, match="has no 'config'"):
        Plan.from_json({k: v for k, v in members.items() if k != "config"})
    with pytest.raises(EncodeError, match="the plan is for a cube of"):
        prepare(open_rasters(MODIS[:4]), plan=plan)
    (tmp_path / "bad.yaml").write_text("[: not yaml")
    with pytest.raises(EncodeError, match=r"bad\.yaml: cannot be read"):
        Plan.load(tmp_path / "bad.yaml")
