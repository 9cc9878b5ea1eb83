from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdal_gndc.errors import FileFormatError
from gdal_gndc.format.meta import Band, Meta, Sensor

BASE: dict[str, Any] = {
    "format": "gndc",
    "version": "0.9",
    "shape": [2, 3, 4, 1],
    "axes": ["time", "y", "x", "band"],
    "dtype": "uint8",
    "bands": [{"name": "LAI"}],
    "time": {"values": ["2020-01-01T00:00:00Z", "2020-01-03T00:00:00Z"]},
}

FLOATS = st.floats(-1e12, 1e12)
NAMES = st.text(min_size=1, max_size=8)
TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(tzinfo=UTC))
BANDS = st.builds(
    Band,
    name=NAMES,
    description=st.none() | st.text(max_size=8),
    unit=st.none() | NAMES,
    scale_factor=FLOATS,
    add_offset=FLOATS,
    valid_range=st.none() | st.tuples(FLOATS, FLOATS),
    fill_value=st.none() | FLOATS,
    center_wavelength=st.none() | FLOATS,
    common_name=st.none() | NAMES,
)
# Exactly invertible, so that moving the anchor there and back is exact as well.
TRANSFORMS = st.tuples(*[st.integers(-1000, 1000).map(float)] * 6).filter(lambda t: t[0] * t[4] != t[1] * t[3])


@st.composite
def metas(draw: st.DrawFn) -> Meta:
    shape = tuple(draw(st.integers(1, n)) for n in (6, 1000, 1000, 4))
    times = tuple(draw(TIMES) for _ in range(shape[0]))
    sensors = (Sensor(3, "A", ("x",), platform="P"), Sensor(-1, "B")) if draw(st.booleans()) else ()
    return Meta(
        shape=shape,
        bands=tuple(draw(BANDS) for _ in range(shape[3])),
        version=draw(st.sampled_from(["0.9", "0.9.4"])),
        dtype=draw(st.sampled_from(["uint8", "float32"])),
        missing_fill=draw(st.none() | FLOATS),
        use_log=draw(st.booleans()),
        crs=draw(st.none() | st.just("EPSG:4326")),
        transform=draw(st.none() | TRANSFORMS),
        pixel_anchor=draw(st.sampled_from(["upper_left", "center"])),
        times=times,
        global_start=draw(st.none() | st.just(min(times))),
        global_end=draw(st.none() | st.just(max(times))),
        calendar=draw(st.sampled_from(["gregorian", "noleap"])),
        sensors=sensors,
        sensor_ids=tuple(draw(st.sampled_from([3, -1])) for _ in times) if sensors else (),
    )


def read(**changes: Any) -> Meta:
    members = {**BASE, **changes}
    return Meta.from_json(json.dumps({k: v for k, v in members.items() if v is not ...}).encode(), "f")


@given(metas())
def test_round_trip(meta: Meta) -> None:
    if meta.transform is None:
        meta = replace(meta, pixel_anchor="upper_left")
    again = Meta.from_json(meta.to_json())
    assert again == meta
    assert again.to_json() == meta.to_json()


def test_what_was_read_is_kept() -> None:
    members = {**BASE, "x_vendor": {"a": [1]}, "bands": [{"name": "LAI", "x_note": "b"}]}
    written = json.loads(Meta.from_json(json.dumps(members).encode()).to_json())
    assert written["x_vendor"] == {"a": [1]}
    assert written["bands"][0]["x_note"] == "b"
    assert written["time"]["values"] == BASE["time"]["values"]


