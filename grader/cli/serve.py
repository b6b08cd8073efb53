"""`learn serve`: the learner's service for real, with its neighbours beside it."""

from __future__ import annotations

import sys

from grader.cli import desk
from grader.cli.ending import Exit, say, warn


def command(
    group: str | None = None,
    *,
    port: int | None = None,
    fresh: bool = False,
    no_reload: bool = False,
    as_json: bool = False,
) -> int:
    course = desk.course()
    chosen = course.chosen(group)

    from grader import serve
    from grader.host.live import DoesNotStart
    from grader.report import machine
    from grader.report.ink import ink
    from grader.report.serve import begun, does_not_start, told

    def tell(event: serve.Event) -> None:
        match event:
            case serve.Up(place, again=False) if as_json:
                answer = machine.Serve(exit=Exit.PASSED, result=machine.serve(chosen, place), notes=course.store.notes)
                say(machine.line(answer))
            case serve.Up(place, again=False):
                say(begun(chosen, place, ink(sys.stdout), reload=not no_reload))
                for line in course.store.notes:
                    warn(line)
            case _:
                sys.stderr.write(told(event, ink(sys.stderr)))

    with course.store.as_shipped(chosen) as pristine:
        try:
            serve.serve(
                chosen,
                pristine=pristine,
                data=course.store.folder / "serve" / chosen.folder,
                listener=serve.listen(port),
                fresh=fresh,
                reload=not no_reload,
                wait=not as_json,
                tell=tell,
            )
        except DoesNotStart as error:
            if as_json:
                say(machine.line(machine.refused("serve", Exit.FAILED, f"the service does not start: {error}")))
            sys.stderr.write(does_not_start(str(error), ink(sys.stderr)))
            return Exit.FAILED
    return Exit.PASSED
