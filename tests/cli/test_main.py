from __future__ import annotations

import ast
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import gdal_gndc
from gdal_gndc.cli import base
from gdal_gndc.cli.main import COMMANDS, LazyGroup, main
from gdal_gndc.errors import TimeError

Gndc = Callable[..., Result]


def listed() -> list[str]:
    return main.list_commands(click.Context(main))


def test_help_lists_the_commands_that_are_there(gndc: Gndc) -> None:
    result = gndc("--help")
    assert result.exit_code == 0
    folder = Path(str(gdal_gndc.__file__)).parent / "cli"
    there = [name for name in COMMANDS if (folder / f"{name.replace('-', '_')}.py").is_file()]
    assert {"info", "decompress", "sample", "timeseries", "vrt"} <= set(there)
    assert listed() == there
    for name in COMMANDS:
        assert (f"\n  {name} " in result.output) == (name in there)


def test_help_imports_no_command() -> None:
    code = (
        "import sys\nfrom gdal_gndc.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'numpy', 'rasterio', 'torch', 'gdal_gndc.cli.info', 'gdal_gndc.dataset'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", listed())
def test_help_of_each_command_has_an_example(gndc: Gndc, name: str) -> None:
    result = gndc(name, "--help")
    assert result.exit_code == 0
    assert re.search(r"Examples?:\s+gndc", result.output) or name in ("catalog", "driver")


def test_version(gndc: Gndc) -> None:
    result = gndc("--version")
    assert result.exit_code == 0
    assert gdal_gndc.__version__ in result.output


@pytest.mark.parametrize("arguments", [["nonsense"], ["info"], ["timeseries", "x.gndc", "--row", "one"]])
def test_wrong_usage_is_two(gndc: Gndc, arguments: list[str]) -> None:
    assert gndc(*arguments).exit_code == 2


@pytest.mark.parametrize("name", ["info", "vrt", "timeseries", "decompress"])
def test_an_error_is_one_line_and_code_one(gndc: Gndc, name: str, tmp_path: Path) -> None:
    bad = Path(__file__).parents[1] / "cases" / "bad_truncated.gndc"
    out = tmp_path / "out"
    arguments = {
        "info": [bad],
        "vrt": [bad, "-o", out],
        "timeseries": [bad, "--row", 0, "--col", 0, "-o", out],
        "decompress": ["-i", bad, "-o", out],
    }[name]
    result = gndc(name, *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"gndc: {bad}")
    assert result.stderr.count("\n") == 1
    assert not out.exists()


def test_a_file_that_is_not_there(gndc: Gndc, tmp_path: Path) -> None:
    result = gndc("info", tmp_path / "none.gndc")
    assert result.exit_code == 1
    assert "none.gndc" in result.stderr
    assert "No such file" in result.stderr


def test_a_missing_extra_is_named(gndc: Gndc, cube: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_without_torch(path: str) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch.nn")

    monkeypatch.setattr(gdal_gndc, "open", open_without_torch)
    result = gndc("info", cube)
    assert result.exit_code == 1
    assert result.stderr == "gndc: this needs torch, which is not installed: pip install 'gdal-gndc[encode]'\n"


def test_every_library_that_an_extra_brings_is_named() -> None:
    """No module is imported that neither the package itself brings nor `EXTRAS` tells how to install."""
    root = Path(base.__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    brought = {name: {_distribution(r) for r in rs} for name, rs in project["optional-dependencies"].items()}
    always = {_distribution(requirement) for requirement in project["dependencies"]}
    # brought along by a dependency of the package, or by what the extra brings
    along = {
        "affine": "rasterio", "pandas": "geopandas", "h5py": "h5netcdf", "_cffi_backend": "cffi", "yaml": "pyyaml",
        "aiohttp": "fsspec",
    }  # fmt: skip
    places = [*(root / "gdal_gndc").rglob("*.py"), *(root / "catalog").rglob("*.py")]
    found = {name for place in places for name in _imports(place.read_text())} - set(sys.stdlib_module_names)
    found -= {"gdal_gndc", "osgeo", "qgis"}
    assert {"h5netcdf", "zarr", "exactextract", "geopandas", "torch"} <= found
    for name in found:
        if along.get(name, name) in always:
            continue
        assert name in base.EXTRAS, f"{name} is in no dependency, and no message tells how to get it"
        assert brought[base.EXTRAS[name]] & {name, along.get(name)}, f"{base.EXTRAS[name]} does not bring {name}"
    for name, extra in base.EXTRAS.items():
        said = base.explain(ModuleNotFoundError(f"No module named '{name}'", name=f"{name}.part"))
        assert said == f"this needs {name}, which is not installed: pip install 'gdal-gndc[{extra}]'"


def _distribution(requirement: str) -> str:
    found = re.match(r"[\w-]+", requirement)
    assert found is not None
    return found[0].lower()


def _imports(source: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def raising(error: BaseException) -> click.Command:
    @click.command(cls=base.Command)
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (TimeError("no such time"), 1, "gndc: no such time\n"),
        (KeyboardInterrupt(), 130, "gndc: interrupted\n"),
        (OSError(28, "No space left on device", "/x/y"), 1, "gndc: /x/y: No space left on device\n"),
        (click.UsageError("both given"), 2, "Error: both given\n"),
    ],
)
def test_how_errors_end_a_run(error: BaseException, code: int, says: str) -> None:
    result = CliRunner().invoke(raising(error), [])
    assert result.exit_code == code
    assert result.stderr.endswith(says)


def test_our_error_below_another_is_the_one_told() -> None:
    try:
        raise OSError("Read failed. See previous exception for details.") from TimeError("the reason")
    except OSError as error:
        assert base.explain(error) == "the reason"


def test_exit_codes_of_click_pass() -> None:
    @click.group(cls=LazyGroup, invoke_without_command=True)
    @click.pass_context
    def group(context: click.Context) -> None:
        context.exit(7)

    assert CliRunner().invoke(group, []).exit_code == 7


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of Unix")
def test_ctrl_c_is_130(cube: Path) -> None:
    code = (
        "import sys, time, click\nfrom gdal_gndc.cli.base import Command\n"
        "@click.command(cls=Command)\ndef main():\n"
        "    print('ready', flush=True)\n    time.sleep(60)\n"
        "main([])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in stderr
    assert "Traceback" not in stderr


def test_a_closed_pipe_is_silent(cube: Path) -> None:
    command = f"{sys.executable} -m gdal_gndc.cli.main timeseries {cube} --row 0 --col 0 | true"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
