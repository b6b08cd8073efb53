"""Patches: a unified diff with plain text before it, read strictly and applied to a copy.

No `patch` and no `git` is needed, and nothing is guessed: every line that a hunk keeps or removes has to be there as it
says. Only the place may have moved: then the one place that fits is taken. Names lose their first component (-p1).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from grader.curriculum import Trouble

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_NOWHERE = "/dev/null"
_NOISE = ("diff ", "index ", "new file mode ", "deleted file mode ", "old mode ", "new mode ", "similarity index ")


class BadPatch(Trouble):
    """A patch that cannot be read, or does not fit."""


@dataclass(slots=True)
class Hunk:
    start: int  # the first of the old lines, counted from 1; the line before, when there are none
    old: list[str] = field(default_factory=list)  # lines with their ends
    new: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Change:
    """What happens to one file. `before` or `after` is empty when the file appears or goes."""

    before: str
    after: str
    hunks: list[Hunk] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Patch:
    header: str  # what stands before the diff
    changes: tuple[Change, ...]


def read(text: str) -> Patch:
    """Raises BadPatch."""
    lines = text.splitlines(keepends=True)
    begin = next((at for at, line in enumerate(lines) if line.startswith(("diff ", "--- "))), len(lines))
    changes: list[Change] = []
    at = begin
    while at < len(lines):
        line = lines[at]
        if line.startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ "):
            changes.append(Change(_name(line), _name(lines[at + 1])))
            at += 2
        elif found := _HUNK.match(line):
            if not changes:
                raise BadPatch(f"line {at + 1}: a hunk before any file is named")
            hunk, at = _hunk(lines, at + 1, found)
            changes[-1].hunks.append(hunk)
        elif line.startswith(_NOISE):
            at += 1
        else:
            raise BadPatch(f"line {at + 1} is no part of a unified diff: {line.strip()[:60]}")
    if not any(change.hunks for change in changes):
        raise BadPatch("it changes nothing")
    return Patch("".join(lines[:begin]), tuple(changes))


def apply(patch: Patch, source: Path, target: Path) -> None:
    """Make `target`: a copy of the folder `source` with the patch applied. Raises BadPatch, and leaves no target."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*"))
    try:
        for change in patch.changes:
            old = _lines(target, change.before) if change.before else []
            new = _changed(change, old)
            if change.before and change.before != change.after:
                (target / change.before).unlink()
            if change.after:
                file = target / change.after
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes("".join(new).encode())
            elif new:
                raise BadPatch(f"{change.before} goes, but the patch does not have all its lines")
    except BaseException:
        shutil.rmtree(target)
        raise


def _lines(folder: Path, name: str) -> list[str]:
    try:
        return (folder / name).read_bytes().decode().splitlines(keepends=True)
    except OSError:
        raise BadPatch(f"there is no {name} to change") from None


def _changed(change: Change, old: list[str]) -> list[str]:
    result: list[str] = []
    done = shift = 0
    for number, hunk in enumerate(change.hunks, 1):
        first = hunk.start - 1 if hunk.old else hunk.start
        at = _place(old, hunk.old, first + shift, done)
        if at is None:
            raise BadPatch(f"hunk {number} does not fit {change.before or change.after} at line {hunk.start}")
        shift = at - first
        result += [*old[done:at], *hunk.new]
        done = at + len(hunk.old)
    return [*result, *old[done:]]


def _place(lines: Sequence[str], wanted: list[str], at: int, floor: int) -> int | None:
    """Where `wanted` stands: at `at`, or else at the only place from `floor` on."""
    if at >= floor and lines[at : at + len(wanted)] == wanted:
        return at
    if not wanted:
        return None
    places = [n for n in range(floor, len(lines) - len(wanted) + 1) if lines[n : n + len(wanted)] == wanted]
    return places[0] if len(places) == 1 else None


def _name(line: str) -> str:
    """The file that a `---` or `+++` line names, without its first component; empty for none. Raises BadPatch."""
    name = line[4:].rstrip("\r\n").partition("\t")[0].strip()
    if name == _NOWHERE:
        return ""
    parts = PurePosixPath(name).parts
    if len(parts) < 2 or ".." in parts or PurePosixPath(name).is_absolute():
        raise BadPatch(f"“{name}” is no file below a first folder such as a/ or b/")
    return "/".join(parts[1:])


def _hunk(lines: Sequence[str], at: int, found: re.Match[str]) -> tuple[Hunk, int]:
    """The hunk whose lines begin at `at`, and where it ends. Raises BadPatch."""
    olds, news = (int(found[group]) if found[group] is not None else 1 for group in (2, 4))
    hunk = Hunk(int(found[1]))
    last: list[list[str]] = []
    begin = at
    while at < len(lines) and (len(hunk.old) < olds or len(hunk.new) < news or lines[at].startswith("\\")):
        mark, content = lines[at][:1], lines[at][1:]
        if mark == "\\":  # no newline at the end of the file
            for side in last:
                side[-1] = side[-1].removesuffix("\n")
        elif mark in (" ", "\n", "-", "+"):
            last = [hunk.old, hunk.new] if mark in " \n" else [hunk.old] if mark == "-" else [hunk.new]
            for side in last:
                side.append(content if mark != "\n" else "\n")
        else:
            break
        at += 1
    if (len(hunk.old), len(hunk.new)) != (olds, news):
        raise BadPatch(f"the hunk at line {begin} has not the lines that it counts")
    return hunk, at
