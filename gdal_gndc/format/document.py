"""JSON objects read strictly: every value taken from a file has its type and range checked here."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from typing import Any, NoReturn

from gdal_gndc.errors import FileFormatError

INT64_MAX = 2**63 - 1
_REQUIRED: Any = object()


class Document:
    """One JSON object of a container, with typed access to its members.

    Parameters
    ----------
    members
        The object as ``json`` parsed it.
    path, entry
        Where it came from; every error names them.
    where
        Dotted name of this object inside its document (``"model_config"``), empty for the top.

    Notes
    -----
    ``null`` counts as absent: a member is then its default, or an error if it has none.
    """

    def __init__(
        self, members: dict[str, Any], *, path: str | None = None, entry: str | None = None, where: str = ""
    ) -> None:
        self.members = members
        self.path = path
        self.entry = entry
        self.where = where

    @classmethod
    def parse(cls, data: bytes | memoryview, *, path: str | None = None, entry: str | None = None) -> Document:
        """Parse a UTF-8 JSON object.

        Raises
        ------
        FileFormatError
            If the bytes are not UTF-8 or not JSON, hold a duplicate key, or one of the constants
            ``NaN`` and ``Infinity``, which JSON does not have and other readers cannot parse.
        """
        try:
            value = json.loads(
                bytes(data).decode("utf-8-sig"),
                object_pairs_hook=_unique_members,
                parse_constant=_refuse_constant,
            )
        except UnicodeDecodeError as error:
            raise FileFormatError(f"not UTF-8 text: {error}", path=path, entry=entry) from error
        except RecursionError as error:
            raise FileFormatError("JSON nested too deeply", path=path, entry=entry) from error
        except ValueError as error:
            raise FileFormatError(f"not valid JSON: {error}", path=path, entry=entry) from error
        if not isinstance(value, dict):
            raise FileFormatError(f"expected a JSON object, found {shown(value)}", path=path, entry=entry)
        return cls(value, path=path, entry=entry)

    def fail(self, problem: str, cause: BaseException | None = None) -> NoReturn:
        """Raise the `FileFormatError` of this document."""
        raise FileFormatError(problem, path=self.path, entry=self.entry) from cause

    def name(self, key: str) -> str:
        """Return the dotted name of a member."""
        return f"{self.where}.{key}" if self.where else key

    def wrong(self, key: str, expected: str) -> NoReturn:
        """Raise the error for a member that is not what it should be."""
        if key not in self.members:
            self.fail(f"{self.name(key)} is absent, expected {expected}")
        self.fail(f"{self.name(key)} is {shown(self.members[key])}, expected {expected}")

    def has(self, key: str) -> bool:
        """Whether a member is there and not null."""
        return self.members.get(key) is not None

    def get(self, key: str) -> Any:
        """Return a member as it is, None if absent."""
        return self.members.get(key)

    def integer(self, key: str, default: Any = _REQUIRED, *, low: int = -INT64_MAX, high: int = INT64_MAX) -> Any:
        """Return an integer member within ``low..high``."""
        if not self.has(key) and default is not _REQUIRED:
            return default
        value = self.get(key)
        if not is_integer(value) or not low <= value <= high:
            self.wrong(key, f"an integer {_range_text(low, high)}".rstrip())
        return value

    def number(self, key: str, default: Any = _REQUIRED) -> Any:
        """Return a finite number member as float."""
        if not self.has(key) and default is not _REQUIRED:
            return default
        value = as_number(self.get(key))
        if value is None:
            self.wrong(key, "a finite number")
        return value

    def boolean(self, key: str, default: Any = _REQUIRED) -> Any:
        """Return a boolean member."""
        if not self.has(key) and default is not _REQUIRED:
            return default
        value = self.get(key)
        if not isinstance(value, bool):
            self.wrong(key, "true or false")
        return value

    def string(self, key: str, default: Any = _REQUIRED) -> Any:
        """Return a string member."""
        if not self.has(key) and default is not _REQUIRED:
            return default
        value = self.get(key)
        if not isinstance(value, str):
            self.wrong(key, "a string")
        return value

    def array(self, key: str, default: Any = _REQUIRED) -> Any:
        """Return a list member."""
        if not self.has(key) and default is not _REQUIRED:
            return default
        value = self.get(key)
        if not isinstance(value, list):
            self.wrong(key, "an array")
        return value

    def child(self, key: str) -> Document:
        """Return an object member as a `Document` of its own."""
        value = self.get(key)
        if not isinstance(value, dict):
            self.wrong(key, "an object")
        return Document(value, path=self.path, entry=self.entry, where=self.name(key))

    def children(self, key: str) -> list[Document]:
        """Return an array of objects as `Document`s, empty if absent."""
        found = []
        for i, value in enumerate(self.array(key, [])):
            where = f"{self.name(key)}[{i}]"
            if not isinstance(value, dict):
                self.fail(f"{where} is {shown(value)}, expected an object")
            found.append(Document(value, path=self.path, entry=self.entry, where=where))
        return found

    def integers(self, key: str, *, low: int = -INT64_MAX, high: int = INT64_MAX) -> tuple[int, ...]:
        """Return an array of integers within ``low..high``."""
        values = self.array(key)
        if not all(is_integer(v) and low <= v <= high for v in values):
            self.wrong(key, f"an array of integers {_range_text(low, high)}".rstrip())
        return tuple(values)

    def numbers(self, key: str) -> tuple[float, ...]:
        """Return an array of finite numbers as floats."""
        values = [as_number(v) for v in self.array(key)]
        if any(v is None for v in values):
            self.wrong(key, "an array of finite numbers")
        return tuple(v for v in values if v is not None)

    def check_format(self) -> str:
        """Check ``format`` and ``version`` of a top-level document and return the version."""
        if self.get("format") != "gndc":
            self.wrong("format", '"gndc"')
        version = self.string("version")
        if version != "0.9" and not (version.startswith("0.9") and not version[3].isdigit()):
            self.fail(f"version {shown(version)} is not supported, expected 0.9 or 0.9.x")
        return str(version)


def dump_json(value: dict[str, Any], *, indent: int | None = None) -> bytes:
    """Return an object as UTF-8 JSON: members in their order, compact unless ``indent`` is given, 10.0 as 10."""
    separators = (",", ": ") if indent else (",", ":")
    text = json.dumps(_shortest(value), indent=indent, separators=separators, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def _shortest(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shortest(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shortest(member) for member in value]
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 2.0**53
    return int(value) if whole else value


def with_unknown(members: dict[str, Any], raw: dict[str, Any], known: Collection[str] = ()) -> dict[str, Any]:
    """Return ``members`` followed by those of ``raw`` that neither they nor ``known`` name."""
    rest = {key: value for key, value in raw.items() if key not in members and key not in known}
    return {**members, **rest}


def is_integer(value: Any) -> bool:
    """Whether a JSON value is an integer (booleans and 7.0 are not)."""
    return isinstance(value, int) and not isinstance(value, bool)


def as_number(value: Any) -> float | None:
    """Return a finite JSON number as float, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def shown(value: Any, limit: int = 80) -> str:
    """Return a short text of a value found in a file, safe to put in a message."""
    text = (
        f"an integer of {value.bit_length()} bits" if is_integer(value) and value.bit_length() > 256 else ascii(value)
    )
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _range_text(low: int, high: int) -> str:
    if low == -INT64_MAX and high == INT64_MAX:
        return ""
    if high == INT64_MAX:
        return f"of at least {low}"
    return f"from {low} to {high}"


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {shown(key)} occurs twice in one object")
            seen.add(key)
    return members


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"the constant {text} is not JSON (use null)")
