"""`learn hint`: one step further each time."""

from __future__ import annotations

import sys

from grader.cli import desk
from grader.cli.ending import Exit


def command(group: str | None = None, pattern: str | None = None, *, as_json: bool = False) -> int:
    course = desk.course()
    chosen, rest = course.chosen_with(group, pattern, lambda known: known.patterns, "pattern")
    given = course.hint(chosen, rest)
    if as_json:
        from grader.report import machine

        return desk.finish_json(course, machine.HintAnswer(exit=Exit.PASSED, result=machine.hint(chosen, given)))
    from grader.report.hint import screen
    from grader.report.ink import ink

    return desk.finish(course, screen(chosen, given, ink(sys.stdout)))
