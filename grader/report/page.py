"""Pages that stand alone: the incident (`learn trigger --html`) and the red tests (`learn story --html`).

Light and dark, for any width from 400 pixels on, without a script; what a picture shows also stands there in words.
How a page looks is in `pages/`, how a picture is drawn in `svg.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from grader.curriculum import Group
from grader.outcome import Act, GroupOutcome, TestOutcome, TriggerOutcome
from grader.report import svg
from grader.report.trigger import as_it_ships, number, target, told, verdict
from grader.story import chart, measure


def trigger(group: Group, outcome: TriggerOutcome) -> str:
    """The incident: figures, curves, and the worst request, as the service ships and as the learner has it."""
    acts = [("as it ships", "broken", outcome.broken)] if as_it_ships(outcome) else []
    if outcome.changed or not acts:
        acts.append(("yours", "yours", outcome.yours))
    span = max((len(series.values) for _, _, act in acts for series in act.series), default=0)
    return _rendered(
        "trigger.html",
        title=f"Group {group.number} · {outcome.title}",
        footer=f"learn trigger {group.id} --stage {outcome.stage} --seed {outcome.seed} plays it again.",
        group=group,
        outcome=outcome,
        verdict=verdict(outcome),
        acts=[{"name": name, "kind": kind, "steps": act.steps, "story": act.story} for name, kind, act in acts],
        rows=[_row(at, [act for _, _, act in acts]) for at in range(len(outcome.yours.figures))],
        curves=[_curve(at, acts) for at in range(len(outcome.yours.series))],
        bars=[_bars(at, acts) for at in range(len(outcome.yours.bars))],
        marks=[
            {"percent": f"{100 * at / max(1, span):.1f}", "text": f"{at:g} s, {text}"} for at, text in outcome.marks
        ],
    )


def story(group: Group, outcome: GroupOutcome, causes: Sequence[Sequence[TestOutcome]]) -> str:
    """Red tests, those of one cause together, as incidents: what it cost, when it broke, who called whom."""
    count = sum(map(len, causes))
    return _rendered(
        "story.html",
        title=f"Group {group.number} · {group.title}",
        footer=f"learn story {group.id} --seed {outcome.seed} tells it again.",
        group=group,
        outcome=outcome,
        lead=f"{count} red {'test' if count == 1 else 'tests'}, told as incidents.",
        failures=[_told(same) for same in causes],
    )


def _rendered(name: str, **values: Any) -> str:
    pages = Environment(
        loader=PackageLoader("grader.report", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.globals |= {"picture": svg.picture, "parted": _parted}
    return pages.get_template(name).render(values)


def _row(at: int, acts: Sequence[Act]) -> dict[str, Any]:
    figures = [act.figures[at] for act in acts]
    cells = [{"text": told(figure), "reached": figure.reached} for figure in figures]
    return {"name": figures[0].name, "cells": cells, "target": target(figures[0], "≤", "≥")}


def _curve(at: int, acts: Sequence[tuple[str, str, Act]]) -> dict[str, Any]:
    shown = acts[0][2].series[at]
    alike = [series for _, _, act in acts for series in act.series if series.unit == shown.unit]
    top = chart.round_top(max((value or 0.0 for series in alike for value in series.values), default=0.0))
    paths = [svg.curve(act.series[at].values, top, kind, filled=kind == "broken") for _, kind, act in acts]
    return {
        "name": shown.name,
        "unit": shown.unit,
        "top": f"{top:g}",
        "span": len(shown.values),
        "paths": Markup("".join(paths)),
        "words": "; ".join(f"{name}: {_highest(act.series[at].values, shown.unit)}" for name, _, act in acts),
    }


def _bars(at: int, acts: Sequence[tuple[str, str, Act]]) -> dict[str, Any]:
    shown = acts[0][2].bars[at]
    most = max(sum(counts) for _, _, act in acts for _, counts in act.bars[at].rows) or 1.0
    rows = [
        {
            "label": label,
            "name": name,
            "ends": [
                {"percent": f"{100 * count / most:.2f}", "part": part, "told": f"{number(count)} {shown.parts[part]}"}
                for part, count in enumerate(act.bars[at].rows[turn][1])
                if count
            ],
        }
        for turn, (label, _) in enumerate(shown.rows)
        for name, _, act in acts
    ]
    return {"name": shown.name, "unit": shown.unit, "parts": shown.parts, "rows": rows, "many": len(acts) > 1}


def _highest(values: Sequence[float | None], unit: str) -> str:
    """A curve in words."""
    measured = [(value, at) for at, value in enumerate(values) if value is not None]
    if not measured:
        return "nothing was measured"
    highest, when = max(measured, key=lambda each: (each[0], -each[1]))
    return f"{number(highest)} {unit} at most, at {when} s"


def _told(same: Sequence[TestOutcome]) -> dict[str, Any]:
    test, failure = same[0], same[0].failure
    assert failure is not None
    return {
        "title": test.title.rstrip("."),
        "others": len(same) - 1,
        "facts": measure.facts(test),
        "steps": failure.steps,
        "story": failure.story,
    }


def _parted(line: str) -> tuple[str, str]:
    """A line of a story: its moment, and what happened then."""
    moment, gap, text = line.partition("  ")
    return (moment, text.strip()) if gap else ("", line)
