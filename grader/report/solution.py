"""What a learner has earned, as a screen: figures before and after, the reference, others' mistakes, trade-offs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from grader.curriculum import Group
from grader.outcome import TriggerOutcome
from grader.report import briefing, trigger
from grader.report.ink import Ink, clean
from grader.verify.solution import OWN, Compared, Lesson, Solution


def screen(group: Group, solution: Solution, outcomes: Sequence[TriggerOutcome], ink: Ink) -> str:
    left, right = f"Group {group.number} · {clean(group.title)}", f"seed {outcomes[0].seed}"
    rows = [ink.bold(left) + " " * max(2, ink.width - len(left) - len(right)) + ink.dim(right)]
    rows += ["", ink.heading("What you changed, in numbers"), *_numbers(outcomes, ink)]
    rows += ["", ink.heading("Yours, and the reference"), *_files(group, solution, ink)]
    if solution.lessons:
        rows += ["", ink.heading("The mistakes that others make"), *_lessons(group, solution.lessons, ink)]
    if solution.notes:
        rows += ["", briefing.render(solution.notes, ink).rstrip()]
    rows += ["", ink.heading("Your own trade-offs"), *_own(group, solution, ink)]
    return "\n".join(rows) + "\n"


def diff_screen(file: Compared, ink: Ink) -> str:
    """One file: what is yours alone, and what is the reference's."""
    if not file.diff:
        return f"{ink.good(ink.symbol('ok'))} {file.name} is the reference's, line by line.\n"
    rows = [f"{ink.bold(file.name)}   {ink.bad('- yours')}   {ink.good('+ the reference')}", ""]
    return "\n".join([*rows, *(_painted(line, ink) for line in file.diff[2:])]) + "\n"


def lesson_screen(lesson: Lesson, ink: Ink) -> str:
    """One mistake: what is believed, what is true, and how it looks in code."""
    rows = [ink.bold(lesson.title), ""]
    for text in (f"The belief: {lesson.belief}.", f"In truth: {lesson.truth}"):
        rows += textwrap.wrap(clean(text), ink.width - 2)
    rows += ["", f"{ink.bad('- the reference')}   {ink.good('+ the mistake')}", ""]
    return "\n".join([*rows, *(_painted(line, ink) for line in lesson.diff)]) + "\n"


def own_screen(file: str, ink: Ink) -> str:
    """Where the learner's own page is."""
    return f"{ink.command(file)}: what you chose, what it costs, and when you would choose otherwise.\n"


def _own(group: Group, solution: Solution, ink: Ink) -> Iterator[str]:
    if solution.own:
        yield briefing.render(solution.own, ink).rstrip()
    else:
        yield "  What did you choose, what does it cost, and when would you choose otherwise?"
        yield f"  {ink.dim('a page for that, if you like:')}  {ink.command(f'learn solution {group.id} {OWN}')}"


def _painted(line: str, ink: Ink) -> str:
    """A line of a diff."""
    paint = {"+": ink.good, "-": ink.bad, "@": ink.dim}.get(line[:1], str)
    return paint(clean(line))


def _numbers(outcomes: Sequence[TriggerOutcome], ink: Ink) -> Iterator[str]:
    for number, outcome in enumerate(outcomes):
        if failure := outcome.yours.failure:
            yield f"  Your service cannot be played with as it is now: {clean(failure.sees)}"
            return
        if len(outcomes) > 1:
            yield from ("",) * (number > 0)
            yield f"  {ink.bold(clean(outcome.title))}"
        yield from trigger.figures(outcome, ink)


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


def _lessons(group: Group, lessons: Sequence[Lesson], ink: Ink) -> Iterator[str]:
    for lesson in lessons:
        first, *rest = textwrap.wrap(f"{clean(lesson.title)}: {clean(lesson.belief)}", ink.width - 4)
        name = clean(lesson.title)
        yield f"  {ink.symbol('bullet')} {ink.bold(first[: len(name)])}{first[len(name) :]}"
        yield from (f"    {row}" for row in rest)
    yield f"  {ink.dim('what is true, and the code:')}  {ink.command(f'learn solution {group.id} {lessons[0].name}')}"
