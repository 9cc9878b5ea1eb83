"""``meta.json``: shape, bands, georeference and times of a cube (specification 4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gdal_gndc.errors import TimeError
from gdal_gndc.format.compression import Buffer
from gdal_gndc.format.document import Document, as_number, dump_json, shown, with_unknown
from gdal_gndc.times import format_time, parse_time, short_time

ENTRY = "meta.json"
INT32_MAX = 2**31 - 1
CALENDARS = ("gregorian", "standard", "proleptic_gregorian", "noleap", "365_day", "360_day", "julian")

Transform = tuple[float, float, float, float, float, float]

_AXES = ("time", "y", "x", "band")
_BAND_KEYS = (
    "name",
    "description",
    "unit",
    "scale_factor",
    "add_offset",
    "valid_range",
    "fill_value",
    "center_wavelength",
    "common_name",
)
# of a band, when a file does not say
_GRANTED = {"scale_factor": 1.0, "add_offset": 0.0}
_SENSOR_KEYS = ("id", "name", "bands", "platform", "instrument", "product", "source_assets")


@dataclass(frozen=True)
class Band:
    """One band.

    ``scale_factor``, ``add_offset``, ``valid_range`` and ``fill_value`` describe the source data; decoding,
    which yields physical units, ignores them.
    """

    name: str
    description: str | None = None
    unit: str | None = None
    scale_factor: float = 1.0
    add_offset: float = 0.0
    valid_range: tuple[float, float] | None = None
    fill_value: float | None = None
    center_wavelength: float | None = None
    common_name: str | None = None
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class Sensor:
    """One sensor of a cube of several: ``bands`` are those it observes, None if all."""

    id: int
    name: str
    bands: tuple[str, ...] | None = None
    platform: str | None = None
    instrument: str | None = None
    product: str | None = None
    source_assets: Any = field(default=None, hash=False)
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class Meta:
    """What a container says about its cube.

    Attributes
    ----------
    shape
        (T, H, W, C), whatever the order of ``axes`` in the file; an absent time or band axis counts as 1.
    transform
        Affine a..f of upper-left pixel corners, x = a*col + b*row + c and y = d*col + e*row + f; or None.
    pixel_anchor, stored_transform
        The file's own reference point (``"upper_left"`` or ``"center"``) and its transform for that point.
    times
        One UTC datetime per frame; empty for a single frame without a date.
    time_strings
        The same as the file writes them.
    global_start, global_end
        Times used for normalisation where a chunk has none of its own.
    sensors, sensor_ids
        Sensors, and the id of each frame's sensor; empty if the cube has one sensor.
    raw
        The object as read.

    Notes
    -----
    Times of the calendars ``noleap``, ``360_day`` and ``julian`` are read as ISO 8601 dates of the proleptic
    Gregorian calendar; a date that one lacks is an error. A file with ``time.units`` instead of
    ``time.values`` has T frames evenly spaced from ``global_start`` to ``global_end``, both included.
    """

    shape: tuple[int, int, int, int]
    bands: tuple[Band, ...]
    version: str = "0.9"
    dtype: str = "float32"
    missing_fill: float | None = None
    use_log: bool = False
    crs: str | None = None
    transform: Transform | None = None
    pixel_anchor: str = "upper_left"
    stored_transform: Transform | None = None
    times: tuple[datetime, ...] = ()
    time_strings: tuple[str, ...] = ()
    time_units: str | None = None
    global_start: datetime | None = None
    global_end: datetime | None = None
    calendar: str = "gregorian"
    sensors: tuple[Sensor, ...] = ()
    sensor_ids: tuple[int, ...] = ()
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Writers give the corner transform and the times; what the file holds follows from them.
        if self.transform is not None and self.stored_transform is None:
            half = 0.5 if self.pixel_anchor == "center" else 0.0
            object.__setattr__(self, "stored_transform", _shifted(self.transform, half))
        if self.times and not self.time_strings:
            object.__setattr__(self, "time_strings", tuple(short_time(t) for t in self.times))

    @classmethod
    def from_json(cls, data: Buffer, path: str | None = None, *, entry: str = ENTRY) -> Meta:
        """Read a ``meta.json``.

        Raises
        ------
        FileFormatError
            If it is not a v0.9 description of a cube this package can read.
        """
        document = Document.parse(memoryview(data), path=path, entry=entry)
        version = document.check_format()
        shape, with_time = _read_shape(document)
        anchor, stored = _read_transform(document)
        members: dict[str, Any] = {}
        if document.has("time"):
            members = _read_time(document.child("time"), shape[0], with_time)
        elif shape[0] > 1:
            document.wrong("time", f"the times of {shape[0]} frames")
        sensors = tuple(_read_sensor(item) for item in document.children("sensors"))
        known = {sensor.id for sensor in sensors}
        if sensors and (stray := [i for i in members.get("sensor_ids", ()) if i not in known]):
            document.fail(f"time.sensor_id names sensor {stray[0]}, but sensors has {shown(sorted(known))}")
        return cls(
            shape=shape,
            bands=_read_bands(document, shape[3]),
            version=version,
            dtype=document.string("dtype", "float32"),
            missing_fill=document.number("missing_fill", None),
            use_log=document.boolean("use_log", False),
            crs=document.string("crs", None),
            transform=None if stored is None else _shifted(stored, -0.5 if anchor == "center" else 0.0),
            pixel_anchor=anchor,
            stored_transform=stored,
            sensors=sensors,
            raw=document.members,
            **members,
        )

    def to_json(self) -> bytes:
        """Return the entry, with axes in the order time, y, x, band; unknown keys that were read are kept."""
        members: dict[str, Any] = {
            "format": "gndc",
            "version": self.version,
            "shape": list(self.shape),
            "axes": list(_AXES),
            "dtype": self.dtype,
            "bands": [_write_band(band) for band in self.bands],
            "crs": self.crs,
            "transform": None,
        }
        # A small cube is a few kilobytes: what a reader takes for granted is not written.
        if self.missing_fill is not None:
            members["missing_fill"] = self.missing_fill
        if self.use_log:
            members["use_log"] = True
        if self.stored_transform is not None:
            members["transform"] = dict(zip("abcdef", self.stored_transform, strict=True))
            if self.pixel_anchor != "upper_left":
                members["pixel_anchor"] = self.pixel_anchor
        members["time"] = self._write_time()
        if self.sensors:
            members["sensors"] = [_write_sensor(sensor) for sensor in self.sensors]
        return dump_json(with_unknown(members, self.raw, ("pixel_anchor", "sensors")))

    def _write_time(self) -> dict[str, Any]:
        time: dict[str, Any] = {}
        if self.time_units is not None:
            time["units"] = self.time_units
        elif self.times:
            time["values"] = list(self.time_strings)
        if self.calendar != "gregorian":
            time["calendar"] = self.calendar
        for key in ("global_start", "global_end"):
            if (value := getattr(self, key)) is not None:
                time[key] = short_time(value)
        if self.sensor_ids:
            time["sensor_id"] = list(self.sensor_ids)
        known = ("values", "units", "global_start", "global_end", "sensor_id")
        return with_unknown(time, self.raw.get("time") or {}, known)

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of the bands."""
        return tuple(band.name for band in self.bands)


