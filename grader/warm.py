"""A suite that stands by: its tests are collected once, and a fork of that judges whatever service is put in place.

`Warm` puts services in place and has them judged. `python -m grader.warm` is the process that it starts, in the
sandbox, with hosts in sandboxes of their own within that. One JSON object a line: on stdout first {"failed": "",
"tests": {…}}, the ids and their patterns, or why the suite does not run. Then, for each {"report": …, "width": …,
"first": …, "only": …, "seconds": …} on stdin (where outcomes go, how many tests run at once, which begin, which run at
all, how long they may take) one {"seconds": …, "over": …, "killed": …, "cancelled": …}, when it has ended: after too
long, by somebody's hand, because of an empty line on stdin?
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from grader import sandbox, suite
from grader.outcome import GroupOutcome, TestOutcome

if TYPE_CHECKING:
    from grader.curriculum import Group
    from grader.sim import Forkserver

MEMORY = 4 * 1024 * sandbox.MIB
"""Bytes of address space for the trusted side: what it is sent is bounded, and this bounds what it makes of it."""

_LOOK = 0.02  # seconds between two looks at the report of a run that somebody follows


class Ended(Exception):
    """The process that judges, or the warm parent of its hosts, was ended."""


@dataclass(frozen=True, slots=True)
class Run:
    """One service, judged. `over`: it took too long; `killed`: somebody ended it; `cancelled`: we did."""

    outcome: GroupOutcome
    over: bool = False
    killed: bool = False
    cancelled: bool = False


class Warm:
    """A suite that stands by, for one seed. `place` is a folder of its own; `core`, the only one that it may use."""

    def __init__(
        self, group: Group, pristine: Path, place: Path, seed: int, *, confined: bool, core: int | None = None
    ) -> None:
        self.group = group
        self.seed = seed
        self._pristine = pristine
        self._place = place
        self._folder = place / "work" / group.folder
        self._failed: str | None = None  # not known yet
        self.tests: dict[str, tuple[str, ...]] = {}  # once it stands by: id -> patterns
        suite.lay_out(group, pristine, pristine, self._folder)
        words = [self._folder, seed, int(confined), -1 if core is None else core]
        arguments = ["-m", "grader.warm", *map(str, words)]
        command = sandbox.enclose(arguments, writable=[place]) if confined else [sys.executable, "-P", *arguments]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, start_new_session=True
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> str:
        """Until the suite stands by. Why it cannot; empty if it can. Raises Ended."""
        if self._failed is None:
            first = self._hear()
            self._failed = str(first["failed"])
            self.tests = {name: tuple(patterns) for name, patterns in first["tests"].items()}
        return self._failed

    def put(self, files: Mapping[str, bytes]) -> None:
        """Put a service in place, by the names of its files relative to the group's folder. Raises Ended."""
        if self.wait():
            return
        theirs = self._place / "theirs"
        shutil.rmtree(theirs, ignore_errors=True)
        suite.write_files(theirs, files)
        suite.lay_out(self.group, theirs, self._pristine, self._folder)

    def judge(
        self,
        *,
        width: int = 1,
        first: Collection[str] = (),
        only: Collection[str] | None = None,
        seconds: float | None = None,
        on_test: Callable[[TestOutcome], None] | None = None,
    ) -> Run:
        """Judge the service that is in place; `on_test` hears each outcome as it comes. `first` and `only` are ids.
        Raises Ended."""
        if failed := self.wait():
            return Run(GroupOutcome(self.group.id, self.seed, (), 0.0, ours=failed))
        report = self._place / "report"
        report.unlink(missing_ok=True)
        wanted = None if only is None else list(only)
        self._say({"report": str(report), "width": width, "first": list(first), "only": wanted, "seconds": seconds})
        if on_test is not None:
            self._follow(report, on_test)
        answer = self._hear()
        outcome = suite.reported(self.group, self.seed, report, answer["seconds"])
        return Run(outcome, answer["over"], answer["killed"], answer["cancelled"])

    def cancel(self) -> None:
        """End the run that another thread waits for, if there is one."""
        self._write(b"\n")

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process.wait()

    def _follow(self, report: Path, on_test: Callable[[TestOutcome], None]) -> None:
        """Until there is an answer."""
        assert self._process.stdout is not None
        seen = 0
        ended = False
        while not ended:
            ended = bool(select.select([self._process.stdout], [], [], _LOOK)[0])
            if not report.exists():
                continue
            with report.open("rb") as stream:
                stream.seek(seen)
                whole, newline, _ = stream.read().rpartition(b"\n")
            seen += len(whole) + len(newline)
            suite.collect(whole.splitlines(), on_test)

    def _say(self, order: dict[str, object]) -> None:
        self._write(json.dumps(order).encode() + b"\n")

    def _write(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # who has ended does not answer
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        try:
            line = self._process.stdout.readline()
        except (OSError, ValueError):  # closed meanwhile
            line = b""
        if not line.endswith(b"\n"):
            self.close()
            raise Ended
        return json.loads(line)


# ------------------------------------------------------------------------------------------------ inside the process


def main() -> None:
    """`python -m grader.warm FOLDER SEED ENCLOSED CORE`: until stdin ends. CORE -1 is any."""
    folder, seed, enclosed, core = sys.argv[1], int(sys.argv[2]), bool(int(sys.argv[3])), int(sys.argv[4])
    if core >= 0:
        os.sched_setaffinity(0, {core})
    forkserver = suite.launch(seed, Path(folder), enclosed=enclosed)
    suite.preload()
    orders, answers = _Orders(os.dup(0)), os.fdopen(os.dup(1), "w", buffering=1)  # pytest takes the standard ones
    with answers, tempfile.TemporaryFile() as printed:
        for target in (1, 2):
            os.dup2(printed.fileno(), target)
        status = suite.stand_by(folder, seed, forkserver, partial(_serve, forkserver, orders, answers))
        if status:
            sys.stdout.flush()
            printed.seek(0)
            answers.write(json.dumps({"failed": suite.what_failed(printed.read()), "tests": {}}) + "\n")


class _Orders:
    """Lines of a descriptor that is also waited for: nothing is read ahead of a line that is asked for."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def next(self) -> bytes:
        """Without its end; empty for an empty line. Raises EOFError."""
        line = b""
        while not line.endswith(b"\n"):
            letter = os.read(self.fd, 1)
            if not letter:
                raise EOFError
            line += letter
        return line[:-1]


def _serve(
    forkserver: Forkserver, orders: _Orders, answers: IO[str], tests: Sequence[TestOutcome], judge: suite.Judge
) -> None:
    answers.write(json.dumps({"failed": "", "tests": {test.id: test.patterns for test in tests}}) + "\n")
    with contextlib.suppress(EOFError):
        while True:
            if order := orders.next():  # an empty one came too late to cancel anything
                answers.write(json.dumps(_judge(json.loads(order), forkserver, orders, judge)) + "\n")


def _judge(order: dict[str, Any], forkserver: Forkserver, orders: _Orders, judge: suite.Judge) -> dict[str, Any]:
    """Judge what lies in the folder, in a group of processes that ends with it. Raises ForkserverGone and EOFError."""
    began = time.monotonic()
    clients = [forkserver.another() for _ in range(order["width"])]
    pid = os.fork()
    if pid == 0:
        _play(order, clients, judge)
    for client in clients:
        client.close()
    ended = os.pidfd_open(pid)
    ready = select.select([ended, orders.fd], [], [], order["seconds"])[0]
    os.close(ended)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    cancelled = orders.fd in ready and ended not in ready
    if cancelled:
        orders.next()
    killed = (status < 0 and bool(ready) and not cancelled) or forkserver.has_ended
    return {"seconds": time.monotonic() - began, "over": not ready, "killed": killed, "cancelled": cancelled}


def _play(order: dict[str, Any], clients: Sequence[Forkserver], judge: suite.Judge) -> None:
    """In the fork. Does not return."""
    status = 1
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        judge(suite.opened(order["report"]), clients, order["first"], order["only"])
        status = 0
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
