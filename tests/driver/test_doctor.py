"""gndc driver doctor: what it finds out about the programs of this machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from gdal_gndc.cli.driver import command
from gdal_gndc.driver.doctor import examine
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
    findings = examine()
    assert findings
    for finding in findings:
        assert finding.gdal is not None
        assert finding.gdal in gdal.run("gdalinfo", "--version").stdout
        assert (finding.loads, finding.would_load) == (False, True)
        assert "gndc driver env" in finding.advice
    monkeypatch.setenv("GDAL_DRIVER_PATH", str(home))
    said = json.loads(CliRunner().invoke(command, ["doctor", "--json"]).output)
    assert all(finding["loads"] and not finding["advice"] for finding in said)
    assert "loads the driver" in CliRunner().invoke(command, ["doctor"]).output


def test_broken_file(gdal: Gdal, home: Path) -> None:
    version = next(gdal.folder.glob("*")).name
    (home / version).mkdir(parents=True)
    (home / version / "gdal_GNDC.so").write_bytes(b"not a library")
    first = examine()[0]
    assert not first.would_load
    assert "CPL_DEBUG" in first.advice
