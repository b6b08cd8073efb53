"""The curriculum: groups, stages, patterns and hints as `groups/*/group.toml` and `hints.toml` state them,
the order in which groups open, and how a learner may name one.

A clone carries its own curriculum. Any other workspace has copies for reading, and the learner's own files: what counts
there is the curriculum that this program came with, wherever it is installed. Nothing of a learner's progress lives
here, and nothing is written. Every `learn` imports this module: it stays light.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

SEQUENCE = (1, 2, 3, 5, 6, 8, 9)  # one after the other
TOGETHER = (4, 7, 10, 11, 12)  # all at once, when the sequence is done

TITLES = {
    1: "Requests are slow or unreliable",
    2: "Duplicate requests and retries break the system",
    3: "State breaks when services restart",
    4: "APIs become messy and hard to evolve",
    5: "LLM answers are wrong",
    6: "LLM workflows become complex",
    7: "Multi-agent systems misbehave",
    8: "System is impossible to debug",
    9: "Cost explodes",
    10: "Security, safety and governance",
    11: "Code becomes rigid and hard to extend",
    12: "Scaling and evolution",
}

HINT_STEPS = ("symptom", "mechanism", "shape")

BEGUN = ".learn/curriculum.json"
"""What `learn init` writes first, and `seen.py` keeps."""

_SHIPPED = Path(__file__).parent / "shipped"
"""groups/, solutions/ and templates/, in an installed package."""


class Trouble(Exception):
    """Something a person can mend: what is wrong, in one line, and the command that mends it."""

    usage: ClassVar[bool] = True
    """Is it the words, or what they name? Otherwise it is the grader, or what it stands on."""

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend


class NoWorkspace(Trouble):
    """No folder with groups/ here or above."""

    def __init__(self, what: str) -> None:
        super().__init__(what, "learn init brownout" if _SHIPPED.is_dir() else "cd path/to/brownout")


class UnknownName(Trouble):
    """A group, pattern or file that does not exist, or is not written yet."""


class BrokenGroup(Trouble):
    """A group.toml or hints.toml that does not say what it must."""

    usage = False


@dataclass(frozen=True, slots=True)
class Pattern:
    id: str  # "timeout"
    title: str  # "Timeout"
    stub: str  # relative to the group's folder


@dataclass(frozen=True, slots=True)
class Stage:
    number: int
    title: str
    minutes: int
    patterns: tuple[str, ...]  # ids


@dataclass(frozen=True, slots=True)
class Group:
    """One group.toml. File names are relative to `path`, with forward slashes, and to `source` alike."""

    id: str  # "group-1"
    number: int
    path: Path  # the learner's
    title: str
    app: str  # "service.app:create_app"
    files: tuple[str, ...]  # what is the learner's own: patterns of Path.glob
    imports: tuple[str, ...]  # third-party packages allowed
    prerequisites: tuple[str, ...]  # group ids
    minutes: int
    ports: Mapping[str, str]  # for probes: name -> "module:attribute"
    stages: tuple[Stage, ...]
    patterns: Mapping[str, Pattern]
    bounds: Mapping[str, Mapping[str, Any]]
    shipped: Mapping[str, str]  # file -> SHA-256 in hex, of all that ships but group.toml
    source: Path  # the folder that ships, and counts; in a clone, the same as `path`

    @property
    def folder(self) -> str:
        return self.path.name

    @property
    def in_clone(self) -> bool:
        return self.source == self.path

    @property
    def is_here(self) -> bool:
        """Is it in the workspace? After an upgrade, a new one may not be there yet."""
        return (self.path / "group.toml").exists()

    @property
    def root(self) -> Path:
        """The folder with the curriculum that the group is of."""
        return self.source.parents[1]

    def at_its_source(self) -> Group:
        """The group as its own curriculum has it, without the workspace."""
        return replace(self, path=self.source)

    def is_own(self, name: str) -> bool:
        """Would a file of this name, relative to the group's folder, be the learner's?"""
        return any(_pattern(pattern).fullmatch(name) for pattern in self.files)

    def own_files(self, root: Path) -> list[str]:
        """The files below `root` that are the learner's own, links left out; names relative to `root`, sorted."""
        found = {file for pattern in self.files for file in root.glob(pattern)}
        files = [file for file in found if file.is_file() and not file.is_symlink()]
        return sorted(file.relative_to(root).as_posix() for file in files)

    def read_own(self) -> dict[str, bytes]:
        """The learner's files as they are now. One that is gone by the time it is read is being saved: left out."""
        found = {}
        for name in self.own_files(self.path):
            with suppress(FileNotFoundError):
                found[name] = (self.path / name).read_bytes()
        return found


