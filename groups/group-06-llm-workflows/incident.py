"""The incident of group 6, and the house it happens in: Skylark's claims desk, the LLM provider, the five tools.

`House` is what the tests play in. INCIDENTS is what `learn trigger` shows: a day of tickets, with a crash.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

from grader.outcome import Act, Figure, Series
from grader.sim import Call, ClientTimeout, ConnectionLost, Reply
from grader.story.timeline import crash_point
from grader.world import faults
from grader.world.incident import Incident
from grader.world.provider import Provider
from grader.world.scene import Scene

LLM = "llm.skylark.test"
TOOLS = "tools.skylark.test"
GATEWAY_SECONDS = 0.05

OPEN = ("queued", "running")
KINDS = ("fare", "weather", "quote", "ledger", "mail")
SKIES = ("clear", "rain", "storm")
POLICIES: dict[str, Callable[[int], int]] = {
    "full": lambda fare: fare,
    "standard": lambda fare: fare * 3 // 4,
    "capped": lambda fare: min(fare, 25_000),
}
SAYS = {
    "refund": ("Please reimburse me.", "I expect to be repaid.", "Will you repay me?", "I want a refund."),
    "delay": ("We were stranded at the gate for six hours.", "Our plane was overdue by four hours.", "We were late."),
    "rebooking": ("Could you reschedule me to Friday?", "Please swap my Monday for a Tuesday.", "Please rebook me."),
    "baggage": ("My suitcase never came off the carousel.", "My rucksack arrived torn.", "You lost my luggage."),
    "upgrade": ("Is there anything free in premium?", "I would love premium instead.", "Please upgrade me."),
    "seat": ("I need the aisle because of my knee.", "More legroom, please.", "Could my seat be elsewhere?"),
    "meal": ("I eat kosher only.", "Vegetarian food for my son, please.", "A vegan dish, please."),
    "receipt": ("My accountant asks for the VAT.", "My bookkeeping lacks a paper.", "Please issue an invoice."),
    "weather": ("Will there be rain when I land?", "Should I pack an umbrella?", "How is the weather there?"),
}
"""What travellers write; the last of each has the word that everybody thinks of."""

ASIDES = ("I do not want a refund.", "This is not about my baggage.", "I do not ask for an upgrade, or a meal.")
GREETINGS = ("Hello from Lisbon.", "Good morning.", "To whom it may concern.", "")
UNCLEAR = ("Can somebody call me?", "It is about last week.", "Nobody answers me, as usual.")
WISHES = {
    "fare": ("look up the fare", "find the tariff"),
    "weather": ("check the forecast", "see if there is snow"),
    "quote": ("get a quotation", "ask for an offer"),
}
PLEASE = ("Please arrange", "Please organise", "Could you combine", "Kindly coordinate")


def word(rng: random.Random) -> str:
    """One that nobody has ever used."""
    return "".join(rng.choice("bdfgklmnprtvz") + rng.choice("aeiou") for _ in range(4))


@dataclass(frozen=True)
class Ticket:
    """A letter, and what has to come of it."""

    ref: str
    tenant: str
    booking: str
    text: str
    routes: tuple[str, ...]
    status: str  # in the end
    entries: tuple[tuple[str, int], ...] = ()  # kind and cents
    mails: tuple[tuple[str, ...], ...] = ()  # for each, what stands in it


@dataclass(frozen=True)
class Effect:
    """What the ledger or the mail has done."""

    at: float
    tool: str
    tenant: str
    booking: str
    kind: str
    cents: int
    text: str


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
    def steps(self) -> tuple[Any, Any]:
        found = self.body.get("steps")
        return (found.get("done"), found.get("of")) if isinstance(found, dict) else (None, None)


@dataclass
class Gateway:
    """The five tools. `facts`: booking -> its fare, quote and weather."""

    sim: Any
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    calls: list[tuple[float, str, int, str]] = field(default_factory=list)  # when, path, how answered, which booking
    broken: set[str] = field(default_factory=set)  # tools that refuse everything
    away: set[str] = field(default_factory=set)  # tools that cannot answer now
    kept: dict[str, tuple[bytes, Reply]] = field(default_factory=dict)

    async def __call__(self, call: Call) -> Reply:
        reply = self.answer(call)  # what has arrived is done, whoever waits for the answer
        booking = str(json_object(call.body).get("booking"))
        self.calls.append((self.sim.now, call.path.strip("/"), reply.status, booking))
        await asyncio.sleep(GATEWAY_SECONDS)
        return reply

    def answer(self, call: Call) -> Reply:
        tool, args = call.path.strip("/"), json_object(call.body)
        tenant = str(args.get("tenant_id") or call.headers.get("x-tenant", ""))  # the old clients send it in the body
        known = self.facts.get(str(args.get("booking")), {})
        if tool in self.broken:
            return Reply.json({"error": "the system behind this tool is gone"}, 410)
        if tool in self.away:
            return Reply.json({"error": "the system behind this tool does not answer"}, 503)
        if tool not in KINDS:
            return Reply.json({"error": f"there is no {tool}"}, 404)
        if not known:
            return Reply.json({"error": f"no booking {args.get('booking')!r}"}, 404)
        if tool in ("fare", "weather", "quote"):
            name = {"fare": "fare_cents", "weather": "sky", "quote": "quote_cents"}[tool]
            return Reply.json({name: known[name]})
        key = call.headers.get("idempotency-key", "")
        if key in self.kept:
            body, reply = self.kept[key]
            return reply if body == call.body else Reply.json({"error": "this key came with another request"}, 422)
        cents, text = args.get("amount_cents", 0), args.get("text", "")
        sound = type(cents) is int and cents > 0 if tool == "ledger" else isinstance(text, str) and text
        if not sound:
            return Reply.json({"error": "this makes no sense"}, 422)
        kind = str(args.get("kind", "hold"))
        self.effects.append(Effect(self.sim.now, tool, tenant, args["booking"], kind, cents, text))
        reply = Reply.json({"entry": f"E{len(self.effects)}"})
        if key:
            self.kept[key] = call.body, reply
        return reply


class House:
    """Everything around the desk. `plugins`: files for its PLUGINS_DIR, by name."""

    def __init__(
        self,
        scene: Scene,
        *,
        median: float = 0.3,
        fails: Sequence[faults.Fault] = (),
        plugins: dict[str, str] | None = None,
        horizon: float = 900.0,
    ) -> None:
        self.sim = scene.simulation(horizon=horizon)
        self.provider = Provider(self.sim, median=median, sigma=0.0, slots=200, faults=fails)
        self.gateway = Gateway(self.sim)
        self.sim.network.attach(LLM, self.provider)
        self.sim.network.attach(TOOLS, self.gateway)
        env = {}
        if plugins:
            folder = self.sim.disk("desk") / "of other teams"
            folder.mkdir()
            for name, text in plugins.items():
                (folder / name).write_text(text, "utf-8")
            env["PLUGINS_DIR"] = str(folder)
        self.desk = self.sim.host("desk", scene.service, env=env)
        self._refs = itertools.count(1)

    def run(self, play: Callable[[], Awaitable[Any]]) -> Any:
        """Start the desk, and play until `play` ends."""

        async def scenario() -> Any:
            await self.desk.start()
            return await play()

        return self.sim.run(scenario())

    # -------------------------------------------------------------------------------------------- what is written

    def booking(self, rng: random.Random, **facts: Any) -> str:
        """A new one; `facts` in place of what chance would make of it."""
        name = ""
        while not name or name in self.gateway.facts:
            name = f"{rng.choice('BKLMNPQRST')}{rng.choice('BKLMNPQRST')}{rng.randrange(1_000, 10_000)}"
        fare, quote = rng.randrange(4_001, 60_000), rng.randrange(5_001, 80_000)
        known = {"fare_cents": fare, "quote_cents": quote, "sky": rng.choice(SKIES)}
        self.gateway.facts[name] = known | facts
        return name

    def ticket(
        self, rng: random.Random, *routes: str, tenant: str = "aero", policy: str = "standard", more: str = "",
        plain: bool = False, **facts: Any,
    ) -> Ticket:  # fmt: skip
        """One that takes these routes, or none. `more` is added to it. `plain`: it says what everybody says."""
        booking = self.booking(rng, **facts)
        says = [SAYS[route][-1] if plain else rng.choice(SAYS[route]) for route in routes] or [rng.choice(UNCLEAR)]
        aside = [each for each in ASIDES if not any(route in each for route in routes)]
        parts = [rng.choice(GREETINGS), *says, rng.choice(aside) if rng.random() < 0.3 and not plain else "", more]
        due = [self.due(route, booking, POLICIES[policy]) for route in routes]
        return Ticket(
            f"T-{next(self._refs)}", tenant, booking, " ".join(part for part in parts if part),
            routes or ("clarify",), "done" if routes else "clarify",
            tuple(entry for entry, _ in due if entry), tuple((line,) for _, line in due),
        )  # fmt: skip

    def due(self, route: str, booking: str, policy: Callable[[int], int]) -> tuple[tuple[str, int] | None, str]:
        """The entry of such a ticket, and the line in its mail."""
        facts = self.gateway.facts[booking]
        fare, fee = facts["fare_cents"], facts["quote_cents"] - facts["fare_cents"]
        if route == "delay" and facts["sky"] == "storm":
            return None, "no compensation: storm"
        if route == "rebooking" and fee <= 0:
            return None, "no fee"
        match route:
            case "meal":
                return None, "meal: ordered"
            case "receipt":
                return None, f"receipt: {fare} cents"
            case "weather":
                return None, f"weather: {facts['sky']}"
        cents = {
            "refund": policy(fare), "delay": policy(fare), "rebooking": fee, "baggage": 15_000,
            "upgrade": facts["quote_cents"], "seat": 1_200,
        }[route]  # fmt: skip
        kind = {"delay": "compensation", "rebooking": "fee"}.get(route, route)
        return (kind, cents), f"{kind}: {cents} cents"

    def special(
        self, rng: random.Random, *, tenant: str = "aero", wishes: Sequence[str] = (), hold: int | None = None,
        without: str = "", more: str = "",
    ) -> Ticket:  # fmt: skip
        """One that has to be planned. `hold`: where in it something is to be held; `without`: a tool that is broken."""
        booking = self.booking(rng)
        names = list(wishes) or rng.sample(list(WISHES), rng.randrange(2, 4))
        said = [rng.choice(WISHES[name]) for name in names]
        cents = rng.randrange(1_001, 9_999)
        entries: tuple[tuple[str, int], ...] = ()
        if hold is None and rng.random() < 0.6:
            hold = rng.randrange(len(said) + 1)
        if hold is not None:
            said.insert(hold, f"hold {cents // 100}.{cents % 100:02} euros in the ledger")
            entries = (("hold", cents),)
        facts = self.gateway.facts[booking]
        known = {"fare": facts["fare_cents"], "weather": facts["sky"], "quote": facts["quote_cents"]}
        mail = tuple(str(known[name]) for name in names if name != without)
        text = f"{rng.choice(PLEASE)} several things: {', '.join(said)}, and write me an email. {more}".strip()
        return Ticket(f"T-{next(self._refs)}", tenant, booking, text, ("special",), "done", entries, (mail,))

    def day(
        self, rng: random.Random, count: int, tenants: Sequence[str] = ("aero",), planned: Sequence[int] = (4, 13)
    ) -> list[Ticket]:
        """An ordinary day: of ten tickets one has two concerns, one has to be planned, and of twenty one is unclear.
        `planned`: which of twenty have to be."""
        found = []
        kinds = list(SAYS)
        for number in range(count):
            tenant, at = rng.choice(tenants), number % 20
            if at in planned:
                found.append(self.special(rng, tenant=tenant))
            elif at == 7:
                found.append(self.ticket(rng, tenant=tenant))
            else:
                routes = rng.sample(kinds, 2) if at in (2, 16) else [kinds[number % len(kinds)]]
                found.append(self.ticket(rng, *routes, tenant=tenant))
        return found

    # -------------------------------------------------------------------------------------------- what is sent

    async def send(self, method: str, path: str, tenant: str = "aero", *, timeout: float = 20.0, **rest: Any) -> Answer:
        """One request to the desk. Raises nothing: what nobody answers has status 0."""
        asked, status, body = self.sim.now, 0, {}
        with suppress(ClientTimeout, ConnectionLost):
            reply = await self.desk.request(method, path, timeout=timeout, headers={"x-tenant": tenant}, **rest)
            status, body = reply.status, json_object(reply.body)
        return Answer(asked, self.sim.now, path, status, body)

    async def submit(self, ticket: Ticket) -> Answer:
        """Until there is an answer: a ref is the same ticket, however often it is sent."""
        told = {"ref": ticket.ref, "booking": ticket.booking, "text": ticket.text}
        for _ in range(10):
            answer = await self.send("POST", "/tickets", ticket.tenant, json=told)
            if answer.status:
                break
            await asyncio.sleep(1.0)
        return answer

    async def look(self, ticket: Ticket) -> Answer:
        return await self.send("GET", f"/tickets/{ticket.ref}", ticket.tenant)

    async def settle(self, tickets: Sequence[Ticket], *, patience: float = 60.0, every: float = 2.0) -> list[Answer]:
        """Ask after all tickets until each has ended, or patience has."""
        until = self.sim.now + patience
        ended: dict[tuple[str, str], Answer] = {}
        while True:
            for ticket in tickets:
                known = ended.get((ticket.tenant, ticket.ref))
                if known is None or known.body.get("status") in (*OPEN, None):
                    ended[ticket.tenant, ticket.ref] = await self.look(ticket)
            if all(answer.body.get("status") not in (*OPEN, None) for answer in ended.values()):
                break
            if self.sim.now + every > until:
                break
            await asyncio.sleep(every)
        return [ended[ticket.tenant, ticket.ref] for ticket in tickets]

    async def handle(self, tickets: Sequence[Ticket], *, gap: float = 0.0, patience: float = 60.0) -> list[Answer]:
        """Submit them all, and wait for their ends."""
        for ticket in tickets:
            await self.submit(ticket)
            await asyncio.sleep(gap)
        return await self.settle(tickets, patience=patience)

    # -------------------------------------------------------------------------------------------- what came of it

    def effects(self, ticket: Ticket, tool: str) -> list[Effect]:
        return [each for each in self.gateway.effects if each.booking == ticket.booking and each.tool == tool]

    def wrong(self, ticket: Ticket, answer: Answer) -> str:
        """What is wrong with how a ticket has ended; "" if it is solved."""
        if answer.body.get("status") != ticket.status:
            reason = str(answer.body.get("reason") or "")
            return f"it is {answer.body.get('status')}{f' ({shorten(reason, 200)})' if reason else ''}"
        entries = Counter((each.tenant, each.kind, each.cents) for each in self.effects(ticket, "ledger"))
        due = Counter((ticket.tenant, *entry) for entry in ticket.entries)
        if entries != due:
            return f"the ledger has {_told(entries)} instead of {_told(due)}"
        mails = [each.text for each in self.effects(ticket, "mail")]
        if len(mails) != len(ticket.mails):
            return f"{len(mails)} mails were sent instead of {len(ticket.mails)}"
        lacks = [words for words in ticket.mails if not any(all(each in mail for each in words) for mail in mails)]
        return f"no mail says {listed(lacks[0])}" if lacks else ""

    def again(self, tickets: Sequence[Ticket]) -> int:
        """Entries and mails that are there more than once."""
        seen = Counter((e.tool, e.booking, e.kind, e.cents, e.text) for e in self.gateway.effects)
        bookings = {ticket.booking for ticket in tickets}
        return sum(count - 1 for each, count in seen.items() if each[1] in bookings)

    @property
    def invalid(self) -> list[tuple[float, str, int, str]]:
        """Calls that reached the gateway, and make no sense there."""
        return [call for call in self.gateway.calls if call[2] in (404, 422)]

    @property
    def asked(self) -> int:
        """Calls of the model that it has answered, and that were not repetitions."""
        return sum(entry.status == 200 and not entry.replayed for entry in self.provider.log)

    def story(self, *more: str) -> list[tuple[float, str]]:
        """Requests, effects, crashes; and at the end what was found."""
        return [*crash_point(self.sim.tape), *((self.sim.now, line) for line in more)]

    def done(self, ticket: Ticket, *more: str) -> list[tuple[float, str]]:
        """A ticket, what ledger and mail have done for it, and what was found."""
        seen = [(0.0, f"{ticket.ref} of {ticket.tenant}: {ticket.text}")]
        seen += [(e.at, f"{e.tool} of {e.tenant}: {f'{e.kind} {e.cents}' if e.tool == 'ledger' else e.text}")
                 for e in self.gateway.effects if e.booking == ticket.booking]  # fmt: skip
        return [*seen, *((self.sim.now, line) for line in more)]


def listed(items: Iterable[object]) -> str:
    """For a person; "nothing" if there is nothing."""
    return ", ".join(map(str, items)) or "nothing"


def shorten(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _told(entries: Counter[tuple[str, str, int]]) -> str:
    told = [f"{kind} {cents} of {tenant}" + (f" ×{count}" if count > 1 else "")
            for (tenant, kind, cents), count in sorted(entries.items())]  # fmt: skip
    return ", ".join(told) or "nothing"


def json_object(data: bytes) -> dict[str, Any]:
    """The JSON object in a body; an empty one if there is none."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


