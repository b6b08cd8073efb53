"""A stage: one warm parent of hosts for all tests, and a short way to write a service and play a scenario with it."""

from __future__ import annotations

import asyncio
import itertools
import textwrap
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from grader.sim import Call, Forkserver, Host, Reply, Service, Simulation, SimulationError, Tape

PREAMBLE = """\
import asyncio, concurrent.futures, contextlib, datetime, json, logging, os, pathlib, queue, random, sqlite3
import threading, time, uuid
import anyio, httpx
from fastapi import BackgroundTasks, FastAPI, Request
from fastapi.responses import Response, StreamingResponse
"""

CREATE_APP = """\
def create_app():
    app = FastAPI()
    llm, sync_llm = httpx.AsyncClient(base_url="https://llm.test"), httpx.Client(base_url="https://llm.test")
    data = pathlib.Path(os.environ["DATA_DIR"])
"""

Scenario = Callable[..., Coroutine[Any, Any, Any]]
Server = Callable[[Call], Coroutine[Any, Any, Reply]]


@dataclass(frozen=True)
class Answer:
    """What a client got, and after how many virtual seconds. `body` is text where it is no JSON."""

    seconds: float
    status: int
    body: Any


@dataclass(frozen=True)
class Run:
    """A run that has ended: the scenario's result, and what is left to look at."""

    result: Any
    sim: Simulation

    @property
    def tape(self) -> Tape:
        return self.sim.tape


@dataclass
class Stage:
    forkserver: Forkserver
    folder: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def write(self, source: str, **files: str) -> Service:
        """A service whose app.py is `source`, and service/NAME.py each of `files`."""
        root = self.folder / f"{next(self._numbers)}"
        (root / "service").mkdir(parents=True)
        for name, text in {"app": source, **files}.items():
            (root / "service" / f"{name}.py").write_text(text)
        return Service(root)

    def service(self, endpoints: str, top: str = "", **files: str) -> Service:
        """A FastAPI service with `endpoints` in its create_app, which has app, llm, sync_llm and data at hand."""
        body = textwrap.indent(textwrap.dedent(endpoints).strip("\n"), "    ")
        return self.write(f"{PREAMBLE}{textwrap.dedent(top)}\n{CREATE_APP}{body}\n    return app\n", **files)

    def simulation(self, *, seed: int = 1, server: Server | None = None, **options: Any) -> Simulation:
        """A simulation in which llm.test answers {"ok": true} after one second, if no `server` does it otherwise."""

        async def in_a_second(_: Call) -> Reply:
            await asyncio.sleep(1)
            return Reply.json({"ok": True})

        sim = Simulation(self.forkserver, seed=seed, **options)
        sim.network.attach("llm.test", server or in_a_second)
        return sim

    def play(
        self,
        service: Service | str,
        scenario: Scenario,
        *,
        hosts: int = 1,
        env: dict[str, str] | None = None,
        **options: Any,
    ) -> Run:
        """Start `hosts` of one service on one disk, and play `scenario(sim, *hosts)`."""
        sim = self.simulation(**options)
        found = self.service(service) if isinstance(service, str) else service
        made = [sim.host(f"api-{n}", found, disk="shared", env=env) for n in range(hosts)]

        async def whole() -> Any:
            for host in made:
                await host.start()
            return await scenario(sim, *made)

        return Run(sim.run(whole()), sim)

    def ask(self, service: Service | str, *paths: str, hosts: int = 1, top: str = "", **options: Any) -> list[Answer]:
        """The answers to POSTs of "PATH", or "PATH at SECONDS", to the hosts in turn: on two runs with one tape."""
        found = self.service(service, top) if isinstance(service, str) else service
        first, second = (self.asked(found, *paths, hosts=hosts, **options) for _ in range(2))
        assert first.tape.digest() == second.tape.digest(), "one seed, two tapes"
        return list(first.result)

    def asked(self, service: Service | str, *paths: str, hosts: int = 1, **options: Any) -> Run:
        async def scenario(sim: Simulation, *hosts: Host) -> list[Answer]:
            return await asyncio.gather(*(self.one(sim, hosts[n % len(hosts)], path) for n, path in enumerate(paths)))

        return self.play(service, scenario, hosts=hosts, **options)

    async def one(self, sim: Simulation, host: Host, path: str) -> Answer:
        """The answer to one POST. A lost connection has status 0."""
        path, _, at = path.partition(" at ")
        await sim.until(float(at or 0))
        began = sim.now
        try:
            response = await host.request("POST", path, json={})
        except SimulationError as error:
            return Answer(sim.now - began, 0, str(error))
        try:
            body = response.json()
        except ValueError:
            body = response.body.decode()
        return Answer(sim.now - began, response.status, body)

    @staticmethod
    def line(service: Service, mark: str = "# here", file: str = "app") -> str:
        """Where `mark` stands in the service: "service/app.py:17"."""
        lines = (service.root / "service" / f"{file}.py").read_text().splitlines()
        (number,) = (n for n, text in enumerate(lines, 1) if text.endswith(mark))
        return f"service/{file}.py:{number}"


@pytest.fixture(scope="session")
def forkserver() -> Iterator[Forkserver]:
    launched = Forkserver.launch(seed=1)
    yield launched
    launched.close()


@pytest.fixture
def stage(forkserver: Forkserver, tmp_path: Path) -> Stage:
    return Stage(forkserver, tmp_path)


def close(seconds: float | Sequence[float]) -> Any:
    """Equal, but for the 50 µs to which timers round, and 1 µs for each look at a clock."""
    return pytest.approx(seconds, abs=0.002)


@pytest.fixture(name="close")
def _close() -> Callable[[float | Sequence[float]], Any]:
    return close
