"""Packages that are also functions: ``gdal_gndc.encode`` holds the encoder's modules and can be called."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


def make_callable(package: str, module: str, function: str) -> None:
    """Let a call of ``package`` call ``module.function``, which is imported then and not before.

    A package and a function cannot share a name otherwise: importing any module of the package would put the package
    in the function's place.
    """

    class CallableRoom(ModuleType):
        def __call__(self, *args: Any, **options: Any) -> Any:
            return getattr(importlib.import_module(module), function)(*args, **options)

    sys.modules[package].__class__ = CallableRoom
