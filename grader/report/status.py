"""Where the learner is, as a screen: the groups in order, the current one's stages and patterns, the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.curriculum import Group, Place, Stage, upgrade_of
from grader.outcome import Verdict
from grader.progress import Course
from grader.report.ink import Ink

if TYPE_CHECKING:
    from grader.workspace import Changes

_TITLE = 48  # columns for a group's title


def screen(course: Course, ink: Ink, changes: Changes | None = None) -> str:
    """`changes`: what there is to tell of the curriculum."""
    rows = [_heading(course, ink), ""]
    together = False
    for place in course.places:
        if place.together and not together:
            together = True
            rows += ["", ink.dim("    then, in any order")]
        rows.append(_row(course, place, ink))
    if group := course.current():
        rows += ["", ink.bold(f"Group {group.number} · {group.title}")]
        rows += [row for stage in group.stages for row in _stage(course, group, stage, ink)]
    if changes:
        from grader.report.workspace import changed

        rows += ["", *changed(changes, upgrade_of(course.workspace), ink)]
    return "\n".join([*rows, "", *next_step(course, ink)]) + "\n"


def next_step(course: Course, ink: Ink, *, briefing: bool = True) -> list[str]:
    """The rows that say what to type now; whether to name the briefing among it."""
    step = course.next_step()
    if not step.command:
        solved = [("learn solution", "yours beside ours, others' mistakes")] if course.passed else []
        return [
            ink.good(f"{ink.symbol('ok')} {step.purpose}"),
            *(f"  {ink.command(command)}  {ink.dim(purpose)}" for command, purpose in solved),
        ]
    lines = [(step.command, step.purpose)]
    if briefing:
        lines.append(("learn next", "read the briefing"))
    elif step.command != "learn check":
        lines.append(("learn check", "see whether it still happens"))
    lines.append(("learn hint", "when you are stuck"))
    heads = [ink.bold("Next"), *["    "] * len(lines)]
    return [
        f"{head}   {ink.command(command.ljust(14))} {purpose}"
        for head, (command, purpose) in zip(heads, lines, strict=False)
    ]


def _heading(course: Course, ink: Ink) -> str:
    name, motto = "Brownout", "   learn production patterns by outage"
    done = f"{len(course.passed & course.groups.keys())} of {len(course.places)} groups solved"
    return ink.heading(name) + ink.dim(motto + done.rjust(ink.width - len(name + motto)))


def _row(course: Course, place: Place, ink: Ink) -> str:
    title = place.title if len(place.title) <= _TITLE else place.title[: _TITLE - 1] + "…"
    line = f"{place.number:>2}  {title:<{_TITLE}} "
    group = place.group
    if group is None:
        return ink.dim(f" {ink.symbol('dot')} {line}not written yet")
    if group.id in course.passed:
        return f" {ink.good(ink.symbol('ok'))} {line}{ink.good('solved')}"
    if first := course.waits_for(group):
        number = course.groups[first[0]].number
        return ink.dim(f" {ink.symbol('todo')} {line}locked: needs group {number}")
    stage = course.stage(group)
    where = f"stage {stage.number} of {len(group.stages)}" if stage else "open"
    if group == course.current():
        return f" {ink.warn(ink.symbol('here'))} {ink.bold(line)}{ink.warn(where)}"
    return f" {ink.symbol('todo')} {line}{where}"


def _stage(course: Course, group: Group, stage: Stage, ink: Ink) -> list[str]:
    kept = course.of(group)
    green = stage.number in kept.stages
    mark = ink.good(ink.symbol("ok")) if green else ink.symbol("todo")
    state = ink.good("green") if green else ink.dim(f"about {stage.minutes} min")
    rows = [f"  {mark} stage {stage.number}  {stage.title}  {state}"]
    line, used = "     ", 5
    for name in stage.patterns:
        text, shown = _pattern(group.patterns[name].title, kept.patterns.get(name), ink)
        if used + len(text) + 2 > ink.width and used > 5:
            rows.append(line)
            line, used = "     ", 5
        line += shown + "  "
        used += len(text) + 2
    return [*rows, line.rstrip()]


def _pattern(title: str, verdict: str | None, ink: Ink) -> tuple[str, str]:
    """The text, and the text painted."""
    if verdict == Verdict.PASSED:
        return f"x {title}", f"{ink.good(ink.symbol('ok'))} {title}"
    if verdict is None or verdict == Verdict.TODO:
        return f"x {title}", f"{ink.symbol('todo')} {ink.dim(title)}"
    return f"x {title}", f"{ink.bad(ink.symbol('bad'))} {title}"
