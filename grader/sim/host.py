"""One host as the simulation sees it: a process to start, crash, restart, call and probe. Trusted."""

from __future__ import annotations

import asyncio
import inspect
import json as jsonlib
import math
import os
import re
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import msgspec

from grader import wire
from grader.sim.crashpoints import Ledger
from grader.sim.errors import ClientTimeout, ConnectionLost, HostFailed, ProbeFailed
from grader.sim.forkserver import Ending, seed_of_hosts
from grader.sim.history import Answered
from grader.sim.network import Call, Reply

if TYPE_CHECKING:
    from grader.sim.engine import Simulation

CRASH = "the host crashed"

PREVIEW = 60
"""Bytes of a request's body that the tape keeps, for the story."""

MOST_PASSES = 1_000
"""Turns that a host may leave to others for one of its own."""

MOST_BYTES = 256 * 1024 * 1024
"""Bytes that one life of a host may send, in all."""

_SPIN = 0.4
"""Of the real time that a turn may take, how much of it the host may compute."""

_GRACE = 0.5
"""Real seconds between a link that closes and the end of a process that ends by itself."""


@dataclass(frozen=True, slots=True)
class Service:
    """What a host runs: the folder that is put first on its path, the application in it, the ports for probes."""

    root: Path
    app: str = "service.app:create_app"
    ports: dict[str, str] = field(default_factory=dict)

    @property
    def code(self) -> Path:
        """The folder that is all a confined host sees of `root`: the application's package, if it is one."""
        package = self.root / self.app.partition(":")[0].partition(".")[0]
        return package if package.is_dir() else self.root


@dataclass(slots=True)
class Response:
    """A whole answer. Header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Raises ValueError."""
        return jsonlib.loads(self.body)


class Stream:
    """An answer as it comes: `await head()`, then iterate, or `disconnect()`."""

    def __init__(self, host: Host, ident: int) -> None:
        self._host = host
        self._id = ident
        self._events: asyncio.Queue[Any] = asyncio.Queue()
        self.begun = False  # its head has come
        self.status = 0
        self.headers: dict[str, str] = {}
        self.whole: bytes | None = None  # the body, if it came in one piece

    async def head(self) -> int:
        """The status, once it is known. Before the body. Raises ConnectionLost."""
        message = await self._next()
        self.status = message.status
        self.headers = {name.lower(): value for name, value in message.headers}
        if isinstance(message, wire.Response):
            self.whole = message.body
        return self.status

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self.whole is not None:
            yield self.whole
            return
        while True:
            message = await self._next()
            yield message.body
            if not message.more:
                return

    async def body(self) -> bytes:
        return b"".join([part async for part in self])

    def send(self, body: bytes, more: bool = False) -> None:
        """More of the request's body."""
        self._host.deliver(wire.RequestChunk(self._id, body, more))

    def disconnect(self) -> None:
        """Hang up: what is still to come is not wanted."""
        self._host.hang_up(self._id)

    def put(self, message: Any) -> None:
        self._events.put_nowait(message)

    async def _next(self) -> Any:
        message = await self._events.get()
        if isinstance(message, ConnectionLost):
            raise message
        return message


