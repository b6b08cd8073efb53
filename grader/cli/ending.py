"""How a command ends: exit codes, and the one line for each way in which it can go wrong.

No traceback reaches the learner. Ours go to .learn/crash.log.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from enum import IntEnum
from pathlib import Path

from grader.curriculum import NoWorkspace, Trouble, find_workspace
from grader.progress import Locked
from grader.report.ink import clean, ink


class Exit(IntEnum):
    """The exit codes of `learn`."""

    PASSED = 0
    FAILED = 1  # the learner's work
    USAGE = 2
    LOCKED = 3
    OURS = 4  # the grader itself
    INTERRUPTED = 130
    HUNG_UP = 141  # whoever read our output has gone, as a shell reports it


class Usage(Trouble):
    """The words mean nothing, or not here."""


class PipeClosed(Exception):
    """Nobody reads our output any more. (Not an OSError: typer would make it exit code 1.)"""


def prepare() -> None:
    """Make the streams take every letter: a terminal that lacks one is no reason to stop."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def say(text: str) -> None:
    """Print what the command found out. Raises PipeClosed."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise PipeClosed from None


def warn(line: str) -> None:
    """One line beside the result, on stderr."""
    paint = ink(sys.stderr)
    _to_stderr(f"{paint.warn('!')} {clean(line)}\n")


def explain(error: Exception, command: str, *, as_json: bool) -> Exit:
    """Tell what went wrong, in one line, and choose the exit code."""
    if isinstance(error, PipeClosed):
        _silence(sys.stdout)
        return Exit.HUNG_UP
    code, what, mend = _diagnose(error)
    if as_json:
        from grader.report import machine

        try:
            say(machine.text(machine.refused(command, code, what, mend)))
        except PipeClosed as closed:
            return explain(closed, command, as_json=True)
    paint = ink(sys.stderr)
    line = f"{paint.bad(paint.symbol('bad'))} {clean(what).strip()}"
    if mend:
        line += f"{'' if line.endswith('?') else '.'} Run: {paint.command(mend)}"
    _to_stderr(line + "\n")
    return code


def interrupted() -> None:
    """End a line that was begun, and let a further Ctrl-C end the process without a traceback."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _to_stderr("\n" if sys.stderr.isatty() else "")


def _diagnose(error: Exception) -> tuple[Exit, str, str]:
    match error:
        case Locked():
            return Exit.LOCKED, error.what, error.mend
        case Trouble():
            return Exit.USAGE if error.usage else Exit.OURS, error.what, error.mend
    kept = _keep_traceback(error)
    import traceback

    reason = traceback.format_exception_only(error)[-1].strip().splitlines()[0]
    return Exit.OURS, f"the grader itself failed, which is no fault of yours: {reason} (more in {kept})", ""


def _keep_traceback(error: Exception) -> str:
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(error))
    folders = [Path(tempfile.gettempdir()) / f"brownout-{os.getuid()}"]
    with suppress(OSError, NoWorkspace):
        folders.insert(0, find_workspace(Path.cwd()) / ".learn")
    for folder in folders:
        try:
            folder.mkdir(exist_ok=True)
            (folder / "crash.log").write_text(text, "utf-8", "backslashreplace")
        except OSError:
            continue
        return os.path.relpath(folder / "crash.log")
    return "no file: the disk is not writable"


def _to_stderr(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _silence(sys.stderr)


def _silence(stream: object) -> None:
    """Keep the interpreter from complaining, as it ends, about what can no longer be written."""
    fileno = stream.fileno() if hasattr(stream, "fileno") else None
    if fileno is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), fileno)
