"""From the words typed to a call and its exit code, and no more imported than that call needs.

typer takes 40 ms to import, and 90 more as soon as there is a parameter to validate, which it does with pydantic. So a
line of plain words and flags, spelled out in full, is called directly. All others are typer's: options with a value,
short ones, --help, and whatever is wrong. A test holds that both ways lead to the same call.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

ASKED = "_LEARN_COMPLETE"
"""The variable by which a shell asks what may come next."""

JSON = {"--json": "as_json"}


class Line(NamedTuple):
    """What may follow a command: so many arguments at most, and these flags, by the parameter that each sets."""

    arguments: int
    flags: dict[str, str]


LINES = {
    "init": Line(1, JSON),
    "next": Line(1, JSON),
    "trigger": Line(1, {"--html": "html", **JSON}),
    "check": Line(1, {"--all": "show_all", "--debug": "debug", **JSON}),
    "watch": Line(1, JSON),
    "story": Line(2, {"--html": "html", **JSON}),
    "serve": Line(1, {"--fresh": "fresh", "--no-reload": "no_reload", **JSON}),
    "hint": Line(2, JSON),
    "reset": Line(2, {"--yes": "yes", **JSON}),
    "solution": Line(2, JSON),
    "verify": Line(1, {"--quick": "quick", **JSON}),
    "calibrate": Line(1, JSON),
    "new": Line(2, JSON),
    "completion": Line(1, JSON),
}
STATUS = Line(0, JSON)  # `learn` alone
ALWAYS_TYPERS = ("grade",)  # never without an option that has a value


class Call(NamedTuple):
    """A command, by the name of its module, with its arguments and its flags."""

    command: str
    arguments: tuple[str, ...]
    flags: dict[str, bool]

    def __call__(self) -> int:
        from importlib import import_module

        code: int = import_module(f"grader.cli.{self.command}").command(*self.arguments, **self.flags)
        return code


def run(words: Sequence[str]) -> int:
    """Carry out one command line, and return its exit code. Raises KeyboardInterrupt only."""
    from grader.cli.ending import explain, prepare

    prepare()
    if ASKED in os.environ:
        from grader.cli.completion import answer

        return answer()
    try:
        if call := plain(words):
            return call()
        from grader.cli.app import parse

        return parse(words)
    except Exception as error:
        if _was_interrupted(error):
            raise KeyboardInterrupt from error
        return explain(error, command_of(words), as_json="--json" in words)


def _was_interrupted(error: BaseException) -> bool:
    """Ctrl-C in the middle of an import may come as another error: CPython 3.11 makes a RuntimeError of it."""
    cause = error.__cause__
    return cause is not None and (isinstance(cause, KeyboardInterrupt) or _was_interrupted(cause))


def plain(words: Sequence[str]) -> Call | None:
    """The call that the words mean, if they are all arguments and flags as declared above; else None."""
    if words and words[0] in LINES:
        command, line, rest = words[0], LINES[words[0]], words[1:]
    else:
        command, line, rest = "status", STATUS, words
    arguments = tuple(word for word in rest if not word.startswith("-"))
    flags = [word for word in rest if word.startswith("-")]
    if len(arguments) > line.arguments or any(flag not in line.flags for flag in flags):
        return None
    return Call(command, arguments, {line.flags[flag]: True for flag in flags})


def command_of(words: Sequence[str]) -> str:
    """The command that the words are about, however wrong they are."""
    return next((word for word in words if word in LINES or word in ALWAYS_TYPERS), "status")
