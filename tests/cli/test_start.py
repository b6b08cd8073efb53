"""`learn` answers at once: what the plain words skip, and that they mean what typer would have made of them."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import pytest
import typer

from grader.cli import app as declared
from grader.cli import line as cli

HEAVY = {"typer", "pydantic", "rich", "msgspec", "pytest", "httpx", "fastapi", "asyncio", "grader.suite", "grader.sim"}


@pytest.mark.parametrize("words", [[], ["next"], ["hint"], ["reset"]])
def test_a_quick_command_imports_nothing_heavy(workspace: Path, words: list[str]) -> None:
    code = "import sys; from grader.cli.line import run; run(sys.argv[1:]); sys.stderr.write(' '.join(sys.modules))"
    process = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(Path(cli.__file__).parents[2])!r}); {code}",
            *words,
        ],
        cwd=workspace,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert HEAVY.isdisjoint(process.stderr.split())


def lines() -> list[list[str]]:
    """Every command with every number of arguments and every set of flags."""
    found = []
    for command, line in {"": cli.STATUS, **cli.LINES}.items():
        for count in range(line.arguments + 1):
            for flags in chain.from_iterable(combinations(line.flags, size) for size in range(len(line.flags) + 1)):
                words = [command] if command else []
                found.append([*words, *[f"word{number}" for number in range(count)], *flags])
                found.append([*words, *flags, *[f"word{number}" for number in range(count)]])
    return found


@pytest.mark.parametrize("words", lines(), ids=" ".join)
def test_a_plain_line_is_the_call_that_typer_makes_of_it(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, dict[str, Any]]] = []

    def record(name: str, command: Any) -> None:
        import inspect

        signature = inspect.signature(command)

        def recorded(*arguments: Any, **flags: Any) -> int:
            bound = signature.bind(*arguments, **flags)
            bound.apply_defaults()
            calls.append((name, bound.arguments))
            return 0

        monkeypatch.setattr(f"grader.cli.{name}.command", recorded)

    for name in ("status", *cli.LINES):
        record(name, import_module(f"grader.cli.{name}").command)
    call = cli.plain(words)
    assert call
    assert call() == declared.parse(words) == 0
    assert calls[0] == calls[1]


@pytest.mark.parametrize(
    "words",
    [
        ["-y"],
        ["nxet"],
        ["check", "--seed", "1"],
        ["check", "--help"],
        ["next", "1", "2"],
        ["--", "x"],
        ["verify", "--seed", "1"],
    ],
)
def test_all_other_lines_are_typers(words: list[str]) -> None:
    assert cli.plain(words) is None


def test_every_command_is_declared() -> None:
    names = {
        (command.name or (command.callback and command.callback.__name__))
        for command in declared.app.registered_commands
    }
    assert names == {*cli.LINES, *cli.ALWAYS_TYPERS}
    assert isinstance(declared.app, typer.Typer)
