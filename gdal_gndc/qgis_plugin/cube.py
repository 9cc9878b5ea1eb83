"""A cube as GDAL's driver shows it: its times and bands, the name of each raster, and series of pixels."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from osgeo import gdal
from qgis.PyQt.QtCore import QDateTime, Qt

from .stretch import chosen, limits, shape_of
from .style import DERIVATIVES, Style

INDICES = ("ndvi", "evi", "ndwi", "ndmi")
# The three colours: nanometres, as STAC's electro-optical extension bounds its common names, names of Sentinel-2
# (beside its B08 or B8A), and MODIS' reflectances.
_COLOURS = {
    "red": ((600, 690), "b04", ("sur_refl_b01", "nadir_reflectance_band1")),
    "green": ((510, 600), "b03", ("sur_refl_b04", "nadir_reflectance_band4")),
    "blue": ((450, 530), "b02", ("sur_refl_b03", "nadir_reflectance_band3")),
}
# points of the line that a series draws between its observations
_MOST_POINTS = 400


class CubeError(Exception):
    """GDAL has no driver for cubes, or cannot read this one; the text is for the user."""


class Cube:
    """An open cube.

    Attributes
    ----------
    times
        Milliseconds since 1970 (UTC) of its observations, ascending; empty if they have no dates.
    bands
        Names of its bands.
    indices
        Names of the indices that the driver can make of them.
    derivatives
        Names of the derivatives that it can make of each.
    """

    def __init__(self, path: str) -> None:
        """Read what the cube at ``path`` holds.

        Raises
        ------
        CubeError
            If the driver is not loaded, or cannot read it.
        """
        if gdal.GetDriverByName("GNDC") is None:
            raise CubeError(NO_DRIVER)
        self.path = path
        self.name = Path(path).stem
        first = self._open(":t=0")
        self.width, self.height = first.RasterXSize, first.RasterYSize
        self._to_pixel = _inverse(first)
        described = [first.GetRasterBand(i + 1) for i in range(first.RasterCount)]
        self.bands = [band.GetDescription() or f"band {i + 1}" for i, band in enumerate(described)]
        self.colours = _colours(described)
        self.indices = [name for name in INDICES if self._has(name)]
        self.derivatives = [name for name in DERIVATIVES if self._derives(name)]
        frames = self._open(":band=" + _quoted(self.bands[0]))
        texts = [frames.GetRasterBand(i + 1).GetMetadataItem("time") for i in range(frames.RasterCount)]
        self.frames = len(texts)
        dated = [] if None in texts else sorted((parse(text), i) for i, text in enumerate(texts))
        self.times = [time for time, _ in dated]
        self._order = [i for _, i in dated]
        self._limits: dict[str, Style] = {}

    def nearest(self, time: int) -> int:
        """Return the number, in order of time, of the observation nearest to ``time``."""
        i = bisect_left(self.times, time)
        near = [k for k in (i - 1, i) if 0 <= k < len(self.times)]
        return min(near, key=lambda k: abs(self.times[k] - time))

    def last_before(self, time: int) -> int:
        """Return the number of the last observation at or before ``time``, or of the first."""
        return max(0, bisect_right(self.times, time) - 1)

    def source(self, time: int | None, number: int, view: str) -> str:
        """Return what a layer opens.

        Parameters
        ----------
        time
            A moment in milliseconds; None for the observation of ``number``.
        view
            ``rgb``, a band's name, an index as ``=ndvi``, or a band's derivative as ``=dt:NAME``.
        """
        product = _product(view)[0]
        option = f"|option:PRODUCT={product}" if product else ""
        return f"{self.path}|option:T={self._moment(time, number)}{option}"

    def style(self, view: str) -> Style:
        """Return how a view is shown, with a range from a sample of the cube's dates."""
        if view not in self._limits:
            product, band = _product(view)
            if view == "rgb":
                assert self.colours is not None
                bands = self.colours
            else:
                bands = (self.bands.index(band) + 1 if band else 1,)
            sample = [self._view(i, bands, product) for i in chosen(self.frames)]
            self._limits[view] = Style(bands, limits(np.stack(sample), product, view == "rgb"), product)
        return self._limits[view]

    def series(self, view: str, x: float, y: float, between: bool) -> list[tuple[str, list[int], Any]] | None:
        """Return (name, times, values) of each band of a view at a place in the cube's CRS.

        ``between`` asks for regular times instead of the observations, at most 400. None outside the cube.

        Raises
        ------
        CubeError
            If GDAL cannot read it.
        """
        column, row = (int(np.floor(v)) for v in self.pixel(x, y))
        if not (0 <= column < self.width and 0 <= row < self.height) or not self.times:
            return None
        product, band = _product(view)
        if product and not band:
            wanted = [(product.upper(), f":product={product}")]
        elif product:
            wanted = [(f"{product} of {band}", f":band={_quoted(band)}:product={product}")]
        else:
            assert self.colours is not None or view != "rgb"
            names = [self.bands[i - 1] for i in self.colours or ()] if view == "rgb" else [view]
            wanted = [(name, f":band={_quoted(name)}") for name in names]
        span = self.times[-1] - self.times[0]
        if between and span < 1000:
            return []
        every = f":every=PT{max(1, -(-span // (1000 * _MOST_POINTS)))}S" if between else ""
        found = []
        for name, keys in wanted:
            dataset = self._open(keys + every)
            with _told(self.path):
                values = np.asarray(dataset.ReadAsArray(column, row, 1, 1), np.float64).reshape(-1)
            if between:
                texts = [dataset.GetRasterBand(i + 1).GetMetadataItem("time") for i in range(len(values))]
                found.append((name, [parse(text) for text in texts], values))
            else:
                found.append((name, self.times, values[self._order]))
        return found

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """Return (column, row), with fractions, of a place in the cube's CRS."""
        a, b, c, d, e, f = self._to_pixel
        return a + b * x + c * y, d + e * x + f * y

    def _moment(self, time: int | None, number: int) -> str:
        if time is not None:
            return show(time)
        if not self.times:
            return str(number)
        # observations of the same second go by their number
        same = self.times.count(self.times[number]) > 1
        return str(self._order[number]) if same else show(self.times[number])

    def _view(self, frame: int, bands: tuple[int, ...], product: str) -> Any:
        dataset = self._open(f":t={frame}" + (f":product={product}" if product else ""))
        rows, columns = shape_of(self.height, self.width)
        with _told(self.path):
            read = [dataset.GetRasterBand(i).ReadAsArray(buf_xsize=columns, buf_ysize=rows) for i in bands]
        return np.stack(read, axis=-1)

    def _has(self, index: str) -> bool:
        try:
            self._open(f":t=0:product={index}")
        except CubeError:
            return False
        return True

    def _derives(self, product: str) -> bool:
        """A field of blocks of pixels has no derivative by place, which shows when it is read."""
        try:
            dataset = self._open(f":t=0:product={product}")
            with _told(self.path):
                dataset.GetRasterBand(1).ReadAsArray(0, 0, 1, 1)
        except CubeError:
            return False
        return True

    def _open(self, keys: str) -> Any:
        with _told(self.path):
            return gdal.Open(f"GNDC:{_quoted(self.path)}{keys}")


