"""A check with a debugger in the service, as a screen: how it begins, and the first red test."""

from __future__ import annotations

from grader.curriculum import Group
from grader.outcome import GroupOutcome
from grader.progress import Recorded, is_green, spoilt
from grader.report.ink import Ink, clean


def begun(group: Group, seed: int, ink: Ink) -> str:
    """Before the first test."""
    lines = [
        ink.bold(f"Group {group.number} · {group.title}") + ink.dim(f" · seed {seed}"),
        "One test after the other, up to the first that is red.",
        "At each breakpoint() you are asked, and virtual time stands still.",
        ink.dim("At (Pdb): where, p NAME, next, continue; Ctrl-D leaves, Ctrl-C ends it all."),
    ]
    return "\n".join(lines) + "\n\n"


def ended(group: Group, outcome: GroupOutcome, ink: Ink, *, show_all: bool) -> str:
    """After the last: in one line, or the screen of what is red."""
    left = next((test.failure for test in outcome.tests if test.failure and test.failure.code == "debugger-quit"), None)
    if left is not None:
        again = ink.command(f"learn check {group.id} --debug")
        return f"{ink.symbol('here')} {clean(left.sees)}. Again: {again}\n"
    if not spoilt(outcome) and is_green(list(outcome.tests)):
        good = ink.good(f"{ink.symbol('ok')} Nothing is red.")
        return f"{good} What counts is a check without a debugger: {ink.command(f'learn check {group.id}')}\n"

    from grader.report.terminal import screen

    nothing = Recorded(passed=False, first_pass=False, opened=())
    return screen(group, outcome, nothing, ink, show_all=show_all)
