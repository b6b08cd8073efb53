"""`breakpoint()` and pdb in a host: at the terminal, if the host has one, while virtual time stands still.

Without a terminal nobody could answer: the host says where it stopped, and ends. A debugger takes no virtual time, and
the tape does not know of it.
"""

from __future__ import annotations

import os
import pdb  # noqa: T100 - it is what this is about
from typing import Any, NoReturn

from grader.host import where
from grader.host.kernel import kernel

OURS = "grader.*"
"""Modules that `step` passes over."""


def attach(terminal: str) -> None:
    """pdb is used at descriptors 0 to 2, a terminal of this type. Whoever leaves it ends the host.

    It shows the learner's frames and what they call, each file as it is called in their folder.
    """
    os.putenv("TERM", terminal)  # for readline alone: what the service sees of its environment stays as it is
    debugger: Any = pdb.Pdb
    for name in ("do_quit", "do_q", "do_exit"):
        setattr(debugger, name, _quit)
    debugger.do_EOF = _end_of_input
    begin, stack, tell = debugger.__init__, debugger.get_stack, debugger.format_stack_entry

    def begin_without_ours(self: Any, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        self.skip = {*(self.skip or ()), OURS}

    def stack_from_theirs(self: Any, *args: Any) -> tuple[list[Any], int]:
        frames, current = stack(self, *args)
        outer = next((at for at, (frame, _) in enumerate(frames) if where.is_learners(frame.f_code)), 0)
        return frames[outer:], max(0, current - outer)

    def tell_in_short(self: Any, *args: Any, **kwargs: Any) -> str:
        return where.shortened(tell(self, *args, **kwargs))

    debugger.__init__, debugger.get_stack = begin_without_ours, stack_from_theirs
    debugger.format_stack_entry = tell_in_short


def refuse() -> None:
    """Nobody is there to be asked."""
    debugger: Any = pdb.Pdb
    debugger.__init__ = _refuse


def _quit(_: pdb.Pdb, __: str) -> NoReturn:
    kernel.fail("debugger-quit", f"You left the debugger{_at()}")


def _end_of_input(debugger: pdb.Pdb, arg: str) -> NoReturn:
    print()
    _quit(debugger, arg)


def _refuse(*_: Any, **__: Any) -> NoReturn:
    kernel.fail("breakpoint", f"the service stops at breakpoint(){_at()}, and no terminal is attached")


def _at() -> str:
    places = where.here(1)
    return f" at {places[0].file}:{places[0].line}" if places else ""
