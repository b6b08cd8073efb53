"""A workspace beside the curriculum that counts: laid out, brought up to date, and what changed since somebody looked.

In a clone nothing is laid out, but what changed is told alike. What has passed is kept by `progress.py`, which
curriculum was last seen by `seen.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import grader
from grader import curriculum, progress, seen
from grader.curriculum import Group, Trouble
from grader.progress import Course, Store, digest, matches
from grader.seen import State

_AT_THE_TOP = {"README.md": "README.md", ".gitignore": "gitignore"}
"""What a new workspace has beside groups/, and what it is called in templates/workspace/."""


class CannotWrite(Trouble):
    """The disk does not take it."""

    usage = False


@dataclass(frozen=True, slots=True)
class GroupChanges:
    """What changed in one group. Files are relative to its folder."""

    id: str
    number: int
    kind: str  # "new", "changed" or "gone"
    here: bool  # the group is in this workspace
    changed: tuple[str, ...] = ()  # other or new
    removed: tuple[str, ...] = ()  # no longer part of it
    yours: tuple[str, ...] = ()  # of those that changed, what the learner edited: untouched


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed in the curriculum since the learner was last told."""

    version: str
    was: str
    older: bool  # this version is the older one
    groups: tuple[GroupChanges, ...]
    behind: bool  # the workspace has not all of it yet: `learn init` brings it


@dataclass(slots=True)
class Laid:
    """What `learn init` did. Files are relative to the workspace; what is left out is as it should be."""

    fresh: bool  # there was no workspace before
    version: str
    was: str  # what was here before; empty in a fresh one
    groups: int = 0
    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)  # no longer part of the curriculum, and not edited
    yours: list[str] = field(default_factory=list)  # edited, and another one ships: left as it is
    mend: str = ""  # the command to the new one of the first of them


# ------------------------------------------------------------------------------------------------ what changed


def changes(course: Course) -> Changes | None:
    """What the learner has to be told; none when nothing changed, or nothing is known of before."""
    state = seen.read(course.store)
    if not seen.is_news(course, state):
        return None
    numbers = [*course.groups, *(name for name in state.pins if name not in course.groups)]
    found = tuple(one for name in numbers if (one := _changes_of(course, name, state.pins.get(name))))
    older = _ordered(grader.__version__) < _ordered(state.version)
    return Changes(grader.__version__, state.version, older, found, behind=_is_behind(course, found, state))


def _changes_of(course: Course, name: str, before: Mapping[str, str] | None) -> GroupChanges | None:
    group = course.groups.get(name)
    if group is None:
        number = name.removeprefix("group-")
        return GroupChanges(name, int(number), "gone", here=False) if number.isdecimal() else None
    if before is None:
        return GroupChanges(name, group.number, "new", group.is_here)
    changed = tuple(file for file, pin in group.shipped.items() if before.get(file) != pin)
    removed = tuple(file for file in before if file not in group.shipped)
    if not changed and not removed:
        return None
    yours = tuple(file for file in changed if _is_edited(group, file, before.get(file, "")))
    return GroupChanges(name, group.number, "changed", group.is_here, changed, removed, yours)


def _is_edited(group: Group, file: str, before: str) -> bool:
    return (group.path / file).exists() and not any(
        matches(group.path / file, pin) for pin in (before, group.shipped[file])
    )


def _is_behind(course: Course, found: tuple[GroupChanges, ...], state: State) -> bool:
    if curriculum.is_clone(course.workspace):
        return False
    for one in found:
        group = course.groups.get(one.id)
        waiting = group and any(
            file not in one.yours and not matches(group.path / file, group.shipped[file]) for file in one.changed
        )
        removed = any(f"groups/{group.folder}/{file}" in state.laid for file in one.removed) if group else False
        if waiting or removed or (one.kind == "new" and not one.here):
            return True
    return False


def reset_of(group: str, file: str) -> str:
    """The command that brings the file as it ships, with a copy of the learner's kept."""
    return f"learn reset {group} {file}"


def compare_copies(course: Course, group: Group) -> None:
    """Note it when something that is here for reading is not what counts."""
    differ = course.copies_that_differ(group)
    if not differ:
        return
    mend = reset_of(group.id, differ[0])
    if not group.in_clone:
        laid = seen.read(course.store).laid
        edited = [name for name in differ if _edited_here(group, name, laid)]
        mend = reset_of(group.id, edited[0]) if edited == list(differ) else "learn init"
    names = differ[0] if len(differ) == 1 else f"{differ[0]} and {len(differ) - 1} more"
    is_not = "is not as it ships" if len(differ) == 1 else "are not as they ship"
    course.store.note(f"{names} in groups/{group.folder}/ {is_not}: it is what ships that counts. Run: {mend}")


def _edited_here(group: Group, name: str, laid: Mapping[str, str]) -> bool:
    """Is it there, and not as it was laid out? (`learn init` alone brings a group.toml back.)"""
    pin = laid.get(f"groups/{group.folder}/{name}", "")
    return name in group.shipped and (group.path / name).exists() and not matches(group.path / name, pin)


# ------------------------------------------------------------------------------------------------ learn init


def init(target: Path, typed: str) -> Laid:
    """Make `target` a workspace, or bring the one that it is up to date; what the learner edited stays.

    `typed` is the folder as a person would type it. Whatever stops it, the same again completes it. Raises Trouble.
    """
    try:
        _refuse(target, typed)
        fresh = not curriculum.is_workspace(target)
        target.mkdir(parents=True, exist_ok=True)
        store = Store(target)
        with store.locked("lock"):
            return _Layer(store, fresh=fresh).lay_out()
    except OSError as error:
        raise CannotWrite(f"could not write {_named(typed)}: {error.strerror}", _init(typed)) from None


