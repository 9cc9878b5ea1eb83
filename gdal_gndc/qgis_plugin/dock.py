"""The panel: one cube, what is shown of it, its time, and the series of a pixel."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsCoordinateTransform,
    QgsDataProvider,
    QgsDateTimeRange,
    QgsProject,
    QgsRasterLayer,
    QgsRasterLayerTemporalProperties,
    QgsTemporalNavigationObject,
)
from qgis.gui import QgsMapToolEmitPoint, QgsVertexMarker
from qgis.PyQt.QtCore import QDateTime, QSignalBlocker, Qt
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDockWidget,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)
from qgis.PyQt.QtXml import QDomDocument

from .cube import Cube, CubeError, show
from .plot import SeriesPlot

_TITLE = "GNDC cubes"
# positions of the slider between observations: days, or finer for a cube of less than that many days
_MOST_STEPS = 4000
_STEPS = (86400000, 3600000, 60000, 1000)
_FEW = 200
_COLOURS = {"rgb": ["#d32f2f", "#2e7d32", "#1565c0"]}
_COLOUR = ["#00796b"]


class CubeDock(QDockWidget):
    """The plugin's panel.

    Attributes
    ----------
    cube
        The cube that the slider moves; None at first.
    layer
        Its layer.
    """

    def __init__(self, iface: Any, parent: QWidget | None = None) -> None:
        super().__init__(_TITLE, parent)
        self.setObjectName("gndcCubes")
        self.iface = iface
        self.canvas = iface.mapCanvas()
        self.cube: Cube | None = None
        self.layer: QgsRasterLayer | None = None
        self.time: int | None = None
        self._step = _STEPS[0]
        self._following = False
        self._place: tuple[float, float] | None = None
        self._marker: QgsVertexMarker | None = None
        self._build()
        self.tool = QgsMapToolEmitPoint(self.canvas)
        self.tool.canvasClicked.connect(self._clicked)
        self.tool.deactivated.connect(lambda: self.pick.setChecked(False))
        self.canvas.temporalRangeChanged.connect(self._follow)
        QgsProject.instance().layersWillBeRemoved.connect(self._leaves)

    def add(self, path: str = "") -> None:
        """Add the cube at ``path``, or one that the user chooses, as a layer that the panel moves from now on."""
        if not path:
            path, _ = QFileDialog.getOpenFileName(self, "Add a cube", "", "Neural data cubes (*.gndc)")
            if not path:
                return
        try:
            cube = Cube(path)
            views = [("True colour", "rgb")] if cube.colours else []
            views += [(name.upper(), f"={name}") for name in cube.indices] + [(name, name) for name in cube.bands]
            views += [(f"{d} of {name}", f"={d}:{name}") for d in cube.derivatives for name in cube.bands]
            layer = QgsRasterLayer(cube.source(None, 0, views[0][1]), cube.name, "gdal")
            if not layer.isValid():
                raise CubeError(f"{path}: {layer.error().message()}")
            cube.style(views[0][1])
        except CubeError as error:
            self.iface.messageBar().pushWarning(_TITLE, str(error))
            return
        self._forget()
        self.cube, self.layer = cube, layer
        with QSignalBlocker(self.view):
            self.view.clear()
            for title, view in views:
                self.view.addItem(title, view)
        self._offer_times()
        QgsProject.instance().addMapLayer(layer)
        self.between.setEnabled(len(cube.times) > 1)
        self._set_positions()
        self._shown()
        self.show()

    def set_time(self, time: int) -> None:
        """Show the observation nearest to ``time`` (ms), or that very time where the slider goes between them."""
        if self.cube is None or not self.cube.times:
            return
        if self.between.isChecked():
            first, last = self.cube.times[0], self.cube.times[-1]
            self.time = min(max(time, first), last)
        else:
            self.time = self.cube.times[self.cube.nearest(time)]
        with QSignalBlocker(self.slider):
            self.slider.setValue(self._position())
        self._refresh()

    def release(self) -> None:
        """Take the panel's hands off the map."""
        self.canvas.temporalRangeChanged.disconnect(self._follow)
        QgsProject.instance().layersWillBeRemoved.disconnect(self._leaves)
        self.canvas.unsetMapTool(self.tool)
        self._forget()

    def _build(self) -> None:
        body = QWidget(self)
        column = QVBoxLayout(body)
        row = QHBoxLayout()
        self.open = QPushButton("Add cube…")
        self.open.clicked.connect(lambda: self.add())
        self.view = QComboBox()
        self.view.setToolTip("What is shown: true colour, an index, a band, or how a band changes by x, y or day")
        self.view.currentIndexChanged.connect(lambda _: self._shown())
        row.addWidget(self.open)
        row.addWidget(self.view, 1)
        column.addLayout(row)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setEnabled(False)
        self.slider.valueChanged.connect(self._slid)
        column.addWidget(self.slider)
        row = QHBoxLayout()
        self.label = QLabel("")
        self.between = QCheckBox("Between observations")
        self.between.setToolTip("Any time, reconstructed by the cube, instead of the dates that were observed")
        self.between.setEnabled(False)
        self.between.toggled.connect(self._toggled)
        row.addWidget(self.label, 1)
        row.addWidget(self.between)
        column.addLayout(row)
        self.pick = QPushButton("Pixel series")
        self.pick.setCheckable(True)
        self.pick.setToolTip("Click on the map to plot a pixel's series")
        self.pick.toggled.connect(self._pick)
        column.addWidget(self.pick)
        self.plot = SeriesPlot()
        self.plot.picked.connect(self._picked)
        column.addWidget(self.plot, 1)
        self.setWidget(body)

    def _leaves(self, layers: list[str]) -> None:
        if self.layer is not None and self.layer.id() in layers:
            self._forget()

    def _forget(self) -> None:
        """Let go of the cube: its layer is on its way out, or another comes."""
        self.cube = self.layer = self.time = self._place = None
        with QSignalBlocker(self.slider):
            self.slider.setEnabled(False)
        self.label.setText("")
        self.plot.show_series("", [], [], [])
        if self._marker is not None:
            self.canvas.scene().removeItem(self._marker)
            self._marker = None

    def _offer_times(self) -> None:
        """Give the layer, and a project without one, the cube's period, which the temporal controller steps through."""
        assert self.cube is not None and self.layer is not None
        if not self.cube.times:
            return
        period = QgsDateTimeRange(_moment(self.cube.times[0]), _moment(self.cube.times[-1]))
        temporal = self.layer.temporalProperties()
        temporal.setMode(QgsRasterLayerTemporalProperties.ModeFixedTemporalRange)
        temporal.setFixedTemporalRange(period)
        settings = QgsProject.instance().timeSettings()
        if settings.temporalRange().isInfinite():
            settings.setTemporalRange(period)
        navigation = self._navigation()
        if navigation is not None and navigation.temporalExtents().isInfinite():
            navigation.setTemporalExtents(period)

    def _set_positions(self) -> None:
        """The slider's range: observations, or steps of a day or less."""
        assert self.cube is not None
        times = self.cube.times
        span = times[-1] - times[0] if times else 0
        if self.between.isChecked() and span:
            fine = [step for step in _STEPS if span // step <= _MOST_STEPS]
            self._step = next((step for step in fine if span // step >= _FEW), (fine or [span // _MOST_STEPS])[-1])
            top = -(-span // self._step)
        else:
            top = self.cube.frames - 1
        with QSignalBlocker(self.slider):
            self.slider.setRange(0, top)
            self.slider.setEnabled(top > 0)
            self.slider.setValue(self._position())
        if self.time is None:
            self._slid(self.slider.value())
        else:
            self.set_time(self.time)

    def _position(self) -> int:
        assert self.cube is not None
        if self.time is None:
            return 0
        if self.between.isChecked():
            return round((self.time - self.cube.times[0]) / self._step)
        return self.cube.nearest(self.time)

    def _slid(self, position: int) -> None:
        if self.cube is None:
            return
        times = self.cube.times
        if times:
            between = self.between.isChecked()
            self.time = min(times[0] + position * self._step, times[-1]) if between else times[position]
        self._refresh()
        self._lead()

    def _toggled(self) -> None:
        if self.cube is not None:
            self._set_positions()

    def _refresh(self) -> None:
        """Point the layer at the time; its renderer stays."""
        if self.cube is None or self.layer is None:
            return
        number = self.slider.value() if self.time is None else self.cube.nearest(self.time)
        observed = self.time is None or self.cube.times[number] == self.time
        moment = None if observed else self.time
        source = self.cube.source(moment, number, self.view.currentData())
        told = f"frame {number}" if self.time is None else show(self.time).replace("T00:00:00Z", "")
        self.label.setText(told if observed else f"{told}, between observations")
        self.plot.mark(self.time)
        if self.layer.source() != source:
            name = f"{self.cube.name} {told}"
            self.layer.setDataSource(source, name, "gdal", QgsDataProvider.ProviderOptions(), False)
            self.layer.triggerRepaint()

    def _shown(self) -> None:
        """Show what was chosen: another style, and the same time of another raster."""
        if self.cube is None or self.layer is None or self.view.currentData() is None:
            return
        try:
            style = self.cube.style(self.view.currentData())
        except CubeError as error:
            self.iface.messageBar().pushWarning(_TITLE, str(error))
            return
        self._refresh()
        document = QDomDocument()
        document.setContent(style.document())
        self.layer.importNamedStyle(document)
        self.layer.triggerRepaint()
        self._draw_series()

    def _navigation(self) -> Any:
        controller = self.canvas.temporalController()
        return controller if isinstance(controller, QgsTemporalNavigationObject) else None

    def _lead(self) -> None:
        """Take the temporal controller, where it plays, along to the time of the slider."""
        navigation = self._navigation()
        if navigation is None or self.time is None:
            return
        if navigation.navigationMode() != QgsTemporalNavigationObject.Animated:
            return
        self._following = True
        try:
            navigation.setCurrentFrameNumber(navigation.findBestFrameNumberForFrameStart(_moment(self.time)))
        finally:
            self._following = False

    def _follow(self) -> None:
        """Go where the temporal controller went: the last observation before the end of its range, or its beginning."""
        if self._following or self.cube is None or not self.cube.times:
            return
        shown = self.canvas.temporalRange()
        if not shown.begin().isValid():
            return
        begin = int(shown.begin().toMSecsSinceEpoch())
        if self.between.isChecked():
            self.set_time(begin)
            return
        end = int(shown.end().toMSecsSinceEpoch()) if shown.end().isValid() else begin
        self.set_time(self.cube.times[self.cube.last_before(max(begin, end - 1))])

    def _pick(self, on: bool) -> None:
        if on:
            self.canvas.setMapTool(self.tool)
        else:
            self.canvas.unsetMapTool(self.tool)

    def _clicked(self, point: Any, _button: Any = None) -> None:
        if self.layer is None:
            return
        settings = self.canvas.mapSettings()
        transform = QgsCoordinateTransform(
            settings.destinationCrs(), self.layer.crs(), QgsProject.instance().transformContext()
        )
        place = transform.transform(point)
        self._place = (place.x(), place.y())
        if self._marker is None:
            self._marker = QgsVertexMarker(self.canvas)
            self._marker.setColor(QColor("#e64a19"))
            self._marker.setPenWidth(2)
        self._marker.setCenter(point)
        self._draw_series()

    def _draw_series(self) -> None:
        if self.cube is None or self._place is None:
            return
        view = self.view.currentData()
        try:
            dots = self.cube.series(view, *self._place, between=False)
            lines = self.cube.series(view, *self._place, between=True)
        except CubeError as error:
            self.iface.messageBar().pushWarning(_TITLE, str(error))
            return
        column, row = (int(v // 1) for v in self.cube.pixel(*self._place))
        if dots is None:
            outside = "This place is outside the cube." if self.cube.times else "The dates of this cube are not known."
            self.plot.show_series(outside, [], [], [])
            return
        self.plot.show_series(f"column {column}, row {row}", dots, lines or [], _COLOURS.get(view, _COLOUR))

    def _picked(self, time: int) -> None:
        self.set_time(time)
        self._lead()


def _moment(time: int) -> QDateTime:
    return QDateTime.fromMSecsSinceEpoch(time).toUTC()
