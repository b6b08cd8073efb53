"""`learn trigger`: the incident, replayed on the learner's code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from grader.cli import desk
from grader.cli.ending import Exit, Usage


def command(
    group: str | None = None,
    *,
    stage: int | None = None,
    seed: int | None = None,
    settings: Sequence[str] = (),
    html: bool = False,
    as_json: bool = False,
) -> int:
    chosen_settings = dict(_setting(text) for text in settings)
    course = desk.course()
    chosen = course.chosen(group)
    last = chosen.stages[-1].number
    if stage is None:
        stage = (course.stage(chosen) or chosen.stages[-1]).number
    elif stage > last:
        raise Usage(
            f"group {chosen.number} has no stage {stage}: its last one is {last}", f"learn trigger --stage {last}"
        )
    seed = course.seed(chosen) if seed is None else seed
    desk.compare_copies(course, chosen)

    from grader.story.trigger import play

    with course.store.as_shipped(chosen) as pristine:
        outcome = play(chosen, root=chosen.path, pristine=pristine, seed=seed, stage=stage, settings=chosen_settings)
    course.triggered(chosen)
    page = None
    if html:
        from grader.report.page import trigger

        page = course.store.keep_page(f"{chosen.id}-stage-{outcome.stage}.html", trigger(chosen, outcome))
    if as_json:
        from grader.report import machine

        return desk.finish_json(course, machine.Trigger(exit=Exit.PASSED, result=outcome, page=str(page or "")))
    from grader.report.ink import ink
    from grader.report.trigger import screen

    return desk.finish(course, screen(chosen, outcome, ink(sys.stdout), page))


def _setting(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not (name and found and value):
        raise Usage(f"--set takes NAME=VALUE, and not “{text}”", "learn trigger --set latency=10x")
    return name, value
