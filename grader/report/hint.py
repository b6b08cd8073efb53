"""One hint as a screen."""

from __future__ import annotations

import textwrap

from grader.curriculum import Group
from grader.progress import Hint
from grader.report.ink import Ink


def screen(group: Group, hint: Hint, ink: Ink) -> str:
    dots = "".join(ink.symbol("ok" if step < hint.step else "todo") for step in range(hint.steps))
    count = f"hint {hint.step} of {hint.steps}: the {hint.kind}"
    rows = [f"{ink.bold(hint.title)} {ink.dim(f'· group {group.number} ·')} {ink.warn(count)}  {ink.dim(dots)}", ""]
    for paragraph in hint.text.split("\n\n"):
        rows += [*_lines(paragraph, ink.width), ""]
    again = f"learn hint {group.id} {hint.pattern}"
    if hint.step < hint.steps:
        rows.append(f"{ink.dim('Still stuck?')}  {ink.command(again)}")
    elif hint.again:
        rows.append(ink.dim("There is no further hint for this pattern: you have seen all three."))
    else:
        rows.append(ink.dim("That was the last hint for this pattern."))
    rows.append(f"{ink.dim('Try it:')}       {ink.command(f'learn check {group.id}')}")
    return "\n".join(rows) + "\n"


def _lines(paragraph: str, width: int) -> list[str]:
    """Prose is wrapped; lines that are indented are code, and stay."""
    lines = paragraph.splitlines()
    if any(line.startswith("    ") for line in lines):
        return [f"  {line}" for line in lines]
    return textwrap.wrap(" ".join(lines), width - 4, initial_indent="  ", subsequent_indent="  ")
