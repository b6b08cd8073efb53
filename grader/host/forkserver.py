"""The hosts' warm parent: imports the world once, makes it virtual, and forks a host whenever it is asked to.

Nothing of a learner's ever runs here. Run as `python -m grader.host.forkserver FD ALLOWED [SYSTEM…]`, with FD a
connected Unix stream socket, and ALLOWED what the group allows its services to import, with commas between. With
SYSTEM, paths that every host needs, its hosts are confined (`confine.py`). One JSON object a line each way:

    {"do": "attach"} + a socket                     another client speaks over that socket
    {"do": "fork", "code": folder, "disk": folder}
        + [link, output, dump] sockets               -> {"pid": 17}, or {"refused": why it cannot be confined}
        and "terminal": true for one that has our own descriptors 0 to 2 in place of its output
    {"do": "kill", "pid": 17, "grace": 0.5}          -> {"status": -9, "before": false, "confined": true}
                                                        its own status, if it ended before, or within so many seconds
    {"do": "dump", "pid": 17}                        -> {}                   (its stacks go to its dump file)

A client that goes away takes its hosts with it; the last one takes the forkserver.
"""

from __future__ import annotations

from grader.host import threads

threads.install()  # before anything below makes a lock

import concurrent.futures.thread  # noqa: E402, F401
import contextlib  # noqa: E402
import gc  # noqa: E402
import importlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import select  # noqa: E402
import selectors  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Collection, Sequence  # noqa: E402
from typing import Any  # noqa: E402

from grader.host import confine  # noqa: E402

LIBRARIES = (
    "aiosqlite",
    "bm25s",
    "numpy",
    "numpy.random",
    "opentelemetry.sdk.trace.export",
    "opentelemetry.trace.propagation.tracecontext",
    "stamina",
    "tenacity",
)
"""What groups allow their services beside the web stack: imported for a group that allows it, where it is installed."""

MOST_LINE = 4096
_LOOK = 0.002  # seconds between two looks at a process that may end by itself


def warm_up(allowed: Collection[str] = ()) -> None:
    """Import what services import, then make clocks, loops, calls and files virtual."""
    import email.message  # noqa: F401
    import multiprocessing  # noqa: F401
    import uuid  # noqa: F401

    # httpx tries its command line, which brings rich and click, 60 ms, and can do without it
    sys.modules["httpx._main"] = None  # type: ignore[assignment]

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

    from grader.host import clock, debugger, disk, egress, kernel, loop, process  # noqa: F401

    clock.install(kernel.kernel.clock)
    loop.install()
    egress.install()
    disk.install()
    time.sleep = kernel.kernel.sleep  # type: ignore[assignment]

    # builds what every application builds: validators, encoders, a client
    app = fastapi.FastAPI()
    app.add_api_route("/", lambda: {}, methods=["GET"])  # noqa: PIE807 - FastAPI wants a signature
    app.openapi_schema = None
    httpx.AsyncClient(), httpx.Client()

    wanted = [name for name in LIBRARIES if name.partition(".")[0] in allowed]
    for name in wanted:  # now that all they could keep hold of is virtual
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def serve(first: socket.socket, system: Sequence[str]) -> None:
    """Answer clients until the last has gone."""
    selector = selectors.DefaultSelector()
    children: dict[int, socket.socket] = {}  # pid -> the client it belongs to

    def forget(client: socket.socket) -> None:
        selector.unregister(client)
        for pid in [pid for pid, owner in children.items() if owner is client]:
            end(pid)
        client.close()

    def end(pid: int, grace: float = 0.0) -> dict[str, Any]:
        if children.pop(pid, None) is None:
            return {"status": 0, "before": True, "confined": bool(system)}
        while not (before := _has_ended(pid)) and grace > 0:
            select.select([], [], [], _LOOK)  # the clock and its sleep are virtual here
            grace -= _LOOK
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):  # it may not have a group of its own yet
            os.killpg(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return {"status": status, "before": before, "confined": bool(system)}

    def fork(client: socket.socket, order: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        told, tell = os.pipe()
        try:
            if system:
                confine.new_process_tree()
            pid = os.fork()
            if pid == 0:
                walls = (system, order["code"], order["disk"]) if system else None
                _become_host(fds, tell, walls, terminal=order.get("terminal", False))
            os.close(tell)
            refused = os.read(told, MOST_LINE) if system else b""  # nothing, once it is confined
            if refused:
                os.waitpid(pid, 0)
                return {"refused": refused.decode()}
            children[pid] = client
            return {"pid": pid}
        except confine.CannotConfine as error:
            os.close(tell)
            return {"refused": str(error)}
        finally:
            for fd in (*fds, told):
                os.close(fd)

    def answer(client: socket.socket, order: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        if order["do"] == "attach":
            selector.register(socket.socket(fileno=fds[0]), selectors.EVENT_READ)
            return {}
        if order["do"] == "fork":
            return fork(client, order, fds)
        pid = int(order["pid"])
        if order["do"] == "dump":
            if pid in children:
                os.kill(pid, signal.SIGUSR1)
            return {}
        return end(pid, order.get("grace", 0.0))

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


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _become_host(fds: list[int], tell: int, walls: tuple[Sequence[str], str, str] | None, *, terminal: bool) -> None:
    """In the child: keep three descriptors (link, output, dump) and nothing else, then live. Does not return.

    `terminal`: our own standard streams, too, in place of its output. `walls`, if it is to be confined: the system's
    paths, the code to run, its disk. If that fails, `tell` hears why.
    """
    from grader.host import kernel, process

    try:
        os.setsid()
        if walls is not None:
            system, code, disk = walls
            try:
                confine.enter(system, [code], [disk])
            except (confine.CannotConfine, OSError) as error:
                os.write(tell, str(error).encode() or b"no reason is known")
                return
        link, output, dump = fds
        null = os.open(os.devnull, os.O_RDONLY)
        streams = (0, 1, 2) if terminal else (null, output, output)
        keep = [os.dup(fd) for fd in (*streams, link, dump)]
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
    warm_up(sys.argv[2].split(","))
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)  # a host is short-lived, and starts by making many objects that stay
    serve(control, sys.argv[3:])


if __name__ == "__main__":
    main()
