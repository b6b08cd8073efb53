"""Command: what is to be done, as a value: it can wait on a disk, be tried again, be looked up, and be undone."""

import json
from dataclasses import asdict
from typing import ClassVar, Protocol, TypeVar


class Command(Protocol):
    """An edit of a text. A frozen dataclass, whose fields are plain: text, numbers, lists, dicts.

    It knows what to do, and nothing about where it waits, how often it was tried, or who asked for it.
    """

    kind: ClassVar[str]

    def do(self, text: str) -> str:
        """The text after the edit. What it raises, it would raise again."""

    def undo(self, text: str) -> str:
        """The text without it. Other edits may have come between."""


class UnknownKind(Exception):
    """Nobody has registered this kind of command, here and so far."""


C = TypeVar("C", bound=type)

_kinds: dict[str, type] = {}


def register(command: C) -> C:
    """From now on this class is known, by its `kind`. Returns it, so that it can be written above a class as @register."""
    _kinds[command.kind] = command
    return command


def to_json(command: Command) -> str:
    """The command as text, from which another process makes an equal one."""
    return json.dumps({"kind": command.kind, "fields": asdict(command)})


def from_json(text: str) -> Command:
    """An equal command. Raises UnknownKind."""
    told = json.loads(text)
    if told["kind"] not in _kinds:
        raise UnknownKind(told["kind"])
    return _kinds[told["kind"]](**told["fields"])
