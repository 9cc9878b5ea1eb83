"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# a file of another run that has not changed for so many seconds is not being written any more
_STALE = 600


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a temporary file beside ``path``, moved there when the ``with`` block succeeds.

    It has the same suffix, so that programs which go by it take it for what it is. When the block
    raises, the temporary file is removed and ``path`` is as it was.
    """
    beside = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file in the place of ``path`` at once."""
    with replacing(path) as beside:
        beside.write_text(text, "utf-8")


def sweep(files: Iterable[Path]) -> None:
    """Remove what killed runs left of `replacing` these files, unless it may still be written."""
    names = {(file.parent, file.stem) for file in files}
    pattern = re.compile(r"\.(?P<stem>.+)\.[0-9a-f]{8}(\.plain)?\.[^.]+")
    for folder in {folder for folder, _ in names}:
        for left in folder.glob(".*.*"):
            found = pattern.fullmatch(left.name)
            if found is None or (folder, found["stem"]) not in names:
                continue
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > _STALE:
                    left.unlink()
