"""What was measured, beside what is asked for: the figure that a failing test is about, in one line."""

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


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.3g}"
