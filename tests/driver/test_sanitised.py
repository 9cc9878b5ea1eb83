"""The driver and the core under the address and undefined behaviour sanitisers, over all cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import CASES, INVALID, VALID
from tests.driver.conftest import sanitised as run


def test_valid_cases(check: Path) -> None:
    said = run(check, [case.path for case in VALID])
    # the program ends each file with names that must be refused
    assert set(said) == {case.path.name for case in VALID}
    assert all("t=1900-01-01" in text for text in said.values()), said


def test_invalid_cases(check: Path) -> None:
    found = sorted((CASES.parent / "fuzz" / "regressions").glob("*.gndc"))
    said = run(check, [*(CASES / entry["file"] for entry in INVALID), *found])
    assert len(said) == len(INVALID) + len(found)
    assert "ok" not in said.values()


@pytest.mark.parametrize("seed", range(3))
def test_damaged_copies(check: Path, tmp_path: Path, seed: int) -> None:
    """Bytes changed at random, checksums mended: whatever they say is refused or read, never crashed on."""
    import random
    import zipfile

    chance = random.Random(seed)
    files = []
    for case in VALID:
        path = tmp_path / f"{case.name}.gndc"
        with zipfile.ZipFile(case.path) as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                data = bytearray(old.read(name))
                if name.endswith(".gndcc"):
                    for _ in range(chance.randint(0, 3)):
                        data[chance.randrange(len(data))] = chance.randrange(256)
                new.writestr(name, bytes(data))
        files.append(path)
    assert len(run(check, files)) == len(files)
