"""Red tests, those together that are red for one and the same reason."""

from __future__ import annotations

from collections.abc import Iterable

from grader.outcome import TestOutcome


def by_cause(red: Iterable[TestOutcome]) -> list[list[TestOutcome]]:
    """The tests in order, those together that fail for one and the same reason."""
    causes: dict[object, list[TestOutcome]] = {}
    for test in red:
        failure = test.failure
        key = (test.verdict, failure.code, failure.sees, failure.where) if failure else test.id
        causes.setdefault(key, []).append(test)
    return list(causes.values())
