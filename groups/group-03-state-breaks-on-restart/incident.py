"""The incident of group 3, and the house it happens in: Skylark's assistant on several replicas, and the LLM provider.

`House` is what the tests play in. INCIDENTS is what `learn trigger` shows: an evening of restarts.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from grader.outcome import Act, Figure, Series
from grader.sim import ClientTimeout, ConnectionLost, Host
from grader.story.timeline import crash_point
from grader.world import faults
from grader.world.incident import Incident
from grader.world.provider import Provider
from grader.world.scene import Scene

LLM = "llm.skylark.test"

LEASE = 30.0  # seconds
ASKS_A_MINUTE = 6
ENDS = ("done", "failed")

SUBJECTS = ("passenger", "carrier", "ticket", "booking", "voucher", "luggage", "connection", "boarding", "itinerary")
VERBS = ("covers", "limits", "extends", "replaces", "excludes", "confirms", "suspends", "restores")
OBJECTS = ("the refund", "the surcharge", "the waiver", "the seat", "the transfer", "the insurance", "the upgrade")


def sentence(rng: random.Random) -> str:
    """A sentence that no other text has: each names a clause of its own."""
    subject, other = rng.sample(SUBJECTS, 2)
    return f"The {subject} {rng.choice(VERBS)} {rng.choice(OBJECTS)} of clause {rng.getrandbits(40)} for each {other}."


def text_of(rng: random.Random, sections: int) -> str:
    return "\n\n".join(sentence(rng) for _ in range(sections))


def title_of(rng: random.Random) -> str:
    return f"Conditions of carriage {rng.getrandbits(32)}"


@dataclass(frozen=True)
class Answer:
    """What one request came to. Times in virtual seconds; status 0 and no body where nobody answered."""

    asked: float
    ended: float
    method: str
    path: str
    status: int
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def told(self) -> str:
        return str(self.status or "nothing")


class House:
    """Everything around the replicas of the assistant, which share one disk: `replicas`, by number."""

    def __init__(
        self,
        scene: Scene,
        *,
        replicas: int = 1,
        median: float = 0.3,
        fails: Sequence[faults.Fault] = (),
        horizon: float = 600.0,
    ) -> None:
        self.sim = scene.simulation(horizon=horizon)
        self.provider = Provider(self.sim, median=median, sigma=0.0, slots=100, faults=fails)
        self.sim.network.attach(LLM, self.provider)
        names = [f"replica-{number}" for number in range(1, replicas + 1)]
        self.replicas = [self.sim.host(name, scene.service, disk="data") for name in names]

    def run(self, play: Callable[[], Awaitable[Any]]) -> Any:
        """Start the replicas, and play until `play` ends."""

        async def scenario() -> Any:
            for replica in self.replicas:
                await replica.start()
            return await play()

        return self.sim.run(scenario())

    async def send(self, method: str, path: str, *, to: int | Host = 0, timeout: float = 100.0, **rest: Any) -> Answer:
        """One request to one replica. Raises nothing: what nobody answers has status 0."""
        host = to if isinstance(to, Host) else self.replicas[to]
        asked, status, headers, body = self.sim.now, 0, {}, {}
        with suppress(ClientTimeout, ConnectionLost):
            reply = await host.request(method, path, timeout=timeout, **rest)
            status, headers, body = reply.status, reply.headers, json_object(reply.body)
        return Answer(asked, self.sim.now, method, path, status, headers, body)

    async def add(self, title: str, text: str, *, to: int = 0) -> str:
        """The id of a new document; "nothing" if there is none."""
        answer = await self.send("POST", "/documents", to=to, json={"title": title, "text": text})
        return str(answer.body.get("id") or "nothing")

    async def order(self, document: str, key: str, *, to: int = 0, **rest: Any) -> Answer:
        headers = {"idempotency-key": key}
        return await self.send("POST", "/jobs", to=to, json={"document": document}, headers=headers, **rest)

    async def end_of(self, job: str, *, to: int = 0, every: float = 2.0, patience: float = 120.0) -> Answer:
        """Ask after a job until it has ended, or patience has."""
        until = self.sim.now + patience
        while True:
            answer = await self.send("GET", f"/jobs/{job}", to=to)
            if answer.body.get("status") in ENDS or self.sim.now + every > until:
                return answer
            await asyncio.sleep(every)

    @property
    def billed_again(self) -> int:
        """Calls of jobs that were billed though the same had been billed before."""
        billed = Counter(entry.prompt for entry in self.provider.log if entry.billed)
        return sum(count - 1 for count in billed.values())

    def on_disk(self, *words: str) -> list[str]:
        """Which of these stand in a file of the common disk, wherever in it."""
        paths = [path for path in self.replicas[0].disk.rglob("*") if path.is_file() and not path.is_symlink()]
        files = [path.read_bytes() for path in sorted(paths)]
        return [word for word in words if any(word.encode() in data for data in files)]

    def story(self, *more: str) -> list[tuple[float, str]]:
        """Requests, effects, crashes; and at the end what was found."""
        return [*crash_point(self.sim.tape), *((self.sim.now, line) for line in more)]


def json_object(data: bytes) -> dict[str, Any]:
    """The JSON object in a body; an empty one if there is none."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def text_in(answer: Answer, *names: str) -> str:
    """The text that stands under these names, one in the other; "" if there is none."""
    found: Any = answer.body
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""


