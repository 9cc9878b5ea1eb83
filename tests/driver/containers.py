"""Containers made of the conformance cases, with something changed."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from tests.conftest import CASES

CUBE = CASES / "basic_i8dec.gndc"


def enlarged(target: Path, height: int, width: int) -> Path:
    """The field of CUBE over more pixels: a raster of several blocks, with overviews."""
    with zipfile.ZipFile(CUBE) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith(".json"):
                document = json.loads(data)
                if name == "meta.json":
                    document["shape"][1:3] = [height, width]
                else:
                    document["chunks"][0]["bounds"] = {}
                data = json.dumps(document).encode()
            new.writestr(name, data)
    return target


def rewritten(source: Path, target: Path, **entries: Any) -> Path:
    """A copy of a container with some of meta.json changed, or entries added."""
    meta = entries.pop("meta", {})
    compression = entries.pop("compression", zipfile.ZIP_STORED)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "meta.json":
                document = json.loads(data)
                for key, value in meta.items():
                    if value is None:
                        document.pop(key, None)
                    else:
                        document[key] = value
                data = json.dumps(document).encode()
            new.writestr(name, data)
        for name, value in entries.items():
            new.writestr(name.replace("_json", ".json"), json.dumps(value))
    return target
