"""What has passed, what is open, and where that is kept: the folder `.learn/` of a workspace.

    progress.json      per group: passed, stages, patterns, the seed that failed, hints shown
    settings.toml      an instructor's: open = ["group-4"], or open = "all"
    shipped/           pristine copies of what ships in groups/, taken while it matched its pin
    kept/TIMESTAMP/    what `learn reset` replaced
    pages/             what `--html` wrote
    curriculum.json    which curriculum was last seen here: see seen.py
    lock, check.lock   between processes

It is never the only copy of truth: a pass can be proved again by running. Nothing here runs a suite or prints.
"""

from __future__ import annotations

import fcntl
import json
import os
import tomllib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeVar

from grader import curriculum
from grader.curriculum import Group, Place, Stage, Trouble, UnknownName
from grader.outcome import GroupOutcome, TestOutcome, Verdict

VERSION = 1
SEEDS = 1_000_000  # a seed is drawn below this: short enough to type

T = TypeVar("T")


class Locked(Trouble):
    """The group is not open yet."""


class NoPage(Trouble):
    """A page cannot be written."""

    usage = False


class NewerState(Trouble):
    """progress.json was written by a later version of this program."""

    usage = False


@dataclass(slots=True)
class GroupProgress:
    """What is kept about one group. Moments are ISO 8601 in UTC."""

    passed_at: str = ""
    triggered_at: str = ""
    stages: list[int] = field(default_factory=list)  # the numbers of those that were green in the last check
    patterns: dict[str, str] = field(default_factory=dict)  # id -> verdict, of the last check
    failed_seed: int | None = None  # kept until it passes
    hints: dict[str, int] = field(default_factory=dict)  # pattern -> how many were shown


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one check changed."""

    passed: bool
    first_pass: bool
    opened: tuple[Group, ...]  # the groups that this pass opened


@dataclass(frozen=True, slots=True)
class Hint:
    """One step of the help for a pattern. `step` counts from 1; `again` when there was no further one."""

    pattern: str
    title: str
    kind: str  # one of curriculum.HINT_STEPS
    text: str
    step: int
    steps: int
    again: bool


@dataclass(frozen=True, slots=True)
class Reset:
    """What a reset did, or would do."""

    restored: tuple[str, ...]  # relative to the group's folder
    removed: tuple[str, ...]  # what the learner had added
    kept: Path | None  # where the learner's copies are


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next: the command to type, and what it is for."""

    command: str
    purpose: str


