"""Every option of the commands that encode is used by a test or by a page that a test runs."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path

import click
import pytest

from gdal_gndc.cli.main import main
from tests.test_docs import PAGES, blocks_of

TESTS = Path(__file__).parents[1]
COMMANDS = ("encode", "append", "verify")


def options_of(name: str) -> list[tuple[str, ...]]:
    """The ways to write each option of a command, those of a flag and of its opposite apart."""
    command = main.get_command(click.Context(main), name)
    assert command is not None
    given = [param for param in command.params if isinstance(param, click.Option) and not param.hidden]
    return [tuple(names) for param in given for names in (param.opts, param.secondary_opts) if names]


@lru_cache
def texts_of_tests() -> tuple[frozenset[str], ...]:
    """The texts of each test, and of what is in its decorators."""
    found = []
    for path in TESTS.rglob("test_*.py"):
        text = path.read_text("utf-8")
        if path == Path(__file__) or '"--' not in text:
            continue
        for function in ast.walk(ast.parse(text)):
            if isinstance(function, ast.FunctionDef) and function.name.startswith("test"):
                words = (node.value for node in ast.walk(function) if isinstance(node, ast.Constant))
                found.append(frozenset(word for word in words if isinstance(word, str)))
    return tuple(found)


@lru_cache
def used_by(name: str) -> frozenset[str]:
    """Options in command lines of a command: in blocks of pages that are run, and in tests that run it."""
    found: set[str] = set()
    for page in PAGES:
        for block in blocks_of(page):
            if block.language == "bash" and not block.skipped:
                for line in block.text.replace("\\\n", " ").splitlines():
                    if re.search(rf"\bgndc {name}\b", line):
                        found.update(re.findall(r"(?<=\s)--?[a-z][a-z-]*", line))
    for texts in texts_of_tests():
        if name in texts:
            found.update(text for text in texts if re.fullmatch(r"--?[a-z][a-z-]*", text))
    return frozenset(found)


def test_every_option_is_used() -> None:
    everywhere = frozenset().union(*map(used_by, COMMANDS))
    shared = set(options_of("verify")) | (set(options_of("encode")) & set(options_of("append")))
    unused = [
        f"gndc {name} {names[-1]}"
        for name in COMMANDS
        for names in options_of(name)
        # those that commands share are made by one function, and one use is enough
        if not set(names) & (everywhere if names in shared else used_by(name))
    ]
    assert not unused


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_of_the_help_have_options_that_there_are(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None and command.epilog is not None
    examples = re.findall(rf"gndc {name} .*", command.epilog)
    known = {text for names in options_of(name) for text in names}
    assert examples and {text for line in examples for text in re.findall(r"(?<=\s)--?[a-z][a-z-]*", line)} <= known