def lay_solution(course: Course, group: Group) -> None:
    """Bring the group's solution into the workspace, now that it is earned. A disk that does not take it is noted."""
    if group.in_clone:
        return
    try:
        with course.store.locked("lock"):
            _Layer(course.store, fresh=False).lay_solution(group)
    except OSError as error:
        course.store.note(f"could not write solutions/{group.folder}/ here: {error.strerror}")


class _Layer:
    """Lays files out in one workspace, and remembers which."""

    def __init__(self, store: Store, *, fresh: bool) -> None:
        self._store = store
        self._state = seen.read(store)
        self.laid = Laid(fresh, grader.__version__, self._state.version)

    def lay_out(self) -> Laid:
        self._save()  # before all else: from now on the folder is known to be a workspace
        groups = curriculum.read_groups(self._store.workspace)
        top = curriculum.source_of(self._store.workspace) / "templates" / "workspace"
        for name, template in _AT_THE_TOP.items():
            if (top / template).is_file() and (name in self._state.laid or not self._file(name).exists()):
                self._lay(name, (top / template).read_bytes(), own=True)
        wanted = dict.fromkeys(_AT_THE_TOP)
        for group in groups.values():
            whole = group.is_here  # else nothing of it was taken away: it was interrupted, or is to begin anew
            for name, data in self._files_of(group):
                wanted[f"groups/{group.folder}/{name}"] = None
                self._lay(f"groups/{group.folder}/{name}", data, own=whole and group.is_own(name))
            self._save()
        self._take_away(groups, wanted)
        self._state.version, self._state.pins = grader.__version__, seen.pins_of(groups)
        self._save()
        self.laid.groups = len(groups)
        self.laid.mend = next((self._mend(group) for group in groups.values() if self._mend(group)), "")
        return self.laid

    def lay_solution(self, group: Group) -> None:
        folder = group.root / "solutions" / group.folder
        for file in sorted(folder.rglob("*")):
            name = file.relative_to(folder)
            if file.is_file() and "__pycache__" not in name.parts and name.name != "signatures.json":
                self._lay(f"solutions/{group.folder}/{name.as_posix()}", file.read_bytes(), own=False)
        self._save()

    def _files_of(self, group: Group) -> Iterator[tuple[str, bytes]]:
        """What ships of a group. Last what makes it one: an interrupted copy is none."""
        for name in group.shipped:
            yield name, self._store.pristine(group, name)
        yield "group.toml", (group.source / "group.toml").read_bytes()

    def _lay(self, name: str, data: bytes, *, own: bool) -> None:
        """Write a file, unless the learner has edited it; or, if it is their own to edit, taken it away."""
        file, pin, before = self._file(name), digest(data), self._state.laid.get(name)
        if not matches(file, pin):
            if not file.exists() and not file.is_symlink():
                if own and before == pin:
                    return
                self.laid.added.append(name)
            elif before is not None and matches(file, before):
                self.laid.updated.append(name)
            elif file.name == "group.toml":  # the program's, whoever edited it
                progress.write_whole(self._store.kept() / name, file.read_bytes())
                self.laid.updated.append(name)
            else:
                if before != pin:
                    self.laid.yours.append(name)
                return
            progress.write_whole(file, data)
        self._state.laid[name] = pin

    def _take_away(self, groups: Mapping[str, Group], wanted: Mapping[str, None]) -> None:
        """What was for reading and is no longer part of a group, if nobody edited it. What was theirs to edit stays."""
        by_folder = {group.folder: group for group in groups.values()}
        for name in [name for name in self._state.laid if name.startswith("groups/") and name not in wanted]:
            _, folder, inside = name.split("/", 2)
            group = by_folder.get(folder)
            if group and not group.is_own(inside) and matches(self._file(name), self._state.laid[name]):
                self._file(name).unlink()
                self.laid.removed.append(name)
            del self._state.laid[name]

    def _mend(self, group: Group) -> str:
        names = [name.partition(f"groups/{group.folder}/")[2] for name in self.laid.yours]
        return next((reset_of(group.id, name) for name in names if name), "")

    def _file(self, name: str) -> Path:
        return self._store.workspace / name

    def _save(self) -> None:
        seen.write(self._store, self._state)


def _refuse(target: Path, typed: str) -> None:
    """Raises Trouble for what is no place for a workspace."""
    if not target.exists():
        return
    if not target.is_dir():
        raise Trouble(f"{typed} is a file", "learn init brownout")
    if curriculum.is_clone(target) and curriculum.is_workspace(target):
        raise Trouble(f"{_named(typed)} is a clone, and a workspace already", curriculum.upgrade_of(target))
    if curriculum.is_workspace(target):
        return
    if others := sorted(file.name for file in target.iterdir() if not _is_of_tools(file)):
        inside = "brownout" if typed == "." else f"{typed.rstrip('/')}/brownout"
        raise Trouble(f"{_named(typed)} has other things in it, such as {others[0]}", _init(inside))


def _init(folder: str) -> str:
    import shlex

    return f"learn init {shlex.quote(folder)}"


def _named(typed: str) -> str:
    return "this folder" if typed == "." else typed


def _is_of_tools(file: Path) -> bool:
    """Is it there for git, an editor or Python, rather than for a person?"""
    return file.name.startswith(".") or (file / "pyvenv.cfg").exists()


def _ordered(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))