def test_axes_in_any_order() -> None:
    assert read(axes=["band", "x", "y", "time"], shape=[1, 4, 3, 2]).shape == (2, 3, 4, 1)
    assert read(axes=["time", "y", "x"], shape=[2, 3, 4]).shape == (2, 3, 4, 1)
    assert read(axes=["y", "x"], shape=[3, 4], time=...).shape == (1, 3, 4, 1)
    assert read(axes=["run", "time", "y", "x", "band"], shape=[1, 2, 3, 4, 1]).shape == (2, 3, 4, 1)
    assert read(axes=...).shape == (2, 3, 4, 1)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"shape": [2, 3, 4]}, "has 3 entries for 4 axes"),
        ({"shape": [2, 3, 4.0, 1]}, "shape is .*, expected an array of integers"),
        ({"shape": [2, 3, True, 1]}, "shape is .*, expected an array of integers"),
        ({"shape": [2, 0, 4, 1]}, r"shape is \[2, 0, 4, 1\], expected sizes from 1"),
        ({"shape": [2, 3, 2**31, 1]}, "expected sizes from 1 to 2147483647"),
        ({"shape": "2341"}, "shape is '2341', expected an array"),
        ({"shape": ...}, "shape is absent"),
        ({"axes": ["time", "y", "y", "band"]}, "axes"),
        ({"axes": ["time", "y", "band", "z"]}, 'names that include "y" and "x"'),
        ({"axes": ["run", "y", "x", "band"]}, "axis 'run' of size 2 is not supported"),
        ({"bands": []}, "bands describes 0 bands, shape has 1"),
        ({"bands": ["LAI"]}, r"bands\[0\] is 'LAI', expected an object"),
        ({"bands": [{"name": 1}]}, r"bands\[0\].name is 1, expected a string"),
        ({"bands": [{"name": "a", "valid_range": [1]}]}, r"bands\[0\].valid_range"),
        ({"bands": [{"name": "a", "scale_factor": "1"}]}, r"bands\[0\].scale_factor"),
        ({"missing_fill": "nan"}, "missing_fill is 'nan'"),
        ({"use_log": 1}, "use_log is 1, expected true or false"),
        ({"crs": 4326}, "crs is 4326, expected a string"),
        ({"transform": [1, 2, 3]}, "transform"),
        ({"transform": [1, 0, 0, 0, None, 0]}, "transform"),
        ({"transform": 7}, "transform is 7"),
        ({"transform": {"a": 1, "b": 0, "c": 0, "d": 0, "e": -1}}, "transform.f is absent"),
        ({"transform": [0, 0, 0, 0, 0, 0]}, "cannot be inverted"),
        ({"pixel_anchor": "middle"}, "pixel_anchor is 'middle'"),
        ({"time": ...}, "time is absent, expected the times of 2 frames"),
        ({"time": {}}, "neither values nor units"),
        ({"time": {"values": []}}, "time.values has 0 entries for 2 frames"),
        ({"time": {"values": ["2020-01-01"] * 3}}, "time.values has 3 entries for 2 frames"),
        ({"time": {"values": [1, 2]}}, "time.values is .*, expected an array of ISO"),
        ({"time": {"values": ["2020-01-01", "x"]}}, r"time.values\[1\]: 'x' is not a time"),
        ({"time": {"values": BASE["time"]["values"], "global_start": "y"}}, "time.global_start: 'y' is not"),
        (
            {"time": {"values": BASE["time"]["values"], "calendar": "maya"}},
            "calendar is 'maya', expected one of",
        ),
        (
            {"time": {"values": ["2020-02-30", "2020-03-01"], "calendar": "360_day"}},
            r"'2020-02-30' is not a time of the Gregorian calendar.*\(calendar 360_day\)",
        ),
        (
            {"time": {"values": BASE["time"]["values"], "global_start": "2021", "global_end": "2020"}},
            "time.global_start: '2021'",
        ),
        (
            {
                "time": {
                    "values": BASE["time"]["values"],
                    "global_start": "2021-01-01",
                    "global_end": "2020-01-01",
                }
            },
            "global_end 2020-01-01T00:00:00Z is before time.global_start",
        ),
        ({"time": {"values": BASE["time"]["values"], "sensor_id": [1]}}, "sensor_id has 1 entries for 2"),
        (
            {
                "time": {"values": BASE["time"]["values"], "sensor_id": [1, 2]},
                "sensors": [{"id": 1, "bands": []}],
            },
            r"names sensor 2, but sensors has \[1\]",
        ),
        ({"sensors": [{"name": "A"}]}, r"sensors\[0\].id is absent"),
        ({"sensors": [{"id": 1, "bands": [2]}]}, r"sensors\[0\].bands"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], found: str) -> None:
    with pytest.raises(FileFormatError, match=f"f: meta.json: .*{found}"):
        read(**changes)


