"""The hosts' warm parent: imports the world once, makes it virtual, and forks a host whenever it is asked to.

Nothing of a learner's ever runs here. Run as `python -m grader.host.forkserver FD`, with FD a connected Unix stream
socket; one JSON object a line each way:

    {"do": "attach"} + a socket                     another client speaks over that socket
    {"do": "fork"} + [link, output, dump] sockets    -> {"pid": 17}
    {"do": "kill", "pid": 17}                        -> {"status": -9}       (its own, if it had ended before)
    {"do": "dump", "pid": 17}                        -> {}                   (its stacks go to its dump file)

A client that goes away takes its hosts with it; the last one takes the forkserver.
"""

from __future__ import annotations

from grader.host import threads

threads.install()  # before anything below makes a lock

import concurrent.futures.thread  # noqa: E402, F401
import contextlib  # noqa: E402
import gc  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import selectors  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from typing import Any  # noqa: E402

MOST_LINE = 4096


def warm_up() -> None:
    """Import what services import, then make clocks, loops, calls and files virtual."""
    import email.message  # noqa: F401
    import multiprocessing  # noqa: F401
    import uuid  # noqa: F401

    import anyio._backends._asyncio  # noqa: F401
    import fastapi
    import fastapi.middleware.cors
    import fastapi.responses
    import fastapi.routing
    import httpx
    import pydantic.v1  # noqa: F401
    import respx  # noqa: F401
    import starlette.background
    import starlette.concurrency  # noqa: F401

    from grader.host import clock, disk, egress, kernel, loop, process  # noqa: F401

    # builds what every application builds: validators, encoders, a client
    app = fastapi.FastAPI()
    app.add_api_route("/", lambda: {}, methods=["GET"])  # noqa: PIE807 - FastAPI wants a signature
    app.openapi_schema = None
    httpx.AsyncClient(), httpx.Client()

    clock.install(kernel.kernel.clock)
    loop.install()
    egress.install()
    disk.install()
    time.sleep = kernel.kernel.sleep  # type: ignore[assignment]


def serve(first: socket.socket) -> None:
    """Answer clients until the last has gone."""
    selector = selectors.DefaultSelector()
    children: dict[int, socket.socket] = {}  # pid -> the client it belongs to

    def forget(client: socket.socket) -> None:
        selector.unregister(client)
        for pid in [pid for pid, owner in children.items() if owner is client]:
            end(pid)
        client.close()

    def end(pid: int) -> int:
        if children.pop(pid, None) is None:
            return 0
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):  # it may not have a group of its own yet
            os.killpg(pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def answer(client: socket.socket, order: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        if order["do"] == "attach":
            selector.register(socket.socket(fileno=fds[0]), selectors.EVENT_READ)
            return {}
        if order["do"] == "fork":
            pid = os.fork()
            if pid == 0:
                _become_host(*fds)
            for fd in fds:
                os.close(fd)
            children[pid] = client
            return {"pid": pid}
        pid = int(order["pid"])
        if order["do"] == "dump":
            if pid in children:
                os.kill(pid, signal.SIGUSR1)
            return {}
        return {"status": end(pid)}

    selector.register(first, selectors.EVENT_READ)
    while selector.get_map():
        for key, _ in selector.select():
            client: Any = key.fileobj
            try:
                line, fds, _, _ = socket.recv_fds(client, MOST_LINE, 3)
                if line:
                    client.sendall(json.dumps(answer(client, json.loads(line), fds)).encode() + b"\n")
                    continue
            except (ConnectionResetError, BrokenPipeError):
                pass
            forget(client)


def _become_host(link: int, output: int, dump: int) -> None:
    """In the child: keep three descriptors and nothing else, then live. Does not return."""
    from grader.host import kernel, process

    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        keep = [os.dup(fd) for fd in (null, output, output, link, dump)]
        for target, fd in enumerate(keep, 100):
            os.dup2(fd, target)
        for target in range(5):
            os.dup2(100 + target, target)
        os.closerange(5, 1024)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        process.live(socket.socket(fileno=3), 4)
    finally:
        kernel.real_exit(1)


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is the client's to handle
    warm_up()
    gc.collect()
    gc.freeze()
    serve(control)


if __name__ == "__main__":
    main()
