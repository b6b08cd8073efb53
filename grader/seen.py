"""Which curriculum the learner has seen, kept in `.learn/curriculum.json`; every `learn` reads it.

The version and the pins that they were last told of, and the SHA-256 of each file as `learn init` laid it out: one that
still has it was never edited. What to tell, and what to lay out, is `workspace.py`'s business.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import grader
from grader import curriculum, progress
from grader.curriculum import Group
from grader.progress import Course, Store

FORMAT = 1


class State:
    """curriculum.json."""

    def __init__(
        self, version: str = "", pins: dict[str, dict[str, str]] | None = None, laid: dict[str, str] | None = None
    ) -> None:
        self.version = version  # of Brownout, as last told; empty when nothing was
        self.pins = pins or {}  # group -> file -> SHA-256, as last told
        self.laid = laid or {}  # file of the workspace -> SHA-256


def is_news(course: Course, state: State | None = None) -> bool:
    """Is there something to tell? Not where nothing is known of before."""
    state = state or read(course.store)
    return bool(state.version) and not _is_known(course, state)


def told(course: Course) -> None:
    """Remember that the learner knows the curriculum as it is now."""
    state = read(course.store)
    if _is_known(course, state):
        return
    state.version, state.pins = grader.__version__, pins_of(course.groups)
    with suppress(OSError):  # a read-only disk: they are told again
        write(course.store, state)


def pins_of(groups: Mapping[str, Group]) -> dict[str, dict[str, str]]:
    return {name: dict(group.shipped) for name, group in groups.items()}


def read(store: Store) -> State:
    """What is kept. Of a file that cannot be read or understood, or of a later version, nothing; and it is noted."""
    file = _file(store)
    try:
        state = json.loads(file.read_bytes())
        if type(state["format"]) is int and state["format"] > FORMAT:
            store.note(f".learn/{file.name} is of a later Brownout: what changed since is not known")
            return State()
        groups = state["pins"].items()
        pins = {str(group): {str(name): str(pin) for name, pin in files.items()} for group, files in groups}
        return State(str(state["version"]), pins, {str(name): str(pin) for name, pin in state["laid"].items()})
    except FileNotFoundError:
        pass
    except OSError as error:
        store.note(f"could not read .learn/{file.name} ({error.strerror}): what changed is not known")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        store.set_aside(file, "what changed since is not known")
    return State()


def write(store: Store, state: State) -> None:
    """Raises OSError."""
    document = {"format": FORMAT, "version": state.version, "pins": state.pins, "laid": state.laid}
    progress.write_whole(_file(store), json.dumps(document, indent=1).encode() + b"\n")


def _is_known(course: Course, state: State) -> bool:
    return state.version == grader.__version__ and state.pins == pins_of(course.groups)


def _file(store: Store) -> Path:
    return store.workspace / curriculum.BEGUN
