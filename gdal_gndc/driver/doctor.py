"""Whether the GDAL programs of this machine would load the driver, and what to do where they would not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from gdal_gndc.driver.install import FILE_NAME, environment, plugin_folder

_TIMEOUT = 60
_PYTHON = (
    "from osgeo import gdal\n"
    "gdal.UseExceptions()\n"
    "print(gdal.VersionInfo('RELEASE_NAME'), gdal.GetDriverByName('GNDC') is not None)\n"
)


@dataclass(frozen=True)
class Finding:
    """What one program would do.

    Attributes
    ----------
    program
        Its name and path.
    gdal
        Version of its GDAL, None if that was not found out.
    loads
        Whether it loads the driver with the variables that are set now.
    would_load
        Whether it does with those of ``gndc driver env``.
    advice
        What to type, empty where nothing is to be done.
    """

    program: str
    gdal: str | None
    loads: bool
    would_load: bool
    advice: str = ""

    def to_json(self) -> dict[str, object]:
        """Return the fields as a dict."""
        return asdict(self)


def examine() -> list[Finding]:
    """Try the GDAL programs of this machine: gdalinfo, osgeo.gdal of the system's Python and of this one.

    Each is started twice in a process of its own: as the variables are now, and as ``gndc driver env`` sets them.
    """
    found = []
    if path := shutil.which("gdalinfo"):
        found.append(_finding(f"gdalinfo ({path})", [path, "--format", "GNDC"], _gdalinfo_version(path)))
    for python in dict.fromkeys(p for p in ("/usr/bin/python3", sys.executable) if Path(p).exists()):
        command = [python, "-c", _PYTHON]
        done = _run(command, {})
        if done is not None and done.returncode == 0:
            found.append(_finding(f"osgeo.gdal ({python})", command, done.stdout.split()[0]))
    return found


def _finding(program: str, command: list[str], version: str | None) -> Finding:
    loads = _loads(_run(command, {}))
    would = _loads(_run(command, environment()))
    return Finding(program, version, loads, would, _advice(version, loads, would))


def _advice(version: str | None, loads: bool, would: bool) -> str:
    if loads:
        return ""
    if would:
        return 'set the variables: eval "$(gndc driver env)"'
    number = re.match(r"\d+\.\d+", version or "")
    built = sorted(path.parent.name for path in plugin_folder().glob(f"*/{FILE_NAME}"))
    if number and number[0] not in built:
        have = f"it is built for {', '.join(built)}" if built else "it is not built"
        return f"{have}, this is GDAL {version}: run `gndc driver install` with its headers (libgdal-dev) installed"
    return "the driver does not load: try CPL_DEBUG=ON gdalinfo --formats to see why"


def _loads(done: subprocess.CompletedProcess[str] | None) -> bool:
    if done is None or done.returncode != 0:
        return False
    return "Extension: gndc" in done.stdout or done.stdout.split()[-1:] == ["True"]


def _gdalinfo_version(path: str) -> str | None:
    done = _run([path, "--version"], {})
    match = re.search(r"GDAL (\d+\.\d+\.\d+)", done.stdout) if done else None
    return match[1] if match else None


def _run(command: list[str], variables: dict[str, str]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
