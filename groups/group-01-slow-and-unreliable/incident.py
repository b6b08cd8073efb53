"""The incident of group 1, and the house it happens in: Skylark's assistant, its library, and the LLM provider.

`House` is what the tests play in. INCIDENTS is what `learn trigger` shows: a brown-out, a storm, and an evening on which
the work takes longer than anybody waits for it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import skylark_pdf

from grader.outcome import Act, Figure, Series
from grader.sim import Call, ClientTimeout, ConnectionLost, Hangup, Reply, Response
from grader.world import faults
from grader.world.incident import Incident
from grader.world.ledger import Entry
from grader.world.provider import Provider
from grader.world.scene import Scene
from grader.world.traffic import Stream, Visits, drive

LLM = "llm.skylark.test"
LIBRARY = "library.skylark.test"

FAN_OUT = 8  # calls that one document may have open at once
ASK_BUDGET = 10.0  # seconds
SUMMARY_BUDGET = 60.0
JOB_BUDGET = 1800.0

TOPICS = ("changed", "baggage", "refunds", "children", "pets")
SUBJECTS = ("passenger", "carrier", "ticket", "booking", "voucher", "luggage", "connection", "boarding", "itinerary")
VERBS = ("covers", "limits", "extends", "replaces", "excludes", "confirms", "suspends", "restores")
OBJECTS = ("the refund", "the surcharge", "the waiver", "the seat", "the transfer", "the insurance", "the upgrade")


@dataclass(frozen=True)
class Document:
    """What the library keeps. A page holds as many sentences as it takes for `sections` sections."""

    id: str
    title: str
    scanned: bool
    pages: tuple[str, ...]

    @classmethod
    def make(cls, ident: str, rng: random.Random, *, sections: int = 20, scanned: bool = False) -> Document:
        def sentence() -> str:
            subject, other = rng.sample(SUBJECTS, 2)
            return f"The {subject} {rng.choice(VERBS)} {rng.choice(OBJECTS)} of clause {rng.randrange(100, 1000)} for each {other}."

        pages = tuple(sentence() for _ in range(sections))
        return cls(ident, f"Conditions of carriage {rng.randrange(1000, 10_000)}", scanned, pages)


@dataclass(frozen=True)
class Answer:
    """What one request came to. Times in virtual seconds; status 0 and no body where nobody answered in time."""

    asked: float
    ended: float
    method: str
    path: str
    status: int
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def whole(self) -> bool:
        """A 2xx that is neither degraded nor partial."""
        return 200 <= self.status < 300 and not self.body.get("degraded") and self.body.get("status") != "partial"

    @property
    def told(self) -> str:
        """What the client was told: "503", "200 (degraded)"; "nothing" if it gave up."""
        lesser = "degraded" if self.body.get("degraded") else "partial" if self.body.get("status") == "partial" else ""
        return f"{self.status or 'nothing'}{f' ({lesser})' if lesser else ''}"


class House:
    """Everything around one replica of the assistant. The provider's latency law and faults are the caller's.

    `answers` are those to all requests that went through `request` or `visits`, in the order in which they ended.
    """

    def __init__(
        self,
        scene: Scene,
        *,
        median: float = 0.3,
        sigma: float = 0.0,
        slots: int = 100,
        fails: Sequence[faults.Fault] = (),
        library_fails: Sequence[faults.Fault] = (),
        horizon: float = 400.0,
    ) -> None:
        self.sim = scene.simulation(horizon=horizon)
        self.provider = Provider(self.sim, median=median, sigma=sigma, slots=slots, joins=False, faults=fails)
        self.documents: dict[str, Document] = {}
        self.answers: list[Answer] = []
        self.damaged: set[str] = set()  # documents of which the library sends half
        self.library_calls: list[tuple[float, str]] = []  # when each came, and its path
        self._library_faults = faults.Schedule(library_fails)
        self._announcer: asyncio.Task[None] | None = None
        self.sim.network.attach(LLM, self.provider)
        self.sim.network.attach(LIBRARY, self._library)
        self.replica = self.sim.host("assistant", scene.service)

    def document(self, ident: str, **shape: Any) -> Document:
        """Put a new document into the library."""
        made = self.documents[ident] = Document.make(ident, self.sim.rng(f"document {ident}"), **shape)
        return made

    def run(self, play: Callable[[], Awaitable[Any]]) -> Any:
        """Start the replica, and play until `play` ends."""

        async def scenario() -> Any:
            await self.replica.start()
            return await play()

        return self.sim.run(scenario())

    def visits(self, *streams: Stream, horizon: float) -> Visits:
        """Start the replica, and send it this traffic."""
        return self.run(lambda: drive(self.sim, self, streams, horizon=horizon))

    async def request(self, method: str, path: str, *, timeout: float = 100.0, **rest: Any) -> Response:
        """One request to the replica, whose answer is kept. Raises ClientTimeout and ConnectionLost."""
        asked = self.sim.now
        status, headers, body = 0, {}, {}
        try:
            reply = await self.replica.request(method, path, timeout=timeout, **rest)
            status, headers = reply.status, reply.headers
            body = json_object(reply.body)
            return reply
        finally:
            self.answers.append(Answer(asked, self.sim.now, method, path, status, headers, body))

    async def send(self, method: str, path: str, **rest: Any) -> Answer:
        """The same, but raises nothing: what nobody answers has status 0."""
        with suppress(ClientTimeout, ConnectionLost):
            await self.request(method, path, **rest)
        return self.answers[-1]

    def share(self, path: str = "/ask", *, begin: float = 0.0, end: float = math.inf) -> float:
        """The share of whole answers among requests to `path` that came at begin <= t < end. 0 without any."""
        asked = [a.whole for a in self.answers if a.path.startswith(path) and begin <= a.asked < end]
        return sum(asked) / max(1, len(asked))

    def tries(self) -> dict[str, list[Entry]]:
        """The provider's log, by Idempotency-Key; what came without one stands under "none N", each by itself."""
        found: dict[str, list[Entry]] = {}
        for entry in self.provider.log:
            found.setdefault(entry.idempotency_key or f"none {entry.id}", []).append(entry)
        return found

    def summaries_made(self) -> dict[str, float]:
        """The documents of which all sections were merged, and when the first such answer was there."""
        made: dict[str, float] = {}
        for entry in self.provider.log:
            if entry.prompt.startswith("Merge") and entry.status == 200 and entry.finished and not entry.client_gone:
                for document in self.documents.values():
                    if all(page.rstrip(".") in entry.prompt for page in document.pages):
                        made.setdefault(document.id, entry.finished)
        return made

    @property
    def blocked(self) -> float:
        """Seconds in which the event loop stood still."""
        return sum(entry.data["seconds"] for entry in self.sim.tape.of("blocked"))

    @property
    def amplification(self) -> float:
        """Provider calls for each request that needs the provider at all."""
        asked = [e for e in self.sim.tape.of("request") if not e.data["path"].startswith("/health")]
        return len(self.provider.log) / max(1, len(asked))

    async def _library(self, call: Call) -> Reply:
        self.library_calls.append((self.sim.now, call.path))
        if self._announcer is None:
            self._announcer = asyncio.create_task(self._library_faults.announce(self.sim, "library"))
        fault = self._library_faults.striking(call, self.sim.now, lambda _: 0.0)
        if fault is not None and fault.kind is faults.Kind.HANG:
            await call.closed.wait()
        if fault is not None and fault.kind is faults.Kind.UNREACHABLE:
            raise Hangup(fault.how)
        await asyncio.sleep(0.02 * self._library_faults.slowness(call, self.sim.now, lambda _: 0.0))
        if fault is not None:
            return Reply.json({"error": "try again later"}, fault.status)
        found = self.documents.get(call.path.removeprefix("/documents/"))
        if found is None:
            return Reply.json({"error": "no such document"}, 404)
        if found.id in self.damaged:
            return Reply.json({"id": found.id})
        pages = [skylark_pdf.scan(page) if found.scanned else page for page in found.pages]
        return Reply.json({"id": found.id, "title": found.title, "scanned": found.scanned, "pages": pages})


