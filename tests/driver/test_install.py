"""The installer: where the driver goes, what programs are told, what is said when something is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import gdal_gndc
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
    assert "PYTHONPATH" not in found
    found = environment(vrt=True)
    assert found["PYTHONPATH"] == f"/opt/python:{home.with_name('python')}"
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    assert environment(vrt=True) == found


def test_env_lines_for_a_shell(home: Path) -> None:
    pretend(home, "3.6")
    done = CliRunner().invoke(command, ["env"])
    assert done.exit_code == 0, done.output
    script = f"{done.output}\npython3 -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    shell = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    seen = json.loads(shell.stdout)
    assert {name: seen[name] for name in environment()} == environment()
    assert json.loads(CliRunner().invoke(command, ["env", "--json"]).output) == environment()


READ = """
import sys, numpy, gdal_gndc
out = numpy.empty((61, 83), "float32")
gdal_gndc.vrt_pixels(None, out, 0, 0, 83, 61, 83, 61, 0, None, path=sys.argv[1].encode(), t=b"2", band=b"3")
print(numpy.__file__, float(out.sum()))
"""


def test_the_system_python_computes_pixels_with_its_own_numpy(home: Path) -> None:
    """What VRTs need is on the path of programs that are not Python, and no numpy is."""
    python = "/usr/bin/python3"
    version = [sys.version_info.major, sys.version_info.minor]
    code = f"import sys, numpy; sys.exit(list(sys.version_info[:2]) != {version})"
    if not Path(python).exists() or subprocess.run([python, "-c", code], capture_output=True, check=False).returncode:
        pytest.skip(f"{python} is of another version, or has no numpy (apt-get install python3-numpy)")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": environment(vrt=True)["PYTHONPATH"]}
    done = subprocess.run(
        [python, "-c", READ, CASES / "basic_i8dec.gndc"], env=env, capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    numpy_file, total = done.stdout.split()
    assert numpy_file.startswith("/usr/lib/python3")
    with gdal_gndc.open(CASES / "basic_i8dec.gndc") as dataset:
        assert float(total) == pytest.approx(float(dataset.read(2)[..., 2].sum()), rel=1e-5)
    names = {path.name for path in home.with_name("python").iterdir()}
    assert not names & {"numpy", "rasterio", "pyproj"}


def test_the_environment_leaves_osgeo_alone(
    gdal: Gdal, osgeo: Gdal, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """osgeo reads arrays with the variables set, those for VRTs too."""
    home.parent.mkdir(parents=True)
    home.symlink_to(gdal.folder)
    code = "from osgeo import gdal; gdal.UseExceptions(); import sys; print(gdal.Open(sys.argv[1]).ReadAsArray().shape)"
    done = osgeo.run("/usr/bin/python3", "-c", code, f"GNDC:{CASES / 'basic_i8dec.gndc'}:t=0", **environment(vrt=True))
    assert done.stdout.strip() == "(3, 61, 83)", done.stderr


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
