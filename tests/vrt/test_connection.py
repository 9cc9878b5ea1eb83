from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdal_gndc.errors import FileFormatError, GNDCError
from gdal_gndc.vrt.connection import KEYS, Connection, is_connection, parse_connection

texts = st.one_of(
    st.text(min_size=1),
    st.text(alphabet='ab:="\\/. tT1', min_size=1),
    st.sampled_from(["2024-06-15T10:30:00Z", "C:\\data\\x.gndc", "a:t=1", '"', "\\", "https://h/x.gndc?a=b"]),
)
connections = st.builds(Connection, texts, st.dictionaries(st.sampled_from(KEYS), texts))


@given(connections)
def test_text_and_back(connection: Connection) -> None:
    assert parse_connection(str(connection)) == connection


@pytest.mark.parametrize(
    ("text", "path", "options"),
    [
        ("GNDC:cube.gndc", "cube.gndc", {}),
        ("gndc:cube.gndc:T=3", "cube.gndc", {"t": "3"}),
        ("GNDC:/d/cube.gndc:t=2024-06-15", "/d/cube.gndc", {"t": "2024-06-15"}),
        (
            "GNDC:cube.gndc:t=2024-06-15T10:30:00+02:00:band=B08",
            "cube.gndc",
            {"t": "2024-06-15T10:30:00+02:00", "band": "B08"},
        ),
        (
            "GNDC:c.gndc:every=P5D:start=2018-01-01:end=2018-02-01T00:00:00Z",
            "c.gndc",
            {"every": "P5D", "start": "2018-01-01", "end": "2018-02-01T00:00:00Z"},
        ),
        (r"GNDC:C:\data\cube.gndc:product=ndvi", r"C:\data\cube.gndc", {"product": "ndvi"}),
        (r'GNDC:"a \"b\" c\\d:t=1.gndc":t=0', r'a "b" c\d:t=1.gndc', {"t": "0"}),
        (r'GNDC:"C:\data\x.gndc"', r"C:\data\x.gndc", {}),
        ('GNDC:c.gndc:band=":t=5":t=1', "c.gndc", {"band": ":t=5", "t": "1"}),
        ("GNDC:/vsicurl/https://h:8080/c.gndc?a=b:t=1", "/vsicurl/https://h:8080/c.gndc?a=b", {"t": "1"}),
    ],
)
def test_parse(text: str, path: str, options: dict[str, str]) -> None:
    assert parse_connection(text) == Connection(path, options)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cube.gndc", "not a connection string"),
        ("GNDC:", "names no file"),
        ("GNDC::t=1", "names no file"),
        ('GNDC:"":t=1', "names no file"),
        ("GNDC:c.gndc:time=1", "unknown key 'time'"),
        ("GNDC:c.gndc:t=1:t=2", "'t' comes twice"),
        ("GNDC:c.gndc:t=1:T=2", "'t' comes twice"),
        ("GNDC:c.gndc:t=", "'t' .* has no value"),
        ("GNDC:c.gndc:t=:band=1", "'t' .* has no value"),
        ('GNDC:"c.gndc', "not closed"),
        ('GNDC:"c.gndc\\"', "not closed"),
        ('GNDC:"c.gndc"x:t=1', "after a closing quote"),
        ('GNDC:c.gndc:t="1" :band=2', "after a closing quote"),
    ],
)
def test_errors_name_the_trouble(text: str, says: str) -> None:
    with pytest.raises(FileFormatError, match=says) as caught:
        parse_connection(text)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, GNDCError)


def test_is_connection() -> None:
    assert is_connection("GNDC:x")
    assert is_connection("gndc:x")
    assert not is_connection("x.gndc")
