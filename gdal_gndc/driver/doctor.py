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
from gdal_gndc.driver.sources import ITEM, source_id
from gdal_gndc.driver.wheel import load_driver, wheel_driver, wheel_library, wheel_version
from gdal_gndc.errors import DriverError

_TIMEOUT = 60
_PYTHON = (
    "from osgeo import gdal\n"
    "gdal.UseExceptions()\n"
    "driver = gdal.GetDriverByName('GNDC')\n"
    f"sources = '{ITEM}=' + str(driver.GetMetadataItem('{ITEM}')) if driver else 'none'\n"
    "print(gdal.VersionInfo('RELEASE_NAME'), sources)\n"
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
    current
        Whether the driver that it loads, now or with those variables, was built from the sources of this package; None
        where none loads. Another one may give pixels that differ in their last bits.
    advice
        What to type, empty where nothing is to be done.
    """

    program: str
    gdal: str | None
    loads: bool
    would_load: bool
    current: bool | None = None
    advice: str = ""

    def to_json(self) -> dict[str, object]:
        """Return the fields as a dict."""
        return asdict(self)


def examine() -> list[Finding]:
    """Try the GDAL programs of this machine: gdalinfo, osgeo.gdal of the system's Python and of this one, rasterio.

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
    if wheel := _wheel():
        found.append(wheel)
    return found


def _wheel() -> Finding | None:
    """What rasterio would do if it is a wheel with a GDAL of its own."""
    try:
        program, version = f"rasterio ({wheel_library()})", wheel_version()
    except DriverError:
        return None
    advice = "gdal_gndc.open_raster needs no driver there"
    if not wheel_driver().is_file():
        return Finding(program, version, False, False, None, advice)
    try:
        load_driver()
    except DriverError as error:
        return Finding(program, version, False, False, None, f"{error}; {advice}")
    return Finding(program, version, False, True, None, "call gdal_gndc.driver.wheel.load_driver() first")


def _finding(program: str, command: list[str], version: str | None) -> Finding:
    now, then = _sources(_run(command, {})), _sources(_run(command, environment()))
    found = now or then
    current = None if found is None else found == source_id()
    advice = _advice(version, now is not None, then is not None)
    if current is False:
        advice = "it was built from other sources than this package: run `gndc driver install` again"
    return Finding(program, version, now is not None, then is not None, current, advice)


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


def _sources(done: subprocess.CompletedProcess[str] | None) -> str | None:
    """What the driver that a program loaded says it was built from; None if it loaded none."""
    if done is None or done.returncode != 0:
        return None
    if match := re.search(rf"{ITEM}=(\w+)", done.stdout):
        return match[1]
    return "unknown" if "Extension: gndc" in done.stdout else None


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