def test_bands() -> None:
    assert read(bands=...).band_names == ("band_1",)
    assert read(bands=[{"name": ""}]).band_names == ("band_1",)
    (band,) = read(bands=[{"name": "B2", "fill_value": 255, "scale_factor": None, "valid_range": [0, 1]}]).bands
    assert band == Band("B2", fill_value=255.0, valid_range=(0.0, 1.0))


def test_transforms() -> None:
    corner = (10.0, 1.0, 100.0, 2.0, -10.0, 200.0)
    as_object = dict(zip("abcdef", corner, strict=True))
    assert read(transform=as_object).transform == corner
    assert read(transform=list(corner)).transform == corner
    assert read(transform=None).transform is None
    for changes in (
        {"transform": as_object, "pixel_anchor": "center"},
        {"transform": {**as_object, "pixel_anchor": "center"}},
    ):
        meta = read(**changes)
        assert meta.transform == (10.0, 1.0, 94.5, 2.0, -10.0, 204.0)
        assert meta.stored_transform == corner and meta.pixel_anchor == "center"


def test_times() -> None:
    meta = read(
        time={
            "values": ["2020-01-01 10:00:00", "2020-01-03T02:00:00+02:00"],
            "global_start": "2020-01-01",
            "global_end": "2020-02-01T00:00:00Z",
        }
    )
    assert meta.times == (datetime(2020, 1, 1, 10, tzinfo=UTC), datetime(2020, 1, 3, tzinfo=UTC))
    assert meta.time_strings == ("2020-01-01 10:00:00", "2020-01-03T02:00:00+02:00")
    assert meta.global_start == datetime(2020, 1, 1, tzinfo=UTC)
    assert meta.calendar == "gregorian"


def test_times_of_a_regular_cadence() -> None:
    ends = {"global_start": "2020-01-01T00:00:00Z", "global_end": "2020-01-11T00:00:00Z"}
    meta = read(shape=[5, 3, 4, 1], time={"units": "days since 2020-01-01T00:00:00Z", **ends})
    assert [t - meta.times[0] for t in meta.times] == [timedelta(days=2.5 * i) for i in range(5)]
    assert meta.time_strings[1] == "2020-01-03T12:00:00Z"
    again = Meta.from_json(meta.to_json())
    assert again == meta and again.time_units == "days since 2020-01-01T00:00:00Z"
    assert read(shape=[1, 3, 4, 1], time={"units": "days", **ends}).times == (datetime(2020, 1, 1, tzinfo=UTC),)
    with pytest.raises(FileFormatError, match=r"at most 1000000 without time.values"):
        read(shape=[2**31 - 1, 3, 4, 1], time={"units": "days", **ends})


def test_a_single_frame_needs_no_date() -> None:
    for time in (..., None, {}, {"calendar": "julian"}):
        assert read(shape=[1, 3, 4, 1], time=time).times == ()
    assert read(axes=["y", "x"], shape=[3, 4], time={"values": []}).times == ()
    assert len(read(axes=["y", "x"], shape=[3, 4], time={"values": ["2020-01-01"]}).times) == 1
    with pytest.raises(FileFormatError, match="2 entries for 1 frames"):
        read(axes=["y", "x"], shape=[3, 4])


def test_sensors() -> None:
    meta = read(
        sensors=[{"id": 0, "name": "S2A", "bands": ["LAI"], "platform": "P"}, {"id": 7, "bands": None}],
        time={**BASE["time"], "sensor_id": [7, 0]},
    )
    assert meta.sensors == (Sensor(0, "S2A", ("LAI",), platform="P"), Sensor(7, "sensor_7"))
    assert meta.sensor_ids == (7, 0)


def test_a_huge_cube_costs_nothing() -> None:
    tracemalloc.start()
    try:
        assert read(shape=[2, 2**31 - 1, 2**31 - 1, 1]).shape[1] == 2**31 - 1
        with pytest.raises(FileFormatError, match="65536"):
            read(shape=[2, 3, 4, 2**31 - 1], bands=...)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