def _read_shape(document: Document) -> tuple[tuple[int, int, int, int], bool]:
    axes = document.array("axes", list(_AXES))
    if not all(isinstance(axis, str) for axis in axes) or len(set(axes)) != len(axes):
        document.wrong("axes", "an array of different names")
    if not {"y", "x"} <= set(axes):
        document.wrong("axes", 'names that include "y" and "x"')
    sizes = document.integers("shape")
    if len(sizes) != len(axes):
        document.fail(f"shape {shown(list(sizes))} has {len(sizes)} entries for {len(axes)} axes")
    if not all(1 <= size <= INT32_MAX for size in sizes):
        document.fail(f"shape is {shown(list(sizes))}, expected sizes from 1 to {INT32_MAX}")
    by_name = dict(zip(axes, sizes, strict=True))
    for axis, size in by_name.items():
        if axis not in _AXES and size != 1:
            document.fail(f"the axis {shown(axis)} of size {size} is not supported, expected time, y, x and band")
    t, h, w, c = (by_name.get(axis, 1) for axis in _AXES)
    return (t, h, w, c), "time" in by_name


def _read_bands(document: Document, n_bands: int) -> tuple[Band, ...]:
    if not document.has("bands"):
        # Held against the size of the file, a million nameless bands are no cube.
        if n_bands > 65536:
            document.fail(f"shape has {n_bands} bands, expected at most 65536 without a list of bands")
        return tuple(Band(f"band_{i + 1}") for i in range(n_bands))
    items = document.children("bands")
    if len(items) != n_bands:
        document.fail(f"bands describes {len(items)} bands, shape has {n_bands}")
    return tuple(_read_band(item, i) for i, item in enumerate(items))


def _read_band(item: Document, index: int) -> Band:
    valid = item.numbers("valid_range") if item.has("valid_range") else None
    if valid is not None and len(valid) != 2:
        item.wrong("valid_range", "[min, max]")
    return Band(
        name=item.string("name", "") or f"band_{index + 1}",
        description=item.string("description", None),
        unit=item.string("unit", None),
        scale_factor=item.number("scale_factor", 1.0),
        add_offset=item.number("add_offset", 0.0),
        valid_range=None if valid is None else (valid[0], valid[1]),
        fill_value=item.number("fill_value", None),
        center_wavelength=item.number("center_wavelength", None),
        common_name=item.string("common_name", None),
        raw=item.members,
    )


