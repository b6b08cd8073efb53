"""Which mistake is this? A wrong fix is known by the incident tests that it fails and the codes they fail with.

The signatures are measured by the full proof, and kept in solutions/GROUP/wrong/signatures.json. A learner's failures
are recognised only when they are the same to the last test; a curriculum without solutions/ recognises nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.curriculum import Group
from grader.outcome import GroupOutcome, Verdict

SEEDS = (1,)
"""The seeds on which signatures are measured: what they are depends on nothing but the group and its solutions."""

MOST = 3
"""More wrong fixes than this with one and the same signature tell nothing about the belief behind it."""

Signature = dict[str, str]  # id of a failing test -> code


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong fix as a learner is told of it."""

    name: str
    belief: str  # goes after "the belief that"


def of(outcome: GroupOutcome, stages: int | None = None) -> Signature:
    """What fails in a run, and how, up to a stage."""
    return {
        test.id: test.failure.code if test.failure else ""
        for test in outcome.tests
        if test.verdict is not Verdict.PASSED and (stages is None or test.stage <= stages)
    }


def recognise(source: Path, group: Group, outcome: GroupOutcome) -> tuple[Mistake, ...]:
    """The wrong fixes that fail exactly as this run does, up to its first red stage; none when it is but a guess."""
    red = [test.stage for test in outcome.tests if test.verdict is not Verdict.PASSED]
    if not red:
        return ()
    known = _read(_file(source, group))
    shown = of(outcome, stages=min(red))
    within = {test.id for test in outcome.tests if test.stage <= min(red)}
    found = []
    for name, (belief, signatures) in known.items():
        for signature in signatures:
            if {test: code for test, code in signature.items() if test in within} == shown:
                found.append(Mistake(name.replace("-", " "), belief))
                break
    return tuple(found) if len(found) <= MOST else ()


def digest(group: Group, solutions: Path) -> str:
    """SHA-256 of what signatures depend on: the wrong fixes, the reference, the tests and the incident."""
    files = {f"shipped/{name}": pin for name, pin in group.shipped.items() if name.startswith(("tests/", "incident"))}
    for file in [*solutions.glob("wrong/*.patch"), *(solutions / "reference").rglob("*.py")]:
        files[file.relative_to(solutions).as_posix()] = hashlib.sha256(file.read_bytes()).hexdigest()
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def is_current(group: Group, source: Path) -> bool:
    """Whether the file was measured on what is there now."""
    file = _file(source, group)
    try:
        return bool(json.loads(file.read_bytes())["digest"] == digest(group, file.parents[1]))
    except (OSError, ValueError, TypeError, KeyError):
        return False


def write(group: Group, source: Path, measured: Mapping[str, tuple[str, Sequence[Signature]]]) -> bool:
    """Keep what was measured, by wrong fix: its belief and its signatures. Whether that changed the file."""
    file = _file(source, group)
    wrong = {}
    for name, (belief, signatures) in sorted(measured.items()):
        distinct = [dict(some) for some in sorted({tuple(sorted(one.items())) for one in signatures})]
        wrong[name] = {"belief": belief, "signatures": distinct}
    text = json.dumps({"digest": digest(group, file.parents[1]), "wrong": wrong}, indent=1, ensure_ascii=False) + "\n"
    if file.exists() and file.read_text("utf-8") == text:
        return False
    file.write_text(text, "utf-8")
    return True


def _file(source: Path, group: Group) -> Path:
    return source / "solutions" / group.folder / "wrong" / "signatures.json"


def _read(file: Path) -> dict[str, tuple[str, list[Signature]]]:
    """Nothing from a file that is missing or says something else: it only ever helps."""
    try:
        wrong = json.loads(file.read_bytes())["wrong"]
        return {
            str(name): (str(entry["belief"]), [dict(one) for one in entry["signatures"]])
            for name, entry in wrong.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
