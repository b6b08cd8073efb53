"""`learn watch`: check again whenever the learner saves a file."""

from __future__ import annotations

import sys
from collections.abc import Callable

from grader.cli import desk, hint, status, story, trigger
from grader.cli.ending import Exit, explain, say, warn
from grader.cli.keys import pressed
from grader.curriculum import Trouble
from grader.progress import spoilt


def command(group: str | None = None, *, seed: int | None = None, as_json: bool = False) -> int:
    course = desk.course()
    chosen = course.chosen(group)
    desk.compare_copies(course, chosen)
    for line in () if as_json else course.store.notes:
        warn(line)

    from grader.report import machine
    from grader.report.ink import ink
    from grader.report.terminal import Live, screen
    from grader.report.watch import begun, keys, told
    from grader.verify.signature import recognise
    from grader.watch import Broken, Judged, Key, Saved, Tested, Watch

    paint = ink(sys.stdout)
    asides: dict[str, Callable[[], int]] = {
        "h": lambda: hint.command(chosen.id),
        "s": lambda: story.command(chosen.id),
        "l": status.command,
        "t": lambda: trigger.command(chosen.id),
    }
    code = Exit.FAILED
    last: Judged | None = None
    live = Live(sys.stderr, ink(sys.stderr), f"Group {chosen.number}")
    told_one = False
    with (
        course.store.as_shipped(chosen) as pristine,
        Watch(course, chosen, pristine, seed) as watch,
        pressed(watch.press) as terminal,
        live,
    ):
        for event in watch.events():
            if not isinstance(event, Tested):
                live.clear()
            match event:
                case Saved() if not as_json:
                    live = Live(sys.stderr, ink(sys.stderr), f"Group {chosen.number}")
                    told_one = False
                    say(begun(chosen, event, paint))
                case Tested() if not as_json:
                    if line := told(event, paint, first=not told_one):
                        live.clear()
                        say(line)
                    told_one = True
                    live.test(event.outcome)
                case Judged():
                    last, outcome = event, event.outcome
                    code = Exit.OURS if spoilt(outcome) else Exit.PASSED if event.recorded.passed else Exit.FAILED
                    looks_like = recognise(course.source, chosen, outcome)
                    if as_json:
                        result = machine.check(chosen, outcome, event.recorded, looks_like)
                        say(machine.line(machine.Watch(exit=code, result=result, notes=list(course.store.notes))))
                        continue
                    say(screen(chosen, outcome, event.recorded, paint, looks_like))
                    say(keys(paint) if terminal else "")
                case Key("q" | "\x04"):
                    return code
                case Key("r" | "\n"):
                    watch.again()
                case Key("a") if last is not None:
                    say(screen(chosen, last.outcome, last.recorded, paint, show_all=True))
                case Key(letter) if letter in asides:
                    try:
                        asides[letter]()
                    except Trouble as error:
                        explain(error, "watch", as_json=False)
                case Key():
                    say(keys(paint))
                case Broken(error):
                    raise error
    return code
