"""What an author hands in beside the group, for its proof: designs, wrong fixes, and how the shipped service breaks.

Read from solutions/GROUP/ and from two tables of group.toml:

    [broken]       for each incident test that the shipped service fails, by the name of the test: the code of the
                   failure, and the band over seeds of the figure that shows it
        test_a_question_ends_in_time = { code = "no-deadline", metric = "ask_worst", between = [90.0, 120.0] }
                   or, for a guard against a fix that goes too far: why it is green as it ships
        test_a_400_is_not_retried = { green = "nothing is retried yet" }
                   A test that is not in the table has to read as to do.
    [short-cuts]   for each of SHORT_CUTS: the wrong fix that takes it, or why there is none
        always-deny = "one-at-a-time"
        always-retry = "not applicable because nothing is retried in stage 1"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.curriculum import BrokenGroup, Group, Trouble, mend_of, shown
from grader.verify.patch import BadPatch, Patch, read

SHORT_CUTS = ("always-retry", "always-deny", "memorised")
NOT_APPLICABLE = "not applicable because "
WITHOUT = "without-"

_FIELD = re.compile(r"(Belief|In truth|Caught by|Cures):\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WrongFix:
    """One wrong/NAME.patch. `caught_by` and `cures` are ids of tests, all of which have to fail, or to pass."""

    name: str
    belief: str  # "a time-out on each call bounds the request": what its author believed
    truth: str  # what really happens
    caught_by: tuple[str, ...]
    cures: tuple[str, ...]
    patch: Patch

    @property
    def title(self) -> str:
        return self.name.replace("-", " ")


@dataclass(frozen=True, slots=True)
class Band:
    """How the shipped service fails one test. With `green`, it does not, and that says why."""

    test: str  # its name, without the file
    code: str = ""
    metric: str = ""
    low: float = 0.0
    high: float = 0.0
    green: str = ""


@dataclass(frozen=True, slots=True)
class HandedIn:
    designs: Mapping[str, Path]  # the reference first
    wrong: tuple[WrongFix, ...]
    broken: Mapping[str, Band]  # by the name of the test
    short_cuts: Mapping[str, str]
    defects: tuple[str, ...]  # what could not be read

    @property
    def reference(self) -> Path:
        return self.designs["reference"]


def read_all(group: Group, source: Path) -> HandedIn:
    """Raises Trouble without a reference, and BrokenGroup for a table that does not say what it must."""
    solutions = folder(group, source)
    if not (solutions / "reference").is_dir():
        raise Trouble(f"there is nothing to prove {group.id} with: no solutions/{group.folder}/reference/", "learn")
    designs = {"reference": solutions / "reference"}
    if (solutions / "designs").is_dir():
        designs |= {path.name: path for path in sorted((solutions / "designs").iterdir()) if path.is_dir()}
    wrong, defects = read_wrong(solutions)
    broken, short_cuts = _tables(group)
    return HandedIn(designs, wrong, broken, short_cuts, defects)


def folder(group: Group, source: Path) -> Path:
    """Where the group's solutions are, in the curriculum that has them."""
    return source / "solutions" / group.folder


def read_wrong(solutions: Path) -> tuple[tuple[WrongFix, ...], tuple[str, ...]]:
    """The wrong fixes below a group's solutions, by name, and what could not be read."""
    found, defects = [], []
    for file in sorted((solutions / "wrong").glob("*.patch")):
        try:
            found.append(_wrong_fix(file))
        except (BadPatch, UnicodeDecodeError) as error:
            defects.append(f"wrong/{file.name}: {error}")
    return tuple(found), tuple(defects)


def name_of(test: str) -> str:
    """The name of a test, from its id."""
    return test.partition("::")[2]


def _wrong_fix(file: Path) -> WrongFix:
    patch = read(file.read_text("utf-8"))
    fields: dict[str, str] = {}
    key = ""
    for line in patch.header.splitlines():
        if found := _FIELD.match(line):
            key = found[1].lower()
            fields[key] = line[found.end() :].strip()
        elif line.strip() and key:
            fields[key] += f" {line.strip()}"
        elif line.strip():
            raise BadPatch(f"its header begins with “{line.strip()[:40]}”, and not with “Belief: ”")
    needed = ("belief", "in truth", "caught by", *(() if file.stem.startswith(WITHOUT) else ("cures",)))
    missing = [key for key in needed if not fields.get(key)]
    if missing:
        raise BadPatch(f"its header says nothing after “{missing[0].capitalize()}:”")
    tests = {key: tuple(fields.get(key, "").replace(",", " ").split()) for key in ("caught by", "cures")}
    belief = fields["belief"].rstrip(".")
    return WrongFix(file.stem, belief, fields["in truth"], tests["caught by"], tests["cures"], patch)


def _tables(group: Group) -> tuple[dict[str, Band], dict[str, str]]:
    file = group.source / "group.toml"
    table = tomllib.loads(file.read_text("utf-8"))
    bands = {}
    for test, entry in table.get("broken", {}).items():
        try:
            bands[test] = _band(test, entry)
        except (KeyError, TypeError, ValueError) as error:
            raise BrokenGroup(f"{shown(file)}: [broken] {test} is wrong: {error}", mend_of(file)) from None
    short_cuts = table.get("short-cuts", {})
    if not isinstance(short_cuts, dict) or not all(isinstance(value, str) for value in short_cuts.values()):
        raise BrokenGroup(f"{shown(file)}: [short-cuts] names a wrong fix for each short cut", mend_of(file))
    return bands, short_cuts


def _band(test: str, entry: dict[str, Any]) -> Band:
    if set(entry) == {"green"}:
        return Band(test, green=str(entry["green"]))
    if extra := set(entry) - {"code", "metric", "between"}:
        raise ValueError(f"it has no {min(extra)}")
    low, high = map(float, entry["between"])
    if low > high:
        raise ValueError(f"{low:g} is above {high:g}")
    return Band(test, str(entry["code"]), str(entry["metric"]), low, high)