class Host:
    """A process that runs one service on one disk. Made by `Simulation.host`."""

    def __init__(self, sim: Simulation, name: str, service: Service, disk: Path, env: dict[str, str]) -> None:
        self.name = name
        self.service = service
        self.disk = disk
        self.env = env
        self.alive = False
        self.effects = 0
        self.clock = 0  # the host's own clock, nanoseconds; never behind the simulation's
        self.deadline: int | None = None
        self.passes = 0  # turns that it leaves to others of this instant
        self.inbox: list[wire.Inbound] = []
        self._sim = sim
        self._pid = 0
        self._wall = 0  # nanoseconds that this host's wall clock is off
        self._busy = 0.0  # real seconds for which it has not come to rest
        self._starting: asyncio.Future[None] | None = None  # while somebody waits for it
        self._stopping: asyncio.Future[None] | None = None
        self._streams: dict[int, Stream] = {}
        self._probes: dict[int, asyncio.Future[Any]] = {}
        self._stalled: tuple[int, list[str]] | None = None
        self._waiting: list[tuple[str, wire.Place]] = []
        self._listens = False  # its lifespan has begun
        self._crash_at: int | None = None
        self._restart_after: float | None = None
        self._frozen = False
        self._ledger = Ledger(disk)
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by shut()
        self._dump = tempfile.TemporaryFile()  # noqa: SIM115

    # ------------------------------------------------------------------------------------------ life

    async def start(self) -> None:
        """Start the service; wait until its lifespan has begun. Raises HostFailed, or ConnectionLost if it crashes."""
        if self.alive:
            raise RuntimeError(f"{self.name} is running")
        self._starting = asyncio.get_running_loop().create_future()
        try:
            self._boot()
            await self._starting
        finally:
            self._starting = None

    def _boot(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._pid = self._sim.forkserver.fork(
                theirs.fileno(),
                self._output.fileno(),
                self._dump.fileno(),
                code=str(self.service.code),
                disk=str(self.disk),
            )
        self._socket = ours
        ours.settimeout(self._spin)
        self._link = wire.Link(ours, wire.to_simulation)
        self._sim.tape.record("start", self.name)
        self.alive, self.deadline, self.inbox = True, None, []
        self._frozen = self._listens = False
        self.clock = self._sim.now_ns
        self._busy, self._computed = 0.0, _cpu(self._pid)
        self._hear(
            wire.Boot(
                name=self.name,
                root=str(self.service.root),
                app=self.service.app,
                ports=self.service.ports,
                env=self._sim.environment | {"DATA_DIR": str(self.disk)} | self.env,
                limits=self._sim.limits,
                seed=seed_of_hosts(self._sim.seed),
                shuffles=self._sim.shuffles,
                now=self.clock,
                epoch=self._sim.epoch + self._wall,
                interleave=self.interleave,
                counting=self.counting,
                terminal=self._sim.forkserver.terminal,
            )
        )

    def crash(self, *, behind: str = "", where: list[str] | None = None) -> None:
        """SIGKILL, now: what was in flight is lost, what is on the disk stays, synced or not: it is no power cut.

        `behind` and `where` tell the story of what it comes right behind.
        """
        if self.alive:
            self._end()
            self._sim.forkserver.kill(self._pid)
            self._sim.tape.record("crash", self.name, behind=behind, where=where or [])
            self._lose(CRASH)

    async def restart(self) -> None:
        """A new process on the same disk."""
        self.crash()
        await self.start()

    async def stop(self) -> None:
        """End in order, as on SIGTERM: requests in flight finish, the lifespan's shutdown runs."""
        if self.alive:
            self._sim.tape.record("stop", self.name)
            self._stopping = asyncio.get_running_loop().create_future()
            self.deliver(wire.Stop())
            await self._stopping
            self._sim.tape.record("stopped", self.name)

    def freeze(self) -> None:
        """The process gets no turn any more, as in a long pause of its machine; neither it nor the others know.

        What is sent to it waits. It keeps what it holds: locks, leases, half a transaction. A crash ends it as ever.
        """
        if self.alive and not self._frozen:
            self._frozen = True
            self._sim.tape.record("freeze", self.name)

    def thaw(self) -> None:
        """It goes on where it stood, at the time that it is now."""
        if self.alive and self._frozen:
            self._frozen = False
            self._sim.tape.record("thaw", self.name)

    def crash_at(self, effect: int | None, *, restart_after: float | None = None) -> None:
        """Crash right behind this host's `effect`-th effect (from 1; None for never). See `crashpoints.py`.

        With `restart_after`, it starts again that many seconds later; `start` then waits for the second life, if the
        first ends before it has begun.
        """
        self._crash_at, self._restart_after = effect, restart_after

    def set_wall_clock(self, offset: float) -> None:
        """Step the host's wall clock to `offset` seconds from the true one. Monotonic clocks do not follow."""
        self._wall = round(offset * 1e9)
        self.deliver(wire.SetWall(self._sim.epoch + self._wall))

    # ------------------------------------------------------------------------------------------ requests

    def open(
        self, method: str, path: str, *, body: bytes = b"", headers: dict[str, str] | None = None, more: bool = False
    ) -> Stream:
        """Begin a request. With `more`, its body goes on in `Stream.send`."""
        ident = self._sim.next_id()
        stream = Stream(self, ident)
        route, _, query = path.partition("?")
        text = body[:PREVIEW].decode("utf-8", "replace") + "…" * (len(body) > PREVIEW)
        self._sim.tape.record("request", self.name, id=ident, method=method, path=path, text=text)
        if not self.serving:
            stream.put(ConnectionLost(f"{self.name} is down"))
            return stream
        self._streams[ident] = stream
        given = list(({"host": self.name} | (headers or {})).items())
        self.deliver(wire.Request(ident, method, route, query, given, body, more))
        return stream

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        timeout: float | None = None,
    ) -> Response:
        """Send a request and wait for the whole answer, for at most `timeout` virtual seconds.

        Raises ClientTimeout (after hanging up) and ConnectionLost.
        """
        given = dict(headers or {})
        if json is not None:
            body = jsonlib.dumps(json).encode()
            given.setdefault("content-type", "application/json")
        if body:
            given.setdefault("content-length", str(len(body)))
        name, answered = self._sim.history.request(method, path, body)
        if answered is None:
            answered = await self._ask(method, path, body, given, timeout)
            self._sim.history.answer(name, answered)
        else:
            await asyncio.sleep(answered.seconds)
        match answered.error:
            case "timeout":
                raise ClientTimeout(f"{method} {path}: no answer in {timeout} s")
            case "":
                return Response(answered.status, dict(answered.headers), answered.body)
        raise ConnectionLost(answered.error)

    async def _ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str], timeout: float | None
    ) -> Answered:
        began = self._sim.now
        stream = self.open(method, path, body=body, headers=headers)
        try:
            async with asyncio.timeout(timeout):
                status, answer = await stream.head(), await stream.body()
                return Answered(self._sim.now - began, status, tuple(stream.headers.items()), answer)
        except TimeoutError:
            stream.disconnect()
            return Answered(self._sim.now - began, error="timeout")
        except ConnectionLost as error:
            return Answered(self._sim.now - began, error=str(error) or "lost")
        except asyncio.CancelledError:
            stream.disconnect()
            raise

    def hang_up(self, ident: int) -> None:
        if self._streams.pop(ident, None) is not None and self.alive:
            self._sim.tape.record("disconnect", self.name, id=ident)
            self.deliver(wire.Disconnect(ident))

    async def answer(self, call: Call) -> Reply:
        """Serve a call of another host."""
        from grader.sim.network import Hangup

        if not self.serving:
            raise Hangup("refused")
        path = call.path + ("?" + call.url.partition("?")[2] if "?" in call.url else "")
        stream = self.open(call.method, path, body=call.body, headers=call.headers)

        async def follow() -> None:
            await call.closed.wait()
            stream.disconnect()
            stream.put(ConnectionLost("the calling host hung up"))

        following = asyncio.ensure_future(follow())

        async def pieces() -> AsyncIterator[bytes]:
            try:
                async for piece in stream:
                    yield piece
            finally:
                following.cancel()
                stream.disconnect()

        try:
            status = await stream.head()
        except BaseException:
            following.cancel()
            raise
        if stream.whole is None:
            return Reply(status, stream.headers, pieces())
        following.cancel()
        return Reply(status, stream.headers, stream.whole)

    async def probe(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run `function(ports, *args)` beside the learner's code. Its whole module travels: expect nothing in there.

        Raises ProbeFailed, or TypeError when `args` are not plain, or when the module is one of tests.
        """
        module = inspect.getmodule(function)
        assert isinstance(module, ModuleType)
        if any(name.startswith("test_") for name in vars(module)):
            raise TypeError(f"put {function.__name__} into a module of its own: with it, these tests would travel")
        if not _is_plain(args):
            raise TypeError(f"only plain values can enter a host, not {args!r}")
        ident = self._sim.next_id()
        future = self._probes[ident] = asyncio.get_running_loop().create_future()
        name = Path(inspect.getfile(module)).stem  # of no folder, which differs from run to run, and is in tracebacks
        self.deliver(wire.Probe(ident, name, inspect.getsource(module), function.__name__, list(args)))
        return await future

    def printed(self, most: int = 10) -> str:
        """The last `most` lines that the service printed."""
        size = os.fstat(self._output.fileno()).st_size
        data = os.pread(self._output.fileno(), 20_000, max(0, size - 20_000))
        return "\n".join(data.decode("utf-8", "replace").splitlines()[-most:])

    # ------------------------------------------------------------------------------------------ the lockstep

    @property
    def serving(self) -> bool:
        """Does it take requests? Who comes while it starts is refused, as by a port on which nobody listens yet."""
        return self.alive and self._listens

    @property
    def counting(self) -> bool:
        """Are this host's effects counted, as crash points?"""
        return self._crash_at is not None or self._sim.counts_effects

    @property
    def interleave(self) -> bool:
        """Do others share its disk, so that each statement of one may come between two of another?"""
        return self._sim.shares_disk(self)

    def deliver(self, message: wire.Inbound) -> None:
        if self.alive:
            self.inbox.append(message)

    def next_turn(self, now: int) -> int | None:
        """When this host has something to do; None if never."""
        if not self.alive or self._frozen:
            return None
        if self.inbox:
            return max(now, self.clock)
        return None if self.deadline is None else max(self.deadline, self.clock)

    def exchange(self) -> None:
        """Give the host its turn at this instant."""
        inbox, self.inbox = self.inbox, []
        self._hear(wire.Run(self._sim.now_ns, inbox, self.interleave, self.counting))

    @property
    def starts(self) -> bool:
        """Is it on its way up, and not there yet?"""
        return self.alive and not self._listens

    def explain(self) -> list[tuple[str, wire.Place]]:
        """Where the learner's code waits now."""
        self._waiting = []
        if self.alive:
            self.inbox.append(wire.Explain())
            self.exchange()
        return self._waiting

    def _hear(self, message: wire.Boot | wire.Run) -> None:
        """Say `message`, and take the answer."""
        began = time.perf_counter()
        if self.counting:
            self._ledger.changes()  # the scenario's, or another host's
        try:
            self._link.send(message)
            idle = self._receive()
        except TimeoutError:
            self._restless(self._hot_places())
            return
        except wire.LinkClosed:
            ending = self._sim.forkserver.kill(self._pid, _GRACE)
            self._end()
            self._fail(*_told(ending), self._dumped_places())
            return
        except (wire.FrameTooLong, msgspec.DecodeError) as error:
            kind = "flood" if isinstance(error, wire.FrameTooLong) else "garbage"
            self._fail(kind, f"sent what is no message of a host: {error}", ())
            return
        self.clock = max(idle.now, self.clock)
        self.deadline = idle.deadline
        if self.counting and self._ledger.changes() > sum(isinstance(each, wire.Effect) for each in idle.out):
            text = "the disk changed in a way that crash points cannot follow: not through sqlite3, open or os"
            self._fail("unannounced", text, self._waiting_places())
        if self._link.received > MOST_BYTES:
            self._fail("flood", f"sent more than {MOST_BYTES:,} bytes", ())
        for each in idle.out:
            if self.alive:
                self._take(each)
        resting = idle.deadline is None or idle.deadline > self.clock
        self.passes = 0 if resting else min(idle.passes, MOST_PASSES)
        self._busy = 0.0 if resting else self._busy + time.perf_counter() - began
        if resting:
            self._computed = _cpu(self._pid)
        if self.alive and self._is_restless():
            self._busy = 0.0  # to ask it where it waits is a turn, too
            self._restless(self._waiting_places())

    def _receive(self) -> wire.Idle:
        """Raises TimeoutError: soon for a host that computes all the time, later for one that may only be held up."""
        try:
            return cast(wire.Idle, self._link.receive())
        except TimeoutError:
            if self._link.torn or self._is_restless(self._spin or 0.0):
                raise
        self._socket.settimeout((self._sim.patience or 0.0) - (self._spin or 0.0))
        idle = cast(wire.Idle, self._link.receive())
        self._socket.settimeout(self._spin)
        return idle

    @property
    def _spin(self) -> float | None:
        """Seconds for which one turn may compute."""
        return None if self._sim.patience is None else _SPIN * self._sim.patience

    def _is_restless(self, more: float = 0.0) -> bool:
        """Does its turn take too long, in real time or in computing? `more`: real seconds beside those of its turn."""
        if self._spin is None or self._busy + more < self._spin:
            return False
        return self._busy + more > (self._sim.patience or 0.0) or self._has_spun()

    def _has_spun(self) -> bool:
        return _cpu(self._pid) - self._computed > 0.9 * (self._spin or 0.0)

    def _restless(self, places: tuple[wire.Place, ...]) -> None:
        if self._has_spun():
            self._fail("limit-time", f"did not come to rest in {self._spin:g} s of computing", places)
        else:
            what = f"did not come to rest in {self._sim.patience:g} s of real time, and hardly computed"
            self._fail("limit-stall", f"{what}: it waits for something outside the simulation", places)

    def _waiting_places(self) -> tuple[wire.Place, ...]:
        return tuple(place for _, place in self.explain())[:2]

    def _take(self, message: wire.Outbound) -> None:
        tape = self._sim.tape
        match message:
            case wire.Response() | wire.ResponseHead():
                stream = self._streams.get(message.id)
                if stream is not None and not stream.begun:
                    stream.begun = True
                    tape.record("response", self.name, id=message.id, status=message.status)
                    stream.put(message)
                    if isinstance(message, wire.Response):
                        del self._streams[message.id]
                    self._count("answer", f"status {message.status}")
            case wire.ResponseChunk():
                stream = self._streams.get(message.id)
                if stream is not None and stream.begun:
                    stream.put(message)
                    if not message.more:
                        del self._streams[message.id]
            case wire.ResponseBroken():
                stream = self._streams.pop(message.id, None)
                if stream is not None:
                    tape.record("broken", self.name, id=message.id)
                    stream.put(ConnectionLost(f"{self.name} broke off its answer"))
            case wire.Egress():
                tape.record(
                    "call", self.name, call=message.id, cause=message.cause, method=message.method, url=message.url,
                    where=_texts(message.where),
                )  # fmt: skip
                self._sim.network.egress(self, message)
                self._count("call", message.url, _texts(message.where))
            case wire.EgressAbort():
                tape.record("abort", self.name, call=message.id)
                self._sim.network.abort(self, message.id)
            case wire.Effect():
                self._count(message.kind, message.text, _texts(message.where))
            case wire.Started():
                tape.record("started", self.name)
                self._listens = True
                if self._starting is not None and not self._starting.done():
                    self._starting.set_result(None)
            case wire.Stopped():
                self._end()
                self._sim.forkserver.kill(self._pid)
                self._lose("the host has stopped")
            case wire.ProbeResult():
                if _is_plain(message.value):
                    self._settle(message.id, message.value)
                else:
                    self._fail("garbage", "sent a value that no probe returns", ())
            case wire.ProbeError():
                self._settle(message.id, ProbeFailed(message.kind, message.text, tuple(message.where), message.detail))
            case wire.Log():
                tape.record(
                    "log", self.name, level=message.level, logger=message.logger, text=message.text, cause=message.cause
                )
            case wire.Stalled():
                self._stalled = (self._sim.now_ns, _texts(message.where))
            case wire.Blocked():
                self._stalled = None
                seconds = (message.ended - message.began) / 1e9
                tape.record("blocked", self.name, seconds=seconds, where=_texts(message.where))
            case wire.Unhandled():
                tape.record(
                    "unhandled", self.name, error=message.kind, text=message.text, cause=message.cause,
                    where=_texts(message.where), detail=message.detail,
                )  # fmt: skip
            case wire.Escape():
                tape.record("escape", self.name, what=message.kind, text=message.text, where=_texts(message.where))
            case wire.Waiting():
                self._waiting = message.places
            case wire.Failed():
                self._fail(message.kind, message.text, tuple(message.where), message.detail)

    def _count(self, kind: str, text: str, places: list[str] | None = None) -> None:
        """One more effect that the outside can see. Crash behind it, if that was asked for."""
        if not self.counting:
            return
        self.effects += 1
        self._sim.tape.record("effect", self.name, number=self.effects, what=kind, text=text, where=places or [])
        if self.effects == self._crash_at:
            self.crash(behind=f"{kind} ({text})", where=places)
            if self._restart_after is not None:
                asyncio.get_running_loop().call_later(self._restart_after, self._boot)

    def _settle(self, ident: int, value: Any) -> None:
        future = self._probes.pop(ident, None)
        if future is not None and not future.done():
            future.set_exception(value) if isinstance(value, Exception) else future.set_result(value)

    # ------------------------------------------------------------------------------------------ endings

    def _fail(self, kind: str, text: str, places: tuple[wire.Place, ...], detail: str = "") -> None:
        """This host cannot go on: end it, and the run, with an explanation."""
        if self.alive:
            self._end()
            self._sim.forkserver.kill(self._pid)
        failure = HostFailed(self.name, kind, text, places, detail, self.printed())
        self._sim.tape.record("host-failed", self.name, what=kind, text=text, where=_texts(places))
        if self._starting is not None and not self._starting.done():
            self._starting.set_exception(failure)
        else:
            self._sim.fail(failure)
        self._lose(text)

    def _end(self) -> None:
        if self._stalled is not None:  # the event loop never went on
            began, places = self._stalled
            self._stalled = None
            self._sim.tape.record("blocked", self.name, seconds=(self._sim.now_ns - began) / 1e9, where=places)
        self.alive, self.deadline, self.inbox = False, None, []
        self._link.close()

    def _lose(self, why: str) -> None:
        self._sim.network.drop(self)
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.put(ConnectionLost(f"{self.name}: {why}"))
        probes, self._probes = self._probes, {}
        for future in probes.values():
            if not future.done():
                future.set_exception(ConnectionLost(f"{self.name}: {why}"))
        if self._stopping is not None and not self._stopping.done():
            self._stopping.set_result(None)
        if self._starting is not None and not self._starting.done() and self._restart_after is None:
            self._starting.set_exception(ConnectionLost(f"{self.name}: {why}"))

    def shut(self) -> None:
        """The simulation is over."""
        if self.alive:
            self._end()
            self._sim.forkserver.kill(self._pid)
        self._output.close()
        self._dump.close()

    def _hot_places(self) -> tuple[wire.Place, ...]:
        """Where a host that does not come to rest spends its time: its stacks, looked at again and again."""
        seen: Counter[wire.Place] = Counter()
        for _ in range(10):
            os.ftruncate(self._dump.fileno(), 0)
            os.lseek(self._dump.fileno(), 0, os.SEEK_SET)
            self._sim.forkserver.dump(self._pid)
            time.sleep(0.02)
            seen.update(self._dumped_places()[:1])
        return tuple(place for place, _ in seen.most_common(2))

    def _dumped_places(self) -> tuple[wire.Place, ...]:
        """The learner's lines in the newest dump of stacks, innermost first; the main thread's before the others'."""
        text = os.pread(self._dump.fileno(), 100_000, 0).decode("utf-8", "replace")
        root = re.escape(str(self.service.root).rstrip("/") + "/")
        frame = re.compile(rf'File "{root}([^"]+)", line (\d+) in (\S+)')
        found = [
            [wire.Place(file, int(line), name) for file, line, name in frame.findall(part)]
            for part in re.split(r"(?m)^(?:Current thread|Thread) ", text)
        ]
        return tuple(place for part in reversed(found) for place in part[:2])[:2]


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has used. Where that cannot be known, all seconds count as such."""
    if not sys.platform.startswith("linux"):
        return time.monotonic()
    try:
        return time.clock_gettime(~pid << 3 | 2)  # CPUCLOCK_SCHED of that process, as clock_getcpuclockid(3) makes it
    except OSError:  # it has ended
        return time.monotonic()


def _told(ending: Ending) -> tuple[str, str]:
    """What became of a process that left without a word. A confined one cannot send itself SIGKILL: the first process
    of a tree is immune from within."""
    status = ending.status
    if not ending.before:
        return "garbage", "closed its link to the simulation, and went on"
    if status == -signal.SIGXCPU:
        return "limit-cpu", "used up its seconds of CPU"
    if status == -signal.SIGKILL and ending.confined:
        return "killed-from-outside", "the machine killed the process: it is out of memory, or somebody ended it"
    if status < 0:
        return "killed", f"the process was ended by {signal.Signals(-status).name}"
    return "exit", f"the process ended with status {status}"


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Is `value` of the kind that `host/probe.py` lets out?"""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return depth < 40 and all(isinstance(key, str) and _is_plain(each, depth + 1) for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return depth < 40 and all(_is_plain(each, depth + 1) for each in value)
    return value is None or isinstance(value, (bool, int, str, bytes))


def _texts(places: list[wire.Place] | tuple[wire.Place, ...]) -> list[str]:
    return [f"{place.file}:{place.line}" for place in places]
