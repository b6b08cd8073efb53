"""What there is to know of a red test beside its story: the figure that it is about, the damage, where it stands."""

from __future__ import annotations

from grader.outcome import TestOutcome, Verdict


def told(test: TestOutcome) -> str:
    """The last figure and its bound; empty where it is a matter of yes or no, or where no bound failed."""
    if test.verdict is not Verdict.FAILED or not test.metrics:
        return ""
    metric = test.metrics[-1]
    holds = metric.value <= metric.bound if metric.relation == "at_most" else metric.value >= metric.bound
    if holds or metric.bound in (0.0, 1.0):
        return ""
    unit = f" {metric.unit}" if metric.unit else ""
    asked = f"{metric.relation.replace('_', ' ')} {_number(metric.bound)}{unit}"
    return f"{_number(metric.value)}{unit}, where {asked} is agreed"


def facts(test: TestOutcome) -> list[tuple[str, list[str]]]:
    """What is told of a red test before its story: names, and the lines that stand beside them; no empty ones."""
    failure = test.failure
    if failure is None:
        return []
    where = [
        f"{place.file}:{place.line}" + (f" in {place.function}" if place.function else "") for place in failure.where
    ]
    known = [
        ("production sees", failure.sees.splitlines()),
        ("measured", told(test).splitlines()),
        ("damage", list(failure.damage)),
        ("where", where),
        ("first broken", failure.broken.splitlines()),
        ("history", failure.shortest.splitlines()),
    ]
    return [(name, lines) for name, lines in known if lines]


def _number(value: float) -> str:
    if value == int(value):
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.9f}".rstrip("0")
