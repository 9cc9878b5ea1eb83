"""The ``GNDC:`` connection string: one line of text that names a raster inside a cube."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gdal_gndc.errors import FileFormatError

PREFIX = "GNDC:"
KEYS = ("t", "band", "every", "start", "end", "product")

_OPTION = re.compile(r":([A-Za-z_]+)=")


@dataclass(frozen=True)
class Connection:
    """A parsed connection string.

    Parameters
    ----------
    path
        File or URL of the container, as the user wrote it (never empty).
    options
        Options by key, in the order written. Keys are lower case and among :data:`KEYS`;
        values are text (never empty) and are not interpreted here.

    ``str()`` gives the connection string back, quoted where the grammar needs it:
    ``parse_connection(str(c)) == c`` for every connection.

    Raises
    ------
    FileFormatError
        If the path or a value is empty, or a key is not known.
    """

    path: str
    options: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.path:
            raise FileFormatError("the connection string names no file; expected GNDC:path[:key=value]...")
        for key, value in self.options.items():
            if key not in KEYS:
                raise FileFormatError(
                    f"unknown key {key!r} in the connection string; expected one of {', '.join(KEYS)}",
                    path=self.path,
                )
            if not value:
                raise FileFormatError(f"key {key!r} of the connection string has no value", path=self.path)

    def __str__(self) -> str:
        parts = [PREFIX, _quoted(self.path)]
        parts += [f":{key}={_quoted(value)}" for key, value in self.options.items()]
        return "".join(parts)


def is_connection(text: str) -> bool:
    """Return whether ``text`` begins with ``GNDC:`` (in any case)."""
    return text[: len(PREFIX)].upper() == PREFIX


def parse_connection(text: str) -> Connection:
    r"""Parse ``GNDC:path[:key=value]...``.

    The path is plain or in double quotes, with ``\"`` and ``\\`` escaped inside them. The keys begin
    at the first ``:key=`` after a plain path, or right after a quoted one. A plain value runs to the next
    ``:key=``, so times keep their colons; a value may be quoted like a path.

    Raises
    ------
    FileFormatError
        (also a ``ValueError``) if the text does not begin with ``GNDC:``, names no file, has an unterminated
        quote, text after a closing quote, a key that is not known, one that comes twice, or an empty value.
    """
    if not is_connection(text):
        raise FileFormatError(f"not a connection string: {text!r}; expected GNDC:path[:key=value]...")
    path, at = _item(text, len(PREFIX))
    options: dict[str, str] = {}
    while at < len(text):
        match = _OPTION.match(text, at)
        if match is None:
            raise FileFormatError(
                f"found {text[at:]!r} after a closing quote in {text!r}; expected :key=value or the end"
            )
        key = match[1].lower()
        if key in options:
            raise FileFormatError(f"key {key!r} comes twice in the connection string {text!r}")
        options[key], at = _item(text, match.end())
    return Connection(path, options)


def _item(text: str, start: int) -> tuple[str, int]:
    """Return the plain or quoted item that begins at ``start``, and where it ends."""
    if text[start : start + 1] != '"':
        match = _OPTION.search(text, start)
        end = match.start() if match else len(text)
        return text[start:end], end
    found: list[str] = []
    at = start + 1
    while at < len(text):
        char = text[at]
        if char == '"':
            return "".join(found), at + 1
        # Only the two escapes of the grammar: any other backslash stands for itself (Windows paths).
        if char == "\\" and text[at + 1 : at + 2] in ('"', "\\"):
            at += 1
            char = text[at]
        found.append(char)
        at += 1
    raise FileFormatError(f"a double quote is not closed in the connection string {text!r}")


def _quoted(item: str) -> str:
    if not item.startswith('"') and not _OPTION.search(item):
        return item
    escaped = item.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
