"""Red tests once more, each with the shortest history that still fails.

What makes a history count, a service that passes on it, is the group's reference: without solutions/, stories stay
long.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from grader import suite
from grader.curriculum import Group
from grader.outcome import GroupOutcome
from grader.verify import handed_in


def told(outcome: GroupOutcome, group: Group, source: Path, pristine: Path, tests: Collection[str]) -> GroupOutcome:
    """The outcome, in which the tests with these ids tell of the shortest history that fails in the same way.

    `source` has the curriculum.
    """
    if not tests:
        return outcome
    reference = handed_in.folder(group, source) / "reference"
    again = suite.run(
        group,
        root=group.path,
        pristine=pristine,
        seed=outcome.seed,
        only=list(tests),
        retell=True,
        reference=reference if reference.is_dir() else None,
    )
    shorter = {test.id: test for test in again.tests if test.failure and (test.failure.shortest or test.failure.steps)}
    return replace(outcome, tests=tuple(shorter.get(test.id, test) for test in outcome.tests))
