"""`learn reset`: back to the start, with a copy kept."""

from __future__ import annotations

import sys

from grader.cli import desk
from grader.cli.ending import Exit, Usage, say
from grader.progress import Reset, files_of


def command(group: str | None = None, file: str | None = None, *, yes: bool = False, as_json: bool = False) -> int:
    course = desk.course()
    chosen, name = course.chosen_with(group, file, files_of, "file")
    files = course.changed(chosen, name)

    from grader.report.ink import ink
    from grader.report.reset import question, screen

    paint = ink(sys.stdout)
    if files and not yes:
        if as_json or not sys.stdin.isatty():
            mend = f"learn reset {chosen.id} {name} --yes" if name else f"learn reset {chosen.id} --yes"
            raise Usage("learn reset asks first, and nobody is here to answer", mend)
        if not _agreed(question(chosen, files, paint)):
            return desk.finish(course, "Nothing was changed.\n")
    done = course.reset(chosen, files) if files else Reset((), (), None)
    if as_json:
        from grader.report import machine

        return desk.finish_json(course, machine.Reset(exit=Exit.PASSED, result=machine.reset(course, chosen, done)))
    kept = desk.from_here(course, done.kept) if done.kept else ""
    return desk.finish(course, screen(chosen, name, done, kept, paint))


def _agreed(question: str) -> bool:
    """Ask. A Ctrl-C counts from the first letter on: `input` alone loses one that comes as it begins."""
    import os
    import select
    import signal

    pressed, press = os.pipe()
    os.set_blocking(press, False)
    before = signal.set_wakeup_fd(press)
    try:
        say(f"{question} [y/N] ")
        ready, _, _ = select.select([sys.stdin, pressed], [], [])
        if pressed in ready:
            raise KeyboardInterrupt
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    finally:
        signal.set_wakeup_fd(before)
        os.close(pressed)
        os.close(press)
