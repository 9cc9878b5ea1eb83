"""A plot of series over time, painted with Qt alone."""

from __future__ import annotations

import math
from typing import Any

from qgis.PyQt.QtCore import QDateTime, QPointF, QRectF, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QPainter, QPen, QPolygonF
from qgis.PyQt.QtWidgets import QWidget

_MARGIN = (52, 24, 12, 26)  # left, top, right, bottom
_TICKS = 5
_DOT = 2.2
_LINE = 130
_REACH = 8.0
Series = list[tuple[str, list[int], Any]]


class SeriesPlot(QWidget):
    """Dots for observations, lines for what lies between them, and a mark at the time shown on the map.

    ``picked`` gives the time in milliseconds at which the plot was clicked.
    """

    picked = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = ""
        self.dots: Series = []
        self.lines: Series = []
        self.colours: list[str] = []
        self._at: int | None = None
        self.setMinimumSize(QSize(260, 180))

    def show_series(self, title: str, dots: Series, lines: Series, colours: list[str]) -> None:
        """Show (name, times in ms, values) of each band; a colour each."""
        self.title, self.dots, self.lines, self.colours = title, dots, lines, colours
        self.update()

    def mark(self, time: int | None) -> None:
        """Mark the time that the map shows."""
        self._at = time
        self.update()

    def bounds(self) -> tuple[int, int, float, float] | None:
        """Return (first time, last time, lowest value, highest value) of what is shown; None without values."""
        times = [time for _, of, _ in self.dots + self.lines for time in of]
        # an index may have spikes between its observations, where both its bands are near 0: they run out of the plot
        values = [float(v) for _, _, of in self.dots or self.lines for v in of if math.isfinite(v)]
        if not values:
            return None
        first, last, low, high = min(times), max(times), min(values), max(values)
        pad = 0.1 * (high - low) or 0.5
        return first, max(last, first + 1), low - pad, high + pad

    def paintEvent(self, event: Any) -> None:
        """Paint all of it; Qt calls this."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette = self.palette()
        painter.fillRect(self.rect(), palette.base())
        ink = palette.text().color()
        bounds = self.bounds()
        if bounds is None:
            painter.setPen(ink)
            text = self.title or "Click on the map for the series of a pixel."
            flags = int(Qt.AlignmentFlag.AlignCenter) | int(Qt.TextFlag.TextWordWrap)
            painter.drawText(QRectF(self.rect()).adjusted(8, 8, -8, -8), flags, text)
            painter.end()
            return
        self._axes(painter, bounds, ink)
        area = self._area()
        painter.setClipRect(area.adjusted(-3, -3, 3, 3))
        if self._at is not None:
            x = self._place(self._at, bounds[2], bounds).x()
            painter.setPen(QPen(ink, 1, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        for i, (_, times, values) in enumerate(self.lines):
            colour = QColor(self.colours[i])
            colour.setAlpha(_LINE)
            painter.setPen(QPen(colour, 1.2))
            for run in _runs(times, values):
                painter.drawPolyline(QPolygonF([self._place(t, v, bounds) for t, v in run]))
        for i, (_, times, values) in enumerate(self.dots):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(self.colours[i]))
            for run in _runs(times, values):
                for time, value in run:
                    painter.drawEllipse(self._place(time, value, bounds), _DOT, _DOT)
        painter.end()

    def mousePressEvent(self, event: Any) -> None:
        """Tell which time was clicked, or that of a dot close by; Qt calls this."""
        bounds, area = self.bounds(), self._area()
        if bounds is None or not area.contains(QPointF(event.pos())):
            return
        share = (event.pos().x() - area.left()) / area.width()
        time = round(bounds[0] + share * (bounds[1] - bounds[0]))
        observed = [t for _, times, _ in self.dots[:1] for t in times]
        near = min(observed, key=lambda t: abs(t - time), default=time)
        close = abs(near - time) / (bounds[1] - bounds[0]) * area.width() < _REACH
        self.picked.emit(near if close else time)

    def _area(self) -> QRectF:
        left, top, right, bottom = _MARGIN
        return QRectF(self.rect()).adjusted(left, top, -right, -bottom)

    def _place(self, time: int, value: float, bounds: tuple[int, int, float, float]) -> QPointF:
        area, (first, last, low, high) = self._area(), bounds
        x = area.left() + area.width() * (time - first) / (last - first)
        return QPointF(x, area.bottom() - area.height() * (value - low) / (high - low))

    def _axes(self, painter: QPainter, bounds: tuple[int, int, float, float], ink: QColor) -> None:
        area, (first, last, low, high) = self._area(), bounds
        faint = QColor(ink)
        faint.setAlpha(50)
        metrics = painter.fontMetrics()
        step = _nice((high - low) / _TICKS)
        for k in range(math.ceil(low / step), math.floor(high / step) + 1):
            y = self._place(first, k * step, bounds).y()
            painter.setPen(faint)
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(ink)
            text = f"{k * step:.6g}"
            painter.drawText(QPointF(area.left() - 6 - metrics.horizontalAdvance(text), y + 4), text)
        days = (last - first) / 86400000
        form = "yyyy-MM-dd" if days > 5 else "dd HH:mm"
        # the first and the last text reach beyond the axes by half their width
        count = max(1, min(_TICKS, int(area.width() // (metrics.horizontalAdvance(form.upper()) + 10)) - 1))
        for k in range(count + 1):
            time = first + (last - first) * k // count
            x = self._place(time, low, bounds).x()
            text = QDateTime.fromMSecsSinceEpoch(int(time)).toUTC().toString(form)
            half = metrics.horizontalAdvance(text) / 2
            place = min(max(x - half, 2), self.width() - 2 * half - 2)
            painter.drawText(QPointF(place, area.bottom() + 17), text)
        painter.setPen(faint)
        painter.drawRect(area)
        painter.setPen(ink)
        painter.drawText(QPointF(area.left(), 16), self.title)
        x = area.right()
        for i in reversed(range(len(self.dots))):
            x -= metrics.horizontalAdvance(self.dots[i][0])
            painter.setPen(QColor(self.colours[i]))
            painter.drawText(QPointF(x, 16), self.dots[i][0])
            x -= 10


def _runs(times: list[int], values: Any) -> list[list[tuple[int, float]]]:
    """The pieces of a series between values that are not there."""
    runs: list[list[tuple[int, float]]] = [[]]
    for time, value in zip(times, values):
        if math.isfinite(value):
            runs[-1].append((time, float(value)))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _nice(step: float) -> float:
    """1, 2 or 5 times a power of ten, at least ``step``."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(k * power for k in (1, 2, 5, 10) if k * power >= step)
