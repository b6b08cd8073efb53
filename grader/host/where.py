"""Which lines of the learner's are at work: from frames, tracebacks and suspended coroutines. Advisory only."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from types import AsyncGeneratorType, CodeType, FrameType, TracebackType
from typing import Any

from grader.wire import Place, text

_root = "\0"
_ANEXT = ("async_generator_asend", "async_generator_athrow", "anext_awaitable")
_ours = os.path.dirname(os.path.abspath(__file__)) + os.sep

origin: ContextVar[Callable[[], list[Place]] | None] = ContextVar("brownout_origin", default=None)
"""Whose work the current task or thread does, where no line of the learner's is on its own stack."""


def set_root(root: str) -> None:
    """The learner's files are those below `root`."""
    global _root
    _root = root.rstrip("/") + "/"


def is_learners(code: CodeType) -> bool:
    return code.co_filename.startswith(_root)


def _place(code: CodeType, line: int | None) -> Place:
    return Place(code.co_filename[len(_root) :], line or code.co_firstlineno, code.co_name)


def here(most: int = 2) -> list[Place]:
    """The nearest `most` frames of the learner's on the current stack, innermost first; or whoever began this work."""
    found = of_frame(sys._getframe(1), most)
    if not found and (whose := origin.get()) is not None:
        found = whose()
    return found


def of_function(function: Any) -> list[Place]:
    """Where a function of the learner's begins."""
    code = getattr(function, "__code__", None)
    return [_place(code, code.co_firstlineno)] if isinstance(code, CodeType) and is_learners(code) else []


def of_frame(frame: FrameType | None, most: int = 2) -> list[Place]:
    found: list[Place] = []
    while frame is not None and len(found) < most:
        if frame.f_code.co_filename.startswith(_root):
            found.append(_place(frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return found


def of_error(error: BaseException, most: int = 2) -> list[Place]:
    """Where the learner's code raised or let `error` pass, innermost first. A syntax error is where it says it is."""
    if isinstance(error, SyntaxError) and error.filename and error.filename.startswith(_root):
        return [Place(error.filename[len(_root) :], error.lineno or 1, "")]
    found: list[Place] = []
    step: TracebackType | None = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename.startswith(_root):
            found.append(_place(step.tb_frame.f_code, step.tb_lineno))
        step = step.tb_next
    found.reverse()
    if isinstance(error, BaseExceptionGroup):  # a task group's: the first of its errors says more
        found = of_error(error.exceptions[0], most) or found
    if not found and error.__cause__ is not None:
        return of_error(error.__cause__, most)
    return found[:most]


def of_coroutine(awaitable: Any, most: int = 2) -> list[Place]:
    """The learner's innermost suspended lines in a chain of coroutines, innermost first."""
    found: list[Place] = []
    for _ in range(200):
        frames = ("cr_frame", "gi_frame", "ag_frame")
        frame: Any = next((each for name in frames if (each := getattr(awaitable, name, None))), None)
        if frame is not None and frame.f_code.co_filename.startswith(_root):
            found.append(_place(frame.f_code, frame.f_lineno))
        steps = ("cr_await", "gi_yieldfrom", "ag_await")
        awaitable = next((each for step in steps if (each := getattr(awaitable, step, None))), None)
        if type(awaitable).__name__ in _ANEXT:  # they do not say whose
            awaitable = next(
                (each for each in gc.get_referents(awaitable) if isinstance(each, AsyncGeneratorType)), None
            )
        if awaitable is None:
            break
    found.reverse()
    return found[:most]


def detail(error: BaseException) -> str:
    """A traceback for people: from the learner's first frame on, and without ours."""
    lines = traceback.TracebackException.from_exception(error)
    while lines.stack and not lines.stack[0].filename.startswith(_root) and len(lines.stack) > 1:
        lines.stack.pop(0)
    lines.stack[:] = [frame for frame in lines.stack if not frame.filename.startswith((_ours, "<frozen "))]
    return text(shortened("".join(lines.format()))[-8000:], 8000)


def shortened(said: str) -> str:
    """What names the learner's files, each as it is called below their root."""
    return said.replace(_root, "")
