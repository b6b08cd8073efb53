"""`learn`: where you are."""

from __future__ import annotations

import sys

from grader import seen
from grader.cli import desk
from grader.cli.ending import Exit


def command(*, as_json: bool = False) -> int:
    course = desk.course()
    changes = None
    if seen.is_news(course):
        from grader.workspace import changes as changed

        changes = changed(course)
    if as_json:
        from grader.report import machine

        return desk.finish_json(course, machine.Status(exit=Exit.PASSED, result=machine.status(course, changes)))
    from grader.report.ink import ink
    from grader.report.status import screen

    code = desk.finish(course, screen(course, ink(sys.stdout), changes))
    seen.told(course)  # by now a person has read it; a program that asks again is told again
    return code
