"""Building the GDAL driver from the packaged sources, and the environment in which GDAL finds it."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from gdal_gndc.atomic import replacing
from gdal_gndc.driver.python_folder import make_python_folder
from gdal_gndc.errors import DriverError
from gdal_gndc.vrt.trust import VARIABLE, with_modules

log = logging.getLogger(__name__)

FILE_NAME = "gdal_GNDC.so"

_SOURCES = Path(__file__).resolve().parent
_PACKAGES = "apt-get install cmake g++ libgdal-dev"
_ERROR_LINES = 12
_TIMEOUT = 1800


def install(prefix: Path | None = None, system: bool = False) -> Path:
    """Build the driver against the libgdal that CMake finds, and put it where GDAL can find it.

    Parameters
    ----------
    prefix
        Folder for ``<major.minor>/gdal_GNDC.so``; by default that of `plugin_folder`. Programs see it with
        the variables of `environment`.
    system
        Put it into GDAL's own plugin folder instead, where every program finds it without variables. Needs
        the rights to write there.

    Returns
    -------
    Path
        The plugin.

    Raises
    ------
    DriverError
        If CMake, a compiler or GDAL's headers are missing, the build fails, or the folder cannot be written.
    """
    if prefix is not None and system:
        raise DriverError("give a prefix or system, not both")

    def place(version: str) -> Path:
        folder = _system_folder(version) if system else (prefix or plugin_folder()) / major_minor(version)
        return folder / FILE_NAME

    return build_driver(place)


def build_driver(place: Callable[[str], Path], options: Sequence[str] = ()) -> Path:
    """Build the driver and put it where ``place`` says, given the version of GDAL it is for.

    ``options`` are further arguments of CMake.

    Raises
    ------
    DriverError
        As `install`, and what ``place`` raises.
    """
    cmake = _tool("cmake", "CMake")
    _compiler()
    with tempfile.TemporaryDirectory(prefix="gndc-driver-") as scratch:
        build = Path(scratch)
        given = ["-DCMAKE_BUILD_TYPE=Release", *options]
        _run([cmake, "-S", str(_SOURCES), "-B", str(build), *given], "configuration")
        version = (build / "gdal_version.txt").read_text("utf-8").strip()
        target = place(version)
        jobs = str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
        _run([cmake, "--build", str(build), "--target", "gdal_GNDC", "--parallel", jobs], "compilation")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as beside:
                shutil.copy(build / FILE_NAME, beside)
        except OSError as error:
            raise DriverError(f"{target}: cannot be written: {error.strerror or error}") from error
    log.info("built %s for GDAL %s", target, version)
    return target


def uninstall(prefix: Path | None = None, system: bool = False) -> list[Path]:
    """Remove the driver, for all versions of GDAL, and return what was removed.

    Raises
    ------
    DriverError
        If a file cannot be removed.
    """
    folders = _system_folders() if system else [prefix or plugin_folder()]
    found = [path for at in folders for path in (at / FILE_NAME, *installed(at)) if path.is_file()]
    for path in found:
        try:
            path.unlink()
        except OSError as error:
            raise DriverError(f"{path}: cannot be removed: {error.strerror or error}") from error
        if path.parent not in folders and not any(path.parent.iterdir()):
            path.parent.rmdir()
    return found


def plugin_folder() -> Path:
    """Return the user's folder for plugins, which holds one folder a version of GDAL (``3.6``)."""
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "gdal-gndc" / "gdalplugins"


def installed(folder: Path | None = None) -> list[Path]:
    """Return the installed builds of the driver, one a version of GDAL, the newest version last."""
    builds = (folder or plugin_folder()).glob(f"*/{FILE_NAME}")
    numbered = [(number, path) for path in builds if (number := _version_of(path.parent.name))]
    return [path for _, path in sorted(numbered)]


def driver_path() -> Path:
    """Return the installed driver (of the newest GDAL, if it is built for several).

    Raises
    ------
    DriverError
        If it is not installed.
    """
    builds = installed()
    if not builds:
        raise DriverError(f"the driver is not installed in {plugin_folder()}: run `gndc driver install`")
    return builds[-1]


