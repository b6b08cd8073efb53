"""A check as a screen: stages, patterns, tests, and the first failures told as incidents.

Needs rich, so the commands import it when there is something to show.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from grader.curriculum import Group
from grader.outcome import UNREADABLE, GroupOutcome, TestOutcome, Verdict
from grader.progress import Recorded, is_green, spoilt
from grader.report.causes import FAILURES, by_cause, first_red, red
from grader.report.ink import Ink, StatusLine, clean
from grader.story import measure
from grader.verify.signature import Mistake

TRACE_LINES = 15

_MARKS = {
    Verdict.PASSED: ("ok", "green", ""),
    Verdict.FAILED: ("bad", "red", "fails"),
    Verdict.TODO: ("todo", "yellow", "to do"),
    Verdict.LEARNER_ERROR: ("bad", "red", "raises"),
    Verdict.LIMIT: ("bad", "red", "over a limit"),
    Verdict.TAMPERED: ("bad", "red", "tampered"),
    Verdict.OURS: ("bad", "magenta", "grader's fault"),
}


def screen(
    group: Group,
    outcome: GroupOutcome,
    recorded: Recorded,
    ink: Ink,
    looks_like: Sequence[Mistake] = (),
    *,
    show_all: bool = False,
) -> str:
    """Up to the first red stage and two failures of it; everything with `show_all`. `looks_like`: known mistakes."""
    console = Console(
        file=StringIO(),
        width=ink.width,
        force_terminal=ink.coloured,
        color_system="standard" if ink.coloured else None,
        highlight=False,
        markup=False,
        emoji=False,
    )
    with console.capture() as captured:
        console.print(_heading(group, outcome))
        console.print()
        tests = red(outcome) if show_all else first_red(outcome)
        _print_stages(console, group, outcome, tests, ink, show_all=show_all)
        causes = by_cause(tests)
        shown = causes if show_all else causes[:FAILURES]
        for same in shown:
            console.print()
            console.rule(style="dim", characters=ink.symbol("rule"))
            _print_failure(console, group, outcome, same, ink)
        console.print()
        if looks_like:
            _print_mistakes(console, looks_like)
            console.print()
        _print_verdict(console, group, outcome, recorded, tests, len(causes) - len(shown), ink)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


class Live:
    """One line that says how far the run is; gone when it ends. Silent where nobody watches."""

    def __init__(self, stream: TextIO, ink: Ink, title: str) -> None:
        self._line = StatusLine(stream, ink)
        self._ink = ink
        self._title = title
        self._counts = {Verdict.PASSED: 0, Verdict.FAILED: 0, Verdict.TODO: 0}

    def __enter__(self) -> Live:
        self._line.draw(f"{self._title}: starting …")
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Make room for a line that stays."""
        self._line.draw("")

    def say(self, text: str) -> None:
        """What goes on instead of a test."""
        self._line.draw(f"{self._title}: {text}")

    def test(self, test: TestOutcome) -> None:
        """Count one more outcome."""
        kind = test.verdict if test.verdict in self._counts else Verdict.FAILED
        self._counts[kind] += 1
        counts = "  ".join(f"{self._ink.symbol(_MARKS[kind][0])} {count}" for kind, count in self._counts.items())
        self._line.draw(f"{self._title}:  {counts}   {clean(test.title)}")


def _heading(group: Group, outcome: GroupOutcome) -> Table:
    row = Table.grid(expand=True)
    row.add_column()
    row.add_column(justify="right", no_wrap=True)
    row.add_row(
        Text(f"Group {group.number} · {group.title}", style="bold"),
        Text(f"seed {outcome.seed} · {outcome.seconds:.1f} s", style="dim"),
    )
    return row


