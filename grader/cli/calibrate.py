"""`learn calibrate`: how far every variant of a group lies from every bound, over seeds."""

from __future__ import annotations

import sys

from grader.cli import desk
from grader.cli.ending import Exit

SEEDS = 5


def command(group: str | None = None, *, seeds: int = SEEDS, as_json: bool = False) -> int:
    course = desk.course()
    chosen = desk.any_groups(course, group)

    from grader.report.ink import ink
    from grader.report.verify import Progress, bounds_screen
    from grader.verify.prove import calibrate

    found = []
    paint = ink(sys.stdout)
    for number, one in enumerate(chosen):
        with Progress(sys.stderr, ink(sys.stderr), f"Group {one.number}") as progress:
            measured = calibrate(course, one, seeds=range(1, seeds + 1), on_step=progress.step)
        found.append(measured)
        if not as_json:
            desk.show(("\n" if number else "") + bounds_screen(one, measured, paint))
    code = Exit.FAILED if any(one.cramped for measured in found for one in measured.distances) else Exit.PASSED
    if as_json:
        from grader.report import machine

        result = machine.CalibrateResult(calibrations=found)
        return desk.finish_json(course, machine.Calibrate(exit=code, result=result))
    return desk.finish(course, "", code)
