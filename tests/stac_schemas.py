"""Validating STAC Items against the schemas in tests/data/stac-schemas, without a network."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import DATA


def validate(item: dict[str, Any]) -> list[Any]:
    """Return the URIs of the schemas, the core's and those of all extensions named, that an Item conforms to."""
    pytest.importorskip("jsonschema")
    pystac = pytest.importorskip("pystac")
    from pystac.validation.stac_validator import JsonSchemaSTACValidator

    validator = JsonSchemaSTACValidator()
    for path in (DATA / "stac-schemas").rglob("*.json"):
        schema = json.loads(path.read_text())
        validator.schema_cache[schema["$id"].rstrip("#")] = schema
    missing = set(item["stac_extensions"]) - set(validator.schema_cache)
    assert not missing, f"tests/data/stac-schemas lacks {missing}"
    found: list[Any] = pystac.Item.from_dict(item).validate(validator=validator)
    assert len(found) == 1 + len(item["stac_extensions"])
    return found
