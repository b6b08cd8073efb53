"""A replayed incident as a picture for a terminal: what happened, curves, and figures before and after."""

from __future__ import annotations

import textwrap
from pathlib import Path

from grader.curriculum import Group
from grader.outcome import Figure, TriggerOutcome
from grader.report.ink import Ink, clean
from grader.story import chart

NAME = 11  # columns for a chart's name
EDGE = 2 + NAME + 1 + 3 + 1  # what stands left of a chart: its name and its scale
COLUMN = 13  # of figures: as wide, unless a figure is wider
ROWS = 4


def screen(group: Group, outcome: TriggerOutcome, ink: Ink, page: Path | None = None) -> str:
    """The whole picture, at most `ink.width` columns wide, and where it is as a page."""
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
    for number in range(len(outcome.yours.bars)):
        lines += ["", *_bars(outcome, number, ink)]
    lines += ["", *figures(outcome, ink), ""]
    shown = [f"As a page: {ink.command(page.as_uri())}"] if page else []
    return "\n".join([*lines, *_next(group, outcome, ink), *shown]) + "\n"


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
    acts = [("as it ships", outcome.broken, ink.bad)] if as_it_ships(outcome) else []
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


def _bars(outcome: TriggerOutcome, number: int, ink: Ink) -> list[str]:
    """A bar for each row: of the service as it ships, and, if it differs, of the learner's."""
    acts = [("as it ships", outcome.broken)] if as_it_ships(outcome) else []
    if outcome.changed:
        acts.append(("yours", outcome.yours))
    shown = outcome.yours.bars[number]
    last = len(shown.parts) - 1
    fills = [*("█▓▒" if ink.unicode else "#=-")[:last], "░" if ink.unicode else "."]
    paints = [ink.good, *[ink.bad] * (last - 1), ink.dim]
    parts = [paint(fills[at]) + f" {part}" for at, (part, paint) in enumerate(zip(shown.parts, paints, strict=True))]
    wide = max(len(label) for label, _ in shown.rows)
    most = max(sum(counts) for _, act in acts for _, counts in act.bars[number].rows) or 1.0
    width = ink.width - 4 - wide - 2 - NAME - 1
    lines = [f"  {ink.bold(f'{shown.name}, {shown.unit}')}   {'   '.join(parts)}"]
    for at, (label, _) in enumerate(shown.rows):
        for turn, (name, act) in enumerate(acts):
            lengths = chart.lengths(act.bars[number].rows[at][1], most, width)
            bar = [paint(fills[n] * length) for n, (length, paint) in enumerate(zip(lengths, paints, strict=True))]
            lines.append(f"  {'' if turn else label:<{wide}}  {name if len(acts) > 1 else '':<{NAME}} {''.join(bar)}")
    return lines


def as_it_ships(outcome: TriggerOutcome) -> bool:
    """Whether there is a shipped service to show: its files may have been edited before a copy was taken."""
    return outcome.broken.failure is None


def figures(outcome: TriggerOutcome, ink: Ink) -> list[str]:
    """The incident's figures as a table: as it ships, yours if it differs, and the target."""
    yours = outcome.yours.figures
    signs = ("≤", "≥") if ink.unicode else ("<=", ">=")
    columns = [
        ("as it ships", outcome.broken.figures if as_it_ships(outcome) else None),
        ("yours", yours if outcome.changed else None),
    ]
    cells = [[f"{told(figure)} {_mark(figure, ink)}" for figure in found or ()] for _, found in columns]
    asked = [target(figure, *signs) for figure in yours]
    across = max([COLUMN, *(len(cell) + 1 for cell in (*cells[0], *cells[1], *asked))])  # two columns never touch
    wide = ink.width - 3 * across - (4 if across == COLUMN else 2)
    titles = [title if found is not None else "" for title, found in columns]
    lines = [ink.dim("  " + "".ljust(wide) + "".join(f"{title:>{across}}" for title in (*titles, "target")))]
    for at, figure in enumerate(yours):
        line = f"  {figure.name[:wide]:<{wide}}"
        for (_, found), column in zip(columns, cells, strict=True):
            paint = (ink.good if found[at].reached else ink.bad) if found is not None else str
            line += paint(f"{column[at] if found is not None else '':>{across}}")
        lines.append(line + ink.dim(f"{asked[at]:>{across}}"))
    return lines


def target(figure: Figure, at_most: str, at_least: str) -> str:
    """What is asked of a figure, with these signs. At most 0 is 0: there is no less."""
    sign = at_most if figure.relation == "at_most" else at_least
    wanted = f"{number(figure.target)} {figure.unit}".rstrip()
    return wanted if figure.relation == "at_most" and figure.target == 0 else f"{sign} {wanted}"


def told(figure: Figure) -> str:
    """A figure with its unit."""
    return "never" if figure.value is None else f"{number(figure.value)} {figure.unit}".rstrip()


def _mark(figure: Figure, ink: Ink) -> str:
    return ink.symbol("ok" if figure.reached else "bad")


def number(value: float) -> str:
    """A figure for people."""
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.2f}" if value < 1 else f"{value:.1f}"


def verdict(outcome: TriggerOutcome) -> str:
    """What the figures come to, in a sentence."""
    if outcome.varied:
        return "A variation: your service is not judged by it."
    if _comes_through(outcome):
        return "Your service comes through."
    if outcome.changed:
        return "Your service does not come through yet."
    return "This is the service as it ships. The rest is yours."


def _comes_through(outcome: TriggerOutcome) -> bool:
    return all(figure.reached for figure in outcome.yours.figures)


def _next(group: Group, outcome: TriggerOutcome, ink: Ink) -> list[str]:
    trigger, check = f"learn trigger {group.id}", f"learn check {group.id}"
    again = trigger if len(outcome.incidents) == 1 else f"{trigger} --stage {outcome.stage}"
    first = verdict(outcome)
    if outcome.varied:
        rest = [(again, "the incident as it was"), (check, "the tests that judge it")]
        first = ink.bold(first)
    elif _comes_through(outcome):
        rest = [(check, "other seeds, other faults")]
        first = ink.good(f"{ink.symbol('ok')} {first}")
    elif outcome.changed:
        rest = [(check, "which test is still red, and why"), (f"learn hint {group.id}", "one step of help")]
        first = ink.bad(f"{ink.symbol('bad')} {first}")
    else:
        first = ink.bad(f"{ink.symbol('bad')} {first}")
        rest = [(f"learn next {group.id}", "the briefing: what to build"), (check, "the tests that judge it")]
    name, *others = outcome.settings
    rest.append((f"{again} --set {name}={outcome.settings[name] * 2:g}", f"also {', '.join(others)}"))
    rest += [(f"{trigger} --stage {n}", title) for n, title in outcome.incidents.items() if n != outcome.stage]
    width = max(len(command) for command, _ in rest)
    rows = [first]
    for command, purpose in rest:
        left, *below = textwrap.wrap(purpose, max(20, ink.width - width - 4))
        rows.append(f"  {ink.command(command.ljust(width))}  {ink.dim(left)}")
        rows += [f"  {' ' * width}  {ink.dim(row)}" for row in below]
    return rows
