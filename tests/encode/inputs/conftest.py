"""Encoding in a moment: by a plan made by rule, without the trials that look for a better one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import pytest

import gdal_gndc
from gdal_gndc.encode import EncodeReport
from gdal_gndc.encode.inputs import open_source
from gdal_gndc.encode.planner import make_plan


class QuickEncode(Protocol):
    def __call__(self, inputs: Any, output: Path, **options: Any) -> EncodeReport: ...


@pytest.fixture(scope="session")
def quick_encode() -> QuickEncode:
    """Encode with few steps; options of the plan, others those of `open_source`."""

    def encode(inputs: Any, output: Path, **options: Any) -> EncodeReport:
        planned = {key: options.pop(key) for key in ("chunk_size", "max_error") if key in options}
        source = open_source(inputs, **options)
        plan = make_plan(source.shape, preset="tiny", steps=40, **planned)
        return gdal_gndc.encode(source, output, plan=plan, device="cpu", progress=False)

    return encode


@pytest.fixture
def quick_options(tmp_path: Path) -> Any:
    """Options of ``gndc encode`` that do the same for a cube of a shape."""

    def options(*shape: int) -> list[str]:
        assert len(shape) == 4
        path = tmp_path / "plan.yaml"
        make_plan(shape, preset="tiny", steps=20).save(path)
        return ["--config", str(path), "--device", "cpu", "--json"]

    return options
