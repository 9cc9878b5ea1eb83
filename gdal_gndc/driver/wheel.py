"""The driver in a wheel of rasterio, which carries a GDAL of its own.

A driver for it is built with headers of the same GDAL and without linking it, since the library in a wheel has a name
of its own. Such a file must never lie where `GDAL_DRIVER_PATH` looks: another GDAL that opens it ends the process. It
has a folder of its own, and is loaded by name, after a child process has done so and lived.
"""

from __future__ import annotations

import ctypes
import logging
import os
import subprocess
import sys
from pathlib import Path

from gdal_gndc.driver.install import FILE_NAME, build_driver, major_minor, plugin_folder
from gdal_gndc.errors import DriverError

log = logging.getLogger(__name__)

_TIMEOUT = 120
_CHECK = "from gdal_gndc.driver import wheel; import sys; wheel.register(); wheel.read_pixel(*sys.argv[1:])"


def wheel_library() -> Path:
    """Return the libgdal inside the installed wheel of rasterio.

    Raises
    ------
    DriverError
        If rasterio is not installed, or uses a GDAL of the system.
    """
    try:
        import rasterio
    except ModuleNotFoundError as error:
        raise DriverError("rasterio is not installed: pip install rasterio") from error
    package = Path(rasterio.__file__).parent
    found = sorted((package.parent / "rasterio.libs").glob("libgdal*.so*"))
    if not found:
        raise DriverError(f"{package}: this rasterio carries no GDAL of its own: run `gndc driver install`")
    return found[0]


def wheel_version() -> str:
    """Return the version of rasterio's GDAL: ``3.10.3``."""
    import rasterio

    return str(rasterio.__gdal_version__)


def wheel_folder() -> Path:
    """Return the folder of drivers for wheels, one folder a version of GDAL in it."""
    return plugin_folder().with_name("wheelplugins")


def wheel_driver() -> Path:
    """Return the driver for the GDAL of rasterio's wheel, whether it is there or not."""
    return wheel_folder() / major_minor(wheel_version()) / FILE_NAME


def install_for_wheel(include: Path) -> Path:
    """Build the driver for the GDAL of rasterio's wheel.

    Parameters
    ----------
    include
        Folder of GDAL's headers (``gdal_priv.h``), of the same major and minor version.

    Raises
    ------
    DriverError
        If there is no wheel, the headers are missing or of another version, or the build fails.
    """
    wheel_library()
    if not (include / "gdal_priv.h").is_file():
        raise DriverError(f"{include}: found no gdal_priv.h, expected the folder of GDAL's headers")
    wanted = major_minor(wheel_version())

    def place(version: str) -> Path:
        if major_minor(version) != wanted:
            raise DriverError(f"{include}: found headers of GDAL {version}, the wheel of rasterio carries {wanted}")
        return wheel_driver()

    return build_driver(place, [f"-DGNDC_GDAL_INCLUDE={include.resolve()}"])


def load_driver(cube: str | os.PathLike[str] | None = None) -> None:
    """Make ``rasterio.open("GNDC:...")`` work in a wheel, with the driver that `install_for_wheel` built.

    A child process loads it first: a driver that does not match could end the process.

    Parameters
    ----------
    cube
        A file of which the child is to read a pixel, too.

    Raises
    ------
    DriverError
        If there is no wheel, no driver for it, or the child failed.
    """
    path = wheel_driver() if wheel_library() else None
    if path is None or not path.is_file():
        raise DriverError(
            f"there is no driver for GDAL {wheel_version()} of rasterio's wheel: run `gndc driver install --wheel"
            " --include FOLDER`, or use gdal_gndc.open_raster, which needs none"
        )
    names = [] if cube is None else [os.fspath(cube)]
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CHECK, *names], capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DriverError(f"{path}: the check of the driver failed: {error}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
        raise DriverError(f"{path}: the driver does not work in this rasterio: {said[0]}")
    register()


def register() -> None:
    """Load and register the driver in this process, unchecked: see `load_driver`."""
    path = wheel_driver()
    try:
        # the driver takes GDAL's symbols from what the process has loaded for all
        gdal = ctypes.CDLL(str(wheel_library()), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(path)).GDALRegister_GNDC()
    except (OSError, AttributeError) as error:
        raise DriverError(f"{path}: cannot be loaded: {error}") from error
    gdal.GDALGetDriverByName.restype = ctypes.c_void_p
    if not gdal.GDALGetDriverByName(b"GNDC"):
        raise DriverError(f"{path}: it is not for GDAL {wheel_version()}")
    log.info("loaded %s into rasterio's GDAL %s", path, wheel_version())


def read_pixel(path: str | None = None) -> None:
    """Read a pixel of the first frame of a cube through the driver; nothing without a path."""
    if path is None:
        return
    import rasterio
    from rasterio.windows import Window

    quoted = path.replace("\\", "\\\\").replace('"', '\\"')
    with rasterio.open(f'GNDC:"{quoted}":t=0') as raster:
        raster.read(window=Window(0, 0, 1, 1))
