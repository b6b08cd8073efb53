"""Which red tests are shown, those together that are red for one and the same reason."""

from __future__ import annotations

from collections.abc import Iterable

from grader.outcome import GroupOutcome, TestOutcome, Verdict

FAILURES = 2
"""Causes shown at once, unless all are asked for."""


def red(outcome: GroupOutcome) -> list[TestOutcome]:
    """All red tests, in the order of the suite."""
    return [test for test in outcome.tests if test.verdict is not Verdict.PASSED]


def first_red(outcome: GroupOutcome) -> list[TestOutcome]:
    """The red tests of the first stage that has any."""
    tests = red(outcome)
    return [test for test in tests if test.stage == min(other.stage for other in tests)]


def told_of(outcome: GroupOutcome, name: str | None, *, all_of_a_stage: bool) -> list[list[TestOutcome]]:
    """The causes to tell of: those of a test function, else of the first red stage, all or the first that are shown."""
    if name is not None:
        of_name = [test for test in red(outcome) if name in (named(test), named(test).partition("[")[0])]
        return by_cause(of_name)
    stub_last = sorted(first_red(outcome), key=lambda test: test.verdict is Verdict.TODO)  # it has no story
    causes = by_cause(stub_last)
    return causes if all_of_a_stage else causes[:FAILURES]


def named(test: TestOutcome) -> str:
    """The name of a test's function, with its case."""
    return test.id.rpartition("::")[2]


def first_shown(outcome: GroupOutcome) -> list[str]:
    """The ids of the tests that are told as incidents, where not all are."""
    return [same[0].id for same in by_cause(first_red(outcome))[:FAILURES]]


def by_cause(red: Iterable[TestOutcome]) -> list[list[TestOutcome]]:
    """The tests in order, those together that fail for one and the same reason."""
    causes: dict[object, list[TestOutcome]] = {}
    for test in red:
        failure = test.failure
        key = (test.verdict, failure.code, failure.sees, failure.where) if failure else test.id
        causes.setdefault(key, []).append(test)
    return list(causes.values())
