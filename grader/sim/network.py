"""What lies between hosts and the outside: names, servers, time-outs, partitions, and calls that fail on command.

A server is an async function on the trusted side: `async def server(call: Call) -> Reply`. It lives in the same virtual
time, and is not cancelled when its client goes away: abandoned work goes on, as it does in production.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from grader import wire
from grader.sim.errors import ConnectionLost
from grader.sim.tape import Tape

if TYPE_CHECKING:
    from grader.sim.host import Host


@dataclass(slots=True)
class Call:
    """One HTTP request as a server sees it. `at` in virtual seconds; headers in lower case."""

    id: int
    at: float
    source: str
    method: str
    url: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    closed: asyncio.Event = field(default_factory=asyncio.Event)  # the client has hung up

    def json(self) -> Any:
        """Raises ValueError."""
        return json.loads(self.body)


@dataclass(slots=True)
class Reply:
    """What a server answers. A body that is an async iterator is streamed."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] = b""

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
        return cls(status, {"content-type": "application/json"} | (headers or {}), json.dumps(value).encode())


class Hangup(Exception):
    """A server raises it to fail below HTTP.

    `kind`: "refused" (nobody listens), "connect-hang" (packets vanish), "write-hang" (the request is never read),
    "reset" (the connection breaks before an answer).
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


Server = Callable[[Call], Coroutine[Any, Any, Reply]]
Work = asyncio.Task[Reply]

FOR_EVER = 1e9  # seconds


class Peer(Protocol):
    """What the network needs of a host that makes calls."""

    name: str

    def deliver(self, message: wire.Inbound) -> None: ...


class Network:
    """Routes the hosts' outbound calls to servers and to other hosts."""

    def __init__(self, tape: Tape, fail: Callable[[BaseException], None]) -> None:
        self._tape = tape
        self._fail = fail
        self._servers: dict[str, Server] = {}
        self._hosts: dict[str, Host] = {}
        self._cut: set[frozenset[str]] = set()
        self._carriers: dict[tuple[str, int], tuple[asyncio.Task[None], Call]] = {}
        self._abandoned: set[asyncio.Task[Reply]] = set()

    def attach(self, name: str, server: Server) -> None:
        """`server` answers what is sent to http(s)://`name`/."""
        self._servers[name] = server

    def add_host(self, host: Host) -> None:
        """`host` can be called by the others as http://NAME/."""
        self._hosts[host.name] = host

    def partition(self, one: str, other: str) -> None:
        """From now on nothing passes between the two; whoever waits goes on waiting."""
        self._cut.add(frozenset((one, other)))
        self._tape.record("partition", "network", between=sorted((one, other)))

    def heal(self) -> None:
        """All partitions end. What was lost stays lost."""
        self._cut.clear()
        self._tape.record("heal", "network")

    def reachable(self, one: str, other: str) -> bool:
        return frozenset((one, other)) not in self._cut

    # ------------------------------------------------------------------------------------------ carrying a call

    def egress(self, peer: Peer, message: wire.Egress) -> None:
        """Carry one call that a host makes."""
        try:
            parts = urlsplit(message.url)
            target = parts.hostname or ""
        except ValueError as error:
            peer.deliver(wire.ReplyError(message.id, "ConnectError", str(error)))
            return
        call = Call(
            message.id,
            asyncio.get_running_loop().time(),
            peer.name,
            message.method,
            message.url,
            parts.path or "/",
            dict(parse_qsl(parts.query)),
            {name.lower(): value for name, value in message.headers},
            message.body,
        )
        # what has left arrives, even if the caller is gone by then
        server = self._server(peer.name, target)
        work = None if server is None else asyncio.ensure_future(server(call))
        if work is not None:
            self._abandoned.add(work)
            work.add_done_callback(self._finished)
        task = asyncio.get_running_loop().create_task(self._carry(peer, message, call, target, work))
        key = (peer.name, message.id)
        self._carriers[key] = (task, call)
        task.add_done_callback(lambda _: self._carried(key, task))

    def _carried(self, key: tuple[str, int], task: asyncio.Task[None]) -> None:
        """A carrier has ended. Its call's number may be another call's by now: a new life of the host counts anew."""
        if self._carriers.get(key, (None, None))[0] is task:
            del self._carriers[key]

    def abort(self, peer: Peer, ident: int) -> None:
        """The host stopped waiting for call `ident`."""
        task, call = self._carriers.get((peer.name, ident), (None, None))
        if task is not None and call is not None:
            call.closed.set()
            task.cancel()

    def drop(self, peer: Peer) -> None:
        """The host is gone: all its calls are hung up."""
        for name, ident in list(self._carriers):
            if name == peer.name:
                self.abort(peer, ident)

    def _server(self, source: str, target: str) -> Server | None:
        if not self.reachable(source, target):
            return None
        return self._hosts[target].answer if target in self._hosts else self._servers.get(target)

    async def _carry(self, peer: Peer, message: wire.Egress, call: Call, target: str, work: Work | None) -> None:
        try:
            error = await self._converse(peer, message, target, work)
        except asyncio.CancelledError:
            raise
        except BaseException as ours:
            self._fail(ours)
            return
        if error is not None:
            call.closed.set()
            kind, text = error
            self._tape.record("call-failed", peer.name, call=message.id, cause=message.cause, error=kind)
            peer.deliver(wire.ReplyError(message.id, kind, text))

    async def _converse(
        self, peer: Peer, message: wire.Egress, target: str, work: Work | None
    ) -> tuple[str, str] | None:
        """Returns the httpx error to raise, if the conversation fails."""
        began = asyncio.get_running_loop().time()
        if work is None:
            if self.reachable(peer.name, target):
                return "ConnectError", f"name or service not known: {target}"
            await _until(began, message.connect)
            return "ConnectTimeout", f"no connection to {target} in time"
        done, _ = await asyncio.wait({work}, timeout=_bounded(message.read))
        if not done:
            return "ReadTimeout", f"{target} did not answer in {message.read} s"
        try:
            reply = work.result()
        except Hangup as hangup:
            return await self._hang_up(hangup.kind, message, target, began)
        except ConnectionLost:
            return "ReadError", f"{target} went away before it answered"
        if not self.reachable(peer.name, target):
            await _until(began, message.read)
            return "ReadTimeout", f"the answer of {target} was lost"
        headers = list(reply.headers.items())
        self._tape.record("reply", target, call=message.id, to=peer.name, cause=message.cause, status=reply.status)
        if isinstance(reply.body, bytes):
            peer.deliver(wire.Reply(message.id, reply.status, headers, reply.body))
            return None
        peer.deliver(wire.ReplyHead(message.id, reply.status, headers))
        return await self._stream(peer, message, reply.body, target)

    async def _stream(
        self, peer: Peer, message: wire.Egress, body: AsyncIterator[bytes], target: str
    ) -> tuple[str, str] | None:
        while True:
            began, chunk = asyncio.get_running_loop().time(), None
            try:
                async with asyncio.timeout(_bounded(message.read)):
                    chunk = await anext(body)
            except StopAsyncIteration:
                pass
            except TimeoutError:
                return "ReadTimeout", f"{target} sent nothing for {message.read} s"
            except (Hangup, ConnectionLost):
                return "ReadError", f"{target} broke the connection in the middle of its answer"
            if not self.reachable(peer.name, target):
                await _until(began, message.read)
                return "ReadTimeout", f"the answer of {target} was lost on its way"
            if chunk is None:
                peer.deliver(wire.ReplyEnd(message.id))
                return None
            peer.deliver(wire.ReplyChunk(message.id, chunk))

    async def _hang_up(self, kind: str, message: wire.Egress, target: str, began: float) -> tuple[str, str]:
        if kind == "refused":
            return "ConnectError", f"connection to {target} refused"
        if kind == "connect-hang":
            await _until(began, message.connect)
            return "ConnectTimeout", f"no connection to {target} in time"
        if kind == "write-hang":
            await _until(began, message.write)
            return "WriteTimeout", f"{target} did not take the request in time"
        return "ReadError", f"{target} reset the connection"

    def _finished(self, work: asyncio.Task[Reply]) -> None:
        self._abandoned.discard(work)
        error = None if work.cancelled() else work.exception()
        if error is not None and not isinstance(error, (Hangup, ConnectionLost)):
            self._fail(error)


def _bounded(seconds: float | None) -> float | None:
    """A time-out as a host states it; None is for ever."""
    return seconds if seconds is not None and 0 <= seconds <= FOR_EVER else None


async def _until(began: float, seconds: float | None) -> None:
    """Wait for a time-out that runs since `began`."""
    loop, limit = asyncio.get_running_loop(), _bounded(seconds)
    if limit is None:
        await loop.create_future()
    else:
        await asyncio.sleep(max(0.0, began + limit - loop.time()))
