"""The error tree: every failure this package reports on purpose is one of these.

Each class has two bases, ours and the built-in a caller would expect, so that both
``except GNDCError`` and ``except ValueError`` do what their readers think.
"""

from __future__ import annotations


class GNDCError(Exception):
    """Base of all errors of this package."""


class FileFormatError(GNDCError, ValueError):
    """A container or one of its entries is not what the format says it is.

    Parameters
    ----------
    problem
        What was found and what was expected, in one sentence.
    path
        The file, as the user named it.
    entry
        The entry of the container (``"meta.json"``, ``"chunks/t0000_y0000_x0000.gndcc"``).
    """

    def __init__(self, problem: str, *, path: str | None = None, entry: str | None = None) -> None:
        self.problem = problem
        self.path = path
        self.entry = entry
        super().__init__(problem)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_format_error, (type(self), self.problem, self.path, self.entry)

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.path, self.entry) if part)
        return f"{where}: {self.problem}" if where else self.problem

    def at(self, *, path: str | None = None, entry: str | None = None) -> FileFormatError:
        """Return the same error with the place filled in where it was not known yet."""
        return FileFormatError(self.problem, path=self.path or path, entry=self.entry or entry)


def _rebuild_format_error(
    kind: type[FileFormatError], problem: str, path: str | None, entry: str | None
) -> FileFormatError:
    return kind(problem, path=path, entry=entry)


class CoordinateError(GNDCError, IndexError, ValueError):
    """A window, bounding box, point or band lies outside the cube."""


class TimeError(GNDCError, ValueError):
    """A time cannot be parsed, or lies where the cube has no answer."""


class DeviceError(GNDCError, RuntimeError):
    """A backend or device that was asked for is not there."""


class EncodeError(GNDCError, RuntimeError):
    """A cube cannot be encoded from these inputs with these options."""


class DriverError(GNDCError, RuntimeError):
    """The GDAL driver cannot be built, installed or found on this machine."""


class StalledError(GNDCError, TimeoutError):
    """A server did not go on sending what it was asked for."""


class CatalogError(GNDCError, ValueError):
    """A catalog is asked with options that do not fit: an unknown word, rows of the wrong kind, a missing package."""
