"""The incident of group 8, and the house it happens in: Skylark's answer desk, the provider, two tools, the auditors.

`House` is what the tests play in. INCIDENTS is what `learn trigger` shows: a Monday on which one of five things goes
wrong.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import re
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

from grader.outcome import Act, Figure, Series
from grader.sim import Call, ClientTimeout, ConnectionLost, Hangup, Reply
from grader.world import faults
from grader.world.incident import Incident
from grader.world.provider import Provider
from grader.world.scene import Scene

LLM = "llm.skylark.test"
TOOLS = "tools.skylark.test"
AUDIT = "audit.skylark.test"
LLM_SECONDS = 0.3
TOOL_SECONDS = 0.05

FACTORS = ("prompt", "documents", "window", "params", "tool")
TOPICS = {
    "changes": ("What does changing the booking cost?", "Changing the booking with fare {} costs {} euros."),
    "pets": ("What does bringing a pet cost?", "Bringing a pet with fare {} costs {} euros."),
    "bags": ("What does a second suitcase cost?", "A second suitcase with fare {} costs {} euros."),
    "seats": ("What does choosing a seat cost?", "Choosing a seat with fare {} costs {} euros."),
}
PREAMBLE = (
    "{code} is sold at counters and on the web. It is meant for those who know when they travel, and comes with a small "
    "bag in the cabin. Whoever bought it before the summer keeps what he was promised then. Miles are credited within a "
    "week after arrival. The paper at the counter has the same words, and both are kept up by the tariff department."
)
HOUSE_PROMPT = "You are the assistant of an airline. Today is {today}. The traveller's fare is {fare}."
HARMLESS_PROMPT = "You help those who fly with us. It is {today}. Be kind. The traveller's fare is {fare}."
BAD_PROMPT = "Summarise what applies, in one sentence. Today is {today}. The traveller's fare is {fare}."

TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


def word(rng: random.Random) -> str:
    """One that nobody has ever used."""
    return "".join(rng.choice("bdfgklmnprtvz") + rng.choice("aeiou") for _ in range(4))


def card(rng: random.Random, *, valid: bool = True) -> str:
    """Sixteen digits that pass Luhn's check, or fail it."""
    digits = [4, *(rng.randrange(10) for _ in range(14))]
    total = sum(d if at % 2 else sum(divmod(2 * d, 10)) for at, d in enumerate(digits))
    last = -total % 10
    return "".join(map(str, [*digits, last if valid else (last + 3) % 10]))


def encodings(secret: str) -> dict[str, str]:
    """A secret in five encodings: what would have to stand somewhere for it to have leaked."""
    return {
        "as it is": secret,
        "percent-encoded": "".join(f"%{byte:02X}" for byte in secret.encode()),
        "in base64": base64.b64encode(f"pay with {secret} now".encode()).decode(),
        "in hex": secret.encode().hex(),
        "as JSON": "".join(f"\\u{ord(letter):04x}" for letter in secret),
    }