def json_object(data: bytes) -> dict[str, Any]:
    """The JSON object in a body; an empty one if there is none."""
    try:
        body = json.loads(data)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def question(rng: random.Random) -> str:
    """A traveller's question, as the path of a request."""
    return f"/ask?q=What+about+{rng.choice(TOPICS)}+on+flight+SK{rng.randrange(100, 1000)}%3F"


def about(flight: str, topic: str = "baggage") -> str:
    """A question that can be told from all others by its flight."""
    return f"/ask?q=What+about+{topic}+on+flight+{flight}%3F"


def flights(rng: random.Random, count: int) -> list[str]:
    return [f"SK{number}" for number in rng.sample(range(1000, 10_000), count)]


def first_tries(count: int, text: str = "") -> Callable[[Call], bool]:
    """For a fault: the first `count` tries of each call whose body or path contains `text`."""
    seen: Counter[bytes] = Counter()

    def when(call: Call) -> bool:
        content = call.path.encode() + call.body
        if text.encode() not in content:
            return False
        seen[content] += 1
        return seen[content] <= count

    return when


def only(text: str) -> Callable[[Call], bool]:
    """For a fault: all calls whose body contains `text`."""
    return lambda call: text.encode() in call.body


def health(begin: float, end: float, rate: float = 10.0) -> Stream:
    """The load balancer, which takes a replica out of service when /health does not answer."""
    return Stream(
        name="health", path="/health", rate=rate, begin=begin, end=end, arrivals="constant", patience=1000.0
    )


