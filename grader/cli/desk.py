"""What the commands share: the learner's course from the folder they are in, and the last words of a command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from grader.cli.ending import Exit, say, warn
from grader.curriculum import Group, NoWorkspace, find_workspace, resolve
from grader.progress import Course

if TYPE_CHECKING:
    from grader.report import machine


def course() -> Course:
    """The course of the workspace around the current folder. Raises NoWorkspace."""
    return Course(find_workspace(here()), here())


def here() -> Path:
    """The current folder. Raises NoWorkspace when it is gone."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise NoWorkspace("this folder no longer exists") from None


def any_groups(course: Course, name: str | None) -> list[Group]:
    """The groups that an author's command is about, locked or not: the named one, or all. Raises UnknownName."""
    return [resolve(name, course.groups)] if name else list(course.groups.values())


def compare_copies(course: Course, group: Group) -> None:
    """Have it told when something that is here for reading is not what counts."""
    if course.copies_that_differ(group):
        from grader import workspace

        workspace.compare_copies(course, group)


def show(text: str) -> None:
    """Print a screen before the command has ended."""
    say(text)


def finish(course: Course, text: str, code: Exit = Exit.PASSED) -> int:
    """Print a screen, and after it what went wrong beside the work."""
    say(text)
    for line in course.store.notes:
        warn(line)
    return code


def finish_json(course: Course, answer: machine.AnyAnswer) -> int:
    """Print an answer, with what went wrong beside the work inside it."""
    from grader.report import machine

    answer.notes = list(course.store.notes)
    say(machine.text(answer))
    return answer.exit


def from_here(course: Course, file: Path) -> str:
    """The file as one would type it in the current folder."""
    return relative(file, course.here)


def relative(file: Path, folder: Path) -> str:
    """The file as one would type it in a folder."""
    return os.path.relpath(file, folder)
