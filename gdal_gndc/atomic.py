"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