def _print_stages(
    console: Console, group: Group, outcome: GroupOutcome, shown: Sequence[TestOutcome], ink: Ink, *, show_all: bool
) -> None:
    """Print the stages, up to that of the red tests that are shown."""
    last = max((test.stage for test in shown), default=group.stages[-1].number)
    for number, title in [(0, "the service as it was"), *((stage.number, stage.title) for stage in group.stages)]:
        tests = [test for test in outcome.tests if test.stage == number]
        if number == 0 and not tests:
            continue
        name = "sanity" if number == 0 else f"stage {number}"
        if number > last and not show_all:
            console.print(Text(f"  {ink.symbol('dot')} {name:<8} {title}", style="dim"))
            continue
        _print_stage(console, group, f"{name:<8} {title}", tests, ink, show_all=show_all)


def _print_stage(
    console: Console, group: Group, name: str, tests: Sequence[TestOutcome], ink: Ink, *, show_all: bool
) -> None:
    green = is_green(list(tests))
    passed = sum(test.verdict is Verdict.PASSED for test in tests)
    count = f"{passed} of {len(tests)}" if tests else "no test ran"
    console.print(
        _row(2, Verdict.PASSED if green else Verdict.FAILED, Text(name, style="bold"), count, ink, of_stage=True)
    )
    if green and not show_all:
        return
    for pattern in dict.fromkeys(test.patterns[0] if test.patterns else "" for test in tests):
        if pattern:
            title = group.patterns[pattern].title if pattern in group.patterns else pattern
            console.print(Text(f"      {title}", style="italic"))
        for test in tests:
            if (test.patterns[0] if test.patterns else "") == pattern:
                word = _MARKS[test.verdict][2]
                console.print(_row(8 if pattern else 6, test.verdict, Text(_title(test)), word, ink))


def _row(indent: int, verdict: Verdict, text: Text, right: str, ink: Ink, *, of_stage: bool = False) -> Table:
    symbol, colour, _ = _MARKS[verdict]
    row = Table.grid(expand=True, padding=(0, 1, 0, 0))
    row.add_column(width=indent + 1, justify="right", no_wrap=True)
    row.add_column(ratio=1)
    row.add_column(justify="right", no_wrap=True)
    row.add_row(Text(ink.symbol(symbol), style=colour), text, Text(right, style="dim" if of_stage else colour))
    return row


def _print_failure(
    console: Console, group: Group, outcome: GroupOutcome, same: Sequence[TestOutcome], ink: Ink
) -> None:
    test, failure = same[0], same[0].failure
    symbol, colour, word = _MARKS[test.verdict]
    patterns = ", ".join(group.patterns[name].title for name in test.patterns if name in group.patterns)
    title = Text.assemble((f"{ink.symbol(symbol)} {_title(test)}", f"bold {colour}"), (f"  {word}", colour))
    about = Text(f" · {patterns}" if patterns else "", style="dim")
    console.print(title + about if title.cell_len + about.cell_len <= console.width else title)
    if len(same) > 1:
        console.print(Text(f"  and {len(same) - 1} more for the same reason", style="dim"))
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=17, no_wrap=True)
    table.add_column(overflow="fold")
    parts: list[tuple[str, list[str], str]] = []
    if failure:
        parts += [(name, lines, "" if at else "bold") for at, (name, lines) in enumerate(measure.facts(test))]
        parts += [
            ("story", list(failure.story), ""),
            ("printed", list(failure.printed), ""),
        ]
        raised = test.verdict is Verdict.FAILED and failure.code != UNREADABLE  # that would be the suite's
        if raised or test.verdict in (Verdict.LEARNER_ERROR, Verdict.OURS):
            parts.append(("what was raised", _trace(failure.detail), "dim"))
    parts.append(("next", _next(group, outcome, test), "cyan"))
    for label, lines, style in parts:
        for number, line in enumerate(lines):
            table.add_row(Text("" if number else f"  {label}", style="dim"), _hanging(clean(line), style))
    console.print(table)


