"""A failing history loses what it does not need, in a bounded number of runs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from grader.story.shrink import MOST_RUNS, needless

PARTS = [f"visit {number}" for number in range(200)]


@given(st.sets(st.sampled_from(PARTS), max_size=3))
def test_what_is_needed_stays_and_nearly_all_else_goes(needed: set[str]) -> None:
    gone = needless([PARTS], lambda parts: not parts & needed, most=200)
    assert not gone & needed
    assert len(PARTS) - len(gone) == len(needed)


def test_one_of_two_hundred_is_found_within_the_usual_bound() -> None:
    for needed in (PARTS[0], PARTS[99], PARTS[-1]):
        assert len(PARTS) - len(needless([PARTS], lambda parts, needed=needed: needed not in parts)) <= 2  # type: ignore[misc]


def test_the_bound_holds_and_what_was_found_by_then_counts() -> None:
    runs = []

    def fails(parts: frozenset[str]) -> bool:
        runs.append(parts)
        return not parts & set(PARTS[::2])

    gone = needless([PARTS], fails)
    assert len(runs) == MOST_RUNS
    assert not gone & set(PARTS[::2])


def test_kinds_are_tried_one_after_the_other() -> None:
    tried: list[frozenset[str]] = []

    def fails(parts: frozenset[str]) -> bool:
        tried.append(parts)
        return True

    assert needless([["shuffle"], ["a", "b"]], fails) == {"shuffle", "a", "b"}
    assert tried == [{"shuffle"}, {"shuffle", "a", "b"}]


def test_nothing_to_leave_out_needs_no_run() -> None:
    assert needless([[], []], lambda _: 1 / 0 > 0) == frozenset()
