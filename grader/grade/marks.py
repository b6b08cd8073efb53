"""What an outcome is worth: points for each pattern, shared by its tests.

A test counts if it passed with every seed of the batch. Sanity tests are worth nothing: whoever breaks the service
fails the others, too.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.curriculum import Group, Trouble, unknown
from grader.outcome import GroupOutcome, TestOutcome, Verdict

PRIVATE = "private"
"""The name under which tests without a pattern are weighed: an instructor's own."""

PRIVATE_FOLDER = "tests/private_"
"""How the folder of an instructor's own tests begins."""

WHOLE = 100.0


class BadWeights(Trouble):
    """A file of weights that does not say what it must."""


@dataclass(frozen=True, slots=True)
class PatternMarks:
    pattern: str  # id
    passed: int  # tests
    tests: int
    points: float
    most: float


@dataclass(frozen=True, slots=True)
class Marks:
    points: float
    most: float
    patterns: tuple[PatternMarks, ...]


def read_weights(file: Path | None, group: Group) -> dict[str, float]:
    """Points for each pattern: the file's, a TOML table of numbers, or 100 shared alike. Raises BadWeights."""
    known = [name for stage in group.stages for name in stage.patterns]
    if file is None:
        return {name: WHOLE / len(known) for name in known}
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadWeights(f"cannot read {file}: {error}", "learn grade --help") from None
    for name, points in table.items():
        if name not in (*known, PRIVATE):
            raise unknown("pattern", name, [*known, PRIVATE], "learn grade --help")
        if isinstance(points, bool) or not isinstance(points, (int, float)) or not 0 <= points < 1e6:
            raise BadWeights(f"{file}: {name} is worth a number of points, and not {points!r}", "learn grade --help")
    return {name: float(table.get(name, 0.0)) for name in (*known, PRIVATE) if name in known or name in table}


def marks_of(outcomes: Sequence[GroupOutcome], weights: Mapping[str, float]) -> Marks:
    """The marks of one work, of its outcomes with every seed."""
    passed: dict[str, dict[str, bool]] = {}  # pattern -> test -> with all seeds
    for outcome in outcomes:
        for test in outcome.tests:
            for pattern in test.patterns or ((PRIVATE,) if test.stage else ()):
                tests = passed.setdefault(pattern, {})
                tests[test.id] = tests.get(test.id, True) and test.verdict is Verdict.PASSED
    patterns = []
    for name, most in weights.items():
        tests = passed.get(name, {})
        count = sum(tests.values())
        points = most * count / len(tests) if tests else 0.0
        patterns.append(PatternMarks(name, count, len(tests), points, most))
    return Marks(sum(each.points for each in patterns), sum(weights.values()), tuple(patterns))


def is_private(test: TestOutcome) -> bool:
    """Is it a test of the instructor's own, of which learners hear no more than whether it passed?"""
    return test.id.startswith(PRIVATE_FOLDER)
