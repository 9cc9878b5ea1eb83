"""VRT templates: finding them and filling them in."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from xml.sax.saxutils import escape

import gdal_gndc
from gdal_gndc.errors import GNDCError

DEFAULT = "cube"
# Placeholders whose values are XML already.
_FRAGMENTS = {"bands", "metadata", "options", "overviews"}


@dataclass(frozen=True)
class VRTTemplate:
    """A template of a VRT and of one band in it.

    ``name`` says in errors where it came from. The placeholders are listed in ``gdal_gndc.vrt_templates``.
    """

    name: str
    raster: str
    band: str

    def fill(self, values: Mapping[str, object], bands: Sequence[Mapping[str, object]]) -> str:
        """Return the XML of a raster.

        Parameters
        ----------
        values
            Placeholders of the raster; bands see them too. One that is a function is called if the template
            has the placeholder.
        bands
            Placeholders of each band.

        Raises
        ------
        GNDCError
            If the template has a placeholder that does not exist, or the result is not well-formed XML.
        """
        filled = [self.fill_band({**values, **band}) for band in bands] if "${bands}" in self.raster else []
        text = self._substitute(self.raster, {**values, "bands": "".join(filled)})
        try:
            ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            raise GNDCError(f"the VRT template {self.name} does not give well-formed XML: {error}") from error
        return text

    def fill_band(self, values: Mapping[str, object]) -> str:
        """Return the XML of one band."""
        return self._substitute(self.band, values)

    def _substitute(self, text: str, values: Mapping[str, object]) -> str:
        template = Template(text)
        if not template.is_valid():
            raise GNDCError(f"the VRT template {self.name} has a malformed placeholder; a $ itself is written $$")
        wanted = template.get_identifiers()
        if unknown := [name for name in wanted if name not in values]:
            raise GNDCError(
                f"the VRT template {self.name} has the unknown placeholder ${{{unknown[0]}}}; "
                f"expected one of {', '.join(sorted(values))}"
            )
        return template.substitute({name: _escaped(name, values[name]) for name in wanted})


def load_template(template: str | Path | None = None) -> VRTTemplate:
    """Return a template.

    Parameters
    ----------
    template
        Path of a template file, or the name of a shipped one (``cube``, the default). The bands
        are written by ``NAME.band.xml`` beside it where there is one, else by the shipped ``cube.band.xml``.

    Raises
    ------
    GNDCError
        If there is no such template, or it cannot be read.
    """
    where = Path(template) if template is not None else Path(DEFAULT)
    shipped = _shipped()
    if re.fullmatch(r"\w+", str(where)) and f"{where}.vrt" in shipped:
        raster, beside = shipped[f"{where}.vrt"], shipped.get(f"{where}.band.xml")
    else:
        if not where.is_file():
            names = ", ".join(sorted(name.removesuffix(".vrt") for name in shipped if name.endswith(".vrt")))
            raise GNDCError(f"no VRT template {where}; expected a file or one of {names}")
        own = where.with_suffix(".band.xml")
        try:
            raster = where.read_text("utf-8")
            beside = own.read_text("utf-8") if own.is_file() else None
        except (OSError, UnicodeDecodeError) as error:
            raise GNDCError(f"cannot read the VRT template {where}: {error}") from error
    return VRTTemplate(str(where), raster, beside or shipped[f"{DEFAULT}.band.xml"])


def _shipped() -> dict[str, str]:
    """Return the shipped template files by name."""
    try:
        folder = resources.files("gdal_gndc.vrt_templates")
    except ModuleNotFoundError:
        # A source tree on the path, not installed: the templates lie beside the package.
        folder = Path(gdal_gndc.__file__).parents[1] / "vrt_templates"
    names = [item for item in folder.iterdir() if item.name.endswith((".vrt", ".xml"))]
    return {item.name: item.read_text("utf-8") for item in names}


def _escaped(name: str, value: object) -> str:
    text = str(value() if callable(value) else value)
    return text if name in _FRAGMENTS else escape(text, {'"': "&quot;", "\n": "&#10;"})
