"""The documentation runs: every code block of every page is executed, in the order in which a reader meets them.

A page is run in a folder that holds the stacks ``s2_flanders/`` and ``modis_mt_vi/``, a cube of the first,
``flanders.gndc``, and the cubes ``matogrosso.gndc`` and ``gulfstream.gndc`` if it names them. Its blocks of
``python`` share one namespace, its blocks of ``bash`` run with ``-euo pipefail``. A block of ``text`` is

- the output of the block before it, after ``<!-- output -->``: compared, ``...`` stands for anything;
- output whose figures depend on the training, after ``<!-- output, figures vary -->``: compared without its numbers;
- an illustration otherwise.

A block that a test cannot run stands after ``<!-- not executed: reason -->``, with one of the reasons below.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# run, and looked at more closely, by tests/catalog/test_cookbook.py
CATALOG = [page for page in PAGES if page.parent.name == "cookbook" or page.name == "catalog.md"]
# beside flanders.gndc
CUBES = {"matogrosso.gndc": "modis_cube", "gulfstream.gndc": "sst_cube"}
EXECUTED = ("python", "bash")
SHOWN = ("text", "xml", "json", "toml", "yaml", "cpp")
REASONS = (
    "it installs packages",
    "it runs for minutes",
    "it compiles the driver, which the tests have done",
    "it needs a display",
    "it needs a network",
)
MOST_NOT_EXECUTED = 16
TIMEOUT = 120
# programs of the system's GDAL, which find cubes through the driver
_GDAL = re.compile(
    r"\b(gdal(info|_translate|warp|locationinfo|mdiminfo|buildvrt)|/usr/bin/python3|driver (env|path))\b"
)
_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>```+)(?P<info>.*)$")
_COMMENT = re.compile(r"^\s*<!--\s*(.*?)\s*-->\s*$")
_NUMBER = re.compile(r"[-+]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?")


@dataclass(frozen=True)
class Block:
    """A fenced block, its first line in the page, and the comment on the line before it."""

    language: str
    text: str
    line: int
    comment: str

    @property
    def skipped(self) -> bool:
        return self.comment.startswith("not executed")


def blocks_of(page: Path) -> list[Block]:
    found: list[Block] = []
    lines = page.read_text("utf-8").splitlines()
    comment, at = "", 0
    while at < len(lines):
        fence = _FENCE.match(lines[at])
        if fence is None:
            note = _COMMENT.match(lines[at])
            comment = note[1] if note else comment if not lines[at].strip() else ""
            at += 1
            continue
        end = at + 1
        while end < len(lines) and lines[end].strip() != fence["ticks"]:
            end += 1
        assert end < len(lines), f"{page.name}:{at + 1}: the block does not end"
        indent = len(fence["indent"])
        body = "".join(line[indent:] + "\n" for line in lines[at + 1 : end])
        language = fence["info"].strip().split(" ")[0].partition("{")[0]
        found.append(Block(language, body, at + 2, comment))
        comment, at = "", end + 1
    return found


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@dataclass
class Reader:
    """Somebody who types what a page says."""

    page: Path
    folder: Path
    env: dict[str, str]
    output: str = ""

    def __post_init__(self) -> None:
        self.names: dict[str, object] = {"__name__": "__docs__"}

    def follow(self, block: Block) -> None:
        where = f"{name_of(self.page)}:{block.line}"
        if block.language == "text" and block.comment.startswith("output"):
            check_output(where, block.text, self.output, exact=block.comment == "output")
        elif block.skipped or block.language not in EXECUTED:
            return
        elif block.language == "python":
            # line numbers of a traceback are those of the page
            code = compile("\n" * (block.line - 1) + block.text, str(self.page), "exec")
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(code, self.names)
            self.output = out.getvalue()
        else:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.text],
                cwd=self.folder,
                env=self.env,
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                check=False,
            )
            assert done.returncode == 0, f"{where}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
            assert "Warning" not in done.stderr, f"{where}: {done.stderr}"
            self.output = done.stdout


def check_output(where: str, shown: str, found: str, *, exact: bool) -> None:
    pattern = [_pattern(line, exact=exact) for line in shown.strip("\n").splitlines()]
    text = "".join(_reduced(line, exact=exact) + "\n" for line in found.strip("\n").splitlines())
    assert re.fullmatch("".join(pattern), text), f"{where}: the page shows\n{shown}\nbut the output is\n{found}"


def _pattern(line: str, *, exact: bool) -> str:
    if line.strip() == "...":
        return r"(?:.*\n)*"
    return r".*".join(re.escape(part) for part in _reduced(line, exact=exact).split("...")) + r"\n"


def _reduced(line: str, *, exact: bool) -> str:
    """A line without blanks at its end; without its numbers and the width of its columns if they may vary."""
    return line.rstrip() if exact else " ".join(_NUMBER.sub("#", line).split())


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a shell in which the package's programs are found."""
    home = tmp_path_factory.mktemp("home")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GDAL_", "GNDC_", "PYTHON"))}
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
    env["XDG_DATA_HOME"] = str(home)
    env["HOME"] = str(home)
    return env


