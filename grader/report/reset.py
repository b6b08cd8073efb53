"""A reset, before and after, in words."""

from __future__ import annotations

from grader.curriculum import Group
from grader.progress import Reset
from grader.report.ink import Ink


def question(group: Group, files: tuple[str, ...], ink: Ink) -> str:
    rows = [f"Back to the start of group {group.number}, {group.title}:", ""]
    rows += [f"  {ink.warn(name)}{'' if name in group.shipped else '  (you added it: it goes)'}" for name in files]
    return "\n".join([*rows, "", "A copy of your work is kept. Go on?"])


def screen(group: Group, name: str | None, done: Reset, kept: str, ink: Ink) -> str:
    """What became of the file `name`, or of the whole group.

    `kept` is the folder with the learner's copies, as one would type it; empty when there are none.
    """
    if not done.restored and not done.removed:
        return f"{ink.good(ink.symbol('ok'))} Nothing to reset: {name or f'group {group.number}'} is as it shipped.\n"
    rows = [f"{ink.good(ink.symbol('ok'))} Reset in group {group.number}:"]
    rows += [f"  {name}  as it shipped" for name in done.restored]
    rows += [f"  {name}  gone: you had added it" for name in done.removed]
    if kept:
        rows.append(f"  Your work is kept in {ink.command(kept)}")
    return "\n".join(rows) + "\n"
