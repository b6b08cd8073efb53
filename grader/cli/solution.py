"""`learn solution`: what a group that has passed has to show: figures, the reference, others' mistakes, trade-offs."""

from __future__ import annotations

import sys

from grader.cli import desk
from grader.cli.ending import Exit


def command(group: str | None = None, file: str | None = None, *, as_json: bool = False) -> int:
    course = desk.course()
    chosen = course.solved(group)

    from grader.report.ink import ink
    from grader.verify.solution import compare

    found = compare(chosen, course.workspace)
    paint = ink(sys.stdout)
    if file is not None:
        files = found.only(file, f"learn solution {chosen.id}")
        if not as_json:
            from grader.report.solution import diff_screen

            return desk.finish(course, diff_screen(files[0], paint))
    from grader.story.trigger import play

    with course.store.as_shipped(chosen) as pristine:
        outcome = play(chosen, root=chosen.path, pristine=pristine, seed=course.seed(chosen), settings={})
    if as_json:
        from grader.report import machine

        result = machine.SolutionResult(group=chosen.id, outcome=outcome, solution=found)
        return desk.finish_json(course, machine.SolutionAnswer(exit=Exit.PASSED, result=result))
    from grader.report.solution import screen

    return desk.finish(course, screen(chosen, found, outcome, paint))