@pytest.fixture(scope="session")
def driver(shell: dict[str, str], driver_folder: Path) -> dict[str, str]:
    """The same after ``gndc driver install`` and ``eval "$(gndc driver env)"``."""
    place = Path(shell["XDG_DATA_HOME"]) / "gdal-gndc" / "gdalplugins"
    place.parent.mkdir(parents=True)
    place.symlink_to(driver_folder.resolve())
    command = ["gndc", "driver", "env", "--json"]
    done = subprocess.run(command, env=shell, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stderr
    return shell | json.loads(done.stdout)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # affine 3 says so of rioxarray
@pytest.mark.parametrize("page", [page for page in PAGES if page not in CATALOG], ids=name_of)
def test_page(
    page: Path,
    stacks: Path,
    real_cube: Path,
    shell: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    blocks = blocks_of(page)
    executed = [block for block in blocks if block.language in EXECUTED and not block.skipped]
    programs = any(block.language == "bash" and _GDAL.search(block.text) for block in executed)
    reader = Reader(page, tmp_path, request.getfixturevalue("driver") if programs else shell)
    for stack in ("s2_flanders", "modis_mt_vi"):
        (tmp_path / stack).symlink_to(stacks / stack)
    shutil.copy(real_cube, tmp_path / "flanders.gndc")
    for name, fixture in CUBES.items():
        if any(name in block.text for block in executed):
            shutil.copy(request.getfixturevalue(fixture), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    try:
        for block in blocks:
            reader.follow(block)
    finally:
        reader.names.clear()
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pictures_are_there(page: Path) -> None:
    """Every picture that a page shows is in the repository, and small; one that its code writes is shown."""
    text = page.read_text("utf-8")
    shown = [page.parent / name for name in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)]
    for path in shown:
        assert path.stat().st_size < 180_000, f"{name_of(page)}: {path.name}"
    written = re.findall(r"savefig\(\"([^\"]+)\"", text)
    assert set(written) <= {path.name for path in shown}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_say_what_they_are(page: Path) -> None:
    for block in blocks_of(page):
        where = f"{name_of(page)}:{block.line}"
        assert block.language in (*EXECUTED, *SHOWN), f"{where}: a block of {block.language or 'no language'!r}"
        if block.skipped:
            reason = block.comment.removeprefix("not executed: ")
            assert reason in REASONS, f"{where}: not executed because of {reason!r}"
        assert block.language != "bash" or page not in CATALOG, f"{where}: nothing runs it"
        if block.language == "text":
            assert block.comment in ("", "output", "output, figures vary"), f"{where}: {block.comment}"


def test_few_blocks_are_not_executed() -> None:
    blocks = [(name_of(page), block) for page in PAGES for block in blocks_of(page)]
    skipped = [f"{page}:{block.line}: {block.comment}" for page, block in blocks if block.skipped]
    assert len(skipped) <= MOST_NOT_EXECUTED, "\n".join(skipped)
    executed = [block for _, block in blocks if block.language in EXECUTED and not block.skipped]
    assert len(executed) > 3 * len(skipped)


def test_a_wrong_output_is_found() -> None:
    check_output("here", "a\n...\nz 1.5\n", "a\nb\nc\nz 1.5\n", exact=True)
    check_output("here", "PSNR  38.9 dB\n", "PSNR 7 dB\n", exact=False)
    with pytest.raises(AssertionError, match="the page shows"):
        check_output("here", "a\n", "b\n", exact=True)
    with pytest.raises(AssertionError, match="the page shows"):
        check_output("here", "PSNR 38.9 dB\n", "RMSE 38.9 dB\n", exact=False)


def test_a_failing_block_is_found(tmp_path: Path, shell: dict[str, str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("```bash\nfalse | cat\n```\n\n- list\n\n  ```python\n  assert False\n  ```\n")
    reader = Reader(ROOT / "page.md", tmp_path, shell)
    bash, python = blocks_of(page)
    assert (python.line, python.text) == (8, "assert False\n")
    with pytest.raises(AssertionError, match="exit code 1"):
        reader.follow(bash)
    with pytest.raises(AssertionError):
        reader.follow(python)


def test_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / "README.md").read_text("utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
