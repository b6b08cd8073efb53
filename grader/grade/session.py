"""A warm pytest that judges one submission after the other, all with one seed: `python -m grader.grade.session`.

It runs in the sandbox, and the hosts in sandboxes of their own within that. It collects the tests once, in the folder
in which each submission is then laid out. One JSON object a line: on stdout first {"failed": ""}, or why the suite does
not run; then for each {"report": …, "seconds": …} on stdin, where outcomes go and how long that may take, {"seconds":
…, "over": …, "killed": …} when it has ended: after too long, by somebody's hand?
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
from functools import partial
from typing import IO, Any

from grader import sandbox, suite
from grader.sim import Forkserver

MEMORY = 4 * 1024 * sandbox.MIB
"""Bytes of address space for the trusted side: what it is sent is bounded, and this bounds what it makes of it."""


def main() -> None:
    """`python -m grader.grade.session FOLDER SEED ENCLOSED CORE`: until stdin ends. CORE -1 is any."""
    folder, seed, enclosed, core = sys.argv[1], int(sys.argv[2]), bool(int(sys.argv[3])), int(sys.argv[4])
    if core >= 0:
        os.sched_setaffinity(0, {core})
    forkserver = suite.launch(seed, enclosed=enclosed)
    suite.preload()
    orders, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w", buffering=1)  # pytest takes the standard ones
    with orders, answers, tempfile.TemporaryFile() as printed:
        for target in (1, 2):
            os.dup2(printed.fileno(), target)
        status = suite.stand_by(folder, seed, forkserver, partial(_serve, forkserver, orders, answers))
        if status:
            printed.seek(0)
            answers.write(json.dumps({"failed": suite.what_failed(printed.read())}) + "\n")


def _serve(forkserver: Forkserver, orders: IO[str], answers: IO[str], judge: suite.Judge) -> None:
    answers.write(json.dumps({"failed": ""}) + "\n")
    for line in orders:
        answers.write(json.dumps(_judge(json.loads(line), forkserver, judge)) + "\n")


def _judge(order: dict[str, Any], forkserver: Forkserver, judge: suite.Judge) -> dict[str, Any]:
    """Judge what lies in the folder, in a group of processes of its own that ends with it. Raises ForkserverGone."""
    began = time.monotonic()
    client = forkserver.another()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setpgid(0, 0)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            judge(suite.opened(order["report"]), client)
            status = 0
        finally:
            os._exit(status)
    client.close()
    ended = os.pidfd_open(pid)
    over = not select.select([ended], [], [], order["seconds"])[0]
    os.close(ended)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    killed = (status < 0 and not over) or forkserver.has_ended
    return {"seconds": time.monotonic() - began, "over": over, "killed": killed}


if __name__ == "__main__":
    main()