def environment(prefix: Path | None = None, *, vrt: bool = False) -> dict[str, str]:
    """Return the variables with which GDAL programs find the driver, and with ``vrt`` also run pixel functions.

    GDAL_DRIVER_PATH
        The user's folder, before what is there already, or before GDAL's own folders, which the variable
        would otherwise replace.
    GDAL_VRT_PYTHON_TRUSTED_MODULES
        What is there already and this package.
    PYTHONPATH
        With ``vrt``: what is there already and a folder of links to this package and what it needs, which is made:
        programs that are not Python start an interpreter that knows nothing of virtual environments.

    Raises
    ------
    DriverError
        If the folder of links cannot be made.
    """
    folder = str(prefix or plugin_folder())
    own = [str(path) for path in _system_folders()]
    given = os.environ.get("GDAL_DRIVER_PATH")
    plugins = own if given is None else given.split(os.pathsep)
    variables = {
        "GDAL_DRIVER_PATH": os.pathsep.join(_unique([folder, *plugins])),
        VARIABLE: with_modules(os.environ.get(VARIABLE)),
    }
    if vrt:
        python = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        links = make_python_folder(plugin_folder().with_name("python"))
        variables["PYTHONPATH"] = os.pathsep.join(_unique([*python, str(links)]))
    return variables


def _unique(names: list[str]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name))


def _tool(name: str, title: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise DriverError(f"{title} is missing, which builds the driver: {_PACKAGES}")
    return found


def _compiler() -> None:
    chosen = os.environ.get("CXX")
    if chosen:
        if shutil.which(chosen.split()[0]) is None:
            raise DriverError(f"the C++ compiler {chosen!r} of the variable CXX is missing")
        return
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        raise DriverError(f"a C++ compiler is missing, which builds the driver: {_PACKAGES}")


def _run(command: list[str], what: str) -> None:
    # messages are looked at below
    environ = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            env=environ,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DriverError(f"the {what} of the driver failed: {error}") from error
    log.debug("%s\n%s", " ".join(command), done.stdout)
    if done.returncode == 0:
        return
    if "GDAL is missing" in done.stdout:
        raise DriverError(f"GDAL's headers (libgdal-dev) are missing, which the driver needs: {_PACKAGES}")
    if old := re.search(r"GDAL (\S+) is too old", done.stdout):
        raise DriverError(f"GDAL {old[1]} is too old for the driver, expected 3.6 or newer")
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    wrong = [line for line in lines if re.search(r"\berror\b", line, re.IGNORECASE)] or lines
    raise DriverError(f"the {what} of the driver failed:\n" + "\n".join(wrong[:_ERROR_LINES]))


def major_minor(version: str) -> str:
    """Return "3.6" of "3.6.2"; raises DriverError for what is no version."""
    number = _version_of(version)
    if number is None:
        raise DriverError(f"CMake found GDAL {version!r}, expected a version such as 3.6.2")
    return f"{number[0]}.{number[1]}"


def _version_of(text: str) -> tuple[int, int] | None:
    match = re.match(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def _system_folders() -> list[Path]:
    """GDAL's own plugin folders that exist."""
    multiarch = sysconfig.get_config_var("MULTIARCH")
    roots = ["/usr/local/lib", "/usr/lib64", "/usr/lib", f"{sys.prefix}/lib", "/opt/homebrew/lib"]
    if multiarch:
        roots.insert(0, f"/usr/lib/{multiarch}")
    return [path for root in dict.fromkeys(roots) if (path := Path(root) / "gdalplugins").is_dir()]


def _system_folder(version: str) -> Path:
    folders = _system_folders()
    if not folders:
        raise DriverError("GDAL's own plugin folder was not found; install without --system, for this user")
    # where there is a folder of the version GDAL looks at nothing else: making one hides what lies beside it
    exact = folders[0] / major_minor(version)
    return exact if exact.is_dir() else folders[0]
