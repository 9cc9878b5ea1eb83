"""The plugin's place in QGIS' window: an action and the panel that it shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction

from .dock import CubeDock

MENU = "GNDC cubes"


class CubePlugin:
    """What QGIS holds of the plugin."""

    def __init__(self, iface: Any) -> None:
        self.iface = iface
        self.dock: CubeDock | None = None
        self.action: Any = None

    def initGui(self) -> None:
        """Add the action and the panel; QGIS calls this."""
        window = self.iface.mainWindow()
        self.dock = CubeDock(self.iface, window)
        self.action = QAction(QIcon(str(Path(__file__).with_name("icon.svg"))), MENU, window)
        self.action.setCheckable(True)
        self.action.toggled.connect(self.dock.setVisible)
        self.dock.visibilityChanged.connect(self.action.setChecked)
        self.iface.addToolBarIcon(self.action)
        self.iface.addPluginToRasterMenu(MENU, self.action)
        self.iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        self.dock.hide()

    def unload(self) -> None:
        """Remove what `initGui` added; QGIS calls this. Layers stay."""
        self.iface.removePluginRasterMenu(MENU, self.action)
        self.iface.removeToolBarIcon(self.action)
        if self.dock is not None:
            self.dock.visibilityChanged.disconnect(self.action.setChecked)
            self.dock.release()
            self.iface.removeDockWidget(self.dock)
            self.dock.deleteLater()
            self.dock = None
