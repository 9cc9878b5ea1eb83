"""Telling GDAL that it may run this package's pixel functions."""

from __future__ import annotations

import os
import sys

from gdal_gndc.errors import GNDCError

VARIABLE = "GDAL_VRT_PYTHON_TRUSTED_MODULES"
SWITCH = "GDAL_VRT_ENABLE_PYTHON"
MODULES = "gdal_gndc.*"
# Where the pixel function is looked up. GDAL's ".*" covers the package itself, but not the modules in it.
MODULE = "gdal_gndc"


def trust() -> None:
    """Add ``gdal_gndc.*`` to the modules whose pixel functions GDAL runs, for this process.

    What the environment variable ``GDAL_VRT_PYTHON_TRUSTED_MODULES`` held stays trusted. Where rasterio is
    imported already and holds an environment open, its configuration gets the same.
    """
    os.environ[VARIABLE] = with_modules(os.environ.get(VARIABLE))
    # GDAL reads the environment when the first pixel is read. Only a setting made through rasterio
    # hides the variable, and then only while that environment is open.
    env = sys.modules.get("rasterio.env")
    if env is not None and env.hasenv() and VARIABLE in env.getenv():
        env.setenv(**{VARIABLE: with_modules(str(env.getenv()[VARIABLE]))})


def with_modules(trusted: str | None) -> str:
    """Return the comma-separated list ``trusted``, as it is, with ``gdal_gndc.*`` at its end if need be."""
    if trusts(trusted):
        return str(trusted)
    return f"{trusted},{MODULES}" if trusted else MODULES


def trusts(trusted: str | None) -> bool:
    """Return whether GDAL, given this list of trusted modules, runs the function ``gdal_gndc.vrt_pixels``.

    Blanks are part of an item for GDAL, so they are here.
    """
    return any(_covers(item) for item in (trusted or "").split(","))


def _covers(item: str) -> bool:
    if item.endswith(".*"):
        return item[:-2] == MODULE
    return MODULE.startswith(item[:-1]) if item.endswith("*") else item == MODULE


def require_trust() -> None:
    """Make sure that rasterio's GDAL will run this package's pixel functions now.

    After one refused read a GDAL handle gives NaN for the next ones and raises nothing, so a refusal has to
    be found before the first read.

    Raises
    ------
    GNDCError
        If a configuration option that this package must not override forbids it.
    """
    trust()
    from rasterio._env import get_gdal_config

    switch = str(get_gdal_config(SWITCH) or "TRUSTED_MODULES").upper()
    if switch in ("YES", "ON", "TRUE", "1"):
        return
    if switch != "TRUSTED_MODULES":
        raise GNDCError(f"{SWITCH} is {switch}, which forbids Python pixel functions; expected TRUSTED_MODULES")
    trusted = get_gdal_config(VARIABLE)
    if not trusts(None if trusted is None else str(trusted)):
        raise GNDCError(f"{VARIABLE} is {trusted!r} in GDAL's configuration; expected {MODULES} in it")
