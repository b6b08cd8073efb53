"""`learn story`: a red test as an incident, with the shortest history that fails, drawn."""

from __future__ import annotations

import sys

from grader.cli import desk
from grader.cli.ending import Exit, warn
from grader.curriculum import tests_of, unknown
from grader.progress import spoilt


def command(
    group: str | None = None,
    test: str | None = None,
    *,
    seed: int | None = None,
    html: bool = False,
    as_json: bool = False,
) -> int:
    course = desk.course()
    (group, _, case), (test, _, other) = (group or "").partition("["), (test or "").partition("[")
    chosen, name = course.chosen_with(group or None, test or None, tests_of, "test")
    if name is not None and name not in tests_of(chosen):
        raise unknown("test", name, tests_of(chosen), f"learn check {chosen.id}")
    if name is not None and (case or other):
        name = f"{name}[{case or other}"
    seed = course.seed(chosen) if seed is None else seed

    from grader.report.causes import told_of
    from grader.report.ink import ink
    from grader.report.terminal import Live
    from grader.suite import run
    from grader.verify import shortest

    with (
        course.store.as_shipped(chosen) as pristine,
        course.store.locked("check.lock", lambda: warn("another learn check runs in this workspace: waiting for it")),
        Live(sys.stderr, ink(sys.stderr), f"Group {chosen.number}") as live,
    ):
        outcome = run(chosen, root=chosen.path, pristine=pristine, seed=seed, on_test=live.test)
        causes = told_of(outcome, name, all_of_a_stage=html)
        live.say("looking for the shortest history that fails …")
        outcome = shortest.told(outcome, chosen, course.source, pristine, [same[0].id for same in causes])
    causes = told_of(outcome, name, all_of_a_stage=html)
    page = None
    if html and causes:
        from grader.report.page import story

        page = course.store.keep_page(f"{chosen.id}-story.html", story(chosen, outcome, causes))
    code = Exit.OURS if spoilt(outcome) else Exit.FAILED if causes else Exit.PASSED
    if as_json:
        from grader.report import machine

        result = machine.StoryResult(group=chosen.id, seed=outcome.seed, causes=causes)
        return desk.finish_json(course, machine.StoryAnswer(exit=code, result=result, page=str(page or "")))
    from grader.report.story import screen

    return desk.finish(course, screen(chosen, outcome, causes, page, ink(sys.stdout)), code)
