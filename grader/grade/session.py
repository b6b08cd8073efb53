"""A warm pytest that judges one submission after the other, all with one seed: `python -m grader.grade.session`.

It runs in the sandbox, and the hosts in sandboxes of their own within that. One JSON object a line: on stdin
{"folder": …, "report": …, "seconds": …}, a submission that is laid out, where its outcomes go, and how long it may
take; on stdout {"seconds": …, "over": …, "killed": …} when it has ended: after too long, by somebody's hand?
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import sys
import time
from typing import Any

from grader import sandbox, suite
from grader.sim import Forkserver

MEMORY = 4 * 1024 * sandbox.MIB
"""Bytes of address space for the trusted side: what it is sent is bounded, and this bounds what it makes of it."""


def main() -> None:
    """`python -m grader.grade.session SEED ENCLOSED CORE`: until stdin ends. CORE -1 is any."""
    seed, enclosed, core = int(sys.argv[1]), bool(int(sys.argv[2])), int(sys.argv[3])
    if core >= 0:
        os.sched_setaffinity(0, {core})
    forkserver = suite.launch(seed, enclosed=enclosed)
    suite.preload()
    for line in sys.stdin.buffer:
        order = json.loads(line)
        answer = _judge(order, seed, forkserver)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    forkserver.close()


def _judge(order: dict[str, Any], seed: int, forkserver: Forkserver) -> dict[str, Any]:
    """Judge one submission, in a group of processes of its own that ends with it. Raises ForkserverGone."""
    began = time.monotonic()
    client = forkserver.another()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        suite.play_apart(order["folder"], seed, order["report"], client)
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