# ------------------------------------------------------------------------------------------------ learn trigger


@dataclass(frozen=True)
class BrownOut:
    """Two minutes of an afternoon. Times in virtual seconds."""

    title: ClassVar[str] = "One slow answer stops everybody"

    latency: float = 8.0  # by how much the brown-out stretches each provider call
    begin: float = 20.0
    end: float = 50.0
    lost: float = 3.0  # for so long, at its beginning, calls never come back
    asks: float = 1.5  # questions a second
    horizon: float = 150.0

    def __post_init__(self) -> None:
        if not self.begin < self.end <= self.last:
            raise ValueError("begin comes before end, and end 30 s or more before horizon")
        if self.lost > self.end - self.begin:
            raise ValueError("lost is no longer than the brown-out")

    def text(self) -> str:
        return (
            f"An ordinary afternoon: the load balancer asks /health twice a second, travellers ask {self.asks:g} questions a "
            f"second, a document is summarised every 25 s. From {self.begin:g} s to {self.end:g} s, every call to the "
            f"provider takes {self.latency:g} times as long; those of the first {self.lost:g} s never come back."
        )

    def marks(self) -> tuple[tuple[float, str], ...]:
        return ((self.begin, "brown-out"), (self.end, "healed"), (self.last, "last question"))

    @property
    def last(self) -> float:
        """When the last traveller asks. Who still waits then is waited for."""
        return self.horizon - 30

    def play(self, scene: Scene) -> Act:
        fails = [
            faults.brown_out(self.begin, self.end, self.latency),
            faults.hanging(self.begin, self.begin + self.lost),
        ]
        house = House(scene, median=0.3, sigma=0.3, fails=fails, horizon=self.horizon + 60)
        for number in range(4):
            house.document(f"doc-{number}", sections=8)
        summaries = Stream(
            name="summary",
            method="POST",
            path=lambda rng: f"/documents/doc-{rng.randrange(4)}/summary",
            rate=1 / 25,
            begin=5.0,
            end=self.horizon - 60,
            arrivals="constant",
            patience=SUMMARY_BUDGET,
        )
        asks = Stream(name="ask", path=question, rate=self.asks, end=self.last, patience=30.0)
        balancer = health(0.0, self.horizon, rate=2.0)
        visits = house.visits(balancer, asks, summaries, horizon=self.horizon)
        answered = visits.of("ask", "summary")
        try:
            recovery = answered.recovery(self.end)
        except ValueError:  # nobody came after the provider healed
            recovery = None
        return Act(
            series=(
                Series("/health, worst latency", "s", worst_by_second(visits.of("health"))),
                Series("questions and summaries answered", "a second", smooth(answered.goodput())),
            ),
            figures=(
                Figure("/health, p99", visits.of("health").percentile(99), "s", 0.05, "at_most"),
                Figure("event loop stands still", house.blocked, "s", 0.0, "at_most"),
                Figure("a question, worst wait", visits.of("ask").percentile(100), "s", ASK_BUDGET + 0.5, "at_most"),
                Figure("questions and summaries answered", 100 * answered.success_share(), "%", 95.0, "at_least"),
                Figure("provider calls for each of them", house.amplification, "", 1.5, "at_most"),
                Figure("well again after the brown-out", recovery, "s", 8.0, "at_most"),
            ),
        )