NO_DRIVER = (
    "QGIS's GDAL has no driver for .gndc files. In a shell, type: gndc driver install, and start QGIS with "
    'eval "$(gndc driver env)"; qgis. Or install it for every program: gndc driver install --system'
)


def _product(view: str) -> tuple[str, str]:
    """The product and the band of a view: one of them empty for an index and for a band."""
    if not view.startswith("="):
        return "", "" if view == "rgb" else view
    product, _, band = view[1:].partition(":")
    return product, band


def parse(text: str) -> int:
    """Return the milliseconds since 1970 of ISO 8601 text in UTC."""
    return int(QDateTime.fromString(text, Qt.DateFormat.ISODateWithMs).toMSecsSinceEpoch())


def show(time: int) -> str:
    """Return milliseconds since 1970 as ISO 8601 text in UTC, with a fraction only if there is one."""
    kind = Qt.DateFormat.ISODateWithMs if time % 1000 else Qt.DateFormat.ISODate
    return str(QDateTime.fromMSecsSinceEpoch(time).toUTC().toString(kind))


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Errors of GDAL as a CubeError, whether or not another plugin turned its exceptions on."""
    had = gdal.GetUseExceptions()
    gdal.UseExceptions()
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        raise CubeError(text if path in text else f"{path}: {text}") from error
    finally:
        gdal.PopErrorHandler()
        if not had:
            gdal.DontUseExceptions()


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _inverse(dataset: Any) -> tuple[float, ...]:
    forward = dataset.GetGeoTransform(can_return_null=True)
    # without a place QGIS counts rows downwards from 0
    return tuple(gdal.InvGeoTransform(forward or (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)))


def _colours(bands: list[Any]) -> tuple[int, ...] | None:
    """1-based bands of red, green and blue: by common name, wavelength, or a usual name; None unless all are known."""
    common = [(band.GetMetadataItem("common_name") or "").lower() for band in bands]
    lengths = [float(band.GetMetadataItem("CENTRAL_WAVELENGTH") or 0) for band in bands]
    names = [band.GetDescription().lower() for band in bands]
    found = []
    for colour, ((low, high), sentinel, modis) in _COLOURS.items():
        usual = [colour, *modis, *([sentinel] if {"b08", "b8a"} & set(names) else [])]
        inside = [(abs(w - (low + high) / 2), i) for i, w in enumerate(lengths) if low <= w <= high]
        candidates = [common.index(colour)] if colour in common else []
        candidates += [min(inside)[1]] if inside else []
        candidates += [names.index(name) for name in usual if name in names]
        if not candidates:
            return None
        found.append(candidates[0] + 1)
    return tuple(found)
