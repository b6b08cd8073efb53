"""A red test again and again, each time without some parts of its history, until it is the shortest that still fails.

A shorter history counts only if a right service passes on it: what fails whoever has to answer says nothing of this
service. A request that is left out is answered as that service answered it. Which parts to leave out is decided in
`story/shrink.py`; running a test is up to `suite.py`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from grader import plugin
from grader.outcome import Failure, TestOutcome, Verdict
from grader.sim.history import FAULT, REQUEST, SHUFFLE
from grader.story import shrink

if TYPE_CHECKING:
    import pytest

MOST_SECONDS = 3.0
"""Real seconds after which the shortest history so far will do."""


def retold(
    item: pytest.Item, test: TestOutcome, play: Callable[[], TestOutcome | None], *, reference: Path | None
) -> TestOutcome:
    """The outcome of a test that has just run, with the sequence of its story.

    With a `reference`, the folder above a service that passes, it is that of the shortest history which fails in the
    same way; what was measured stays that of the whole test. `play` runs the test once more.
    """
    if test.verdict not in (Verdict.FAILED, Verdict.LEARNER_ERROR) or test.failure is None:
        return test
    drawn = replace(test, failure=replace(test.failure, steps=plugin.steps_of(item)))
    return drawn if reference is None else _shortened(item, drawn, play, reference)


def _shortened(
    item: pytest.Item, test: TestOutcome, play: Callable[[], TestOutcome | None], reference: Path
) -> TestOutcome:
    parts = plugin.parts_of(item)
    began = time.monotonic()
    shortest, steps, left = test, plugin.steps_of(item), parts

    def passes() -> bool:
        plugin.put_instead(item.config, reference)
        try:
            right = play()
        finally:
            plugin.put_instead(item.config, None)
        return right is not None and right.verdict is Verdict.PASSED

    def fails(gone: frozenset[str]) -> bool:
        nonlocal shortest, steps, left
        if time.monotonic() - began > MOST_SECONDS:
            return False
        plugin.leave_out(item.config, gone, answers)
        again = play()
        drawn, kept = plugin.steps_of(item), tuple(part for part in plugin.parts_of(item) if part not in gone)
        if again is None or not _alike(test, again) or not passes():
            return False
        shortest, steps, left = again, drawn, kept
        return True

    if not passes():
        return test
    answers = plugin.answered_in(item)
    kinds = _kinds([part for part in parts if _kind(part) != REQUEST or part in answers])
    try:
        gone = shrink.needless(kinds, fails)
    finally:
        plugin.leave_out(item.config, (), {})
    if not gone or test.failure is None or shortest.failure is None:
        return test
    told = shortest.failure
    failure = replace(
        test.failure,
        where=told.where,
        story=told.story,
        broken=told.broken,
        steps=steps,
        shortest=_told(parts, left),
    )
    return replace(test, failure=failure)


def _kinds(parts: Sequence[str]) -> list[list[str]]:
    """What may be left out: whether it is a race is asked first."""
    return [[part for part in parts if _kind(part) == kind] for kind in (SHUFFLE, REQUEST, FAULT)]


def _alike(one: TestOutcome, other: TestOutcome) -> bool:
    return (one.verdict, _code(one.failure), _metric(one)) == (other.verdict, _code(other.failure), _metric(other))


def _code(failure: Failure | None) -> str:
    return failure.code if failure else ""


def _metric(test: TestOutcome) -> str:
    return test.metrics[-1].name if test.metrics else ""


def _told(parts: Sequence[str], left: Sequence[str]) -> str:
    """What is left of the history, in words."""
    whole, kept = Counter(map(_kind, parts)), Counter(map(_kind, left))
    counted = [
        f"the {kind}" if whole[kind] == kept[kind] == 1 else f"{kept[kind] or 'none'} of {whole[kind]} {kind}s"
        for kind in (REQUEST, FAULT)
        if whole[kind]
    ]
    race = (
        "a race: first in, first out, it does not fail" if kept[SHUFFLE] else "no race: first in, first out, it fails"
    )
    if not whole[REQUEST]:
        return ""
    if all(whole[kind] == kept[kind] for kind in (REQUEST, FAULT)):
        return race
    enough = "is enough" if len(counted) == 1 and kept[REQUEST] == 1 else "are enough"
    return f"{' and '.join(counted)} {enough}: the story is theirs; {race}"


def _kind(part: str) -> str:
    return part.partition(" ")[0]
