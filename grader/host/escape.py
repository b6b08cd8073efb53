"""What a service must not reach for, refused at the line that does it: real sockets, other processes.

An audit hook sees nearly all, whichever library asks. It is a teacher, not a wall: `sandbox.py` confines.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, NoReturn

from grader import wire
from grader.host import where
from grader.host.kernel import kernel

_SOCKETS = {
    f"socket.{name}"
    for name in ("connect", "bind", "sendto", "sendmsg", "getaddrinfo", "gethostbyname", "gethostbyaddr")
}
_PROCESSES = {"os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec", "subprocess.Popen", "pty.spawn"}

_HARMLESS = {0, signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH}


class Refused(RuntimeError):
    """The simulation does not carry this."""


def _refuse(kind: str, text: str) -> NoReturn:
    places = where.here()
    kernel.send(wire.Escape(kind, text, places))
    at = f" at {places[0].file}:{places[0].line}" if places else ""
    raise Refused(f"{text}{at}")


def _no_process(how: str) -> NoReturn:
    _refuse("process", f"another process ({how}): a service is one process; use tasks or threads")


def _hook(event: str, _: tuple[Any, ...]) -> None:
    if event in _SOCKETS:
        _refuse("socket", f"a real socket ({event}): the simulation carries httpx only")
    elif event in _PROCESSES:
        _no_process(event)


def _exit(status: int) -> NoReturn:
    kernel.fail("exit", f"the service ended itself with os._exit({status})")


def install(pid: int) -> None:
    """From now on, in the host that believes to be process `pid`; an audit hook cannot be taken away."""
    import _posixsubprocess

    def kill(target: int, number: int) -> None:
        if target not in (pid, 0):
            _refuse("process", f"a signal to another process (os.kill({target}, {number}))")
        deadly = number in (signal.SIGKILL, signal.SIGSTOP) or signal.getsignal(number) is signal.SIG_DFL
        if number not in _HARMLESS and deadly:
            kernel.fail("killed", f"the service killed itself with {signal.Signals(number).name}")
        if number:
            signal.raise_signal(number)

    def fork_exec(*_: Any) -> NoReturn:
        _no_process("fork_exec")

    sys.addaudithook(_hook)
    module: Any = _posixsubprocess
    module.fork_exec = fork_exec  # multiprocessing's way, which no audit event tells of
    os._exit = _exit
    os.getpid = lambda: pid
    os.kill = kill
