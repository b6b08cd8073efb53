"""What may come next on a command line, for a shell that completes it: groups, patterns, files.

It reads and changes nothing, and where something is wrong there is nothing to complete: the command itself tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import typer

from grader.curriculum import Group, find_workspace, resolve, tests_of
from grader.progress import Course, files_of

Found = list[tuple[str, str]]
"""Words, and what they mean."""

SHELLS = ("bash", "zsh", "fish")


def shells(incomplete: str) -> Found:
    return _fitting(((name, "") for name in SHELLS), incomplete)


def groups(incomplete: str) -> Found:
    return _groups(incomplete, lambda *_: True)


def open_groups(context: typer.Context, incomplete: str) -> Found:
    """The groups to work on; and where a single word may be a part of the current one, its parts."""
    found = _groups(incomplete, lambda course, group: not course.waits_for(group))
    parts_of = {"hint": _patterns, "reset": _files, "story": _tests}.get(context.info_name or "")
    if parts_of and (course := _course()):
        found += _fitting(parts_of(course.default()), incomplete)
    return found


def solved_groups(incomplete: str) -> Found:
    return _groups(incomplete, lambda course, group: group.id in course.passed)


def patterns(context: typer.Context, incomplete: str) -> Found:
    return _parts(context, incomplete, _patterns)


def files(context: typer.Context, incomplete: str) -> Found:
    return _parts(context, incomplete, _files)


def tests(context: typer.Context, incomplete: str) -> Found:
    return _parts(context, incomplete, _tests)


def parts(context: typer.Context, incomplete: str) -> Found:
    """The files of a solution, and the mistakes that it explains."""
    return _parts(context, incomplete, _parts_of_solution)


def _course() -> Course | None:
    with suppress(Exception):
        here = Path.cwd()
        return Course(find_workspace(here), here, look_only=True)
    return None


def _groups(incomplete: str, wanted: Callable[[Course, Group], bool]) -> Found:
    course = _course()
    if course is None:
        return []
    return _fitting(((group.id, group.title) for group in course.groups.values() if wanted(course, group)), incomplete)


def _parts(context: typer.Context, incomplete: str, known: Callable[[Group], Iterable[tuple[str, str]]]) -> Found:
    """The parts of the group that the words before name."""
    with suppress(Exception):
        if course := _course():
            return _fitting(known(resolve(context.params.get("group") or "", course.groups)), incomplete)
    return []


def _patterns(group: Group) -> Iterator[tuple[str, str]]:
    return ((name, pattern.title) for name, pattern in group.patterns.items())


def _files(group: Group) -> Iterator[tuple[str, str]]:
    return ((name, "") for name in files_of(group))


def _tests(group: Group) -> Iterator[tuple[str, str]]:
    return ((name, "") for name in tests_of(group))


def _parts_of_solution(group: Group) -> Iterator[tuple[str, str]]:
    solutions = group.root / "solutions" / group.folder
    for name in sorted({*group.own_files(group.path), *group.own_files(solutions / "reference")}):
        yield name, ""
    for patch in sorted(solutions.glob("wrong/*.patch")):
        yield patch.stem, "a mistake"


def _fitting(words: Iterable[tuple[str, str]], incomplete: str) -> Found:
    return [(word, meaning) for word, meaning in words if word.startswith(incomplete)]
