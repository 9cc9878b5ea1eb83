"""How a cube looks in QGIS: bands and value ranges as the XML of its style files.

Text only, from the standard library, so that the plugin and the writer of projects give the same picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

Limits = tuple[float, float]

_VIRIDIS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
_VEGETATION = ("#8c510a", "#d8b365", "#f6e8a4", "#78b159", "#00501e")
_WATER = ("#8c510a", "#dfc27d", "#f5f5f5", "#67a9cf", "#08519c")
_CHANGE = ("#b2182b", "#f4a582", "#f7f7f7", "#92c5de", "#2166ac")
DERIVATIVES = ("dx", "dy", "dt")
_RAMPS = {
    "ndvi": _VEGETATION,
    "evi": _VEGETATION,
    "ndwi": _WATER,
    "ndmi": _WATER,
    **dict.fromkeys(DERIVATIVES, _CHANGE),
}
# their sign has a meaning, so the middle of the ramp is 0
CENTRED = ("ndwi", "ndmi", *DERIVATIVES)


@dataclass(frozen=True)
class Style:
    """What to show of a raster.

    Attributes
    ----------
    bands
        1-based: three for red, green and blue, or one for a colour ramp.
    limits
        Lowest and highest value shown of each of the bands, in the band's unit.
    product
        The index or derivative that the single band is, which chooses the ramp; empty for a band of the cube.
    """

    bands: tuple[int, ...]
    limits: tuple[Limits, ...]
    product: str = ""

    def pipe(self) -> str:
        """Return the ``<pipe>`` element, the same in projects, layer definitions and style files."""
        renderer = self._colours() if len(self.bands) == 3 else self._ramp()
        return (
            "<pipe><provider><resampling enabled='false' zoomedInResamplingMethod='nearestNeighbour' "
            "zoomedOutResamplingMethod='nearestNeighbour' maxOversampling='2'/></provider>"
            f"{renderer}<brightnesscontrast brightness='0' contrast='0' gamma='1'/>"
            "<huesaturation saturation='0' grayscaleMode='0'/><rasterresampler maxOversampling='2'/></pipe>"
        )

    def document(self) -> str:
        """Return the text of a ``.qml`` file."""
        return (
            "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
            f"<qgis version='3.22.0' styleCategories='Symbology'>{self.pipe()}<blendMode>0</blendMode></qgis>\n"
        )

    def _colours(self) -> str:
        names = ("red", "green", "blue")
        channels = " ".join(f"{name}Band='{band}'" for name, band in zip(names, self.bands))
        stretches = "".join(
            f"<{name}ContrastEnhancement><minValue>{low!r}</minValue><maxValue>{high!r}</maxValue>"
            f"<algorithm>StretchToMinimumMaximum</algorithm></{name}ContrastEnhancement>"
            for name, (low, high) in zip(names, self.limits)
        )
        return (
            f"<rasterrenderer type='multibandcolor' {channels} alphaBand='-1' opacity='1' nodataColor=''>"
            f"<rasterTransparency/>{_ORIGIN}{stretches}</rasterrenderer>"
        )

    def _ramp(self) -> str:
        colours = _RAMPS.get(self.product, _VIRIDIS)
        (low, high) = self.limits[0]
        values = [low + (high - low) * i / (len(colours) - 1) for i in range(len(colours))]
        items = "".join(
            f"<item value='{value!r}' label='{value:.4g}' color='{colour}' alpha='255'/>"
            for value, colour in zip(values, colours)
        )
        return (
            f"<rasterrenderer type='singlebandpseudocolor' band='{self.bands[0]}' alphaBand='-1' opacity='1' "
            f"nodataColor='' classificationMin='{low!r}' classificationMax='{high!r}'>"
            f"<rasterTransparency/>{_ORIGIN}<rastershader><colorrampshader colorRampType='INTERPOLATED' "
            f"classificationMode='1' clip='0' minimumValue='{low!r}' maximumValue='{high!r}' "
            f"labelPrecision='4'>{_ramp_element(colours)}{items}</colorrampshader></rastershader></rasterrenderer>"
        )


# values are given, not to be computed anew for every view
_ORIGIN = (
    "<minMaxOrigin><limits>None</limits><extent>WholeRaster</extent><statAccuracy>Estimated</statAccuracy>"
    "<cumulativeCutLower>0.02</cumulativeCutLower><cumulativeCutUpper>0.98</cumulativeCutUpper>"
    "<stdDevFactor>2</stdDevFactor></minMaxOrigin>"
)


def _ramp_element(colours: Sequence[str]) -> str:
    """The ramp itself, which QGIS shows in the layer's properties and takes to classify anew."""
    rgba = [",".join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5)) + ",255" for colour in colours]
    stops = ":".join(f"{i / (len(colours) - 1)!r};{colour}" for i, colour in enumerate(rgba) if 0 < i < len(rgba) - 1)
    told = {"color1": rgba[0], "color2": rgba[-1], "discrete": "0", "rampType": "gradient", "stops": stops}
    options = "".join(f"<Option type='QString' name='{k}' value={quoteattr(v)}/>" for k, v in told.items())
    return f"<colorramp type='gradient' name='[source]'><Option type='Map'>{options}</Option></colorramp>"
