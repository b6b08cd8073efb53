"""`learn next`: the briefing of the current group, and what to do now."""

from __future__ import annotations

import sys

from grader.cli import desk
from grader.cli.ending import Exit
from grader.curriculum import BrokenGroup, mend_of, shown


def command(group: str | None = None, *, as_json: bool = False) -> int:
    course = desk.course()
    chosen = course.chosen(group) if group or course.around() else course.current()
    for written in course.groups.values():
        course.store.preserve(written)
    markdown = ""
    if chosen:
        file = chosen.source / "README.md"
        desk.compare_copies(course, chosen)
        try:
            markdown = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BrokenGroup(f"cannot read {shown(file)}: {error}", mend_of(file)) from None
    if as_json:
        from grader.report import machine

        result = machine.briefing(course, chosen, markdown)
        return desk.finish_json(course, machine.Next(exit=Exit.PASSED, result=result))
    from grader.report.briefing import screen
    from grader.report.ink import ink

    return desk.finish(course, screen(course, chosen, markdown, ink(sys.stdout)))
