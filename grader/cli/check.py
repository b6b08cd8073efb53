"""`learn check`: run a group's suite on the learner's code, and open the next group when it passes."""

from __future__ import annotations

import os
import sys

from grader.cli import desk
from grader.cli.ending import Exit, Usage, warn
from grader.curriculum import Group
from grader.progress import Course, is_green, spoilt


def command(
    group: str | None = None,
    *,
    seed: int | None = None,
    show_all: bool = False,
    debug: bool = False,
    as_json: bool = False,
) -> int:
    if debug and as_json:
        raise Usage("--debug is for a person at a terminal, and --json for a program", "learn check --debug")
    course = desk.course()
    chosen = course.chosen(group)
    seed = course.seed(chosen) if seed is None else seed
    if debug:
        return _debug(course, chosen, seed, show_all=show_all)
    desk.compare_copies(course, chosen)

    from grader.report.causes import first_shown
    from grader.report.ink import ink
    from grader.report.terminal import Live, screen
    from grader.suite import run
    from grader.verify import shortest
    from grader.verify.signature import recognise

    with (
        course.store.as_shipped(chosen) as pristine,
        course.store.locked("check.lock", lambda: warn("another learn check runs in this workspace: waiting for it")),
        Live(sys.stderr, ink(sys.stderr), f"Group {chosen.number}") as live,
    ):
        outcome = run(chosen, root=chosen.path, pristine=pristine, seed=seed, on_test=live.test)
        if not show_all:
            live.say("looking for the shortest history that fails …")
            outcome = shortest.told(outcome, chosen, course.source, pristine, first_shown(outcome))
    recorded = course.record(chosen, outcome)
    looks_like = recognise(course.source, chosen, outcome)
    code = Exit.OURS if spoilt(outcome) else Exit.PASSED if recorded.passed else Exit.FAILED
    if as_json:
        from grader.report import machine

        result = machine.check(chosen, outcome, recorded, looks_like)
        return desk.finish_json(course, machine.Check(exit=code, result=result))
    text = screen(chosen, outcome, recorded, ink(sys.stdout), looks_like, show_all=show_all)
    return desk.finish(course, text, code)


def _debug(course: Course, chosen: Group, seed: int, *, show_all: bool) -> int:
    """Up to the first red test, with the terminal for pdb. It proves nothing; of what is red, the seed is kept."""
    if not sys.stdin.isatty():
        raise Usage("--debug needs a terminal, and this is none", f"learn check {chosen.id}")

    from grader.report.debug import begun, ended
    from grader.report.ink import ink
    from grader.suite import debug

    desk.show(begun(chosen, seed, ink(sys.stdout)))
    with course.store.as_shipped(chosen) as pristine:
        terminal = os.environ.get("TERM") or "dumb"
        patterns = course.of(chosen).patterns
        outcome = debug(chosen, root=chosen.path, pristine=pristine, seed=seed, patterns=patterns, terminal=terminal)
    code = Exit.OURS if spoilt(outcome) else Exit.PASSED if is_green(list(outcome.tests)) else Exit.FAILED
    if code is Exit.FAILED:
        course.keep_seed(chosen, seed)
    return desk.finish(course, ended(chosen, outcome, ink(sys.stdout), show_all=show_all), code)
