"""A red test as a screen of its own: what it cost, when it broke, and a drawing of who called whom."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from grader.curriculum import Group
from grader.outcome import GroupOutcome, TestOutcome
from grader.report.causes import named, red
from grader.report.ink import Ink, clean
from grader.story import measure, sequence

LABEL = 17


def screen(
    group: Group, outcome: GroupOutcome, causes: Sequence[Sequence[TestOutcome]], page: Path | None, ink: Ink
) -> str:
    """The first of the causes as a screen, and where the page with all of them is."""
    if outcome.ours:
        return f"{ink.bad(ink.symbol('bad'))} The grader itself failed: {clean(outcome.ours)}\n"
    if not causes:
        count = len(red(outcome))
        others = "1 other is" if count == 1 else f"{count} others are"
        more = f" {others} red: {ink.command(f'learn story {group.id}')}" if count else ""
        return f"{ink.good(ink.symbol('ok'))} Green with seed {outcome.seed}: there is nothing to tell.{more}\n"
    left, right = f"Group {group.number} · {clean(group.title)}", f"seed {outcome.seed}"
    rows = [ink.bold(left) + " " * max(2, ink.width - len(left) - len(right)) + ink.dim(right), ""]
    rows += _told(causes[0], ink)
    commands = [(f"learn hint {group.id}", "one step of help")]
    if page is not None:
        rows += [f"All of this as a page: {ink.command(page.as_uri())}"]
    else:
        commands.append((f"learn story {group.id} --html", "all of the stage as a page, drawn"))
    if len(causes) > 1:
        commands.append((f"learn story {group.id} {shlex.quote(named(causes[1][0]))}", "the next one"))
    wide = max(len(command) for command, _ in commands[:2])
    return "\n".join([*rows, *(f"  {ink.command(c.ljust(wide))}  {ink.dim(what)}" for c, what in commands)]) + "\n"


def _told(same: Sequence[TestOutcome], ink: Ink) -> Iterator[str]:
    test, failure = same[0], same[0].failure
    assert failure is not None
    for line in textwrap.wrap(f"{ink.symbol('bad')} {clean(test.title).rstrip('.')}", ink.width):
        yield ink.bad(ink.bold(line))
    if len(same) > 1:
        yield f"  and {len(same) - 1} more for the same reason"
    for name, lines in measure.facts(test):
        label = f"  {name}"
        for line in lines:
            for part in textwrap.wrap(clean(line), ink.width - LABEL - 2) or [""]:
                yield f"{ink.dim(label.ljust(LABEL + 2))}{part}"
                label = ""
    if drawn := sequence.drawing(failure.steps, ink.width - 2, unicode=ink.unicode):
        yield ""
        yield f"  {ink.bold(drawn[0])}"
        for step, line in zip(failure.steps, drawn[1:], strict=True):
            paint = ink.bad if step.kind in ("still", "failed") else str
            yield f"  {ink.dim(line[: sequence.MOMENT])}{paint(line[sequence.MOMENT :])}"
    elif failure.story:
        yield ""
        for line in failure.story:
            behind = " " * (2 + line.find("  ") + 2)  # a moment, and what happened then
            yield from textwrap.wrap(f"  {clean(line)}", ink.width, subsequent_indent=behind)
    yield ""