# ------------------------------------------------------------------------------------------------ learn trigger


@dataclass(frozen=True)
class Day:
    """A day of tickets, in minutes, on which the desk crashes now and then. Times in virtual seconds."""

    title: ClassVar[str] = "A day at the claims desk"

    tickets: float = 200.0
    crashes: float = 2.0
    horizon: float = 180.0

    def __post_init__(self) -> None:
        if not 10 <= self.tickets <= 400 or not 0 <= self.crashes <= 8 or not 60 <= self.horizon <= 900:
            raise ValueError("tickets is from 10 to 400, crashes from 0 to 8, and horizon from 60 to 900")

    def text(self) -> str:
        return (
            f"{self.tickets:g} travellers write, two offices answer. One letter in ten has two concerns, one in ten "
            f"fits no type and has to be planned, one in twenty is unclear. About 12 of 100 answers of the model that "
            f"call a tool are flawed. The desk crashes {self.crashes:g} times, and is back after a second."
        )

    def marks(self) -> tuple[tuple[float, str], ...]:
        return tuple((moment, "crash") for moment in self._moments())

    def _moments(self) -> list[float]:
        count = int(self.crashes)
        return [float(round((at + 1) * self.horizon * 0.75 / (count + 1))) for at in range(count)]

    def play(self, scene: Scene) -> Act:
        house = House(scene, horizon=self.horizon + 600)
        tickets = house.day(scene.rng("day"), int(self.tickets), ("aero", "borealis"))
        solved = [0.0]

        async def crashes() -> None:
            for moment in self._moments():
                await house.sim.until(moment)
                house.desk.crash()
                await asyncio.sleep(1.0)
                await house.desk.start()

        async def watch() -> None:
            while house.sim.now < self.horizon - 10:
                await asyncio.sleep(10.0)
                solved.append(float(sum(self._is_solved(house, ticket) for ticket in tickets)))

        async def day() -> list[Answer]:
            tasks = [asyncio.create_task(each()) for each in (crashes, watch)]
            gap = self.horizon * 0.75 / len(tickets)
            for number, ticket in enumerate(tickets):
                await house.sim.until(1 + number * gap)
                await house.submit(ticket)
            await asyncio.gather(*tasks)
            return await house.settle(tickets, patience=20.0)

        ends = house.run(day)
        seconds = int(self.horizon)
        count = len(tickets)
        curve = tuple(solved[min(at // 10, len(solved) - 1)] for at in range(seconds))
        good = sum(not house.wrong(ticket, end) for ticket, end in zip(tickets, ends, strict=True))
        routed = sum(set(end.body.get("routes") or ()) == set(ticket.routes)
                     for ticket, end in zip(tickets, ends, strict=True) if ticket.status == "done")  # fmt: skip
        due = sum(ticket.status == "done" for ticket in tickets)
        unhandled = sum(end.body.get("status") in (*OPEN, None) for end in ends)
        again = [0] * seconds
        seen: Counter[Any] = Counter()
        for each in house.gateway.effects:
            what = (each.tool, each.booking, each.kind, each.cents, each.text)
            seen[what] += 1
            if seen[what] > 1:
                again[min(int(each.at), seconds - 1)] += 1
        return Act(
            series=(
                Series("tickets solved", "in all", curve),
                Series("entries and mails done again", "in all", tuple(map(float, itertools.accumulate(again)))),
            ),
            figures=(
                Figure("tickets solved", 100 * good / count, "%", 95.0, "at_least"),
                Figure("misrouted", 100 * (due - routed) / due, "%", 3.0, "at_most"),
                Figure("never ended", 100 * unhandled / count, "%", 0.0, "at_most"),
                Figure("entries and mails done again", house.again(tickets), "", 0.0, "at_most"),
                Figure("calls of tools that make no sense", len(house.invalid), "", 0.0, "at_most"),
                Figure("calls of the model", house.asked / count, "a ticket", 2.5, "at_most"),
            ),
        )

    def _is_solved(self, house: House, ticket: Ticket) -> bool:
        """As far as the ledger and the mail can tell."""
        told = Answer(0.0, 0.0, "", 200, {"status": ticket.status})
        return bool(ticket.mails) and not house.wrong(ticket, told)


INCIDENTS: dict[int, type[Incident]] = {1: Day}
"""By stage. It is one day for all of them."""
