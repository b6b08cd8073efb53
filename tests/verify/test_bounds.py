"""Bounds lie between the worst right design and the best wrong fix, with room on both sides."""

from __future__ import annotations

import pytest

from grader.outcome import GroupOutcome, Metric, TestOutcome, Verdict
from grader.verify.bounds import Distance, measure


def outcome(seed: int, value: float, bound: float, relation: str = "at_most") -> GroupOutcome:
    holds = value <= bound if relation == "at_most" else value >= bound
    verdict = Verdict.PASSED if holds else Verdict.FAILED
    metric = Metric("wait", value, bound, relation, "s", "late")
    return GroupOutcome("group-1", seed, (TestOutcome("t.py::test_x", "x", 1, (), verdict, 0.1, (metric,)),), 0.1)


def only(right: list[float], wrong: list[float], bound: float, relation: str = "at_most") -> Distance:
    runs = [("reference", outcome(seed, value, bound, relation)) for seed, value in enumerate(right)]
    runs += [("mistake", outcome(seed, value, bound, relation)) for seed, value in enumerate(wrong)]
    (distance,) = measure(runs, ["reference"])
    return distance


def test_the_nearest_on_both_sides_are_found() -> None:
    found = only([1.0, 8.0, 3.0], [30.0, 12.5, 9.0], 10.0)
    assert found.right is not None
    assert found.wrong is not None
    assert (found.right.value, found.right.seed) == (8.0, 1)
    assert found.right.room == pytest.approx(0.2)
    assert (found.wrong.value, found.wrong.seed) == (12.5, 1)
    assert found.wrong.room == pytest.approx(0.25)
    assert not found.cramped


@pytest.mark.parametrize(
    ("right", "wrong", "bound", "relation", "cramped"),
    [
        ([10.0, 10.0], [30.0], 10.5, "at_most", ""),  # near, but the same on every seed
        ([5.0, 9.9], [30.0], 10.0, "at_most", "a right design"),
        ([5.0], [10.1, 30.0], 10.0, "at_most", "a wrong fix"),
        ([10.0], [30.0], 10.0, "at_most", ""),  # a right design always meets it exactly: an invariant
        ([10.0, 9.0], [30.0], 10.0, "at_most", "a right design"),  # exactly once is luck
        ([0.0], [1.0], 0.0, "at_most", ""),
        ([100.0], [99.0, 20.0], 100.0, "at_least", "a wrong fix"),
        ([100.0], [20.0, 60.0], 100.0, "at_least", ""),
        ([5.0], [], 10.0, "at_most", ""),
    ],
)
def test_a_bound_needs_room(right: list[float], wrong: list[float], bound: float, relation: str, cramped: str) -> None:
    found = only(right, wrong, bound, relation).cramped
    assert found.startswith(cramped)
    assert bool(found) == bool(cramped)


def test_a_bound_that_moves_with_the_seed_is_measured_against_itself() -> None:
    runs = [("reference", outcome(1, 90.0, 100.0)), ("reference", outcome(2, 1.0, 2.0))]
    (found,) = measure(runs, ["reference"])
    assert found.right is not None
    assert (found.right.value, found.right.bound) == (90.0, 100.0)


def test_the_shipped_service_is_neither_right_nor_wrong() -> None:
    runs = [("reference", outcome(1, 1.0, 10.0)), *(("ships", outcome(seed, 40.0 + seed, 10.0)) for seed in (1, 2))]
    (found,) = measure(runs, ["reference"], "ships")
    assert (found.wrong, found.broken) == (None, (41.0, 42.0))
