"""What a learner sees between two runs of `learn watch`. The runs themselves look as those of `learn check`."""

from __future__ import annotations

import time

from grader.curriculum import Group
from grader.outcome import Verdict
from grader.report.ink import Ink, clean
from grader.watch import Saved, Tested

_KEYS = {"h": "hint", "s": "story", "l": "list", "t": "trigger", "a": "all failures", "r": "again", "q": "quit"}


def begun(group: Group, saved: Saved, ink: Ink) -> str:
    """A rule, with what was saved, and when."""
    what = f"saved {', '.join(map(clean, saved.files))}" if saved.files else f"watching {clean(group.folder)}/"
    text = f"{time.strftime('%H:%M:%S')}  {what} "
    rule = ink.symbol("rule")
    return "\n" + ink.dim(f"{rule * 2} {text}"[: ink.width - 1] + rule * max(0, ink.width - len(text) - 4)) + "\n"


def told(tested: Tested, ink: Ink, *, first: bool) -> str:
    """A line for a test that has turned, and for the `first` of a run; empty for one that is as it was."""
    test, before = tested.outcome, tested.before
    green = test.verdict is Verdict.PASSED
    turned = before is not None and green != (before is Verdict.PASSED)
    if not (turned or (first and before is not None)):
        return ""
    word = f"{'now' if turned else 'still'} {'green' if green else 'red'}"
    symbol = ink.good(ink.symbol("ok")) if green else ink.bad(ink.symbol("bad"))
    return f"  {symbol} {word:<11}  {clean(test.title).rstrip('.')}\n"


def keys(ink: Ink) -> str:
    """The keys that do something."""
    return "  " + "   ".join(f"{ink.command(key)} {what}" for key, what in _KEYS.items()) + "\n"
