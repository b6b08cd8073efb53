"""`learn init`: a workspace without a clone, or what an upgrade brings to one."""

from __future__ import annotations

import sys
from pathlib import Path

from grader import workspace
from grader.cli import desk
from grader.cli.ending import Exit
from grader.curriculum import NoWorkspace, find_workspace
from grader.progress import Course


def command(folder: str | None = None, *, as_json: bool = False) -> int:
    here = desk.here()
    target = here / folder if folder else _around(here)
    typed = folder or desk.relative(target, here)
    laid = workspace.init(target, typed)
    course = Course(target, here)
    if as_json:
        from grader.report import machine

        result = machine.InitResult(folder=typed, laid=laid)
        return desk.finish_json(course, machine.Init(exit=Exit.PASSED, result=result))
    from grader.report.ink import ink
    from grader.report.workspace import screen

    return desk.finish(course, screen(laid, typed, ink(sys.stdout)))


def _around(here: Path) -> Path:
    """The workspace that we are in; else the current folder."""
    try:
        return find_workspace(here)
    except NoWorkspace:
        return here
