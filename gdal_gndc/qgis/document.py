"""The XML of QGIS projects and layer definitions, as QGIS 3.22 and newer read it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from gdal_gndc.times import format_time

if TYPE_CHECKING:
    from rasterio.coords import BoundingBox
    from rasterio.crs import CRS

    from gdal_gndc.qgis_plugin.style import Style

# One step a layer, however long: QGIS shows it as "source timestamps". Steps of a length in days would take in the
# first moment of the layer after.
_IRREGULAR = "xxx"
# of the temporal controller: 0 off, 1 animated, 2 fixed range
_ANIMATED = 1
_FRAME_RATE = 2


@dataclass(frozen=True)
class Layer:
    """One date: its name, its data source, and when it is shown (both ends included)."""

    name: str
    source: str
    shown: tuple[datetime, datetime] | None

    @property
    def key(self) -> str:
        """The layer's id, the same in every run: QGIS wants at least 17 characters."""
        return f"gndc_{hashlib.sha256(f'{self.name} {self.source}'.encode()).hexdigest()[:24]}"


def project_document(title: str, layers: Sequence[Layer], look: Style, crs: CRS | None, bounds: BoundingBox) -> str:
    """Return the text of a ``.qgs`` file."""
    place = _reference(crs)
    shown = [layer.shown for layer in layers if layer.shown]
    time = properties = ""
    if shown:
        time = (
            f"<ProjectTimeSettings timeStep='1' timeStepUnit='{_IRREGULAR}' frameRate='{_FRAME_RATE}' "
            f"cumulativeTemporalRange='0'><TemporalRange>{_range(shown[0][0], shown[-1][1])}</TemporalRange>"
            "</ProjectTimeSettings>"
        )
        properties = (
            f"<TemporalControllerWidget><NavigationMode type='int'>{_ANIMATED}</NavigationMode>"
            f"<StartDateTime type='QString'>{format_time(shown[0][0])}</StartDateTime>"
            f"<EndDateTime type='QString'>{format_time(shown[-1][1])}</EndDateTime></TemporalControllerWidget>"
        )
    order = "".join(f"<layer id='{layer.key}'/>" for layer in layers)
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        f"<qgis projectname={quoteattr(title)} version='3.22.0'>\n<title>{escape(title)}</title>\n"
        f"<projectCrs>{place}</projectCrs>\n{_tree(title, layers)}\n"
        f"<mapcanvas name='theMapCanvas'>{_units(crs)}{_extent(bounds)}<rotation>0</rotation>"
        f"<destinationsrs>{place}</destinationsrs></mapcanvas>\n"
        f"<projectlayers>\n{_layers(layers, look, crs, bounds)}</projectlayers>\n<layerorder>{order}</layerorder>\n"
        "<properties><Paths><Absolute type='bool'>false</Absolute></Paths>"
        f"<SpatialRefSys><ProjectionsEnabled type='int'>{int(crs is not None)}</ProjectionsEnabled></SpatialRefSys>"
        f"{properties}</properties>\n{time}\n</qgis>\n"
    )


def layer_definition(title: str, layers: Sequence[Layer], look: Style, crs: CRS | None, bounds: BoundingBox) -> str:
    """Return the text of a ``.qlr`` file, which holds no settings of the temporal controller."""
    return (
        f"<!DOCTYPE qgis-layer-definition>\n<qlr>\n{_tree(title, layers)}\n"
        f"<maplayers>\n{_layers(layers, look, crs, bounds)}</maplayers>\n</qlr>\n"
    )


def _tree(title: str, layers: Sequence[Layer]) -> str:
    leaves = "".join(
        f"<layer-tree-layer id='{layer.key}' name={quoteattr(layer.name)} source={quoteattr(layer.source)} "
        "providerKey='gdal' checked='Qt::Checked' expanded='0'/>"
        for layer in layers
    )
    return (
        f"<layer-tree-group><layer-tree-group name={quoteattr(title)} checked='Qt::Checked' expanded='1'>{leaves}"
        "</layer-tree-group></layer-tree-group>"
    )


def _layers(layers: Sequence[Layer], look: Style, crs: CRS | None, bounds: BoundingBox) -> str:
    place, extent, pipe = _reference(crs), _extent(bounds), look.pipe()
    return "".join(
        f"<maplayer type='raster' autoRefreshEnabled='0' hasScaleBasedVisibilityFlag='0'>{extent}"
        f"<id>{layer.key}</id><datasource>{escape(layer.source)}</datasource>"
        f"<layername>{escape(layer.name)}</layername><srs>{place}</srs>"
        f"<provider>gdal</provider>{_temporal(layer)}{pipe}<blendMode>0</blendMode></maplayer>\n"
        for layer in layers
    )


def _temporal(layer: Layer) -> str:
    if layer.shown is None:
        return ""
    return f"<temporal enabled='1' mode='0' fetchMode='0'><fixedRange>{_range(*layer.shown)}</fixedRange></temporal>"


def _range(start: datetime, end: datetime) -> str:
    return f"<start>{format_time(start)}</start><end>{format_time(end)}</end>"


def _extent(bounds: BoundingBox) -> str:
    sides = {"xmin": bounds.left, "ymin": bounds.bottom, "xmax": bounds.right, "ymax": bounds.top}
    return "<extent>" + "".join(f"<{name}>{value!r}</{name}>" for name, value in sides.items()) + "</extent>"


def _units(crs: CRS | None) -> str:
    return "<units>degrees</units>" if crs is not None and crs.is_geographic else "<units>meters</units>"


def _reference(crs: CRS | None) -> str:
    """A coordinate reference system by its WKT: the name of an authority alone would read as none."""
    if crs is None:
        return "<spatialrefsys nativeFormat='Wkt'><wkt></wkt></spatialrefsys>"
    authority = crs.to_authority()
    name = "" if authority is None else f"<authid>{escape(':'.join(authority))}</authid>"
    return (
        f"<spatialrefsys nativeFormat='Wkt'><wkt>{escape(crs.to_wkt(version='WKT2_2019'))}</wkt>{name}</spatialrefsys>"
    )
