"""gndc driver doctor: what it finds out about the programs of this machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import rasterio
from click.testing import CliRunner

from gdal_gndc.cli.driver import command
from gdal_gndc.driver.doctor import examine
from gdal_gndc.driver.wheel import load_driver, wheel_driver, wheel_library
from gdal_gndc.errors import DriverError
from tests.driver.conftest import Gdal


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's plugin folder with nothing in it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("GDAL_DRIVER_PATH", raising=False)
    return tmp_path / "gdal-gndc" / "gdalplugins"


def test_not_built(gdal: Gdal, home: Path) -> None:
    first = examine()[0]
    assert first.program.startswith("gdalinfo")
    assert (first.loads, first.would_load) == (False, False)
    assert "gndc driver install" in first.advice


def test_installed(gdal: Gdal, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(gdal.folder, home)
    findings = [finding for finding in examine() if not finding.program.startswith("rasterio")]
    assert findings
    for finding in findings:
        assert finding.gdal is not None
        assert finding.gdal in gdal.run("gdalinfo", "--version").stdout
        assert (finding.loads, finding.would_load) == (False, True)
        assert finding.current
        assert "gndc driver env" in finding.advice
    monkeypatch.setenv("GDAL_DRIVER_PATH", str(home))
    said = json.loads(CliRunner().invoke(command, ["doctor", "--json"]).output)
    assert all(finding["loads"] and not finding["advice"] for finding in said[: len(findings)])
    assert "loads the driver" in CliRunner().invoke(command, ["doctor"]).output


def test_broken_file(gdal: Gdal, home: Path) -> None:
    version = next(gdal.folder.glob("*")).name
    (home / version).mkdir(parents=True)
    (home / version / "gdal_GNDC.so").write_bytes(b"not a library")
    first = examine()[0]
    assert not first.would_load
    assert "CPL_DEBUG" in first.advice


def test_driver_of_other_sources(gdal: Gdal, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(gdal.folder, home)
    monkeypatch.setattr("gdal_gndc.driver.doctor.source_id", lambda: "0123456789ab")
    first = examine()[0]
    assert first.current is False
    assert "gndc driver install" in first.advice


def test_wheel_of_rasterio(home: Path) -> None:
    """It has a GDAL of its own, and is told what works without a driver."""
    try:
        library = wheel_library()
    except DriverError:
        pytest.skip("this rasterio is no wheel: it uses the system's GDAL")
    found = examine()[-1]
    assert str(library) in found.program
    assert (found.gdal, found.loads, found.would_load) == (rasterio.__gdal_version__, False, False)
    assert "open_raster" in found.advice
    with pytest.raises(DriverError, match="there is no driver for GDAL"):
        load_driver()
    wheel_driver().parent.mkdir(parents=True)
    wheel_driver().write_bytes(b"not a library")
    with pytest.raises(DriverError, match="does not work in this rasterio"):
        load_driver()
    assert "does not work" in examine()[-1].advice
