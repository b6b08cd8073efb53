"""`learn check`: run a group's suite on the learner's code, and open the next group when it passes."""

from __future__ import annotations

import sys

from grader.cli import desk
from grader.cli.ending import Exit, warn
from grader.progress import spoilt


def command(group: str | None = None, *, seed: int | None = None, show_all: bool = False, as_json: bool = False) -> int:
    course = desk.course()
    chosen = course.chosen(group)
    seed = course.seed(chosen) if seed is None else seed
    desk.compare_copies(course, chosen)

    from grader.report.causes import first_shown
    from grader.report.ink import ink
    from grader.report.terminal import Live, screen
    from grader.suite import run
    from grader.verify.shortest import retold
    from grader.verify.signature import recognise

    with (
        course.store.as_shipped(chosen) as pristine,
        course.store.locked("check.lock", lambda: warn("another learn check runs in this workspace: waiting for it")),
        Live(sys.stderr, ink(sys.stderr), f"Group {chosen.number}") as live,
    ):
        outcome = run(chosen, root=chosen.path, pristine=pristine, seed=seed, on_test=live.test)
        if not show_all:
            live.say("looking for the shortest history that fails …")
            outcome = retold(outcome, chosen, course.source, pristine, first_shown(outcome))
    recorded = course.record(chosen, outcome)
    looks_like = recognise(course.source, chosen, outcome)
    code = Exit.OURS if spoilt(outcome) else Exit.PASSED if recorded.passed else Exit.FAILED
    if as_json:
        from grader.report import machine

        result = machine.check(chosen, outcome, recorded, looks_like)
        return desk.finish_json(course, machine.Check(exit=code, result=result))
    text = screen(chosen, outcome, recorded, ink(sys.stdout), looks_like, show_all=show_all)
    return desk.finish(course, text, code)
