"""Open-loop traffic: visits that come when they come, however slow the service is, and what became of them.

Latency counts from the scheduled arrival. A closed loop, which sends the next request once the last was answered, hides
a stall from its own figures (coordinated omission). What the visits meet lives in `sim/`.
"""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from grader.sim import ClientTimeout, ConnectionLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from random import Random

    from grader.sim import Response, Simulation


class Target(Protocol):
    """Whatever takes requests: a host of the simulation."""

    async def request(
        self, method: str, path: str, *, json: Any = None, headers: dict[str, str] | None = None, timeout: float
    ) -> Response: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Visits of one sort, `rate` a second on average, scheduled at begin <= t < end (virtual seconds).

    `path` and `body` (JSON, None for none) may depend on a seeded Random. A client waits for `patience` seconds, and
    then hangs up.
    """

    name: str
    rate: float
    begin: float = 0.0
    end: float
    method: str = "GET"
    path: str | Callable[[Random], str]
    body: Callable[[Random], Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    patience: float = 30.0
    arrivals: Literal["poisson", "constant"] = "poisson"


@dataclass(slots=True)
class Visit:
    """One request of the traffic. Times in virtual seconds; `finished` is None if the horizon came first."""

    stream: str
    scheduled: float
    sent: float | None = None
    finished: float | None = None
    status: int | None = None
    error: Literal["", "timeout", "connection-lost", "unfinished"] = "unfinished"

    @property
    def good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Visits:
    """Visits in the order of their schedule, and the figures that they give.

    A visit that was not finished by the horizon is no success, and counts with the latency that it had by then.
    """

    def __init__(self, visits: Iterable[Visit], horizon: float) -> None:
        self.horizon = horizon
        self._visits = sorted(visits, key=lambda visit: visit.scheduled)

    def __len__(self) -> int:
        return len(self._visits)

    def __iter__(self) -> Iterator[Visit]:
        return iter(self._visits)

    def of(self, *streams: str) -> Visits:
        return Visits([visit for visit in self if visit.stream in streams], self.horizon)

    def between(self, begin: float, end: float) -> Visits:
        """Those scheduled at begin <= t < end."""
        return Visits([visit for visit in self if begin <= visit.scheduled < end], self.horizon)

    @property
    def unfinished(self) -> int:
        return sum(visit.finished is None for visit in self)

    @property
    def good(self) -> int:
        """How many were answered with 2xx."""
        return sum(visit.good for visit in self)

    def latencies(self) -> list[float]:
        """Seconds from the scheduled arrival to the end of each visit, whatever the end: answer, error or horizon."""
        return [(self.horizon if v.finished is None else v.finished) - v.scheduled for v in self]

    def percentile(self, percent: float) -> float:
        """Latency by nearest rank: the smallest one that at least `percent` of all visits do not exceed.

        Raises ValueError without visits, or unless 0 < percent <= 100.
        """
        if not self._visits or not 0 < percent <= 100:
            raise ValueError(f"no {percent}th percentile of {len(self)} visits")
        return sorted(self.latencies())[math.ceil(len(self) * percent / 100) - 1]

    def success_share(self) -> float:
        """The share answered with 2xx. Raises ValueError without visits."""
        if not self._visits:
            raise ValueError("no visit was scheduled: there is no share")
        return self.good / len(self)

    def goodput(self) -> list[int]:
        """Good answers in each virtual second until the horizon, by when they came."""
        series = [0] * math.ceil(self.horizon)
        for visit in self:
            if visit.good and visit.finished is not None:
                series[min(int(visit.finished), len(series) - 1)] += 1
        return series

    def recovery(self, after: float, *, share: float = 0.95, window: float = 5.0) -> float | None:
        """Seconds from `after` until the service is well, and stays so; None if that never comes.

        It is well at t if, of the visits scheduled at t <= s < t + window, at least `share` succeed; judged at `after`
        and at each arrival since. Only windows that end within the traffic count, so let it go on for a few of them,
        and let the horizon lie a patience beyond. Raises ValueError if there is no such window.
        """
        times = [visit.scheduled for visit in self]
        goods = [0]
        for visit in self:
            goods.append(goods[-1] + visit.good)
        starts = [after, *(time for time in times if time > after)]
        spans = [(start, bisect_left(times, start), bisect_left(times, start + window)) for start in starts]
        judged = [(start, first, last) for start, first, last in spans if first < last < len(times)]
        if not judged:
            raise ValueError(f"no window of {window:g} s with visits lies after {after:g} s")
        well_from = None
        for start, first, last in reversed(judged):
            if goods[last] - goods[first] < share * (last - first):
                break
            well_from = start
        return None if well_from is None else well_from - after


async def drive(sim: Simulation, target: Target, streams: Sequence[Stream], *, horizon: float) -> Visits:
    """Send the traffic of all streams to the target; ends when every visit has, at the latest at `horizon`.

    Arrivals and bodies come from the run's seed and the stream's name alone, so nothing that the service does moves
    them. Raises whatever the target raises, but for a time-out or a lost connection.
    """
    plans = [plan for stream in streams for plan in _plan(sim, stream) if plan.visit.scheduled < horizon]
    plans.sort(key=lambda plan: plan.visit.scheduled)
    tasks = []
    try:
        for plan in plans:
            await asyncio.sleep(plan.visit.scheduled - sim.now)
            tasks.append(asyncio.create_task(_visit(sim, target, plan)))
        if tasks:
            done, _ = await asyncio.wait(tasks, timeout=horizon - sim.now, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return Visits((plan.visit for plan in plans), horizon)


@dataclass(frozen=True, slots=True)
class _Plan:
    visit: Visit
    stream: Stream
    path: str
    body: Any


def _plan(sim: Simulation, stream: Stream) -> Iterator[_Plan]:
    content = sim.rng(f"content of {stream.name}")
    for at in _arrivals(stream, sim.rng(f"arrivals of {stream.name}")):
        path = stream.path if isinstance(stream.path, str) else stream.path(content)
        yield _Plan(Visit(stream.name, at), stream, path, stream.body(content) if stream.body else None)


def _arrivals(stream: Stream, rng: Random) -> Iterator[float]:
    at, count = stream.begin, 0
    if stream.arrivals == "poisson":
        at += rng.expovariate(stream.rate)
    while at < stream.end:
        yield at
        count += 1
        at = at + rng.expovariate(stream.rate) if stream.arrivals == "poisson" else stream.begin + count / stream.rate


async def _visit(sim: Simulation, target: Target, plan: _Plan) -> None:
    visit, stream = plan.visit, plan.stream
    visit.sent = sim.now
    try:
        response = await target.request(
            stream.method, plan.path, json=plan.body, headers=stream.headers, timeout=stream.patience
        )
        visit.status, visit.error = response.status, ""
    except ClientTimeout:
        visit.error = "timeout"
    except ConnectionLost:
        visit.error = "connection-lost"
    visit.finished = sim.now
