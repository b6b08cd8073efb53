"""What an author is shown: the proofs of a group with their figures, and the distances from its bounds."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator
from typing import TextIO

from grader.curriculum import Group
from grader.report.ink import Ink, StatusLine, clean
from grader.verify.bounds import Calibration, Distance, Nearest
from grader.verify.handed_in import name_of
from grader.verify.proof import GroupProof, Proof

FINDINGS = 8  # of one row
_NAME = 28  # columns for the name of a row


class Progress:
    """One line that says how many steps are done; gone when it ends. Silent where nobody watches."""

    def __init__(self, stream: TextIO, ink: Ink, title: str) -> None:
        self._line = StatusLine(stream, ink)
        self._title = title
        self._began = time.monotonic()

    def __enter__(self) -> Progress:
        self._line.draw(f"{self._title}: starting …")
        return self

    def __exit__(self, *_: object) -> None:
        self._line.draw("")

    def step(self, done: int, steps: int) -> None:
        """So many of the steps are done."""
        spent = time.monotonic() - self._began
        left = f", about {spent / done * (steps - done):.0f} s to go" if done >= min(10, steps) else ""
        rest = left if done < steps else ", timing the suite"
        self._line.draw(f"{self._title}: {done} of {steps} runs{rest}")


def screen(group: Group, proved: GroupProof, ink: Ink) -> str:
    """The eight rows, what is wrong below each, and the verdict."""
    seeds = f"seed {proved.seeds[0]}" if len(proved.seeds) == 1 else f"seeds {proved.seeds[0]} to {proved.seeds[-1]}"
    rows = [_heading(group, f"{'quick · ' if proved.quick else ''}{seeds} · {_time(proved.seconds)}", ink), ""]
    for one in proved.proofs:
        rows += _row(one, ink)
    rows.append("")
    if proved.sound:
        rest = " as far as the quick proof goes" if proved.quick else ""
        rows.append(ink.good(f"{ink.symbol('ok')} Group {group.number} is sound{rest}."))
    else:
        wrong = [str(one.number) for one in proved.proofs if one.passed is False]
        rows.append(ink.bad(f"{ink.symbol('bad')} Group {group.number} is not proved: see {', '.join(wrong)}."))
    rows += [f"  {clean(note)}" for note in proved.notes]
    return "\n".join(rows) + "\n"


def bounds_screen(group: Group, measured: Calibration, ink: Ink) -> str:
    """Every bound of every test, the right and the wrong figures nearest to it, and what the service ships with."""
    seeds = f"seeds {measured.seeds[0]} to {measured.seeds[-1]}"
    rows = [_heading(group, f"{seeds} · {_time(measured.seconds)}", ink)]
    test = ""
    for one in measured.distances:
        if one.test != test:
            test = one.test
            rows += ["", ink.bold(clean(name_of(test)))]
        rows += _distance(one, ink)
    cramped = sum(bool(one.cramped) for one in measured.distances)
    rows.append("")
    if cramped:
        rows.append(ink.bad(f"{ink.symbol('bad')} {cramped} of {len(measured.distances)} bounds lack room."))
    else:
        rows.append(ink.good(f"{ink.symbol('ok')} All {len(measured.distances)} bounds have room on both sides."))
    return "\n".join(rows) + "\n"


def begun(group: Group, ink: Ink) -> str:
    """A group that was just begun, and what comes next."""
    steps = (
        ("learn trigger", "the incident that it begins with: replace it by yours"),
        ("make pins", "after every edit of what ships"),
        (f"learn verify {group.id}", "what it still lacks"),
    )
    rows = [f"{ink.good(ink.symbol('ok'))} Group {group.number} is begun: one of its tests is red."]
    rows += [f"  {ink.command(f'{parent}/{group.folder}/')}" for parent in ("groups", "solutions")]
    rows += ["", *(f"  {ink.command(command.ljust(22))}  {ink.dim(purpose)}" for command, purpose in steps)]
    return "\n".join(rows) + "\n"


def _heading(group: Group, right: str, ink: Ink) -> str:
    left = f"Group {group.number} · {clean(group.title)}"
    return ink.bold(left) + " " * max(2, ink.width - len(left) - len(right)) + ink.dim(right)


def _row(proof: Proof, ink: Ink) -> Iterator[str]:
    mark = {True: ink.good(ink.symbol("ok")), False: ink.bad(ink.symbol("bad")), None: ink.dim(ink.symbol("dot"))}
    figures = " · ".join(_figure(name, value) for name, value in proof.figures.items())
    shown = figures if proof.passed is not None else "not part of the quick proof"
    yield f"  {mark[proof.passed]} {proof.number}  {proof.name:<{_NAME}}  {ink.dim(shown)}"
    for finding in proof.findings[:FINDINGS]:
        lines = textwrap.wrap(clean(finding), ink.width - 10) or [""]
        yield from (f"        {line}" if at else f"      - {line}" for at, line in enumerate(lines))
    if (more := len(proof.findings) - FINDINGS) > 0:
        yield ink.dim(f"      … and {more} more: learn verify --json")


def _distance(one: Distance, ink: Ink) -> Iterator[str]:
    bad = bool(one.cramped)
    sign = {"at_most": "≤" if ink.unicode else "<=", "at_least": "≥" if ink.unicode else ">="}[one.relation]
    nearest = one.right or one.wrong
    bound = f"{sign} {_number(nearest.bound) if nearest else '?'} {one.unit}".rstrip()
    mark = ink.bad(ink.symbol("bad")) if bad else ink.good(ink.symbol("ok"))
    yield f"  {mark} {one.metric:<18} {bound:<14} {ink.dim(one.code)}"
    yield f"      right  {_nearest(one.right, exact=one.exact)}"
    yield f"      wrong  {_nearest(one.wrong)}"
    if one.broken:
        low, high = map(_number, one.broken)
        yield f"      ships  {low}" + (f" to {high}" if high != low else "")


def _nearest(nearest: Nearest | None, *, exact: bool = False) -> str:
    if nearest is None:
        return "none reaches it"
    share = f"{100 * nearest.room:.1f} % of" if nearest.room < 10 else f"{nearest.room:,.0f} times"
    room = "at the bound, as all" if exact else f"{share} the bound away"
    return f"{_number(nearest.value):>8}  {room}  {nearest.variant}, seed {nearest.seed}"


def _figure(name: str, value: float) -> str:
    one = value == 1 and name.endswith("s") and " " not in name and len(name) > 1
    return f"{_number(value)} {name.removesuffix('s') if one else name}"


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.3g}"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
