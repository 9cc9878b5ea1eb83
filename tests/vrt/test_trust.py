from __future__ import annotations

import os
import subprocess
import sys

import pytest
import rasterio

from gdal_gndc.errors import GNDCError
from gdal_gndc.vrt.trust import MODULES, SWITCH, VARIABLE, require_trust, trust, trusts, with_modules


def test_appends_and_never_replaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "mine.functions, yours.*")
    trust()
    trust()
    assert os.environ[VARIABLE] == f"mine.functions, yours.*,{MODULES}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, MODULES),
        ("", MODULES),
        ("*", "*"),
        ("gdal_gndc*", "gdal_gndc*"),
        ("gdal_gndc", "gdal_gndc"),
        ("gdal_gndc.vrt", f"gdal_gndc.vrt,{MODULES}"),
        (f"a,{MODULES}", f"a,{MODULES}"),
        ("a, b", f"a, b,{MODULES}"),
        # GDAL takes the blank as part of the name, so this does not trust us yet.
        (f"a, {MODULES}", f"a, {MODULES},{MODULES}"),
        ("gdal_gndc.vrt.pixels", f"gdal_gndc.vrt.pixels,{MODULES}"),
        ("gdal.*", f"gdal.*,{MODULES}"),
    ],
)
def test_with_modules(before: str | None, after: str) -> None:
    assert with_modules(before) == after
    assert trusts(after)


@pytest.mark.parametrize(
    "trusted",
    [
        "",
        "*",
        MODULES,
        "gdal_gndc*",
        "gdal*",
        "gdal_gndc.vrt",
        "gdal_gndc.vrt.*",
        f"a, {MODULES}",
        "gdal_gndc",
        "gdal.*",
    ],
)
def test_trusts_what_gdal_trusts(trusted: str, vrt_text: str) -> None:
    with rasterio.Env(**{VARIABLE: trusted}), rasterio.open(vrt_text) as raster:
        try:
            raster.read(1)
            ran = True
        except rasterio.errors.RasterioIOError as error:
            assert "current policy" in str(error.__cause__)
            ran = False
    assert ran == trusts(trusted)


def test_importing_the_package_trusts_it() -> None:
    code = f"import os, gdal_gndc; print(os.environ['{VARIABLE}'])"
    for before, after in [({}, MODULES), ({VARIABLE: "mine"}, f"mine,{MODULES}")]:
        environment = {key: value for key, value in os.environ.items() if key != VARIABLE} | before
        result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert result.stdout.strip() == after, result.stderr


def test_an_open_rasterio_environment_gets_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, MODULES)
    with rasterio.Env(**{VARIABLE: "mine.*"}):
        trust()
        assert trusts(rasterio.env.getenv()[VARIABLE])
        require_trust()


def test_a_policy_that_forbids_is_an_error_before_any_read() -> None:
    require_trust()
    with rasterio.Env(**{SWITCH: "NO"}), pytest.raises(GNDCError, match=f"{SWITCH} is NO"):
        require_trust()
    with rasterio.Env(**{SWITCH: "YES"}):
        require_trust()