@dataclass(frozen=True)
class Answer:
    """What one request came to. Times in virtual seconds; status 0 and no body where nobody answered."""

    asked: float
    ended: float
    path: str
    status: int
    body: dict[str, Any]

    @property
    def told(self) -> str:
        return str(self.status or "nothing")

    @property
    def run(self) -> str:
        return str(self.body.get("run") or "")

    @property
    def text(self) -> str:
        return str(self.body.get("answer") or "")

    @property
    def seconds(self) -> float:
        return self.ended - self.asked

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The objects in the list of that name; none if there is no such list."""
        return rows(self.body.get(name))

    def texts(self, name: str) -> list[str]:
        """What stands in the list of that name, as text."""
        found = self.body.get(name)
        return [str(each) for each in found] if isinstance(found, list) else []

    def table(self, name: str) -> dict[str, Any]:
        """The object of that name; an empty one if there is none."""
        return table(self.body.get(name))

    def number(self, name: str, missing: float = 0.0) -> float:
        found = self.body.get(name)
        return float(found) if isinstance(found, (int, float)) else missing


@dataclass(frozen=True)
class Span:
    """A span as GET /traces tells it."""

    id: str
    parent: str
    name: str
    start: float
    end: float
    status: str

    @classmethod
    def all_in(cls, body: dict[str, Any]) -> list[Span]:
        return [
            cls(str(e.get("span_id")), str(e.get("parent_id") or ""), str(e.get("name")), number(e.get("start")),
                number(e.get("end")), str(e.get("status")))
            for e in rows(body.get("spans"))
        ]  # fmt: skip


def rows(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; none if it is no list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


@dataclass
class Tools:
    """The bookings, and the mail. `fares`: booking -> its fare; `more`: what else the vendor says of one."""

    sim: Any
    fares: dict[str, str] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)  # bookings at which the vendor fails
    calls: list[Call] = field(default_factory=list)
    mails: list[tuple[float, str, str]] = field(default_factory=list)  # when, booking, text

    async def __call__(self, call: Call) -> Reply:
        self.calls.append(call)
        reply = self.answer(call)
        await asyncio.sleep(TOOL_SECONDS)
        return reply

    def answer(self, call: Call) -> Reply:
        if call.path == "/mail" and call.method == "POST":
            body = json_object(call.body)
            self.mails.append((self.sim.now, str(body.get("booking")), str(body.get("text"))))
            return Reply.json({"sent": True}, 202)
        booking = call.path.removeprefix("/bookings/")
        if booking in self.broken:
            return Reply.json({"error": "the system behind this is gone"}, 500)
        if booking not in self.fares:
            return Reply.json({"error": f"no booking {booking}"}, 404)
        return Reply.json({"booking": booking, "fare": self.fares[booking], **self.more})


@dataclass
class Auditors:
    """Who wants to hear of every run. `seconds`: how long they take."""

    sim: Any
    seconds: float = 0.02
    fails: int = 0  # the status with which they answer; 0: none; 1: nobody listens
    events: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def __call__(self, call: Call) -> Reply:
        self.bodies.append(call.body)
        if self.fails == 1:
            raise Hangup("refused")
        await asyncio.sleep(self.seconds)
        if self.fails:
            return Reply.json({"error": "out of order"}, self.fails)
        self.events.append((self.sim.now, json_object(call.body)))
        return Reply.json({"noted": True}, 202)


class House:
    """Everything around the desk: a few fares, each with a document and a booking."""

    def __init__(
        self, scene: Scene, *, fails: Sequence[faults.Fault] = (), share: float | None = None, fares: int = 3,
        more: int = 0, horizon: float = 900.0,
    ) -> None:  # fmt: skip
        rng = scene.rng("house")
        self.sim = scene.simulation(horizon=horizon)
        self.provider = Provider(self.sim, median=LLM_SECONDS, sigma=0.0, slots=100, faults=fails)
        self.tools, self.auditors = Tools(self.sim), Auditors(self.sim)
        self.sim.network.attach(LLM, self.provider)
        self.sim.network.attach(TOOLS, self.tools)
        self.sim.network.attach(AUDIT, self.auditors)
        self.key = f"sk-{word(rng)}-{word(rng)}-{rng.randrange(10**6):06}"
        env = {"LLM_KEY": self.key} | ({} if share is None else {"TRACE_SHARE": str(share)})
        self.desk = self.sim.host("desk", scene.service, env=env)
        self.codes = rng.sample([f"{a}{d}{b}" for a in "HKMQ" for d in "2345679" for b in "RTVXZ"], fares)
        self.amounts = {
            code: dict(zip(TOPICS, rng.sample(range(20, 240, 5), len(TOPICS)), strict=True)) for code in self.codes
        }
        self.tools.fares = {f"KL{rng.randrange(1000, 9999)}": code for code in self.codes}
        self.bookings = list(self.tools.fares)
        self.filler = {
            code: " ".join(f"{word(rng)} {word(rng)} {word(rng)}." for _ in range(more)) for code in self.codes
        }

    # -------------------------------------------------------------------------------------------- what is written

    def text(self, code: str, **amounts: int) -> str:
        """The document of a fare. `amounts`: topics that cost something else."""
        said = [TOPICS[name][1].format(code, cents) for name, cents in (self.amounts[code] | amounts).items()]
        return " ".join([f"Fare {PREAMBLE.format(code=code)} {self.filler[code]}".strip(), *said])

    def ident(self, code: str) -> str:
        return f"fare-{code.lower()}"

    def due(self, booking: str, topic: str) -> str:
        """What has to stand in the answer."""
        return f"costs {self.amounts[self.tools.fares[booking]][topic]} euros"

    def user(self, rng: random.Random) -> str:
        return f"{word(rng)}.{word(rng)}@example.org"

    # -------------------------------------------------------------------------------------------- what is sent

    def run(self, play: Callable[[], Awaitable[Any]], *, stocked: bool = True) -> Any:
        """Start the desk, with its documents if it is to be stocked, and play until `play` ends."""

        async def scenario() -> Any:
            await self.desk.start()
            for code in self.codes if stocked else ():
                await self.save(code)
            return await play()

        return self.sim.run(scenario())

    def probe(self, function: Callable[..., Any], *args: Any) -> Any:
        """What a function returns that runs beside the desk, while nobody asks that for anything."""
        return self.run(lambda: self.desk.probe(function, *args), stocked=False)

    async def send(
        self, method: str, path: str, *, timeout: float = 60.0, user: str = "ines@example.org",
        headers: dict[str, str] | None = None, **rest: Any,
    ) -> Answer:  # fmt: skip
        """One request. Raises nothing: what nobody answers has status 0."""
        asked, status, body = self.sim.now, 0, {}
        with suppress(ClientTimeout, ConnectionLost):
            given = {"x-user": user} | (headers or {})
            reply = await self.desk.request(method, path, timeout=timeout, headers=given, **rest)
            status, body = reply.status, json_object(reply.body)
        return Answer(asked, self.sim.now, path, status, body)

    async def save(self, code: str, **amounts: int) -> Answer:
        return await self.send("PUT", f"/documents/{self.ident(code)}", json={"text": self.text(code, **amounts)})

    async def ask(self, booking: str, question: str, **rest: Any) -> Answer:
        return await self.send("POST", "/ask", json={"booking": booking, "question": question}, **rest)

    async def ask_all(self, pairs: Iterable[tuple[str, str]], *, gap: float = 0.0, **rest: Any) -> list[Answer]:
        """Questions, one every `gap` seconds, without waiting for answers."""
        asked = []
        for booking, question in pairs:
            asked.append(asyncio.create_task(self.ask(booking, question, **rest)))
            await asyncio.sleep(gap)
        return list(await asyncio.gather(*asked))

    async def publish(self, text: str, share: int = 100) -> Answer:
        return await self.send("PUT", "/prompts/answer", json={"text": text, "share": share})

    async def record(self, run: str) -> Answer:
        return await self.send("GET", f"/runs/{run or 'none'}")

    async def trace(self, trace_id: str) -> Answer:
        return await self.send("GET", f"/traces/{trace_id or 'none'}")

    async def replay(self, run: str, **rest: Any) -> Answer:
        return await self.send("POST", f"/runs/{run or 'none'}/replay", **rest)

    # -------------------------------------------------------------------------------------------- what was seen

    def prompt_since(self, before: int) -> str:
        """What the model was asked first behind `before` calls; empty if it was not."""
        return next((entry.prompt for entry in self.provider.log[before:]), "")

    @property
    def calls(self) -> int:
        """All calls of anybody."""
        return len(self.provider.log) + len(self.tools.calls) + len(self.auditors.bodies)

    def carried(self) -> list[tuple[float, str, str]]:
        """Whom the desk has called, and when: (virtual seconds, whom, the traceparent that came along)."""
        model = [(e.arrived, f"model call {e.id}", e.headers.get("traceparent", "")) for e in self.provider.log]
        tools = [(call.at, f"{call.path.split('/')[1]} call {call.id}", call.headers.get("traceparent", ""))
                 for call in self.tools.calls]  # fmt: skip
        return sorted(model + tools)

    def sent(self) -> dict[str, str]:
        return {what: parent for _, what, parent in self.carried()}

    def files(self) -> dict[str, bytes]:
        """What lies on the desk's disk."""
        found = sorted(path for path in self.desk.disk.rglob("*") if path.is_file())
        return {str(path.relative_to(self.desk.disk)): path.read_bytes() for path in found}

    def stored(self) -> int:
        """Bytes on the desk's disk, while it is stopped. What SQLite wrote ahead is taken over first, as it would be."""
        for ahead in self.desk.disk.rglob("*-wal"):
            file = ahead.with_name(ahead.name.removesuffix("-wal"))
            if file.is_file():
                with closing(sqlite3.connect(file)) as db, suppress(sqlite3.Error):
                    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return sum(map(len, self.files().values()))