@dataclass(frozen=True)
class Storm:
    """A minute of an evening on which the provider has just room enough. Times in virtual seconds."""

    title: ClassVar[str] = "The storm"
    calm: ClassVar[float] = 20.0  # so long after the provider has healed, the storm has to be over

    latency: float = 10.0  # by how much the brown-out stretches each provider call
    begin: float = 14.0
    end: float = 22.0
    asks: float = 12.0  # questions a second
    lost: float = 0.08  # the share of replies that are lost before it, as on any day
    horizon: float = 66.0

    def __post_init__(self) -> None:
        if not 5 < self.begin < self.end <= self.horizon - self.calm - 10:
            raise ValueError(f"begin is above 5 and before end, and end {self.calm + 10:g} s or more before horizon")
        if self.lost > 1:
            raise ValueError("lost is a share: 1 at most")

    def text(self) -> str:
        return (
            f"A busy evening: travellers ask {self.asks:g} questions a second, the provider has just room enough, and "
            f"{100 * self.lost:g} replies of 100 are lost on their way. From {self.begin:g} s to {self.end:g} s, every call "
            f"takes {self.latency:g} times as long. Then the provider is well again. Is the assistant?"
        )

    def marks(self) -> tuple[tuple[float, str], ...]:
        return ((self.begin, "brown-out"), (self.end, "healed"), (self.horizon - 12, "the last asks"))

    def house(self, scene: Scene) -> House:
        fails = [
            faults.reply_lost(0.0, self.begin, "reset", share=self.lost),
            faults.brown_out(self.begin, self.end, self.latency),
        ]
        return House(scene, median=0.82, sigma=0.6, slots=19, fails=fails, horizon=self.horizon + 20)

    def travellers(self) -> Stream:
        """They ask at a steady rate, and nobody asks less because others wait."""
        return Stream(name="ask", path=question, rate=self.asks, end=self.horizon - 12, patience=ASK_BUDGET + 1)

    def amplification(self, house: House) -> float:
        """Calls for each question, from the brown-out until 10 s after it."""
        asked = sum(self.begin <= answer.asked < self.end + 10 for answer in house.answers)
        calls = sum(self.begin <= entry.arrived < self.end + 10 for entry in house.provider.log)
        return calls / max(1, asked)

    def answered_before(self, house: House) -> float:
        """The share of questions that are answered as they should be before the storm, in per cent."""
        return 100 * house.share(end=self.begin - 4)

    def answered_after(self, house: House) -> float:
        """The share of questions that are answered as they should be when the storm has to be over, in per cent."""
        return 100 * house.share(begin=self.end + self.calm)

    def play(self, scene: Scene) -> Act:
        house = self.house(scene)
        house.visits(self.travellers(), horizon=self.horizon)
        seconds = int(self.horizon)
        whole = by_second((answer.ended for answer in house.answers if answer.whole), seconds)
        calls = by_second((entry.arrived for entry in house.provider.log), seconds)
        return Act(
            series=(
                Series("questions answered by the model", "a second", smooth(whole)),
                Series("calls to the provider", "a second", smooth(calls)),
            ),
            figures=(
                Figure("calls for each question, in the storm", self.amplification(house), "", 1.1, "at_most"),
                Figure("questions answered, before the storm", self.answered_before(house), "%", 96.0, "at_least"),
                Figure(f"questions answered, {self.calm:g} s after it", self.answered_after(house), "%", 95.0, "at_least"),
                Figure("event loop stands still", house.blocked, "s", 0.0, "at_most"),
            ),
        )


