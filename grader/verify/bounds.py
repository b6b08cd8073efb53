"""How far every variant lies from every bound that a test states, over all seeds it was run with.

Between the worst figure of a right design and the best one of a wrong fix lies the bound, and it needs room on both
sides: figures vary from seed to seed. Room is a share of the bound (of one unit, where the bound is 0).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from grader.outcome import GroupOutcome, Metric, Verdict

ROOM = 0.10
"""So much of the bound is room enough …"""

SPREAD = 0.25
"""… and so is this share of what the figure varies by over the seeds."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """The figure of a kind of variants that lies nearest to the bound."""

    value: float
    bound: float  # on that seed: a bound may depend on what is drawn
    room: float
    variant: str
    seed: int
    spread: float  # what this variant's room varies by over the seeds


@dataclass(frozen=True, slots=True)
class Distance:
    """One bound of one test. `wrong` is None when no wrong fix breaks it."""

    test: str
    metric: str
    relation: str
    unit: str
    code: str
    right: Nearest | None
    wrong: Nearest | None
    broken: tuple[float, float] | None  # what the shipped service reaches, where it fails by this bound
    exact: bool  # every right design meets the bound exactly: a count, an invariant

    @property
    def cramped(self) -> str:
        """What is wrong with the bound; empty when it has room on both sides."""
        if self.right and not self.exact and not _roomy(self.right):
            return f"a right design comes too near: {_told(self.right)}"
        if self.wrong and not _roomy(self.wrong):
            return f"a wrong fix comes too near: {_told(self.wrong)}"
        return ""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Every bound of a group, with the right and the wrong figures nearest to it."""

    group: str
    seeds: tuple[int, ...]
    distances: tuple[Distance, ...]
    seconds: float


def measure(
    outcomes: Iterable[tuple[str, GroupOutcome]], right: Collection[str], broken: str | None = None
) -> tuple[Distance, ...]:
    """The distances of all runs, `(variant, outcome)`, from all bounds that any of them met.

    The variants in `right` are right designs, `broken` is the shipped service, and all others are wrong fixes.
    """
    rights: dict[tuple[str, str], list[tuple[Metric, str, int]]] = defaultdict(list)
    wrongs: dict[tuple[str, str], list[tuple[Metric, str, int]]] = defaultdict(list)
    shipped: dict[tuple[str, str], list[float]] = defaultdict(list)
    stated: dict[tuple[str, str], Metric] = {}
    for variant, outcome in outcomes:
        for test in outcome.tests:
            for metric in test.metrics:
                key = test.id, metric.name
                stated.setdefault(key, metric)
                if variant in right:
                    rights[key].append((metric, variant, outcome.seed))
                elif slack(metric) < 0 and test.verdict is Verdict.FAILED:
                    if variant == broken:
                        shipped[key].append(metric.value)
                    else:
                        wrongs[key].append((metric, variant, outcome.seed))
    found = []
    tests = list(dict.fromkeys(test for test, _ in stated))
    for key, metric in sorted(stated.items(), key=lambda item: tests.index(item[0][0])):
        band = (min(shipped[key]), max(shipped[key])) if key in shipped else None
        exact = bool(rights[key]) and all(slack(one) == 0 for one, _, _ in rights[key])
        ends = _nearest(rights[key]), _nearest(wrongs[key])
        found.append(Distance(*key, metric.relation, metric.unit, metric.code, *ends, band, exact))
    return tuple(found)


def slack(metric: Metric) -> float:
    """How far the figure may still go, as a share of the bound; below 0, how far it has gone too far."""
    left = metric.bound - metric.value if metric.relation == "at_most" else metric.value - metric.bound
    return left / (abs(metric.bound) or 1.0)


def _nearest(figures: list[tuple[Metric, str, int]]) -> Nearest | None:
    if not figures:
        return None
    metric, variant, seed = min(figures, key=lambda figure: abs(slack(figure[0])))
    own = [slack(one) for one, name, _ in figures if name == variant]
    return Nearest(metric.value, metric.bound, abs(slack(metric)), variant, seed, max(own) - min(own))


def _roomy(nearest: Nearest) -> bool:
    return nearest.room > 0 and (nearest.room >= ROOM or nearest.room >= SPREAD * nearest.spread)


def _told(nearest: Nearest) -> str:
    return f"{nearest.variant} has {nearest.value:g} on seed {nearest.seed}, and the bound is {nearest.bound:g}"