@dataclass(frozen=True, slots=True)
class Place:
    """A group's place in the recommended order, whether or not it is written yet."""

    number: int
    title: str
    group: Group | None
    together: bool  # opens with the others of TOGETHER

    @property
    def id(self) -> str:
        return f"group-{self.number}"


def find_workspace(start: Path) -> Path:
    """The nearest folder, from `start` upwards, that is a workspace. Raises NoWorkspace."""
    for folder in (start, *start.parents):
        if is_workspace(folder):
            return folder
    raise NoWorkspace("there are no groups here or above: this is no Brownout workspace")


def is_workspace(folder: Path) -> bool:
    """Does it hold groups/*/group.toml, or was one begun here?"""
    return any(folder.glob("groups/*/group.toml")) or (folder / BEGUN).exists()


def is_clone(workspace: Path) -> bool:
    """Does the workspace carry the program, and so a curriculum of its own?"""
    return (workspace / "grader").is_dir()


def installed() -> Path:
    """The folder with the curriculum that this program came with: in the package, or the clone around it."""
    return _SHIPPED if _SHIPPED.is_dir() else _SHIPPED.parents[1]


def source_of(workspace: Path) -> Path:
    """The folder with the groups/, solutions/ and templates/ that count in a workspace."""
    return workspace if is_clone(workspace) else installed()


def mend_of(file: Path) -> str:
    """The command that brings a file of the curriculum back."""
    return (
        "pip install --force-reinstall brownout" if file.is_relative_to(_SHIPPED) else f"git checkout -- {shown(file)}"
    )


def upgrade_of(workspace: Path) -> str:
    """The command that brings the newest Brownout to a workspace."""
    return "git pull && make learn" if is_clone(workspace) else "pip install --upgrade brownout"


def read_groups(workspace: Path) -> dict[str, Group]:
    """All written groups by id, in order of number. Raises BrokenGroup."""
    files = source_of(workspace).glob("groups/*/group.toml")
    found = (read_group(file, workspace / "groups" / file.parent.name) for file in files)
    groups = sorted(found, key=lambda group: group.number)
    by_id: dict[str, Group] = {}
    for group in groups:
        if group.id in by_id:
            raise BrokenGroup(f"{by_id[group.id].folder} and {group.folder} both say that they are {group.id}")
        by_id[group.id] = group
    return by_id


def read_group(file: Path, path: Path | None = None) -> Group:
    """Read one group.toml; `path` is the learner's folder, where that is another one. Raises BrokenGroup."""
    table = _toml(file)
    try:
        group = Group(
            id=table["id"],
            number=table["number"],
            path=path or file.parent,
            title=table["title"],
            app=table["app"],
            files=tuple(table["files"]),
            imports=tuple(table.get("imports", ())),
            prerequisites=tuple(table.get("prerequisites", ())),
            minutes=table["minutes"],
            ports=table.get("ports", {}),
            stages=tuple(
                Stage(stage["number"], stage["title"], stage["minutes"], tuple(stage["patterns"]))
                for stage in table["stages"]
            ),
            patterns={
                name: Pattern(name, pattern["title"], pattern.get("stub", ""))
                for name, pattern in table["patterns"].items()
            },
            bounds=table.get("bounds", {}),
            shipped=table.get("shipped", {}),
            source=file.parent,
        )
    except (KeyError, TypeError, AttributeError) as error:
        missing = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise BrokenGroup(f"{shown(file)} is broken: {missing}", mend_of(file)) from None
    if group.id != f"group-{group.number}":
        raise BrokenGroup(f"{shown(file)} is broken: its id is {group.id} and its number {group.number}")
    unknown = {pattern for stage in group.stages for pattern in stage.patterns} - group.patterns.keys()
    if unknown:
        raise BrokenGroup(f"{shown(file)}: a stage names patterns that it does not have: {', '.join(sorted(unknown))}")
    return group


