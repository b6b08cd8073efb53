"""The simulation: one virtual clock for all hosts, the network and the scenario, in lockstep.

A scenario is a coroutine of the tests', on an asyncio loop whose time is virtual. When it has nothing to do, the host
whose turn comes first runs, or time moves on. Of the hosts whose turn it is at one instant, the seed picks the next.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import random
import selectors
import shutil
import tempfile
import weakref
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from grader.sim.errors import HostFailed
from grader.sim.forkserver import Forkserver
from grader.sim.history import SHUFFLE, History
from grader.sim.host import Host, Service
from grader.sim.network import Network
from grader.sim.tape import Tape

T = TypeVar("T")

EPOCH = 1_767_603_600_000_000_000  # Monday, 5 January 2026, 09:00 UTC
MOST_TURNS = 200_000

ROOM = 512 * 1024 * 1024

SKEW = 50_000
"""Nanoseconds by which looks at their clocks may bring hosts apart that are ready at one instant."""


def _memory() -> str | None:
    """A folder in memory, if there is one with room: what survives is decided by crashes, so nothing needs syncing."""
    try:
        found = os.statvfs("/dev/shm")
    except OSError:
        return None
    return "/dev/shm" if found.f_bavail * found.f_frsize >= ROOM and os.access("/dev/shm", os.W_OK) else None


class _Selector(selectors._BaseSelectorImpl):
    def __init__(self, sim: Simulation) -> None:
        super().__init__()
        self._sim = sim

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout > 0:
            self._sim._advance()
        return []


class _Loop(asyncio.SelectorEventLoop):
    """The scenario's loop. It has no descriptors, and its time is the simulation's."""

    _scheduled: list[Any]

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        super().__init__(_Selector(sim))
        self._clock_resolution = 1e-9
        self.tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()  # asyncio's own set is of all loops

    def create_task(self, *args: Any, **more: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = super().create_task(*args, **more)
        self.tasks.add(task)
        return task

    def time(self) -> float:
        return self._sim.now_ns / 1e9

    def _make_self_pipe(self) -> None:
        pass

    def _close_self_pipe(self) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


class Simulation:
    """One run.

    `horizon`: virtual seconds after which a run that has not ended is stopped, and says who waits.
    `patience`: real seconds that a host may take for one turn; None for no limit (a debugger is attached).
    `history`: which of its parts take place; by default all.
    """

    endless = False
    """Does it go on for as long as somebody likes? See `world/live.py`."""

    def __init__(
        self,
        forkserver: Forkserver,
        *,
        seed: int,
        horizon: float = 600.0,
        patience: float | None = 5.0,
        limits: dict[str, int] | None = None,
        history: History | None = None,
    ) -> None:
        self.forkserver = forkserver
        self.seed = seed
        self.horizon_ns = round(horizon * 1e9)
        self.patience = patience
        self.limits = limits or {}
        self.history = history or History()
        self.shuffles = self.history.has(SHUFFLE)
        self.environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC", "HOME": "/nonexistent"}
        self.epoch = EPOCH
        self.now_ns = 0
        self.turns = 0
        self.counts_effects = False
        self.tape = Tape()
        self.network = Network(self.tape, self.fail)
        self.hosts: list[Host] = []
        self.printed: list[str] = []  # the last lines of each host's output, once the run is over
        self._ids = itertools.count(1)
        self._order = self.rng("order of hosts")
        self._failure: BaseException | None = None
        self._main: asyncio.Task[Any] | None = None
        self._folder: Path | None = None
        self.loop = _Loop(self)

    @property
    def now(self) -> float:
        """Virtual seconds since the start."""
        return self.now_ns / 1e9

    def rng(self, name: str) -> random.Random:
        """A source of randomness of its own for each purpose, from the run seed."""
        return random.Random(f"{self.seed}/{name}")

    def next_id(self) -> int:
        return next(self._ids)

    def host(self, name: str, service: Service, *, disk: str | None = None, env: dict[str, str] | None = None) -> Host:
        """A host called `name`, not yet started. Hosts with the same `disk` share it; by default each has its own."""
        host = Host(self, name, service, self.disk(disk or name), env or {})
        self.hosts.append(host)
        self.network.add_host(host)
        return host

    def disk(self, name: str) -> Path:
        """The data folder called `name`, which outlives the processes."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="brownout-", dir=_memory()))
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def shares_disk(self, host: Host) -> bool:
        return any(other.disk == host.disk and other.alive for other in self.hosts if other is not host)

    async def until(self, moment: float) -> None:
        """Wait until `moment`, in virtual seconds since the start."""
        await asyncio.sleep(max(0.0, moment - self.now))

    async def skip(self, *, days: float = 0, seconds: float = 0) -> None:
        """Cross a long span. All hosts must be down, since nothing happens in it; the horizon moves along."""
        if any(host.alive for host in self.hosts):
            raise RuntimeError("stop the hosts before skipping time")
        span = days * 86_400 + seconds
        self.horizon_ns += round(span * 1e9)
        await asyncio.sleep(span)

    def run(self, scenario: Coroutine[Any, Any, T]) -> T:
        """Play `scenario` to its end. Once a simulation.

        Raises HostFailed when a host cannot go on, when nobody can (a deadlock), or at the horizon.
        """
        try:
            self._main = self.loop.create_task(scenario)
            try:
                ended: T = self.loop.run_until_complete(self._main)
                return ended
            except asyncio.CancelledError:
                if self._failure is not None:
                    raise self._failure from None
                raise
        finally:
            self.close()

    def fail(self, error: BaseException) -> None:
        """End the run with `error`."""
        if self._failure is None and self._main is not None and not self._main.done():
            self._failure = error
            self._main.cancel()

    def close(self) -> None:
        """End the hosts, and remove their disks."""
        if self.loop.is_closed():
            return
        for host in self.hosts:
            self.printed += host.printed().splitlines()
            host.shut()
        for task in [each for each in self.loop.tasks if not each.done()]:
            task.cancel()
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    # ------------------------------------------------------------------------------------------ time

    def _advance(self) -> None:
        """The scenario has nothing to do now: give hosts their turn, or let time pass."""
        scheduled = self.loop._scheduled
        timer = math.ceil(scheduled[0]._when * 1e9) if scheduled else None
        turns = [(turn, host) for host in self.hosts if (turn := host.next_turn(self.now_ns)) is not None]
        soonest = min((turn for turn, _ in turns), default=None)
        if timer is None and soonest is None:
            self._stuck("deadlock", "nobody has anything left to do: each waits for another")
            return
        if timer is not None and (soonest is None or timer <= soonest):
            self._move_to(timer)
            return
        assert soonest is not None
        if not self._move_to(soonest):
            return
        due = [host for turn, host in turns if turn <= soonest or turn <= min(host.clock, soonest + SKEW)]
        self._pick(due).exchange()
        self.turns += 1
        if self.turns > MOST_TURNS:
            self._stuck("busy", f"woke {MOST_TURNS:,} times and did not finish")

    def _pick(self, due: list[Host]) -> Host:
        """Whose turn it is, of those whose turn it could be. Long transactions are as easily overtaken as if each of
        their statements were a turn."""
        if len(due) == 1 or not self.shuffles:
            return due[0]
        while (host := self._order.choice(due)).passes > 0:
            host.passes -= 1
        return host

    def _move_to(self, moment: int) -> bool:
        if moment > self.horizon_ns:
            self._stuck("horizon", f"did not finish in {self.horizon_ns / 1e9:g} s of virtual time")
            return False
        self.now_ns = self.tape.now = max(self.now_ns, moment)
        return True

    def _stuck(self, kind: str, text: str) -> None:
        """Nothing can end this run but us: say who waits for what, by line."""
        if self._failure is not None:
            if self._main is not None and not self._main.done():
                self._main.cancel()
            return
        found = [(host.name, why, place) for host in self.hosts for why, place in host.explain()]
        lines = [f"{name}: {why} waits at {place.file}:{place.line}" for name, why, place in found]
        if starting := [host.name for host in self.hosts if host.starts]:
            text = f"{' and '.join(starting)} never {'starts' if len(starting) == 1 else 'start'}: {text}"
        self.fail(HostFailed(
            "simulation", kind, "; ".join([text, *lines[:6]]), tuple(place for _, _, place in found[:2])
        ))  # fmt: skip
