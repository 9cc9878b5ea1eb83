"""Options that take one of a few words, and libraries that a function needs: one clear error for each."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from gdal_gndc.errors import CatalogError


def choose(name: str, value: str, allowed: Sequence[str]) -> str:
    """``value`` if it is allowed; an error that lists what is, otherwise."""
    if value not in allowed:
        raise CatalogError(f"{name}={value!r}: expected one of {', '.join(allowed)}")
    return value


def need(module: str, purpose: str, package: str | None = None) -> Any:
    """The module, or an error that says which package to install and what for."""
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError, OSError) as error:
        # A package whose shared library is missing raises what it likes.
        raise CatalogError(f"{purpose} needs the package {package or module.split('.')[0]}: {error}") from error
