"""`learn verify`: the proof that a group, or every group, is sound."""

from __future__ import annotations

import sys

from grader.cli import desk
from grader.cli.ending import Exit


def command(group: str | None = None, *, quick: bool = False, seed: int | None = None, as_json: bool = False) -> int:
    course = desk.course()
    chosen = desk.any_groups(course, group)

    from grader.report.ink import ink
    from grader.report.verify import Progress, screen
    from grader.verify.prove import prove

    proofs = []
    paint = ink(sys.stdout)
    for number, one in enumerate(chosen):
        with Progress(sys.stderr, ink(sys.stderr), f"Group {one.number}") as progress:
            proved = prove(course, one, quick=quick, seed=seed, on_step=progress.step)
        proofs.append(proved)
        if not as_json:
            desk.show(("\n" if number else "") + screen(one, proved, paint))
    code = Exit.PASSED if all(proved.sound for proved in proofs) else Exit.FAILED
    if as_json:
        from grader.report import machine

        return desk.finish_json(course, machine.Verify(exit=code, result=machine.VerifyResult(proofs=proofs)))
    return desk.finish(course, "", code)
