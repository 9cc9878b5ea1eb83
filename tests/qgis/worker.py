"""What the tests ask of QGIS, in a Python that has it: ``worker.py TASK OUT.npz < question.json``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsDateTimeRange,
    QgsLayerDefinition,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsPointXY,
    QgsProject,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsRectangle,
    QgsTemporalNavigationObject,
)
from qgis.gui import QgsMapCanvas, QgsTemporalControllerWidget
from qgis.PyQt.QtCore import QDateTime, QEvent, QPointF, QSize, Qt
from qgis.PyQt.QtGui import QImage, QMouseEvent
from qgis.PyQt.QtWidgets import QMainWindow

IMAGES: dict = {}


def iso(time):
    return time.toUTC().toString(Qt.DateFormat.ISODate)


def pixels(image):
    """(H, W, 4) red, green, blue, alpha of a QImage."""
    image = image.convertToFormat(QImage.Format_RGBA8888)
    data = image.constBits().asstring(image.sizeInBytes())
    return np.frombuffer(data, np.uint8).reshape(image.height(), image.bytesPerLine() // 4, 4)[:, : image.width()]


def render(layers, extent, size, moment=None):
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(layers[0].crs())
    settings.setExtent(QgsRectangle(*extent) if isinstance(extent, list) else extent)
    settings.setOutputSize(QSize(*size))
    settings.setFlag(QgsMapSettings.Antialiasing, False)
    settings.setBackgroundColor(Qt.GlobalColor.transparent)
    if moment is not None:
        settings.setIsTemporal(True)
        settings.setTemporalRange(moment)
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    assert not job.errors(), [error.message for error in job.errors()]
    return pixels(job.renderedImage())


def about(layer):
    return {
        "valid": layer.isValid(),
        "error": layer.error().message(),
        "source": layer.source(),
        "name": layer.name(),
        "size": [layer.width(), layer.height()],
        "crs": layer.crs().authid(),
        "bands": [layer.bandName(i + 1) for i in range(layer.bandCount())] if layer.isValid() else [],
        "extent": [
            layer.extent().xMinimum(),
            layer.extent().yMinimum(),
            layer.extent().xMaximum(),
            layer.extent().yMaximum(),
        ],
    }


def task_layers(question):
    """Open layers; render each in the sizes and extents asked for, with the style asked for."""
    found = []
    for k, asked in enumerate(question["layers"]):
        layer = QgsRasterLayer(asked["uri"], "layer", "gdal")
        found.append(about(layer))
        if style := asked.get("style"):
            found[-1]["style"] = layer.loadNamedStyle(style)[1]
        found[-1]["renderer"] = layer.renderer().type() if layer.isValid() else None
        for i, (extent, size) in enumerate(asked.get("views", [])):
            IMAGES[f"{k}_{i}"] = render([layer], extent, size)
        del layer
    sub = QgsProviderRegistry.instance().providerMetadata("gdal").querySublayers(question["container"])
    return {"layers": found, "sublayers": [item.uri() for item in sub]}


def task_project(question):
    """Load a project: its layers, the steps of the temporal controller, which layers each shows, and a picture."""
    project = QgsProject.instance()
    controls = QgsTemporalControllerWidget()
    assert project.read(question["project"]), project.error()
    layers = [node.layer() for node in project.layerTreeRoot().findLayers()]
    controller = controls.temporalController()
    frames = [controller.dateTimeRangeForFrameNumber(i) for i in range(controller.totalFrameCount())]
    steps = []
    for frame in frames:
        shown = [layer.name() for layer in layers if layer.temporalProperties().isVisibleInTemporalRange(frame)]
        steps.append([iso(frame.begin()), shown])
    for i in question.get("pictures", []):
        IMAGES[f"frame_{i}"] = render(layers, layers[0].extent(), question["size"], frames[i])
    answer = {
        "layers": [about(layer) for layer in layers],
        "renderers": sorted({layer.renderer().type() for layer in layers}),
        "steps": steps,
        "animated": controller.navigationMode() == QgsTemporalNavigationObject.Animated,
        "crs": project.crs().authid(),
        "title": project.title(),
    }
    project.clear()
    if definition := question.get("definition"):
        ok, message = QgsLayerDefinition.loadLayerDefinition(definition, project, project.layerTreeRoot())
        answer["definition"] = [ok, message]
        added = [node.layer() for node in project.layerTreeRoot().findLayers()]
        answer["added"] = [about(layer) for layer in added]
        answer["added_ranges"] = [iso(layer.temporalProperties().fixedTemporalRange().begin()) for layer in added]
        del added
        project.clear()
    del layers, controller, controls
    return answer


class Desk:
    """A window of QGIS as far as a plugin sees it, with the plugin loaded into it."""

    def __init__(self, folder, crs):
        sys.path.insert(0, folder)
        import gndc_qgis

        self.window = QMainWindow()
        self.canvas = QgsMapCanvas()
        self.canvas.setDestinationCrs(QgsCoordinateReferenceSystem(crs))
        self.iface = MagicMock()
        self.iface.mainWindow.return_value = self.window
        self.iface.mapCanvas.return_value = self.canvas
        self.navigation = QgsTemporalNavigationObject()
        self.canvas.setTemporalController(self.navigation)
        self.plugin = gndc_qgis.classFactory(self.iface)
        self.plugin.initGui()
        self.dock = self.plugin.dock

    def warnings(self):
        return [call.args[1] for call in self.iface.messageBar().pushWarning.call_args_list]

    def views(self):
        return [self.dock.view.itemData(i) for i in range(self.dock.view.count())]

    def choose(self, view):
        self.dock.view.setCurrentIndex(self.views().index(view))

    def series(self):
        return [[name, times, [float(v) for v in values]] for name, times, values in self.dock.plot.dots]

    def close(self):
        QgsProject.instance().clear()
        self.plugin.unload()
        assert self.plugin.dock is None


def task_plugin(question):
    """Add a cube, slide, follow the temporal controller, click, choose an index."""
    desk = Desk(question["plugin"], question["crs"])
    dock, canvas, navigation = desk.dock, desk.canvas, desk.navigation
    dock.add(question["missing"])
    answer = {"warnings": desk.warnings(), "empty": dock.layer is None}
    dock.add(question["cube"])
    answer |= {"views": desk.views(), "top": dock.slider.maximum(), "added": about(dock.layer)}
    answer["project_layers"] = len(QgsProject.instance().mapLayers())

    dock.slider.setValue(question["position"])
    answer["slid"] = [about(dock.layer), dock.label.text(), dock.layer.renderer().type()]
    answer["limits"] = dock.cube.style("rgb").limits
    IMAGES["slid"] = render([dock.layer], dock.layer.extent(), question["size"])

    # the temporal controller leads: an observation in the middle of its range, then a moment between two
    week = QgsDateTimeRange(*(QDateTime.fromString(t, Qt.DateFormat.ISODate) for t in question["week"]))
    canvas.setTemporalRange(week)
    answer["followed"] = [dock.slider.value(), dock.layer.source()]
    dock.between.setChecked(True)
    canvas.setTemporalRange(QgsDateTimeRange(QDateTime(), QDateTime()))
    canvas.setTemporalRange(week)
    answer["between"] = [dock.layer.source(), dock.label.text(), dock.slider.maximum()]
    IMAGES["between"] = render([dock.layer], dock.layer.extent(), question["size"])
    dock.between.setChecked(False)

    # the slider leads
    navigation.setNavigationMode(QgsTemporalNavigationObject.Animated)
    dock.slider.setValue(question["position"])
    answer["led"] = iso(navigation.dateTimeRangeForFrameNumber(navigation.currentFrameNumber()).begin())
    answer["extents"] = [iso(navigation.temporalExtents().begin()), iso(navigation.temporalExtents().end())]

    dock.pick.setChecked(True)
    answer["tool"] = canvas.mapTool() is dock.tool
    dock.tool.canvasClicked.emit(QgsPointXY(*question["point"]), Qt.MouseButton.LeftButton)
    answer["rgb"] = desk.series()
    answer["title"] = dock.plot.title
    desk.choose("=ndvi")
    answer["ndvi"] = [about(dock.layer), dock.layer.renderer().type(), desk.series()]
    answer["line"] = [[times, [float(v) for v in values]] for _, times, values in dock.plot.lines]
    desk.choose(f"=dt:{question['band']}")
    answer["dt"] = [about(dock.layer), dock.layer.renderer().band(), desk.series()]
    desk.choose("=ndvi")
    IMAGES["ndvi"] = render([dock.layer], dock.layer.extent(), question["size"])
    desk.choose(question["band"])
    answer["band"] = [about(dock.layer), dock.layer.renderer().band(), desk.series()]

    dock.plot.resize(500, 300)
    IMAGES["plot"] = pixels(dock.plot.grab().toImage())
    first, last, _, _ = dock.plot.bounds()
    area = dock.plot._area()
    middle = QPointF(round(area.center().x()), round(area.center().y()))
    button = Qt.MouseButton.LeftButton
    dock.plot.mousePressEvent(QMouseEvent(QEvent.Type.MouseButtonPress, middle, button, button, Qt.NoModifier))
    share = (middle.x() - area.left()) / area.width()
    answer["picked"] = [dock.time, first + share * (last - first)]

    dock.tool.canvasClicked.emit(QgsPointXY(0, 0), Qt.MouseButton.LeftButton)
    answer["outside"] = [dock.plot.title, desk.series()]
    QgsProject.instance().removeAllMapLayers()
    answer["removed"] = [dock.cube is None, dock.layer is None, dock.slider.isEnabled(), dock.label.text()]
    canvas.setTemporalRange(QgsDateTimeRange(QDateTime(), QDateTime()))
    dock.add(question["cube"])
    answer["again"] = dock.layer.isValid()
    if picture := question.get("window"):
        dock.resize(420, 480)
        dock.tool.canvasClicked.emit(QgsPointXY(*question["point"]), Qt.MouseButton.LeftButton)
        dock.grab().save(picture)
    answer["unexpected"] = desk.warnings()[len(answer["warnings"]) :]
    desk.close()
    del dock, canvas, navigation
    return answer


def task_no_driver(question):
    desk = Desk(question["plugin"], "EPSG:4326")
    desk.dock.add(question["cube"])
    answer = {"warnings": desk.warnings(), "layers": len(QgsProject.instance().mapLayers())}
    desk.close()
    return answer


def task_views(question):
    sys.path.insert(0, question["plugin"])
    from gndc_qgis.cube import Cube

    cubes = [Cube(path) for path in question["cubes"]]
    return {"views": [[cube.colours, cube.indices, cube.bands, cube.times] for cube in cubes]}


def main():
    app = QgsApplication([], True)
    app.initQgis()
    answer = globals()[f"task_{sys.argv[1]}"](json.load(sys.stdin))
    np.savez(Path(sys.argv[2]), answer=json.dumps(answer), **IMAGES)
    # objects of Qt that outlive the application crash at exit
    sys.stdout.flush()
    import os

    os._exit(0)


if __name__ == "__main__":
    main()
