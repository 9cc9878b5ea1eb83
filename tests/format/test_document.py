from __future__ import annotations

import pytest

from gdal_gndc.errors import FileFormatError
from gdal_gndc.format.document import Document, dump_json, shown


def document(text: str) -> Document:
    return Document.parse(text.encode(), path="cube.gndc", entry="meta.json")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "not valid JSON"),
        ("[1]", r"expected a JSON object, found \[1\]"),
        ("null", "expected a JSON object, found None"),
        ('{"a": 1, "a": 2}', "'a' occurs twice"),
        ('{"b": {"a": 1, "a": 1}}', "'a' occurs twice"),
        ('{"a": NaN}', "constant NaN"),
        ('{"a": [-Infinity]}', "constant -Infinity"),
        ('{"a": ' + "9" * 5000 + "}", "not valid JSON"),
        ('{"a": ' + "[" * 100_000 + "}", "nested too deeply"),
    ],
)
def test_what_is_not_json(text: str, found: str) -> None:
    with pytest.raises(FileFormatError, match=f"cube.gndc: meta.json: .*{found}"):
        document(text)


def test_encodings() -> None:
    assert Document.parse("\ufeff{}".encode()).members == {}
    with pytest.raises(FileFormatError, match="not UTF-8"):
        Document.parse(b'{"a": "\xff"}')


@pytest.mark.parametrize("value", ["true", "1.0", '"1"', "null", "[]", "9223372036854775808", "1e3"])
def test_integers_are_integers(value: str) -> None:
    with pytest.raises(FileFormatError, match=r"n is .*, expected an integer"):
        document(f'{{"n": {value}}}').integer("n")


def test_integer_ranges() -> None:
    assert document('{"n": 9223372036854775807}').integer("n") == 2**63 - 1
    with pytest.raises(FileFormatError, match="n is 4, expected an integer from 0 to 3"):
        document('{"n": 4}').integer("n", low=0, high=3)
    with pytest.raises(FileFormatError, match="n is an integer of 1329 bits, expected"):
        document(f'{{"n": {10**400}}}').integer("n")
    with pytest.raises(FileFormatError, match="n is absent, expected"):
        document("{}").integer("n")


@pytest.mark.parametrize("value", ["true", '"1"', "null", "1e999", "1" + "0" * 400])
def test_numbers_are_finite_numbers(value: str) -> None:
    with pytest.raises(FileFormatError, match=r"x is .*, expected a finite number"):
        document(f'{{"x": {value}}}').number("x")


def test_defaults_stand_for_null_and_absent() -> None:
    found = document('{"a": null}')
    for key in ("a", "b"):
        assert found.integer(key, 1) == 1
        assert found.number(key, 2.0) == 2.0
        assert found.string(key, "x") == "x"
        assert found.boolean(key, True) is True
        assert found.array(key, []) == []


def test_nested_names() -> None:
    found = document('{"a": {"b": [{"c": 1}, 2]}}')
    with pytest.raises(FileFormatError, match=r"a\.b\[1\] is 2, expected an object"):
        found.child("a").children("b")
    with pytest.raises(FileFormatError, match=r"a\.d is absent, expected an object"):
        found.child("a").child("d")
    with pytest.raises(FileFormatError, match=r"a is .*, expected true or false"):
        found.boolean("a")
    with pytest.raises(FileFormatError, match=r"a is .*, expected an array"):
        found.array("a")


@pytest.mark.parametrize("version", ["0.9", "0.9.1", "0.9.10", "0.9-rc1"])
def test_versions(version: str) -> None:
    assert document(f'{{"format": "gndc", "version": "{version}"}}').check_format() == version


@pytest.mark.parametrize("version", ['"1.0"', '"2.0"', '"0.8"', '"0.91"', '""', "0.9", "null"])
def test_other_versions(version: str) -> None:
    with pytest.raises(FileFormatError, match="version"):
        document(f'{{"format": "gndc", "version": {version}}}').check_format()


def test_other_formats() -> None:
    with pytest.raises(FileFormatError, match="format is 'zarr', expected"):
        document('{"format": "zarr", "version": "0.9"}').check_format()


def test_shown_is_short_and_harmless() -> None:
    assert len(shown(list(range(10_000)))) == 80
    assert shown("a\x1b[31m\n\u202e") == "'a\\x1b[31m\\n\\u202e'"


def test_dump_refuses_what_json_lacks() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        dump_json({"a": float("nan")})
    assert dump_json({"a": "\u00e4"}) == '{"a":"\u00e4"}'.encode()