def _hanging(line: str, style: str) -> Text | Table:
    """The line; what follows a moment ("00:01.2  …") is wrapped beside it, not below."""
    moment, gap, what = line.partition("  ")
    if not gap or not (moment[:1].isdigit() or moment.startswith("…")):
        return Text(line, style=style)
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_column(no_wrap=True)
    row.add_column(overflow="fold")
    row.add_row(Text(moment.ljust(7), style="dim"), Text(what.strip(), style=style))
    return row


def _indented(text: str, style: str) -> Table:
    """The text below the line before it, however often it is folded."""
    row = Table.grid()
    row.add_row("  ", Text(text, style=style))
    return row


def _title(test: TestOutcome) -> str:
    return clean(test.title).rstrip(".")


def _trace(detail: str) -> list[str]:
    """The end of a traceback, without the lines that only underline another."""
    return [line for line in detail.splitlines() if line.strip(" ^~")][-TRACE_LINES:]


def _next(group: Group, outcome: GroupOutcome, test: TestOutcome) -> list[str]:
    if test.failure and test.failure.next:
        return test.failure.next.splitlines()
    hint = [f"learn hint {group.id} {test.patterns[0]}"] if test.patterns else []
    return [*hint, f"learn check {group.id} --seed {outcome.seed}"]


def _print_mistakes(console: Console, looks_like: Sequence[Mistake]) -> None:
    """Known wrong fixes that fail as this one does, and the belief behind them."""
    for number, mistake in enumerate(looks_like):
        start = "It may also be" if number else "This looks like"
        belief = Text.assemble(f"{start} ", (f"“{mistake.name}”", "bold"), f": the belief that {mistake.belief}.")
        console.print(belief)


def _print_verdict(
    console: Console,
    group: Group,
    outcome: GroupOutcome,
    recorded: Recorded,
    red: Sequence[TestOutcome],
    unseen: int,
    ink: Ink,
) -> None:
    def say(symbol: str, style: str, text: str, *commands: tuple[str, str]) -> None:
        console.print(Text(f"{ink.symbol(symbol)} {text}", style=f"bold {style}"))
        for command, purpose in commands:
            console.print(Text.assemble("  ", (f"{command:<30}", "cyan"), "  ", (purpose, "dim")))

    if spoilt(outcome):
        say("bad", "magenta", "The grader itself failed. This is no fault of yours, and nothing was recorded.")
        if outcome.ours:
            console.print(_indented(clean(outcome.ours), ""))
    elif recorded.passed:
        solved = "is solved: the outage is over" if recorded.first_pass else "still holds"
        say("ok", "green", f"Group {group.number} {solved}.")
        for other in recorded.opened:
            console.print(Text(f"  Group {other.number} is open: {other.title}", style="green"))
        ours = "yours beside ours, others' mistakes, the trade-offs"
        for command, purpose in (("learn solution", ours), ("learn next", "to go on")):
            console.print(Text.assemble("  ", (f"{command:<14}", "cyan"), (f"  {purpose}", "dim")))
    elif not red:
        say("bad", "red", "Not there yet: not every stage has a test that ran.")
    else:
        commands = [(f"learn check {group.id} --all", "shows the others, too")] if unseen else []
        commands.append((f"learn check {group.id}", "again: the same seed, until it passes"))
        stages = sorted({test.stage for test in red})
        green = f"Stage {stages[0] - 1} is green. " if stages[0] > 1 else ""
        place = f" of stage {stages[0]}" if stages[0] and len(stages) == 1 else ""
        count = "1 test" if len(red) == 1 else f"{len(red)} tests"
        if all(test.verdict is Verdict.TODO for test in red):
            say("todo", "yellow", f"{green}{count}{place} still to do: write the stub first.", *commands)
        else:
            say(
                "bad", "red", f"{green}Not there yet: {count}{place} {'is' if len(red) == 1 else 'are'} red.", *commands
            )
    if outcome.unconfined:
        console.print(_indented(f"Your service ran outside a sandbox: {clean(outcome.unconfined)}", "dim"))