def read_hints(group: Group, pattern: str) -> tuple[str, ...]:
    """The hints for one pattern, in the order of HINT_STEPS. Raises BrokenGroup."""
    file = group.source / "hints.toml"
    hints = _toml(file).get(pattern, {})
    missing = [step for step in HINT_STEPS if not hints.get(step)]
    if missing:
        raise BrokenGroup(f"{shown(file)} has no {' and no '.join(missing)} for {pattern}", mend_of(file))
    return tuple(str(hints[step]).strip() for step in HINT_STEPS)


def tests_of(group: Group) -> list[str]:
    """The names of the test functions that ship with a group, in the order of its files."""
    files = sorted(name for name in group.shipped if name.startswith("tests/test_"))
    texts = [(group.source / name).read_text("utf-8", "replace") for name in files if (group.source / name).is_file()]
    return [name for text in texts for name in re.findall(r"^(?:async )?def (test_\w+)", text, re.M)]


def order(groups: Mapping[str, Group]) -> tuple[Place, ...]:
    """Every group in the recommended order, written or not; those that the order does not name come last."""
    numbers = [*SEQUENCE, *TOGETHER]
    numbers += [group.number for group in groups.values() if group.number not in TITLES]
    places = []
    for number in numbers:
        group = groups.get(f"group-{number}")
        title = group.title if group else TITLES[number]
        places.append(Place(number, title, group, together=number not in SEQUENCE))
    return tuple(places)


def waits_for(
    group: Group, passed: Collection[str], existing: Collection[str], opened: Collection[str] = ()
) -> tuple[str, ...]:
    """The ids of the groups that must pass before `group` opens; none when it is open.

    What has passed stays open, and so does what an instructor opened. A group that is not written yet holds nobody up.
    """
    if group.id in passed or group.id in opened:
        return ()
    if group.number in SEQUENCE:
        before = SEQUENCE[: SEQUENCE.index(group.number)]
    else:
        before = SEQUENCE if group.number in TOGETHER else ()
    needed = dict.fromkeys([*(f"group-{number}" for number in before), *group.prerequisites])
    return tuple(name for name in needed if name in existing and name not in passed)


def resolve(name: str, groups: Mapping[str, Group]) -> Group:
    """The group that a person means: `group-2`, `2`, `02`, or its folder, as a path too. Raises UnknownName."""
    last = name.rstrip("/").rpartition("/")[2]
    for group in groups.values():
        if last in (group.id, group.folder):
            return group
    digits = last.removeprefix("group-")
    if digits.isascii() and digits.isdigit():
        number = int(digits)
        if found := groups.get(f"group-{number}"):
            return found
        if number in TITLES:
            raise UnknownName(f"group {number}, “{TITLES[number]}”, is not written yet", "learn")
    raise unknown("group", name, [known for group in groups.values() for known in (group.id, group.folder)], "learn")


def unknown(kind: str, name: str, known: Iterable[str], mend: str) -> UnknownName:
    """What to raise for a name that is not among the `known` ones: it tells the nearest."""
    near = nearest(name, list(known))
    meant = f": did you mean {' or '.join(near)}?" if near else ""
    return UnknownName(f"there is no {kind} “{name}”{meant}", mend)


def nearest(name: str, known: Sequence[str]) -> list[str]:
    """At most two of the `known` names that look like `name`, the nearest first."""
    return get_close_matches(name.lower(), known, n=2, cutoff=0.5)


def _toml(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            return tomllib.load(stream)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BrokenGroup(f"cannot read {shown(file)}: {reason}", mend_of(file)) from None


def shown(file: Path) -> str:
    """The file as seen from the workspace: groups/FOLDER/NAME."""
    at = max((at for at, part in enumerate(file.parts) if part in ("groups", "solutions")), default=0)
    return "/".join(file.parts[at:])


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    """A pattern of Path.glob as a regular expression for a whole path."""
    parts = re.split(r"(\*\*/|\*|\?)", pattern)
    meant = {"**/": "(?:[^/]+/)*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meant.get(part, re.escape(part)) for part in parts))