# ------------------------------------------------------------------------------------------------ learn trigger


@dataclass(frozen=True)
class Restarts:
    """An evening on which two replicas restart now and then. Times in virtual seconds."""

    title: ClassVar[str] = "Every restart forgets"

    jobs: float = 12.0
    restarts: float = 3.0  # of each replica
    latency: float = 2.0  # of each provider call
    horizon: float = 240.0

    def __post_init__(self) -> None:
        if not 1 <= self.jobs <= 40 or not 0 <= self.restarts <= 8:
            raise ValueError("jobs is from 1 to 40, and restarts from 0 to 8")
        if self.horizon < 120 or self.latency <= 0:
            raise ValueError("horizon is 120 or more, and latency more than 0")

    def text(self) -> str:
        return (
            f"Two replicas share a disk. Offices order {self.jobs:g} summaries, of 4 sections each, and ask after them at "
            f"whatever replica the balancer picks. Each replica restarts {self.restarts:g} times: once for a new version, "
            f"and otherwise because the machine says so. An office that gets no answer orders again, with the same key."
        )

    def marks(self) -> tuple[tuple[float, str], ...]:
        return tuple((moment, "restart") for moment in self._moments())

    def _moments(self) -> list[float]:
        count = int(self.restarts) * 2
        return [(at + 1) * self.horizon * 0.5 / (count + 1) for at in range(count)]

    def play(self, scene: Scene) -> Act:
        house = House(scene, replicas=2, median=self.latency, horizon=self.horizon + 600)
        rng = house.sim.rng("balancer")
        orders: dict[str, str] = {}  # by its key, the job
        texts = [text_of(house.sim.rng(f"text {number}"), 4) for number in range(int(self.jobs))]
        looks: list[Answer] = []
        known: list[int] = []

        def anywhere() -> int:
            return rng.randrange(2)

        async def office(number: int) -> None:
            await house.sim.until(1 + number * self.horizon * 0.4 / self.jobs)
            key, document = f"order-{number}", "nothing"
            for _ in range(10):
                document = await house.add(f"Tariff {number}", texts[number], to=anywhere())
                if document != "nothing":
                    break
                await asyncio.sleep(1)
            for _ in range(10):
                answer = await house.order(document, key, to=anywhere())
                if answer.status == 202:
                    orders[key] = str(answer.body.get("id"))
                    return
                await asyncio.sleep(1)
            orders[key] = "nothing"

        async def restarts() -> None:
            for turn, moment in enumerate(self._moments()):
                await house.sim.until(moment)
                await house.replicas[turn % 2].restart()

        async def evening() -> None:
            tasks = [asyncio.create_task(office(number)) for number in range(int(self.jobs))]
            tasks.append(asyncio.create_task(restarts()))
            while house.sim.now < self.horizon - 10:
                await asyncio.sleep(10)
                for job in list(orders.values()):
                    looks.append(await house.send("GET", f"/jobs/{job}", to=anywhere()))
                known.append(sum(look.status == 200 for look in looks[-len(orders) :]) if orders else 0)
            await asyncio.wait(tasks)

        house.run(evening)
        last = {look.path: look for look in looks}
        done = sum(look.body.get("status") == "done" for look in last.values())
        unknown = sum(look.status == 404 for look in looks)
        seconds = int(self.horizon)
        billed = [0] * seconds
        for line in house.provider.invoice:
            billed[min(int(line.at), seconds - 1)] += 1
        steps = [known[min(at // 10, len(known) - 1)] for at in range(seconds)]
        return Act(
            series=(
                Series("jobs that are still known", "", tuple(map(float, steps))),
                Series("calls billed", "in all", tuple(itertools.accumulate(billed))),
            ),
            figures=(
                Figure("jobs done", done, f"of {self.jobs:g}", self.jobs, "at_least"),
                Figure("asked after a job: never heard of it", 100 * unknown / max(1, len(looks)), "%", 0.0, "at_most"),
                Figure("calls billed again", house.billed_again, "", 0.0, "at_most"),
            ),
        )


INCIDENTS: dict[int, type[Incident]] = {1: Restarts}
"""By stage. The other stages' tests tell what happens there."""
