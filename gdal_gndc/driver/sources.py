"""Which sources a driver was built from: what tells whether it computes the pixels of this package."""

from __future__ import annotations

import hashlib
from pathlib import Path

# the item of the driver's metadata that CMakeLists.txt has it say
ITEM = "GNDC_SOURCES"

_PACKAGE = Path(__file__).resolve().parents[1]
_PATTERNS = ("native/*.cpp", "native/*.h", "native/*.inl", "driver/src/*.cpp", "driver/src/*.h")


def source_id() -> str:
    """Return 12 hexadecimal digits that change with the sources of the driver and of the core in it.

    The same is computed by ``driver/CMakeLists.txt``: SHA-256 of "path:SHA-256 of the file" lines, sorted by path.
    """
    found = sorted(path.relative_to(_PACKAGE).as_posix() for pattern in _PATTERNS for path in _PACKAGE.glob(pattern))
    # the training step is not part of a driver
    names = [name for name in found if not name.startswith("native/train")]
    lines = [f"{name}:{hashlib.sha256((_PACKAGE / name).read_bytes()).hexdigest()}\n" for name in names]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:12]
