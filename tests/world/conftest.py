"""A simulation without hosts, and a client that calls the provider as the network would."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from grader.sim import Call, Forkserver, Hangup, Simulation
from grader.world.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass
class Got:
    """What a client got: `failed` is "timeout", or the kind of the Hangup."""

    at: float
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    failed: str = ""

    @property
    def body(self) -> bytes:
        return b"".join(piece for _, piece in self.pieces)

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Calls a provider; `patience` bounds the wait for each piece, as a read time-out does, and `total` all of it."""

    def __init__(self, sim: Simulation, provider: Provider) -> None:
        self.sim = sim
        self.provider = provider
        self._ids = itertools.count(1)

    async def chat(self, text: str, *, patience: float | None = None, total: float | None = None, **more: Any) -> Got:
        headers = more.pop("headers", {})
        body = {"model": "lark-small", "messages": [{"role": "user", "content": text}], **more}
        return await self.post("/v1/chat/completions", body, headers=headers, patience=patience, total=total)

    async def post(
        self,
        path: str,
        body: Any,
        *,
        method: str = "POST",
        headers: dict[str, str] | None = None,
        patience: float | None = None,
        total: float | None = None,
    ) -> Got:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = f"https://llm.skylark.test{path}"
        call = Call(next(self._ids), self.sim.now, "api", method, url, path, {}, headers or {}, raw)
        got = Got(self.sim.now)
        try:
            async with asyncio.timeout(total):
                await self._converse(call, got, patience)
        except TimeoutError:
            got.failed = "timeout"
            call.closed.set()
        except Hangup as hangup:
            got.failed = hangup.kind
        got.at = self.sim.now
        return got

    async def _converse(self, call: Call, got: Got, patience: float | None) -> None:
        work = asyncio.ensure_future(self.provider(call))  # goes on when the client has gone
        done, _ = await asyncio.wait({work}, timeout=patience)
        if not done:
            raise TimeoutError
        reply = work.result()
        got.status, got.headers = reply.status, reply.headers
        if isinstance(reply.body, bytes):
            got.pieces.append((self.sim.now, reply.body))
            return
        body = aiter(reply.body)
        while True:
            try:
                async with asyncio.timeout(patience):
                    piece = await anext(body)
            except StopAsyncIteration:
                return
            got.pieces.append((self.sim.now, piece))


@pytest.fixture
def make_sim() -> Iterator[Callable[..., Simulation]]:
    """Simulations that cannot start a host."""
    ours, theirs = socket.socketpair()
    made: list[Simulation] = []

    def make(seed: int = 7, horizon: float = 600.0) -> Simulation:
        made.append(Simulation(Forkserver(ours), seed=seed, horizon=horizon))
        return made[-1]

    with ours, theirs:
        yield make
        for sim in made:
            sim.close()


@pytest.fixture
def sim(make_sim: Callable[..., Simulation]) -> Simulation:
    return make_sim()


@pytest.fixture
def make_client(sim: Simulation) -> Callable[..., Client]:
    """A client of a provider that takes exactly a second, unless told otherwise."""

    def make(on: Simulation = sim, **settings: Any) -> Client:
        return Client(on, Provider(on, **{"median": 1.0, "sigma": 0.0, **settings}))

    return make