@dataclass(frozen=True)
class LongEvening:
    """An office wants whole summaries of a slow provider, and a new version is deployed. Times in virtual seconds."""

    title: ClassVar[str] = "Work that outlives the request"

    latency: float = 25.0  # of each provider call
    documents: float = 4.0
    deploy: float = 200.0  # when a new version of the service is deployed
    horizon: float = 900.0

    def __post_init__(self) -> None:
        if not 30 <= self.deploy <= self.horizon - 60:
            raise ValueError("deploy is 30 or more, and 60 s or more before horizon")

    def text(self) -> str:
        return (
            f"{self.documents:g} tariffs of 20 sections are to be summarised, and the provider takes {self.latency:g} s "
            f"for each call. An office orders them as jobs; where there are no jobs, it asks for a summary, waits "
            f"{SUMMARY_BUDGET:g} s, and asks again, three times. At {self.deploy:g} s, a new version is deployed."
        )

    def marks(self) -> tuple[tuple[float, str], ...]:
        return ((self.deploy, "deploy"),)

    def play(self, scene: Scene) -> Act:
        house = House(scene, median=self.latency, horizon=self.horizon + 600)
        for number in range(int(self.documents)):
            house.document(f"tariff-{number}")
        waits = [0.0]  # of the office, on the line

        async def ask(path: str, **rest: Any) -> Answer:
            answer = await house.send("POST", path, timeout=SUMMARY_BUDGET, **rest)
            waits.append(answer.ended - answer.asked)
            return answer

        async def order(name: str) -> None:
            if (await ask("/jobs", json={"document": name})).status != 202:
                for _ in range(3):
                    if (await ask(f"/documents/{name}/summary")).whole:
                        return

        async def deploy() -> None:
            await house.sim.until(self.deploy)
            with suppress(TimeoutError):
                async with asyncio.timeout(300):  # then it is killed
                    await house.replica.stop()
            await house.replica.restart()

        async def evening() -> None:
            tasks = [asyncio.create_task(deploy())]
            for name in house.documents:
                tasks.append(asyncio.create_task(order(name)))
                await asyncio.sleep(5.0)
            await asyncio.wait(tasks)
            await house.sim.until(self.horizon)

        house.run(evening)
        made, seconds = house.summaries_made(), int(self.horizon)
        billed = [line.at for line in house.provider.invoice]
        return Act(
            series=(
                Series("summaries", "whole ones made", tuple(itertools.accumulate(by_second(made.values(), seconds)))),
                Series("calls billed", "in all", tuple(itertools.accumulate(by_second(billed, seconds)))),
            ),
            figures=(
                Figure("summaries made, whole", len(made), f"of {self.documents:g}", self.documents, "at_least"),
                Figure("calls billed in vain", len(billed) - 21 * len(made), "", 2 * self.documents, "at_most"),
                Figure("longest wait on the line", max(waits), "s", 0.1, "at_most"),
            ),
        )


INCIDENTS: dict[int, type[Incident]] = {1: BrownOut, 2: Storm, 4: LongEvening}
"""By stage. Stage 3 ends what is left of the storm."""


def worst_by_second(visits: Visits) -> tuple[float | None, ...]:
    """For each second, the worst latency of what was scheduled in it. Never is as long as the longest of all."""
    latencies = visits.latencies()
    longest = max(latencies, default=0.0)
    worst: list[float | None] = [None] * int(visits.horizon)
    for visit, latency in zip(visits, latencies, strict=True):
        second = int(visit.scheduled)
        if second < len(worst):
            worst[second] = max(longest if visit.finished is None else latency, worst[second] or 0.0)
    return tuple(worst)


def by_second(moments: Iterable[float], seconds: int) -> list[int]:
    """How many moments fall into each second; the last one has all that come later, too."""
    counts = [0] * seconds
    for moment in moments:
        counts[min(int(moment), seconds - 1)] += 1
    return counts


def smooth(counts: Sequence[int], window: int = 5) -> tuple[float, ...]:
    """The mean of each second and those before it, `window` in all."""
    recent = [counts[max(0, at - window + 1) : at + 1] for at in range(len(counts))]
    return tuple(sum(some) / len(some) for some in recent)
