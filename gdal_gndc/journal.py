"""Which pieces of a long piece of work are done, written down so that it can be gone on with."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from gdal_gndc.errors import GNDCError


class Journal:
    """A text file with a line for what the work is, and one for each piece that is done.

    It survives the death of the process at any moment: a line that is not whole is not counted. Only one process at a
    time holds it, where the system has locks of files.

    Parameters
    ----------
    path
        In a folder that exists.
    signature
        One line that says what the work is; a journal of other work is begun anew.

    Attributes
    ----------
    done
        Numbers of the pieces that are done.

    Raises
    ------
    GNDCError
        If another process holds it.
    """

    def __init__(self, path: Path, signature: str) -> None:
        self._file = path.open("a+b")
        try:
            _lock(self._file.fileno(), path)
            self._file.seek(0)
            text = self._file.read()
            whole = text[: text.rfind(b"\n") + 1]
            first, *lines = whole.decode("utf-8", "replace").splitlines() or [""]
            same = first == signature
            self.done = {int(line) for line in lines} if same else set()
            self._file.truncate(len(whole) if same else 0)
            if not same:
                self._write(signature)
        except BaseException:
            self._file.close()
            raise
        self._adding = threading.Lock()

    def add(self, piece: int) -> None:
        """Write down that a piece is done; from any thread."""
        with self._adding:
            self._write(str(piece))
            self.done.add(piece)

    def close(self) -> None:
        """Let another process have it."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, line: str) -> None:
        self._file.write(f"{line}\n".encode())
        self._file.flush()


def _lock(descriptor: int, path: Path) -> None:
    try:
        import fcntl
    except ModuleNotFoundError:  # not a Unix
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise GNDCError(f"{path}: another process is at this export") from error
