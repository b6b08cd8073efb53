"""`learn new`: begin a group."""

from __future__ import annotations

import sys

from grader.cli import desk
from grader.cli.ending import Exit, Usage

EXAMPLE = 'learn new 13 "Queues overflow"'


def command(number: str | None = None, title: str | None = None, *, as_json: bool = False) -> int:
    if number is None or title is None:
        raise Usage("a new group needs a number and a title", EXAMPLE)
    if not (number.isascii() and number.isdigit()):
        raise Usage(f"“{number}” is no number of a group", EXAMPLE)
    course = desk.course()

    from grader.verify.scaffold import write

    group = write(course.workspace, int(number), title)
    if as_json:
        from grader.report import machine

        return desk.finish_json(course, machine.New(exit=Exit.PASSED, result=machine.new(group)))
    from grader.report.ink import ink
    from grader.report.verify import begun

    return desk.finish(course, begun(group, ink(sys.stdout)))
