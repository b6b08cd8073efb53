"""A replayed incident as a picture for a terminal: what happened, curves, and figures before and after."""

from __future__ import annotations

import textwrap

from grader.curriculum import Group
from grader.outcome import Figure, TriggerOutcome
from grader.report.ink import Ink, clean
from grader.story import chart

NAME = 11  # columns for a chart's name
EDGE = 2 + NAME + 1 + 3 + 1  # what stands left of a chart: its name and its scale
ROWS = 4


def screen(group: Group, outcome: TriggerOutcome, ink: Ink) -> str:
    """The whole picture, at most `ink.width` columns wide."""
    lines = [_heading(group, outcome, ink), ""]
    lines += [f"  {line}" for line in textwrap.wrap(outcome.text, ink.width - 4)]
    failure = outcome.yours.failure
    if failure is not None:
        lines += ["", ink.bad(f"{ink.symbol('bad')} Your service cannot be played with: {clean(failure.sees)}")]
        lines += [f"  where  {place.file}:{place.line}" for place in failure.where]
        lines += ["", f"  {ink.command(f'learn check {group.id}')}  says more"]
        return "\n".join(lines) + "\n"
    for number in range(len(outcome.yours.series)):
        lines += ["", *_curve(outcome, number, ink)]
    lines += ["", *figures(outcome, ink), ""]
    return "\n".join([*lines, *_next(outcome, ink)]) + "\n"


def _heading(group: Group, outcome: TriggerOutcome, ink: Ink) -> str:
    left, right = (
        f"Group {group.number}, {_stages(group, outcome)} · {outcome.title}",
        f"seed {outcome.seed} · {outcome.seconds:.1f} s",
    )
    gap = " " * max(2, ink.width - len(left) - len(right))
    return ink.bold(left) + gap + ink.dim(right)


def _stages(group: Group, outcome: TriggerOutcome) -> str:
    """Those whose incident it is: its own, and the ones behind it that have none."""
    behind = min((stage for stage in outcome.incidents if stage > outcome.stage), default=group.stages[-1].number + 1)
    return f"stage {outcome.stage}" if behind == outcome.stage + 1 else f"stages {outcome.stage} to {behind - 1}"


def _curve(outcome: TriggerOutcome, number: int, ink: Ink) -> list[str]:
    """One series: the service as it ships, and, if it differs, the learner's. All series of its unit have one scale."""
    shown = outcome.yours.series[number]
    acts = [("as it ships", outcome.broken, ink.bad)] if _as_it_ships(outcome) else []
    if outcome.changed:
        acts.append(("yours", outcome.yours, ink.good))
    alike = [series for _, act, _ in acts for series in act.series if series.unit == shown.unit]
    highest = max((value or 0.0 for series in alike for value in series.values), default=0.0)
    top, width = chart.round_top(highest), ink.width - EDGE - 2
    bar = ink.symbol("bar")
    lines = [f"  {ink.bold(f'{shown.name}, {shown.unit}')}"]
    for name, act, paint in acts:
        heights = chart.columns(act.series[number].values, width)
        rows = chart.area(heights, top, ROWS, unicode=ink.unicode)
        for at, row in enumerate(rows):
            label = name if at == ROWS - 1 else ""
            edge = f"{top:g}" if at == 0 else "0" if at == ROWS - 1 else ""
            lines.append(f"  {label:<{NAME}} {edge:>3}{bar}{paint(row.rstrip())}")
    below = chart.axis(len(shown.values), width, outcome.marks, unicode=ink.unicode)
    lines += [" " * EDGE + ink.dim(line) for line in below]
    return lines


def _as_it_ships(outcome: TriggerOutcome) -> bool:
    """Whether there is a shipped service to show: its files may have been edited before a copy was taken."""
    return outcome.broken.failure is None


def figures(outcome: TriggerOutcome, ink: Ink) -> list[str]:
    """The incident's figures as a table: as it ships, yours if it differs, and the target."""
    titles = ("as it ships" if _as_it_ships(outcome) else "", "yours" if outcome.changed else "", "target")
    wide = ink.width - 4 - 3 * 13
    lines = [ink.dim("  " + "".ljust(wide) + "".join(f"{title:>13}" for title in titles))]
    for number, yours in enumerate(outcome.yours.figures):
        line = f"  {yours.name[:wide]:<{wide}}"
        line += _shown(outcome.broken.figures[number], ink) if _as_it_ships(outcome) else " " * 13
        line += _shown(yours, ink) if outcome.changed else " " * 13
        sign = ("≤" if ink.unicode else "<=") if yours.relation == "at_most" else ("≥" if ink.unicode else ">=")
        lines.append(line + ink.dim(f"{f'{sign} {_number(yours.target)} {yours.unit}'.rstrip():>13}"))
    return lines


def _shown(figure: Figure, ink: Ink) -> str:
    text = "never" if figure.value is None else f"{_number(figure.value)} {figure.unit}".rstrip()
    mark = ink.symbol("ok") if figure.reached else ink.symbol("bad")
    paint = ink.good if figure.reached else ink.bad
    return paint(f"{text + ' ' + mark:>13}")


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.2f}" if value < 1 else f"{value:.1f}"


def _next(outcome: TriggerOutcome, ink: Ink) -> list[str]:
    again = "learn trigger" if len(outcome.incidents) == 1 else f"learn trigger --stage {outcome.stage}"
    if outcome.varied:
        rest = [(again, "the incident as it was"), ("learn check", "the tests that judge it")]
        first = ink.bold("A variation: your service is not judged by it.")
    elif all(figure.reached for figure in outcome.yours.figures):
        rest = [("learn check", "other seeds, other faults")]
        first = ink.good(f"{ink.symbol('ok')} Your service comes through.")
    elif outcome.changed:
        rest = [("learn check", "which test is still red, and why"), ("learn hint", "one step of help")]
        first = ink.bad(f"{ink.symbol('bad')} Your service does not come through yet.")
    else:
        first = ink.bad(f"{ink.symbol('bad')} This is the service as it ships. The rest is yours.")
        rest = [("learn next", "the briefing: what to build"), ("learn check", "the tests that judge it")]
    name, *others = outcome.settings
    rest.append((f"{again} --set {name}={outcome.settings[name] * 2:g}", f"also {', '.join(others)}"))
    rest += [(f"learn trigger --stage {n}", title) for n, title in outcome.incidents.items() if n != outcome.stage]
    width = max(len(command) for command, _ in rest)
    return [first, *(f"  {ink.command(command.ljust(width))}  {ink.dim(purpose)}" for command, purpose in rest)]