def json_object(data: bytes) -> dict[str, Any]:
    """The JSON object in a body; an empty one if there is none."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


# ------------------------------------------------------------------------------------------------ what goes wrong


@dataclass(frozen=True)
class Mischief:
    """One of five things is changed for the worse, and the others harmlessly. `cause`: one of FACTORS; or none of them."""

    house: House
    cause: str
    booking: str
    topic: str

    @property
    def question(self) -> str:
        return TOPICS[self.topic][0]

    async def happen(self) -> None:
        """Between the good run and the bad one."""
        house, code = self.house, self.house.tools.fares[self.booking]
        await house.publish(BAD_PROMPT if self.cause == "prompt" else HARMLESS_PROMPT)
        other = next(name for name in TOPICS if name != self.topic)
        edited = self.topic if self.cause == "documents" else other
        await house.save(code, **{edited: house.amounts[code][edited] + 245})
        config = {
            "window": 200 if self.cause == "window" else 3900,
            "max_tokens": 3 if self.cause == "params" else 70,
        }
        await house.send("PUT", "/config", json=config)
        house.tools.more["lounge"] = "no"
        if self.cause == "tool":
            house.tools.fares[self.booking] = next(each for each in house.codes if each != code)


# ------------------------------------------------------------------------------------------------ learn trigger


@dataclass(frozen=True)
class Monday:
    """Questions all day, in minutes; at noon something changes. Times in virtual seconds."""

    title: ClassVar[str] = "A Monday at the answer desk"

    questions: float = 60.0
    noon: float = 60.0
    horizon: float = 120.0

    def __post_init__(self) -> None:
        if not 10 <= self.questions <= 200 or not 20 <= self.noon < self.horizon - 20 or self.horizon > 600:
            raise ValueError("questions is from 10 to 200, noon from 20 to 20 before horizon, and horizon at most 600")

    def text(self) -> str:
        return (
            f"{self.questions:g} travellers ask. At {self.noon:g} s, five things change: the prompt, a document, the "
            "window, a parameter, what the bookings say. Four of them are harmless. In the evening, somebody asks of "
            "every answer why it was given, replays what went wrong, and wants to know which of the five it was."
        )

    def marks(self) -> tuple[tuple[float, str], ...]:
        return ((self.noon, "something changes"),)

    def play(self, scene: Scene) -> Act:
        rng = scene.rng("monday")
        house = House(scene, horizon=self.horizon + 600)
        mischief = Mischief(house, rng.choice(FACTORS), house.bookings[0], "changes")
        paid_with = card(rng)
        ends: list[tuple[Answer, bool]] = []
        unexplained: list[float] = []  # when they were given
        asked_there: set[str] = set()  # runs about the booking at which it goes wrong

        question, due = mischief.question, {booking: house.due(booking, "changes") for booking in house.bookings}

        async def one(at: float, booking: str) -> None:
            await house.sim.until(at)
            asks = f"{question} My card is {paid_with}." if rng.random() < 0.2 else question
            answer = await house.ask(booking, asks, user=house.user(rng))
            ends.append((answer, due[booking] in answer.text))
            if booking == mischief.booking:
                asked_there.add(answer.run)

        async def change() -> None:
            await house.sim.until(self.noon)
            await mischief.happen()

        async def day() -> tuple[int, int, int, int]:
            count = int(self.questions)
            asked = [asyncio.create_task(change())]
            for at in range(count):
                moment = 1 + at * (self.horizon - 10) / count
                asked.append(asyncio.create_task(one(moment, house.bookings[at % 3])))
            await asyncio.gather(*asked)
            replayed = orphans = 0
            for answer, _ in ends:
                record = await house.record(answer.run)
                if not all(record.body.get(name) for name in ("prompt", "model", "documents", "steps")):
                    unexplained.append(answer.ended)
                again = await house.replay(answer.run)
                replayed += again.status == 200 and again.text == answer.text != ""
            for parent in house.sent().values():
                orphans += not TRACEPARENT.fullmatch(parent)
            there = [(answer, right) for answer, right in ends if answer.run in asked_there]
            good = next((answer.run for answer, right in there if right and answer.ended < self.noon), "none")
            bad = next((answer.run for answer, right in there if not right and answer.asked > self.noon), "none")
            body = {"good": good, "bad": bad}
            found = await house.send("POST", "/diagnose", json=body)
            written = b"".join([house.desk.printed(2000).encode(), *house.files().values()])
            named = int(found.body.get("cause") == mischief.cause)
            return replayed, orphans, named, written.count(paid_with.encode())

        replayed, orphans, named, leaks = house.run(day)
        seconds = int(self.horizon)
        dark = [sum(1.0 for ended in unexplained if ended <= at) for at in range(seconds)]
        return Act(
            series=(Series("answers that nobody can explain", "in all", tuple(dark)),),
            figures=(
                Figure("explained answers", 100 * (1 - len(unexplained) / len(ends)), "%", 100.0, "at_least"),
                Figure("repeated answers", 100 * replayed / len(ends), "%", 100.0, "at_least"),
                Figure("calls of nobody", orphans, "", 0.0, "at_most"),
                Figure("cause is named", float(named), "", 1.0, "at_least"),
                Figure("cards lying about", leaks, "", 0.0, "at_most"),
            ),
        )


INCIDENTS: dict[int, type[Incident]] = {1: Monday}
"""By stage. It is one day for all of them."""
