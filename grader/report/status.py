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


def next_step(course: Course, ink: Ink, read: Group | None = None) -> list[str]:
    """The rows that say what to type now. `read`: the group whose briefing stands above, if there is one."""
    group = read if read and read.id not in course.passed else course.current()
    step = course.next_step(group)
    if not step.command:
        ours = ink.dim("yours beside ours, others' mistakes")
        done = ink.good(f"{ink.symbol('ok')} {step.purpose}")
        return [done, *_to_come(course, ink), f"  {ink.command('learn solution')}  {ours}"]
    assert group
    lines = [(step.command, step.purpose)]
    check = course.typed("learn check", group)
    if group != read:
        lines.append((course.typed("learn next", group), "read the briefing"))
    elif step.command != check:
        lines.append((check, "see whether it still happens"))
    lines.append((course.typed("learn hint", group), "when you are stuck"))
    heads = [ink.bold("Next"), *["    "] * len(lines)]
    width = max(14, *(len(command) + 1 for command, _ in lines))
    return [
        f"{head}   {ink.command(command.ljust(width))} {purpose}"
        for head, (command, purpose) in zip(heads, lines, strict=False)
    ]


def achieved(course: Course, ink: Ink) -> list[str]:
    """The rows that say what is solved: a group each, and the sum."""
    solved = [place.group for place in course.places if place.group and place.id in course.passed]
    rows = []
    for group in solved:
        day = course.of(group).passed_at[:10]
        what = f"{group.number:>2}  {_cut(group.title):<{_TITLE}} {_count(len(group.patterns), 'pattern'):>11}  "
        rows.append(f" {ink.good(ink.symbol('ok'))} {what}{ink.dim(day)}")
    patterns = _count(sum(len(group.patterns) for group in solved), "pattern")
    taken = sum(sum(course.of(group).hints.values()) for group in solved)
    hints = f"with the help of {_count(taken, 'hint')}" if taken else "without a hint"
    return [*rows, "", f"    {_count(len(solved), 'outage')} ended, {patterns} applied, {hints}."]


def _to_come(course: Course, ink: Ink) -> list[str]:
    """The row that names the groups nobody has written yet, when there are some."""
    places = [place for place in course.places if not place.group]
    if not places:
        return []
    numbers = [str(number) for number in sorted(place.number for place in places)]
    named = " and ".join([", ".join(numbers[:-1]), numbers[-1]] if numbers[1:] else numbers)
    groups, are = ("Groups", "are") if numbers[1:] else ("Group", "is")
    together = all(place.together for place in places)
    how = [ink.dim("  They will open together, in any order.")] if numbers[1:] and together else []
    return [ink.dim(f"  {groups} {named} {are} not written yet."), *how]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _cut(title: str) -> str:
    return title if len(title) <= _TITLE else title[: _TITLE - 1] + "…"


def _heading(course: Course, ink: Ink) -> str:
    name, motto = "Brownout", "   learn production patterns by outage"
    done = f"{len(course.passed & course.groups.keys())} of {len(course.places)} groups solved"
    return ink.heading(name) + ink.dim(motto + done.rjust(ink.width - len(name + motto)))


def _row(course: Course, place: Place, ink: Ink) -> str:
    line = f"{place.number:>2}  {_cut(place.title):<{_TITLE}} "
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
