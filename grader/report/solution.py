"""What a learner has earned, as a screen: figures before and after, the reference, others' mistakes, trade-offs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from grader.curriculum import Group
from grader.outcome import TriggerOutcome
from grader.report import briefing, trigger
from grader.report.ink import Ink, clean
from grader.verify.solution import Compared, Lesson, Solution


def screen(group: Group, solution: Solution, outcome: TriggerOutcome, ink: Ink) -> str:
    left, right = f"Group {group.number} · {clean(group.title)}", f"seed {outcome.seed}"
    rows = [ink.bold(left) + " " * max(2, ink.width - len(left) - len(right)) + ink.dim(right)]
    rows += ["", ink.heading("What you changed, in numbers"), *_numbers(outcome, ink)]
    rows += ["", ink.heading("Yours, and the reference"), *_files(group, solution, ink)]
    if solution.lessons:
        rows += ["", ink.heading("The mistakes that others make"), *_lessons(solution.lessons, ink)]
    if solution.notes:
        rows += ["", briefing.render(solution.notes, ink).rstrip()]
    return "\n".join(rows) + "\n"


def diff_screen(file: Compared, ink: Ink) -> str:
    """One file: what is yours alone, and what is the reference's."""
    if not file.diff:
        return f"{ink.good(ink.symbol('ok'))} {file.name} is the reference's, line by line.\n"
    rows = [f"{ink.bold(file.name)}   {ink.bad('- yours')}   {ink.good('+ the reference')}", ""]
    for line in file.diff[2:]:
        paint = {"+": ink.good, "-": ink.bad, "@": ink.dim}.get(line[:1], str)
        rows.append(paint(clean(line)))
    return "\n".join(rows) + "\n"


def _numbers(outcome: TriggerOutcome, ink: Ink) -> list[str]:
    failure = outcome.yours.failure
    if failure is not None:
        return [f"  Your service cannot be played with as it is now: {clean(failure.sees)}"]
    return trigger.figures(outcome, ink)


def _files(group: Group, solution: Solution, ink: Ink) -> Iterator[str]:
    yield f"  {ink.command(solution.reference + '/')}"
    width = max((len(file.name) for file in solution.files), default=0)
    for file in solution.files:
        if file.diff:
            counts = f"{ink.good(f'+{file.added:<4}')} {ink.bad(f'-{file.removed}')}"
            yield f"    {clean(file.name):<{width}}  {counts}"
        else:
            yield f"    {clean(file.name):<{width}}  {ink.dim('the same')}"
    changed = next((file.name for file in solution.files if file.diff), None)
    if changed:
        yield f"  {ink.dim('line by line:')}  {ink.command(f'learn solution {group.id} {changed}')}"
    if solution.designs:
        yield "  Right as well, and different in kind:"
        yield from (f"    {ink.command(folder + '/')}" for folder in solution.designs)


def _lessons(lessons: Sequence[Lesson], ink: Ink) -> Iterator[str]:
    for lesson in lessons:
        yield f"  {ink.symbol('bullet')} {ink.bold(clean(lesson.name))}"
        for text in (f"The belief: {lesson.belief}.", f"In truth, {lesson.truth}"):
            yield from textwrap.wrap(clean(text), ink.width - 4, initial_indent="    ", subsequent_indent="    ")
