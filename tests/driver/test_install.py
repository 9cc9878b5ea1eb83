"""The installer: where the driver goes, what programs are told, what is said when something is missing."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from gdal_gndc.cli.driver import command
from gdal_gndc.driver.install import FILE_NAME, driver_path, environment, install, plugin_folder, uninstall
from gdal_gndc.errors import DriverError
from tests.conftest import CASES
from tests.driver.conftest import Gdal


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's data folder of its own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "it's data"))
    for name in ("GDAL_DRIVER_PATH", "GDAL_VRT_PYTHON_TRUSTED_MODULES", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "it's data" / "gdal-gndc" / "gdalplugins"


def pretend(folder: Path, *versions: str) -> list[Path]:
    """Files where builds would be."""
    paths = [folder / version / FILE_NAME for version in versions]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    return paths


def test_place(gdal: Gdal) -> None:
    version = gdal.run("gdal-config", "--version").stdout.split(".")
    assert [p.relative_to(gdal.folder) for p in gdal.folder.glob("*/*")] == [
        Path(f"{version[0]}.{version[1]}") / FILE_NAME
    ]


def test_path_is_the_newest(home: Path) -> None:
    with pytest.raises(DriverError, match="gndc driver install"):
        driver_path()
    pretend(home, "3.6", "3.10", "notes")
    assert plugin_folder() == home
    assert driver_path() == home / "3.10" / FILE_NAME


def test_environment_keeps_what_is_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_DRIVER_PATH", "/opt/plugins")
    monkeypatch.setenv("GDAL_VRT_PYTHON_TRUSTED_MODULES", "other.*")
    monkeypatch.setenv("PYTHONPATH", "/opt/python")
    found = environment()
    assert found["GDAL_DRIVER_PATH"] == f"{home}:/opt/plugins"
    assert found["GDAL_VRT_PYTHON_TRUSTED_MODULES"] == "other.*,gdal_gndc.*"
    assert found["PYTHONPATH"].split(":")[0] == "/opt/python"
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    assert environment() == found


def test_env_lines_for_a_shell(home: Path) -> None:
    pretend(home, "3.6")
    done = CliRunner().invoke(command, ["env"])
    assert done.exit_code == 0, done.output
    script = f"{done.output}\npython3 -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    shell = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    seen = json.loads(shell.stdout)
    assert {name: seen[name] for name in environment()} == environment()
    assert json.loads(CliRunner().invoke(command, ["env", "--json"]).output) == environment()


def test_pythonpath_finds_the_package(home: Path) -> None:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": environment()["PYTHONPATH"]}
    code = "import gdal_gndc, numpy"
    subprocess.run(["python3", "-c", code], env=env, check=True, cwd="/")


def test_commands(home: Path) -> None:
    runner = CliRunner()
    failed = runner.invoke(command, ["path"])
    assert isinstance(failed.exception, DriverError)
    assert isinstance(runner.invoke(command, ["env"]).exception, DriverError)
    (path,) = pretend(home, "3.6")
    assert runner.invoke(command, ["path"]).output == f"{path}\n"
    assert json.loads(runner.invoke(command, ["path", "--json"]).output) == {
        "folder": str(home),
        "builds": {"3.6": str(path)},
    }
    assert runner.invoke(command, ["uninstall"]).output == f"removed {path}\n"
    assert not path.parent.exists()
    assert "nothing to remove" in runner.invoke(command, ["uninstall"]).output


def test_uninstall_leaves_the_rest(tmp_path: Path) -> None:
    (path,) = pretend(tmp_path, "3.6")
    other = path.with_name("gdal_OTHER.so")
    other.write_bytes(b"")
    assert uninstall(tmp_path) == [path]
    assert other.exists()


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(DriverError, match=r"CMake is missing.*apt-get install"):
        install(tmp_path)
    (tools / "cmake").write_text("#!/bin/sh\necho 'CMake Error: GDAL is missing: neither'\nexit 1\n")
    (tools / "cmake").chmod(0o755)
    with pytest.raises(DriverError, match=r"C\+\+ compiler is missing.*apt-get install"):
        install(tmp_path)
    monkeypatch.setenv("CXX", "no-such-compiler -O1")
    with pytest.raises(DriverError, match="no-such-compiler"):
        install(tmp_path)
    monkeypatch.delenv("CXX")
    (tools / "c++").symlink_to("/bin/true")
    with pytest.raises(DriverError, match=r"libgdal-dev.*missing.*apt-get install"):
        install(tmp_path)
    (tools / "cmake").write_text("#!/bin/sh\necho 'main.cpp:1: error: no such thing'\nexit 1\n")
    with pytest.raises(DriverError, match=r"configuration of the driver failed:\nmain.cpp:1: error"):
        install(tmp_path)
    assert not list(tmp_path.glob("*/*.so"))


def test_prefix_and_system_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="not both"):
        install(tmp_path, system=True)


def test_without_the_plugin_nothing_opens(gdal: Gdal) -> None:
    """The pixels come from the built driver and from nowhere else."""
    done = gdal.run("gdalinfo", CASES / "basic_i8dec.gndc", GDAL_DRIVER_PATH="/nonexistent")
    assert done.returncode == 1