class Store:
    """The folder `.learn/`. Trouble with the disk never stops a command: it ends up in `notes`, a line each.

    `look_only` leaves a broken file where it is.
    """

    def __init__(self, workspace: Path, *, look_only: bool = False) -> None:
        self.workspace = workspace
        self.look_only = look_only
        self.folder = workspace / ".learn"
        self.file = self.folder / "progress.json"
        self.notes: list[str] = []

    def load(self) -> dict[str, GroupProgress]:
        """Progress by group id. A file that cannot be understood is set aside. Raises NewerState."""
        try:
            text = self.file.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            self.note(f"could not read .learn/progress.json ({error.strerror}): going on without it")
            return {}
        try:
            return _decode(json.loads(text), curriculum.upgrade_of(self.workspace))
        except (ValueError, TypeError, AttributeError, RecursionError):
            self.set_aside(self.file, "`learn check` proves a pass again")
            return {}

    def update(self, change: Callable[[dict[str, GroupProgress]], T]) -> T:
        """Read, change and write, with no other process in between. Returns what `change` returns."""
        with self.locked("lock"):
            groups = self.load()
            before = _encode(groups)
            result = change(groups)
            if (after := _encode(groups)) != before:
                try:
                    write_whole(self.file, after)
                except OSError as error:
                    self.note(f"could not save your progress in .learn/ ({error.strerror}): this run is not remembered")
            return result

    @contextmanager
    def locked(self, name: str, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold a lock that one process of this workspace can have. Goes on without it where none can be had."""
        lock: IO[bytes] | None = None
        try:
            self.folder.mkdir(exist_ok=True)
            lock = (self.folder / name).open("ab")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if on_wait:
                    on_wait()
                fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            pass  # a read-only disk, or one without locks: saving tells, if it fails too
        try:
            yield
        finally:
            if lock:
                with suppress(OSError):
                    fcntl.flock(lock, fcntl.LOCK_UN)  # closing is not enough while a forked child has it open
                lock.close()

    def opened(self, groups: dict[str, Group]) -> frozenset[str]:
        """The ids of the groups that settings.toml opens."""
        try:
            wanted = tomllib.loads((self.folder / "settings.toml").read_text("utf-8")).get("open", [])
            if wanted == "all":
                return frozenset(groups)
            return frozenset(curriculum.resolve(str(name), groups).id for name in _listed(wanted))
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            self.note(f"could not read .learn/settings.toml ({error.strerror}): it opens nothing")
        except (ValueError, Trouble) as error:
            self.note(f".learn/settings.toml opens nothing: {error}")
        return frozenset()

    @contextmanager
    def as_shipped(self, group: Group) -> Iterator[Path]:
        """The group's folder as it ships; of the learner's own files, those of which a pristine copy could be taken.

        Outside a clone, that is the installed one. Raises Trouble when any other file was changed before a copy of it
        was taken.
        """
        if not group.in_clone:
            with self._of_the_source(group) as folder:
                yield folder
            return
        self.preserve(group)
        folder = self.folder / "shipped" / group.folder
        own = {*group.own_files(group.path), *group.own_files(folder)}
        needed = [name for name in group.shipped if name not in own]
        if all(matches(folder / name, group.shipped[name]) for name in needed) and (folder / "group.toml").exists():
            yield folder
            return
        files = {name: self.pristine(group, name) for name in needed}
        import tempfile  # for a read-only disk alone

        with tempfile.TemporaryDirectory(prefix="brownout-") as scratch:
            for name, data in {**files, "group.toml": (group.path / "group.toml").read_bytes()}.items():
                write_whole(Path(scratch) / group.folder / name, data)
            yield Path(scratch) / group.folder

    def preserve(self, group: Group) -> None:
        """Bring shipped/ up to date with the group's pins, from what is still pristine in the group's folder."""
        if not group.in_clone:
            return
        folder = self.folder / "shipped" / group.folder
        try:
            for name, pin in group.shipped.items():
                if not matches(folder / name, pin):
                    if matches(group.path / name, pin):
                        write_whole(folder / name, (group.path / name).read_bytes())
                    else:
                        (folder / name).unlink(missing_ok=True)  # of an earlier version
            if group.shipped and not _same(folder / "group.toml", group.path / "group.toml"):
                write_whole(folder / "group.toml", (group.path / "group.toml").read_bytes())
            for file in folder.rglob("*"):
                if file.is_file() and file.relative_to(folder).as_posix() not in (*group.shipped, "group.toml"):
                    file.unlink()
        except OSError:
            pass  # a read-only disk: whoever needs a copy is told when it is missing

    def keep_page(self, name: str, text: str) -> Path:
        """Write a page to look at; its file. Raises Trouble."""
        file = self.folder / "pages" / name
        try:
            write_whole(file, text.encode())
        except OSError as error:
            raise NoPage(f"cannot write .learn/pages/{name}: {error.strerror}") from None
        return file

    def pristine(self, group: Group, name: str) -> bytes:
        """The file as it ships. Raises Trouble when no copy of it is left."""
        if not group.in_clone and curriculum.is_clone(group.root):
            return Store(group.root).pristine(group.at_its_source(), name)
        for file in (self.folder / "shipped" / group.folder / name, group.source / name):
            try:
                data = file.read_bytes()
            except OSError:
                continue
            if digest(data) == group.shipped[name]:
                return data
        raise Trouble(
            f"{name} was changed before a pristine copy of it was taken", curriculum.mend_of(group.source / name)
        )

    @contextmanager
    def _of_the_source(self, group: Group) -> Iterator[Path]:
        """The group's folder as the installed curriculum has it; where that is a clone, somebody may learn in it."""
        if curriculum.is_clone(group.root):
            with Store(group.root).as_shipped(group.at_its_source()) as folder:
                yield folder
        else:
            yield group.source

    def kept(self) -> Path:
        """A new folder, not made yet, for the learner's copies of what is replaced."""
        return self.folder / "kept" / _stamp()

    def set_aside(self, file: Path, meanwhile: str) -> None:
        """Move a file of .learn/ that cannot be understood out of the way, and note what that means."""
        if self.look_only:
            return
        aside = file.with_name(f"{file.name}.broken-{_stamp()}")
        try:
            file.rename(aside)
        except FileNotFoundError:
            return  # another process was quicker
        except OSError as error:
            self.note(
                f".learn/{file.name} is broken and could not be moved away ({error.strerror}): going on without it"
            )
            return
        self.note(f".learn/{file.name} was broken: it is now {aside.name}, and {meanwhile}")

    def note(self, line: str) -> None:
        """Have a line told when the command has ended."""
        if line not in self.notes:
            self.notes.append(line)


class Course:
    """A workspace as one learner has it: the groups, what they passed, and what is open to them.

    `source` is the folder with the curriculum that counts.
    """

    def __init__(self, workspace: Path, here: Path | None = None, *, look_only: bool = False) -> None:
        self.workspace = workspace
        self.here = here or workspace
        self.source = curriculum.source_of(workspace)
        self.groups = curriculum.read_groups(workspace)
        self.store = Store(workspace, look_only=look_only)
        self.progress = self.store.load()
        self._opened = self.store.opened(self.groups)

    @property
    def passed(self) -> frozenset[str]:
        return frozenset(name for name, group in self.progress.items() if group.passed_at)

    @property
    def places(self) -> tuple[Place, ...]:
        return curriculum.order(self.groups)

    def of(self, group: Group) -> GroupProgress:
        return self.progress.get(group.id) or GroupProgress()

    def waits_for(self, group: Group) -> tuple[str, ...]:
        """The ids of the groups that must pass first."""
        return curriculum.waits_for(group, self.passed, self.groups, self._opened)

    def current(self) -> Group | None:
        """The first group that is open and has not passed; none when all that is written has passed."""
        for place in self.places:
            if place.group and place.id not in self.passed and not self.waits_for(place.group):
                return place.group
        return None

    def default(self) -> Group:
        """The group that is meant where none is named: the one around, else the current one, else the last."""
        return self.around() or self.current() or self._last()

    def chosen(self, name: str | None) -> Group:
        """The group that a command is about: the named one, else the one whose folder this is, else the current one.

        Raises UnknownName and Locked.
        """
        group = curriculum.resolve(name, self.groups) if name else self.default()
        if first := self.waits_for(group):
            before = self.groups[first[0]]
            raise Locked(
                f"group {group.number} is locked until group {before.number}, “{before.title}”, has passed",
                f"learn check {before.id}",
            )
        if not group.is_here:
            raise Trouble(f"group {group.number} is not in this workspace yet", "learn init")
        return group

    def solved(self, name: str | None) -> Group:
        """The group whose solution a learner may see: the named one, else the one around, else the last that passed.

        Raises UnknownName and Locked.
        """
        last = max(self.passed & self.groups.keys(), key=lambda one: self.progress[one].passed_at, default=None)
        group = self.around() or (self.groups[last] if last else self.chosen(None))
        if name:
            group = curriculum.resolve(name, self.groups)
        if group.id not in self.passed:
            raise Locked(f"the solution of group {group.number} opens when it has passed", f"learn check {group.id}")
        return group

    def chosen_with(
        self, name: str | None, part: str | None, parts: Callable[[Group], Collection[str]], kind: str
    ) -> tuple[Group, str | None]:
        """The group and the part of it that a command is about; one name alone may be either. `kind`: what a part is.

        Raises UnknownName and Locked.
        """
        if name and part is None:
            default = self.default()
            part = self._part(default, name, parts(default))
            if part in parts(default):
                return self.chosen(default.id), part
            try:
                return self.chosen(name), None
            except UnknownName:
                if any(char.isdigit() for char in name):
                    raise
            known = [*(group.id for group in self.groups.values()), *parts(default)]
            raise curriculum.unknown(f"group or {kind}", name, known, "learn")
        group = self.chosen(name)
        return group, self._part(group, part, parts(group)) if part else None

    def _part(self, group: Group, name: str, known: Collection[str]) -> str:
        """The name itself; or the file that it means, seen from the current folder, or as the only one of that name; or
        the pattern whose stub is called so."""
        if name in known:
            return name
        file = Path(os.path.normpath(self.here / name))
        if file.is_relative_to(group.path) and (seen := file.relative_to(group.path).as_posix()) in known:
            return seen
        stubs = [each.id for each in group.patterns.values() if Path(each.stub).stem == name and each.id in known]
        alike = stubs or [each for each in known if each.endswith(f"/{name}")]
        return alike[0] if len(alike) == 1 else name

    def stage(self, group: Group) -> Stage | None:
        """The first stage that was not green in the last check; none when all were."""
        green = self.of(group).stages
        return next((stage for stage in group.stages if stage.number not in green), None)

    def next_step(self, group: Group | None = None) -> Step:
        """What to do now with the group, or with the current one."""
        group = group or self.current()
        if group is None:
            return Step("", "You have solved every group that is written.")
        if not group.is_here:
            return Step("learn init", "bring the group here")
        kept = self.of(group)
        if not kept.triggered_at and not kept.patterns:
            return Step(self.typed("learn trigger", group), "watch the outage hit your service")
        return Step(self.typed("learn check", group), "see whether it still happens")

    def typed(self, command: str, group: Group) -> str:
        """The command as one types it for the group: with its name, where another one would be meant without."""
        return command if group == self.default() else f"{command} {group.id}"

    def seed(self, group: Group) -> int:
        """The seed that failed last, until it passes; else a fresh one."""
        kept = self.of(group).failed_seed
        return int.from_bytes(os.urandom(8)) % SEEDS if kept is None else kept

    def triggered(self, group: Group) -> None:
        """Remember that the learner has seen the incident."""

        def change(groups: dict[str, GroupProgress]) -> None:
            groups.setdefault(group.id, GroupProgress()).triggered_at = _now()

        self._update(change)

    def record(self, group: Group, outcome: GroupOutcome) -> Recorded:
        """Remember a run of the whole suite. A pass stays a pass; a run that the grader spoilt changes nothing."""
        if spoilt(outcome):
            return Recorded(passed=False, first_pass=False, opened=())
        passed = is_pass(group, outcome)
        shut = [other for other in self.groups.values() if self.waits_for(other)]

        def change(groups: dict[str, GroupProgress]) -> bool:
            kept = groups.setdefault(group.id, GroupProgress())
            kept.stages = green_stages(group, outcome)
            kept.patterns = {name: verdict.value for name, verdict in pattern_verdicts(group, outcome).items()}
            red = any(test.verdict is not Verdict.PASSED for test in outcome.tests)
            if red and kept.failed_seed is None:
                kept.failed_seed = outcome.seed
            elif passed and kept.failed_seed == outcome.seed:
                kept.failed_seed = None
            first = passed and not kept.passed_at
            if first:
                kept.passed_at = _now()
            return first

        first_pass = self._update(change)
        opened = tuple(other for other in shut if not self.waits_for(other))
        return Recorded(passed, first_pass, opened)

    def keep_seed(self, group: Group, seed: int) -> None:
        """A part of the suite has failed with it: it is the next run's, too, unless another is kept already."""

        def change(groups: dict[str, GroupProgress]) -> None:
            kept = groups.setdefault(group.id, GroupProgress())
            kept.failed_seed = seed if kept.failed_seed is None else kept.failed_seed

        self._update(change)

    def hint(self, group: Group, pattern: str | None) -> Hint:
        """The next hint for a pattern: the named one, else the first that is red. Raises UnknownName."""
        if pattern is None:
            pattern = self._stuck(group)
            if group.id in self.passed and self.of(group).patterns.get(pattern) == Verdict.PASSED:
                raise Trouble(f"nothing of group {group.number} is red", f"learn hint {group.id} {pattern}")
        elif pattern not in group.patterns:
            near = curriculum.nearest(pattern, list(group.patterns))[:1]
            raise curriculum.unknown("pattern", pattern, group.patterns, " ".join(["learn hint", group.id, *near]))
        steps = curriculum.read_hints(group, pattern)

        def change(groups: dict[str, GroupProgress]) -> int:
            hints = groups.setdefault(group.id, GroupProgress()).hints
            shown = hints.get(pattern, 0)
            hints[pattern] = min(shown + 1, len(steps))
            return shown

        shown = self._update(change)
        step = min(shown + 1, len(steps))
        title = group.patterns[pattern].title
        kind = curriculum.HINT_STEPS[step - 1]
        return Hint(pattern, title, kind, steps[step - 1], step, len(steps), again=shown >= len(steps))

    def changed(self, group: Group, name: str | None) -> tuple[str, ...]:
        """The files of the group, or the named one, that are not as they ship, or did not. Raises UnknownName."""
        known = files_of(group)
        if name is not None and name not in known:
            raise curriculum.unknown("file", name, known, f"learn reset {group.id}")
        return tuple(
            file
            for file in ([name] if name else known)
            if file not in group.shipped or not matches(group.path / file, group.shipped[file])
        )

    def copies_that_differ(self, group: Group) -> tuple[str, ...]:
        """What lies in the group's folder for reading alone, and is not as it ships, or is missing."""
        names = [name for name, pin in group.shipped.items() if not group.is_own(name)]
        found = [name for name in names if not matches(group.path / name, group.shipped[name])]
        if not group.in_clone and not _same(group.path / "group.toml", group.source / "group.toml"):
            found.append("group.toml")
        return tuple(found)

    def reset(self, group: Group, files: tuple[str, ...]) -> Reset:
        """Put the files back as they ship, and keep the learner's copies. All or nothing. Raises Trouble."""
        fresh = {name: self.store.pristine(group, name) for name in files if name in group.shipped}
        removed = tuple(name for name in files if name not in group.shipped)
        kept = self.store.kept() / group.folder
        any_kept = False
        try:
            for name in files:
                if (group.path / name).exists():
                    write_whole(kept / name, (group.path / name).read_bytes())
                    any_kept = True
            for name, data in fresh.items():
                write_whole(group.path / name, data)
            for name in removed:
                (group.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise Trouble(f"could not reset {group.id}: {error.strerror}: {error.filename}") from None
        return Reset(tuple(fresh), removed, kept if any_kept else None)

    def _update(self, change: Callable[[dict[str, GroupProgress]], T]) -> T:
        def apply(groups: dict[str, GroupProgress]) -> T:
            result = change(groups)
            self.progress = groups
            return result

        return self.store.update(apply)

    def around(self) -> Group | None:
        """The group in whose folder we are."""
        return next((group for group in self.groups.values() if self.here.is_relative_to(group.path)), None)

    def _last(self) -> Group:
        return next(place.group for place in reversed(self.places) if place.group)

    def _stuck(self, group: Group) -> str:
        """The pattern to help with: red in the last check, or else the first of the first stage that is not green."""
        red = [name for name, verdict in self.of(group).patterns.items() if verdict != Verdict.PASSED]
        stage = self.stage(group) or group.stages[0]
        return next((name for name in red if name in group.patterns), stage.patterns[0])


def files_of(group: Group) -> list[str]:
    """What ships in the group's folder, and what the learner added to it; relative to the folder."""
    return list(dict.fromkeys([*group.shipped, *group.own_files(group.path)]))


def spoilt(outcome: GroupOutcome) -> bool:
    """The grader failed somewhere in this run, so that it proves nothing about the learner's work."""
    return bool(outcome.ours) or any(test.verdict is Verdict.OURS for test in outcome.tests)


def is_green(tests: list[TestOutcome]) -> bool:
    """Some tests ran, and all passed: what has no test proves nothing."""
    return bool(tests) and all(test.verdict is Verdict.PASSED for test in tests)


def green_stages(group: Group, outcome: GroupOutcome) -> list[int]:
    return [
        stage.number
        for stage in group.stages
        if is_green([test for test in outcome.tests if test.stage == stage.number])
    ]


def is_pass(group: Group, outcome: GroupOutcome) -> bool:
    """Every test passed, and no stage of the group is without one."""
    return (
        not spoilt(outcome) and is_green(list(outcome.tests)) and len(green_stages(group, outcome)) == len(group.stages)
    )


def pattern_verdicts(group: Group, outcome: GroupOutcome) -> dict[str, Verdict]:
    """For each pattern that was tested: the verdict of its first red test, or passed. Red ones first, as they came."""
    tested = [(name, test.verdict) for test in outcome.tests for name in test.patterns if name in group.patterns]
    verdicts: dict[str, Verdict] = {}
    for name, verdict in sorted(tested, key=lambda each: each[1] is Verdict.PASSED):
        verdicts.setdefault(name, verdict)
    return verdicts


def _decode(state: Any, upgrade: str) -> dict[str, GroupProgress]:
    """`upgrade` is the command to a later version of this program.

    Raises ValueError, TypeError or AttributeError on anything that `_encode` does not write, and NewerState.
    """
    version = state["version"] if isinstance(state, dict) and "version" in state else None
    if type(version) is not int or version < 1:
        raise ValueError("no version")
    if version > VERSION:
        raise NewerState(
            f".learn/progress.json has version {version}, and this Brownout reads version {VERSION}",
            upgrade,
        )
    groups = {}
    for name, kept in state.get("groups", {}).items():
        groups[name] = GroupProgress(
            passed_at=_typed(kept.get("passed_at", ""), str),
            triggered_at=_typed(kept.get("triggered_at", ""), str),
            stages=[_typed(number, int) for number in kept.get("stages", [])],
            patterns={key: _typed(value, str) for key, value in kept.get("patterns", {}).items()},
            failed_seed=None if kept.get("failed_seed") is None else _typed(kept["failed_seed"], int),
            hints={key: max(0, _typed(value, int)) for key, value in kept.get("hints", {}).items()},
        )
    return groups


def _encode(groups: dict[str, GroupProgress]) -> bytes:
    state = {"version": VERSION, "groups": {name: asdict(kept) for name, kept in sorted(groups.items())}}
    return json.dumps(state, indent=1).encode() + b"\n"


def _typed(value: Any, kind: type[T]) -> T:
    if type(value) is not kind:
        raise ValueError(f"{value!r} is no {kind.__name__}")
    return value


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError('open is a list of groups, or "all"')
    return value


def write_whole(file: Path, data: bytes) -> None:
    """Write the whole file or nothing: a crash at any moment leaves the old one or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with draft.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def _same(one: Path, other: Path) -> bool:
    return one.exists() and one.read_bytes() == other.read_bytes()


def matches(file: Path, pin: str) -> bool:
    try:
        return digest(file.read_bytes()) == pin
    except OSError:
        return False


def digest(data: bytes) -> str:
    import hashlib  # slow to import: 10 ms

    return hashlib.sha256(data).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