def _write_band(band: Band) -> dict[str, Any]:
    return _write_fields(band, _BAND_KEYS)


def _read_sensor(item: Document) -> Sensor:
    names = item.array("bands", None)
    if names is not None and not all(isinstance(name, str) for name in names):
        item.wrong("bands", "an array of band names")
    identity = item.integer("id")
    return Sensor(
        id=identity,
        name=item.string("name", f"sensor_{identity}"),
        bands=None if names is None else tuple(names),
        platform=item.string("platform", None),
        instrument=item.string("instrument", None),
        product=item.string("product", None),
        source_assets=item.get("source_assets"),
        raw=item.members,
    )


def _write_sensor(sensor: Sensor) -> dict[str, Any]:
    return _write_fields(sensor, _SENSOR_KEYS)


def _write_fields(item: Band | Sensor, keys: tuple[str, ...]) -> dict[str, Any]:
    values = {key: getattr(item, key) for key in keys}
    members = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items() if v != _GRANTED.get(k)}
    return with_unknown(members, item.raw, keys)


def _read_transform(document: Document) -> tuple[str, Transform | None]:
    anchor = document.string("pixel_anchor", None)
    value = document.get("transform")
    if isinstance(value, dict):
        item = document.child("transform")
        anchor = anchor or item.string("pixel_anchor", None)
        numbers = [item.number(key) for key in "abcdef"]
    elif value is None:
        numbers = []
    else:
        numbers = [as_number(v) for v in value] if isinstance(value, list) else [None]
        if len(numbers) != 6 or None in numbers:
            document.wrong("transform", "an object of a, b, c, d, e, f, or six numbers")
    anchor = anchor or "upper_left"
    if anchor not in ("upper_left", "center"):
        document.fail(f'pixel_anchor is {shown(anchor)}, expected "upper_left" or "center"')
    if not numbers:
        return anchor, None
    a, b, c, d, e, f = numbers
    if a * e - b * d == 0.0:
        document.fail(f"transform {shown(numbers)} cannot be inverted: a*e - b*d is zero")
    return anchor, (a, b, c, d, e, f)


def _shifted(transform: Transform, half: float) -> Transform:
    """Return a transform whose reference point is moved by ``half`` a pixel along both axes."""
    a, b, c, d, e, f = transform
    return a, b, c + half * (a + b), d, e, f + half * (d + e)


def _read_time(time: Document, n_frames: int, with_axis: bool) -> dict[str, Any]:
    calendar = time.string("calendar", "gregorian")
    if calendar not in CALENDARS:
        time.fail(f"time.calendar is {shown(calendar)}, expected one of {', '.join(CALENDARS)}")

    def parse(text: str, key: str) -> datetime:
        try:
            return parse_time(text)
        except TimeError as error:
            note = "" if "regorian" in calendar else f" (calendar {calendar})"
            time.fail(f"time.{key}: {error}{note}", error)

    ends = {key: time.string(key, None) for key in ("global_start", "global_end")}
    start, end = (None if text is None else parse(text, key) for key, text in ends.items())
    if start is not None and end is not None and end < start:
        time.fail(f"time.global_end {format_time(end)} is before time.global_start {format_time(start)}")
    units = time.string("units", None)
    strings = time.array("values", None)
    if strings is not None:
        if not all(isinstance(text, str) for text in strings):
            time.wrong("values", "an array of ISO 8601 strings")
        if len(strings) != n_frames and (with_axis or strings):
            time.fail(f"time.values has {len(strings)} entries for {n_frames} frames of shape")
        times = tuple(parse(text, f"values[{i}]") for i, text in enumerate(strings))
        units = None
    elif units is not None and start is not None and end is not None:
        # Every frame is listed in full below; a file of a few bytes must not ask for billions.
        if n_frames > 1_000_000:
            time.fail(f"shape has {n_frames} frames, expected at most 1000000 without time.values")
        step = (end - start) / max(n_frames - 1, 1)
        times = tuple(end if 0 < i == n_frames - 1 else start + i * step for i in range(n_frames))
        strings = [format_time(t) for t in times]
    else:
        if n_frames > 1:
            time.fail(f"time has neither values nor units, global_start and global_end for {n_frames} frames")
        times, strings, units = (), [], None
    sensor_ids = time.integers("sensor_id") if time.has("sensor_id") else ()
    if sensor_ids and len(sensor_ids) != n_frames:
        time.fail(f"time.sensor_id has {len(sensor_ids)} entries for {n_frames} frames of shape")
    return {
        "times": times,
        "time_strings": tuple(strings),
        "time_units": units,
        "global_start": start,
        "global_end": end,
        "calendar": calendar,
        "sensor_ids": sensor_ids,
    }
