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

    def tokens(self, prompt: str = "") -> int:
        """What the provider has billed for calls whose prompt begins so, in tokens."""
        calls = {entry.id for entry in self.provider.log if entry.prompt.startswith(prompt)}
        return sum(line.tokens_in + line.tokens_out for line in self.provider.invoice if line.call in calls)

    def is_asked_for(self, text: str) -> bool:
        """Has a call been made with all sections of a text in it?"""
        return any(all(part in entry.prompt for part in text.split("\n\n")) for entry in self.provider.log)

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

    jobs: float = 8.0
    restarts: float = 3.0  # of each replica
    latency: float = 2.0  # of each provider call
    horizon: float = 180.0

    def __post_init__(self) -> None:
        if not 1 <= self.jobs <= 40 or not 0 <= self.restarts <= 8:
            raise ValueError("jobs is from 1 to 40, and restarts from 0 to 8")
        if self.horizon < 120 or self.latency <= 0:
            raise ValueError("horizon is 120 or more, and latency more than 0")

    def text(self) -> str:
        return (
            f"Two replicas share a disk. Offices order {self.jobs:g} summaries, of 4 sections each, and ask after them at "
            f"whatever replica the balancer picks. Each replica restarts {self.restarts:g} times. An office that hears "
            f"twice that nobody knows its job orders again, with the same key."
        )

    def marks(self) -> tuple[tuple[float, str], ...]:
        return tuple((moment, "restart") for moment in self._moments())

    def _moments(self) -> list[float]:
        count = int(self.restarts) * 2
        return [float(round((at + 1) * self.horizon * 0.7 / count)) for at in range(count)]

    def play(self, scene: Scene) -> Act:
        house = House(scene, replicas=2, median=self.latency, horizon=self.horizon + 600)
        rng = house.sim.rng("balancer")
        offices = [_Office(house, number, rng) for number in range(int(self.jobs))]
        known = [0.0]  # every ten seconds, how many of the jobs that were accepted any replica knows

        async def restarts() -> None:
            for turn, moment in enumerate(self._moments()):
                await house.sim.until(moment)
                await house.replicas[turn % 2].restart()

        async def watch() -> None:
            for at in range(10, int(self.horizon), 10):
                await house.sim.until(at)
                found = 0.0
                for job in [job for office in offices for job in office.jobs]:
                    looks = [(await house.send("GET", f"/jobs/{job}", to=number)).status for number in (0, 1)]
                    found += 200 in looks
                known.append(found)

        async def evening() -> None:
            tasks = [asyncio.create_task(play()) for play in (restarts, watch)]
            for number, office in enumerate(offices):
                begin = 1 + number * self.horizon * 0.5 / self.jobs
                tasks.append(asyncio.create_task(office.play(begin, self.horizon - 1)))
            await asyncio.gather(*tasks)

        house.run(evening)
        looks = [answer for office in offices for answer in office.looks]
        accepted = sum(len(office.jobs) for office in offices)
        unknown = sum(look.status == 404 for look in looks)
        seconds = int(self.horizon)
        billed = [0] * seconds
        for line in house.provider.invoice:
            billed[min(int(line.at), seconds - 1)] += 1
        return Act(
            series=(
                Series("jobs that anybody still knows", "of those accepted", tuple(known[at // 10] for at in range(seconds))),
                Series("calls billed", "in all", tuple(map(float, itertools.accumulate(billed)))),
            ),
            figures=(
                Figure("accepted jobs that are gone", accepted - known[-1], f"of {accepted}", 0.0, "at_most"),
                Figure("asked after a job: never heard of it", 100 * unknown / max(1, len(looks)), "%", 0.0, "at_most"),
                Figure("calls billed again", house.billed_again, "", 0.0, "at_most"),
                Figure("summaries that were got", sum(o.served for o in offices), "", self.jobs, "at_least"),
            ),
        )


class _Office:
    """Wants one summary, and meets any replica."""

    def __init__(self, house: House, number: int, rng: random.Random) -> None:
        self.house = house
        self.number = number
        self.rng = rng
        self.text = text_of(house.sim.rng(f"text {number}"), 4)
        self.document = "nothing"
        self.jobs: list[str] = []  # those that were accepted
        self.looks: list[Answer] = []
        self.served = False

    async def play(self, begin: float, end: float) -> None:
        await self.house.sim.until(begin)
        while self.house.sim.now < end - 20 and not self.served:
            await self._order()
            unknown = 0
            while unknown < 2 and not self.served and self.house.sim.now < end - 10:
                await asyncio.sleep(8.0)
                job = self.jobs[-1] if self.jobs else "nothing"
                look = await self.house.send("GET", f"/jobs/{job}", to=self.rng.randrange(2))
                self.looks.append(look)
                self.served = look.body.get("status") == "done"
                unknown += look.status == 404

    async def _order(self) -> None:
        """Until it is accepted; with the document, if that is gone, too."""
        for _ in range(20):
            to = self.rng.randrange(2)
            answer = await self.house.order(self.document, f"order {self.number}", to=to)
            if answer.status == 202:
                self.jobs = list(dict.fromkeys([*self.jobs, str(answer.body.get("id"))]))
                return
            added = await self.house.add(f"Tariff {self.number}", self.text, to=to)
            self.document = added if added != "nothing" else self.document
            await asyncio.sleep(0.5)


INCIDENTS: dict[int, type[Incident]] = {1: Restarts}
"""By stage. The other stages' tests tell what happens there."""
