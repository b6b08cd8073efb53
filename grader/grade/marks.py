"""What an outcome is worth: points for each pattern, shared by its tests.

A test counts if it passed with every seed of the batch. Sanity tests are worth nothing: whoever breaks the service
fails the others, too.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.curriculum import Group, Trouble
from grader.outcome import GroupOutcome, Verdict

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


def read_weights(file: Path | None, group: Group, judged: Collection[str]) -> dict[str, float]:
    """Points for each pattern: the file's, a TOML table of numbers, or 100 shared alike by those of `judged`, the
    patterns that have tests. Raises BadWeights.
    """
    known = [name for stage in group.stages for name in stage.patterns]
    if file is None:
        counted = [name for name in (*known, PRIVATE) if name in judged]
        return {name: WHOLE / len(counted) for name in counted}
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise BadWeights(f"cannot read {file}: {error.strerror}", "learn grade --help") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadWeights(f"cannot read {file}: {error}", "learn grade --help") from None
    for name, points in table.items():
        if name not in (*known, PRIVATE):
            raise BadWeights(f"{file}: there is no pattern “{name}”, but {', '.join(known)}", "learn grade --help")
        if isinstance(points, bool) or not isinstance(points, (int, float)) or not 0 <= points < 1e6:
            raise BadWeights(f"{file}: {name} is worth a number of points, and not {points!r}", "learn grade --help")
        if points and name not in judged:
            raise BadWeights(f"{file}: {name} is worth {points:g} points, and has no tests", "learn grade --help")
    weights = {name: float(table.get(name, 0.0)) for name in (*known, PRIVATE) if name in known or name in table}
    if not sum(weights.values()):
        raise BadWeights(f"{file}: nothing is worth any points", "learn grade --help")
    return weights


def weighed_as(test: str, patterns: Sequence[str], group: Group) -> tuple[str, ...]:
    """The names whose points a test shares, by its id and the patterns that it is marked with; none for sanity."""
    if is_private(test):
        return tuple(name for name in patterns if name in group.patterns) or (PRIVATE,)
    return tuple(patterns)


def marks_of(outcomes: Sequence[GroupOutcome], weights: Mapping[str, float], group: Group) -> Marks:
    """The marks of one work, of its outcomes with every seed."""
    passed: dict[str, dict[str, bool]] = {}  # pattern -> test -> with all seeds
    for outcome in outcomes:
        for test in outcome.tests:
            for pattern in weighed_as(test.id, test.patterns, group):
                tests = passed.setdefault(pattern, {})
                tests[test.id] = tests.get(test.id, True) and test.verdict is Verdict.PASSED
    patterns = []
    for name, most in weights.items():
        tests = passed.get(name, {})
        count = sum(tests.values())
        points = most * count / len(tests) if tests else 0.0
        patterns.append(PatternMarks(name, count, len(tests), points, most))
    return Marks(sum(each.points for each in patterns), sum(weights.values()), tuple(patterns))


def is_private(test: str) -> bool:
    """Is it the id, or the file, of a test of the instructor's own? Learners hear only whether it passed."""
    return test.startswith(PRIVATE_FOLDER)
