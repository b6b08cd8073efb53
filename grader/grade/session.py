"""A warm pytest that judges one submission after the other, all with one seed: `python -m grader.grade.session`.

It runs in the sandbox, and the hosts in sandboxes of their own within that. One JSON object a line: on stdin
{"folder": …, "report": …, "seconds": …}, a submission that is laid out, where its outcomes go, and how long it may
take; on stdout {"seconds": …, "over": …} when it has ended, or has taken too long.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import select
import signal
import sys
import time
from typing import Any

from grader import sandbox, suite
from grader.host import confine
from grader.sim import Forkserver

MEMORY = 4 * 1024 * sandbox.MIB
"""Bytes of address space for the trusted side: what it is sent is bounded, and this bounds what it makes of it."""


def main() -> None:
    """`python -m grader.grade.session SEED ENCLOSED CORE`: until stdin ends. CORE -1: on any."""
    seed, enclosed, core = int(sys.argv[1]), bool(int(sys.argv[2])), int(sys.argv[3])
    if core >= 0:
        os.sched_setaffinity(0, {core})
    if enclosed:
        confine.limited_disk(sandbox.DISKS)
    forkserver = Forkserver.launch(seed, sandbox.system() if enclosed else ())  # warms up beside us
    for module in ("pytest", "pytest_timeout", "grader.plugin", "grader.story.timeline", "grader.world.scene"):
        importlib.import_module(module)  # for all forks
    for line in sys.stdin.buffer:
        order = json.loads(line)
        began = time.monotonic()
        over = _judge(order, seed, forkserver)
        sys.stdout.write(json.dumps({"seconds": time.monotonic() - began, "over": over}) + "\n")
        sys.stdout.flush()
    forkserver.close()


def _judge(order: dict[str, Any], seed: int, forkserver: Forkserver) -> bool:
    """Judge one submission in a fork. Did it take too long?"""
    client = forkserver.another()
    pid = os.fork()
    if pid == 0:
        _play(order, seed, client)
    client.close()
    ended = os.pidfd_open(pid)
    try:
        over = not select.select([ended], [], [], order["seconds"])[0]
        if over:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return over
    finally:
        os.close(ended)


def _play(order: dict[str, Any], seed: int, forkserver: Forkserver) -> None:
    """In the child: run the suite, report to the file, and leave. Does not return."""
    try:
        report = os.open(order["report"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        printed = os.open(f"{order['report']}.out", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for target, fd in ((0, null), (1, printed), (2, printed)):
            os.dup2(fd, target)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        suite.play(order["folder"], seed, report, forkserver, stage=-1, only=None, width=1)
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
