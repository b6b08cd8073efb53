"""`learn solution`: what a group that has passed has to show: figures, the reference, others' mistakes, trade-offs."""

from __future__ import annotations

import sys

from grader import workspace
from grader.cli import desk
from grader.cli.ending import Exit


def command(group: str | None = None, part: str | None = None, *, as_json: bool = False) -> int:
    course = desk.course()
    chosen = course.solved(group)

    from grader.report.ink import ink
    from grader.verify.solution import OWN, Compared, begin_own, compare

    found = compare(chosen, course.source)
    workspace.lay_solution(course, chosen)
    paint = ink(sys.stdout)
    if part == OWN:
        file = desk.from_here(course, begin_own(chosen))
        if not as_json:
            from grader.report.solution import own_screen

            return desk.finish(course, own_screen(file, paint))
        found = compare(chosen, course.source)
    elif part is not None:
        shown = found.part(part, f"learn solution {chosen.id}")
        if not as_json:
            from grader.report.solution import diff_screen, lesson_screen

            text = diff_screen(shown, paint) if isinstance(shown, Compared) else lesson_screen(shown, paint)
            return desk.finish(course, text)
    from grader.story.trigger import play_all

    with course.store.as_shipped(chosen) as pristine:
        outcomes = play_all(chosen, root=chosen.path, pristine=pristine, seed=course.seed(chosen))
    if as_json:
        from grader.report import machine

        result = machine.SolutionResult(group=chosen.id, outcomes=outcomes, solution=found)
        return desk.finish_json(course, machine.SolutionAnswer(exit=Exit.PASSED, result=result))
    from grader.report.solution import screen

    return desk.finish(course, screen(chosen, found, outcomes, paint))
