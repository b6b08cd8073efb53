"""The incident of group 1, and the house it happens in: Skylark's assistant, its library, and the LLM provider.

`House` is what the tests play in. `play` is what `learn trigger` shows: an afternoon in which the provider browns out.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import skylark_pdf

from grader.outcome import Act, Figure, Series
from grader.sim import Call, Reply
from grader.world import faults
from grader.world.provider import Provider
from grader.world.scene import Scene
from grader.world.traffic import Stream, Visits, drive

LLM = "llm.skylark.test"
LIBRARY = "library.skylark.test"

FAN_OUT = 8  # calls that one document may have open at once
ASK_BUDGET = 10.0  # seconds
SUMMARY_BUDGET = 60.0

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


class House:
    """Everything around one replica of the assistant. The provider's latency law and faults are the caller's."""

    def __init__(
        self,
        scene: Scene,
        *,
        median: float = 0.3,
        sigma: float = 0.0,
        slots: int = 100,
        fails: Sequence[faults.Fault] = (),
        library_hangs: bool = False,
        horizon: float = 400.0,
    ) -> None:
        self.sim = scene.simulation(horizon=horizon)
        self.provider = Provider(self.sim, median=median, sigma=sigma, slots=slots, faults=fails)
        self.documents: dict[str, Document] = {}
        self._library_hangs = library_hangs
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
        return self.run(lambda: drive(self.sim, self.replica, streams, horizon=horizon))

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
        if self._library_hangs:
            await call.closed.wait()
        await asyncio.sleep(0.02)
        found = self.documents.get(call.path.removeprefix("/documents/"))
        if found is None:
            return Reply.json({"error": "no such document"}, 404)
        pages = [skylark_pdf.scan(page) if found.scanned else page for page in found.pages]
        return Reply.json({"id": found.id, "title": found.title, "scanned": found.scanned, "pages": pages})


def question(rng: random.Random) -> str:
    """A traveller's question, as the path of a request."""
    return f"/ask?q=What+about+{rng.choice(TOPICS)}+on+flight+SK{rng.randrange(100, 1000)}%3F"


def health(begin: float, end: float, rate: float = 10.0) -> Stream:
    """The load balancer, which takes a replica out of service when /health does not answer."""
    return Stream(
        name="health", path="/health", rate=rate, begin=begin, end=end, arrivals="constant", patience=1000.0
    )


# ------------------------------------------------------------------------------------------------ learn trigger

TITLE = "One slow answer stops everybody"


@dataclass(frozen=True)
class Settings:
    """What `learn trigger --set name=value` can change. Times in virtual seconds."""

    latency: float = 12.0  # by how much the brown-out stretches each provider call
    begin: float = 20.0
    end: float = 50.0
    lost: float = 3.0  # for so long, at its beginning, calls never come back
    asks: float = 1.5  # questions a second
    horizon: float = 150.0

    def __post_init__(self) -> None:
        if not self.begin < self.end <= self.horizon - 30:
            raise ValueError("begin comes before end, and end 30 s or more before horizon")
        if self.lost > self.end - self.begin:
            raise ValueError("lost is no longer than the brown-out")


def text(settings: Settings) -> str:
    """What happens, for people."""
    return (
        f"An ordinary afternoon: the load balancer asks /health twice a second, travellers ask {settings.asks:g} questions a "
        f"second, a document is summarised every 25 s. From {settings.begin:g} s to {settings.end:g} s, every call to the "
        f"provider takes {settings.latency:g} times as long; those of the first {settings.lost:g} s never come back."
    )


def marks(settings: Settings) -> tuple[tuple[float, str], ...]:
    return ((settings.begin, "brown-out"), (settings.end, "healed"))


def play(scene: Scene, settings: Settings) -> Act:
    """Two minutes of that afternoon."""
    fails = [
        faults.brown_out(settings.begin, settings.end, settings.latency),
        faults.hanging(settings.begin, settings.begin + settings.lost),
    ]
    house = House(scene, median=0.3, sigma=0.3, fails=fails, horizon=settings.horizon + 60)
    for number in range(4):
        house.document(f"doc-{number}", sections=8)
    summaries = Stream(
        name="summary",
        method="POST",
        path=lambda rng: f"/documents/doc-{rng.randrange(4)}/summary",
        rate=1 / 25,
        begin=5.0,
        end=settings.horizon - 60,
        arrivals="constant",
        patience=SUMMARY_BUDGET,
    )
    asks = Stream(name="ask", path=question, rate=settings.asks, end=settings.horizon - 30, patience=30.0)
    balancer = health(0.0, settings.horizon, rate=2.0)
    visits = house.visits(balancer, asks, summaries, horizon=settings.horizon)
    answered = visits.of("ask", "summary")
    try:
        recovery = answered.recovery(settings.end)
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
            Figure("well again after the brown-out", recovery, "s", 5.0, "at_most"),
        ),
    )


def worst_by_second(visits: Visits) -> tuple[float | None, ...]:
    """For each second, the worst latency of what was scheduled in it."""
    worst: list[float | None] = [None] * int(visits.horizon)
    for visit, latency in zip(visits, visits.latencies(), strict=True):
        second = int(visit.scheduled)
        if second < len(worst):
            worst[second] = max(latency, worst[second] or 0.0)
    return tuple(worst)


def smooth(counts: Sequence[int], window: int = 5) -> tuple[float, ...]:
    """The mean of each second and those before it, `window` in all."""
    recent = [counts[max(0, at - window + 1) : at + 1] for at in range(len(counts))]
    return tuple(sum(some) / len(some) for some in recent)
