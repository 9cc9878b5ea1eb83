"""Encoding in a moment: by the plan of the rules, without the trials that look for a better one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import gdal_gndc
from gdal_gndc.encode import EncodeReport
from gdal_gndc.encode.inputs import open_source
from gdal_gndc.encode.planner import make_plan

_PLANNED = ("chunk_size", "chunk_dates", "max_error", "seed", "steps", "preset")


def encode(inputs: Any, output: Path | str, **options: Any) -> EncodeReport:
    """Encode on the CPU; options of `make_plan`, others of `gdal_gndc.encode`. Tiny, 50 steps by default."""
    planned = {"preset": "tiny", "steps": 50} | {key: options.pop(key) for key in _PLANNED if key in options}
    source = open_source(inputs)
    plan = make_plan(source.shape, **planned)
    return gdal_gndc.encode(source, output, plan=plan, device="cpu", progress=False, **options)


if __name__ == "__main__":
    encode(sys.argv[3:], sys.argv[1], **json.loads(sys.argv[2]))
