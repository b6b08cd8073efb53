"""The world in real time: what is attached to its network are HTTP servers on this machine, in a thread of their own.

`Live` has as much of a simulation as the neighbours of a service use: a clock, chance, a tape, a network to attach to.
Whoever calls is the learner's service, run for real (`host/live.py`), or the learner.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl

import uvicorn

from grader.sim.history import History
from grader.sim.network import Call, Hangup, Reply, Server
from grader.sim.tape import Tape
from grader.world import levers
from grader.world.provider import Provider
from grader.world.scene import Scene

NEVER = 2**62  # nanoseconds

Receive = Callable[[], Any]
Send = Callable[[dict[str, Any]], Any]


class Called(NamedTuple):
    """A neighbour has answered a call. `status` 0: it hung up, or its caller did."""

    neighbour: str
    method: str
    path: str
    status: int
    seconds: float


class _NoTape(Tape):
    """What goes on for as long as somebody likes is not recorded."""

    def record(self, kind: str, source: str, /, **data: Any) -> None:
        pass


class Live:
    """A scene, and the one simulation of it, in real time. It has no hosts: the service runs for itself."""

    endless = True

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.epoch = time.time_ns()
        self.horizon_ns = NEVER
        self.tape = _NoTape()
        self.history = History()
        self.network = self
        self.service = None
        self.servers: dict[str, Server] = {}
        self._began = time.monotonic()

    @property
    def scene(self) -> Scene:
        """What a group's `everyday` is given."""
        return cast(Scene, self)

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def rng(self, name: str) -> random.Random:
        return random.Random(f"{self.seed}/live/{name}")

    def simulation(self, *, horizon: float = 0.0) -> Live:  # noqa: ARG002 - it has none
        return self

    def attach(self, name: str, server: Server) -> None:
        self.servers[name] = server

    def has_levers(self, name: str) -> bool:
        """Is it the provider, which can be made slow?"""
        return isinstance(self.servers[name], Provider)

    def host(self, *_: object, **__: object) -> None:
        return None

    async def until(self, moment: float) -> None:
        await asyncio.sleep(max(0.0, moment - self.now))


class Neighbours:
    """The servers of `live`, each at the listener of its name, from `with` to its end. `tell` hears of each call, in
    another thread."""

    def __init__(self, live: Live, listeners: Mapping[str, socket.socket], tell: Callable[[Called], None]) -> None:
        self._listeners = listeners
        self._servers = {
            name: uvicorn.Server(
                uvicorn.Config(
                    _Front(live, name, server, tell), http="h11", ws="none", lifespan="off", log_config=None,
                    log_level="critical", access_log=False,
                )
            )
            for name, server in live.servers.items()
        }  # fmt: skip
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Neighbours:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers.values():
            server.should_exit = server.force_exit = True
        self._thread.join(2.0)

    async def _serve(self) -> None:
        await asyncio.gather(*(server.serve(sockets=[self._listeners[name]]) for name, server in self._servers.items()))


class _Front:
    """A server of the simulated network as an ASGI application."""

    def __init__(self, live: Live, name: str, server: Server, tell: Callable[[Called], None]) -> None:
        self._live = live
        self._name = name
        self._server = server
        self._tell = tell
        self._ids = itertools.count(1)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        call = await self._read(scope, receive)
        gone = asyncio.ensure_future(_until_gone(receive, call))
        status = 0
        try:
            reply = await self._answer(call)
            await _send(reply, send)
            status = 0 if call.closed.is_set() else reply.status
        except Hangup as hangup:
            if hangup.kind in ("connect-hang", "write-hang"):
                await call.closed.wait()
            # ASGI has no word for it: the transport is uvicorn's own
            cast(Any, receive).__self__.transport.abort()
        finally:
            gone.cancel()
            self._tell(Called(self._name, call.method, call.path, status, self._live.now - call.at))

    async def _answer(self, call: Call) -> Reply:
        if isinstance(self._server, Provider) and call.path.startswith(levers.FOLDER):
            return levers.pull(self._server, call, self._live.now)
        return await self._server(call)

    async def _read(self, scope: dict[str, Any], receive: Receive) -> Call:
        at = self._live.now
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        query = scope["query_string"].decode("latin-1")
        url = f"http://{self._name}{scope['path']}" + (f"?{query}" if query else "")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        given = dict(parse_qsl(query))
        return Call(
            next(self._ids), at, "service", scope["method"], url, scope["path"], given, headers, body
        )  # fmt: skip


async def _until_gone(receive: Receive, call: Call) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    call.closed.set()


async def _send(reply: Reply, send: Send) -> None:
    """Raises Hangup, where the body breaks off."""
    whole = reply.body if isinstance(reply.body, bytes) else None
    headers = dict(reply.headers) | ({} if whole is None else {"content-length": str(len(whole))})
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": pairs})
    if isinstance(reply.body, bytes):
        await send({"type": "http.response.body", "body": reply.body})
        return
    async for piece in reply.body:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
