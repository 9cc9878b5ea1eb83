from __future__ import annotations

import json
import os
import shutil
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import gdal_gndc
from gdal_gndc.vrt import pixels
from gdal_gndc.vrt.trust import MODULES, VARIABLE

CASES = Path(__file__).parents[1] / "cases"
VALID = [case["file"] for case in json.loads((CASES / "cases.json").read_text())["cases"]]


@pytest.fixture(autouse=True)
def fresh_cache() -> Iterator[None]:
    pixels.clear()
    yield
    pixels.clear()


@pytest.fixture(params=VALID)
def case(request: pytest.FixtureRequest) -> Path:
    """Each valid shared case, one after the other."""
    return CASES / str(request.param)


def enlarge(target: Path, **bands: str) -> Path:
    """Write a cube of 610 x 830 pixels, 3 bands, 7 dates: a shared case's field over a larger raster."""
    with zipfile.ZipFile(CASES / "basic_i8dec.gndc") as source, zipfile.ZipFile(target, "w") as out:
        for name in source.namelist():
            document = json.loads(source.read(name)) if name.endswith(".json") else {}
            if name == "meta.json":
                document["shape"] = [7, 610, 830, 3]
                for described, (band, common) in zip(document["bands"], bands.items(), strict=False):
                    described.update(name=band, common_name=common)
            elif name == "manifest.json":
                document["chunks"][0]["bounds"].update(y=[0, 610], x=[0, 830])
            out.writestr(name, json.dumps(document) if document else source.read(name))
    return target


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cube of several blocks, with bands of no known colour but the first."""
    return enlarge(tmp_path_factory.mktemp("large") / "large cube & more.gndc")


@pytest.fixture(scope="session")
def spectral(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cube of several blocks with blue, red and near infrared bands."""
    return enlarge(tmp_path_factory.mktemp("spectral") / "spectral.gndc", B02="blue", B04="red", B08="nir")


@pytest.fixture(scope="session")
def colors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cube of several blocks with blue, red and green bands."""
    return enlarge(tmp_path_factory.mktemp("colors") / "colors.gndc", B02="blue", B04="red", B03="green")


@pytest.fixture
def vrt_text(large: Path) -> str:
    return gdal_gndc.vrt(large, 2)


@pytest.fixture
def gdal_programs(tmp_path: Path) -> dict[str, str]:
    """The environment in which GDAL's own programs find this package."""
    if shutil.which("gdal_translate") is None:
        pytest.skip("gdal_translate is not installed")
    # As a user would set it, but for an editable install, whose path files PYTHONPATH does not read.
    site = tmp_path / "site"
    site.mkdir()
    packages = sysconfig.get_path("purelib")
    (site / "sitecustomize.py").write_text(f"import site\nsite.addsitedir({packages!r})\n")
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    path = os.pathsep.join(part for part in (str(site), environment.get("PYTHONPATH")) if part)
    return environment | {VARIABLE: MODULES, "PYTHONPATH": path}
