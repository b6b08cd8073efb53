"""The incident of group 9, and the house it happens in: replicas of Skylark's assistant on one disk, the LLM provider
with its tariff and its invoice, the vocabularies of its models, and whoever hears of alerts.

`House` is what the tests play in. INCIDENTS is what `learn trigger` shows: a day and its bill, a tenant who asks for
more than everybody else, and an agent that nobody stops.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any, ClassVar

from grader.outcome import Act, Figure, Series
from grader.sim import Call, ClientTimeout, ConnectionLost, Reply
from grader.world import faults, tokenizer
from grader.world.billing import USAGE_PATH, Tariff
from grader.world.incident import Incident
from grader.world.ledger import Entry, Line
from grader.world.model import Price
from grader.world.provider import Provider
from grader.world.scene import Scene

LLM, MODELS, ALERTS = "llm.skylark.test", "models.skylark.test", "alerts.skylark.test"
EMBED = "/v1/embeddings"
LARGE, SMALL, EMBEDDER = "lark-large", "lark-small", "lark-embed"
PRICES = {LARGE: Price(3_000, 15_000, 300), SMALL: Price(250, 1_250, 25), EMBEDDER: Price(400, 0)}
PLENTY = 10**12  # micro-dollars
SETTLED = 240.0  # seconds after which everything is in the ledger as it is on the invoice
LAG = 30.0  # seconds after which a call is on the provider's report


@dataclass(frozen=True)
class Answer:
    """What one request came to. Times in virtual seconds; status 0 and no body where nobody answered in time."""

    asked: float
    ended: float
    tenant: str
    path: str
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object in it; an empty one if there is none."""
        try:
            body = json.loads(self.raw)
        except (ValueError, RecursionError):
            return {}
        return body if isinstance(body, dict) else {}

    @property
    def told(self) -> str:
        return str(self.status or "nothing")

    @property
    def run(self) -> str:
        return str(self.body.get("run") or self.headers.get("x-run", ""))

    @property
    def wait(self) -> float | None:
        """Retry-After, in seconds."""
        told = self.headers.get("retry-after", "")
        return float(told) if told.isascii() and told.isdigit() and len(told) < 9 else None

    def amount(self, *path: str) -> int:
        """A whole number in the body; 0 if there is none."""
        found: Any = self.body
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return found if type(found) is int else 0

    def amounts(self, name: str) -> dict[str, int]:
        """The whole numbers of an object in the body, without those that are 0."""
        found = self.body.get(name)
        rows = found.items() if isinstance(found, dict) else ()
        return {key: value for key, value in rows if type(value) is int and value}


class House:
    """Everything around the replicas. The provider's latency law and faults are the caller's.

    `downloads` are the vocabularies that were fetched, `alerts` what the operators have accepted; of those, the first
    `deaf` are answered 503.
    """

    def __init__(
        self,
        scene: Scene,
        *,
        replicas: int = 1,
        begins: datetime | None = None,
        median: float = 0.4,
        sigma: float = 0.0,
        slots: int = 200,
        joins: bool = True,
        changes: Sequence[tuple[float, Mapping[str, Price]]] = (),
        lag: float = LAG,
        fails: Sequence[faults.Fault] = (),
        horizon: float = 900.0,
    ) -> None:
        self.sim = scene.simulation(horizon=horizon)
        if begins is not None:
            self.sim.epoch = round(begins.timestamp()) * 10**9
        tariff = Tariff(PRICES, changes, lag=lag)
        self.provider = Provider(
            self.sim, median=median, sigma=sigma, slots=slots, joins=joins, tariff=tariff, faults=fails
        )
        self.downloads: list[str] = []
        self.alerts: list[dict[str, Any]] = []
        self.deaf = 0
        self.sim.network.attach(LLM, self.provider)
        self.sim.network.attach(MODELS, self._publish)
        self.sim.network.attach(ALERTS, self._hear)
        names = [f"assistant-{at}" for at in range(1, replicas + 1)]
        self.replicas = [self.sim.host(name, scene.service, disk="shared") for name in names]
        self.answers: list[Answer] = []

    def withhold_report(self, begin: float, end: float) -> None:
        """From `begin` to `end`, who asks for the provider's report is answered 503."""

        async def provide(call: Call) -> Reply:
            if call.path == USAGE_PATH and begin <= self.sim.now < end:
                return Reply.json({"error": "try again later"}, 503)
            return await self.provider(call)

        self.sim.network.attach(LLM, provide)

    def run(self, play: Callable[[], Awaitable[Any]]) -> Any:
        """Start the replicas, and play until `play` ends."""

        async def scenario() -> Any:
            for replica in self.replicas:
                await replica.start()
            return await play()

        return self.sim.run(scenario())

    # ----------------------------------------------------------------------------------------------- requests

    async def send(
        self, method: str, path: str, tenant: str = "", *, to: int = 0, timeout: float = 120.0, **rest: Any
    ) -> Answer:
        """One request to a replica. Raises nothing: what nobody answers has status 0."""
        asked, reply = self.sim.now, None
        replica = self.replicas[to % len(self.replicas)]
        with suppress(ClientTimeout, ConnectionLost):
            reply = await replica.request(method, path, headers={"x-tenant": tenant}, timeout=timeout, **rest)
        given = (reply.status, reply.headers, reply.body) if reply else (0, {}, b"")
        answer = Answer(asked, self.sim.now, tenant, path.partition("?")[0], *given)
        self.answers.append(answer)
        return answer

    async def agree(self, *tenants: str, budget: int = PLENTY, quota: int = 100_000, zone: str = "UTC") -> None:
        for tenant in tenants:
            await self.send("PUT", f"/tenants/{tenant}", json={"zone": zone, "budget": budget, "quota": quota})

    async def chat(self, tenant: str, text: str, session: str = "", **rest: Any) -> Answer:
        return await self.send("POST", "/chat", tenant, json={"text": text, "session": session}, **rest)

    async def stream(self, tenant: str, text: str, *, hang_up: int | None = None, to: int = 0) -> str:
        """A streamed chat; after `hang_up` pieces, the client has had enough. What came."""
        body = json.dumps({"text": text, "stream": True}).encode()
        headers = {"x-tenant": tenant, "content-type": "application/json", "content-length": str(len(body))}
        stream = self.replicas[to % len(self.replicas)].open("POST", "/chat", body=body, headers=headers)
        got = b""
        with suppress(ConnectionLost):
            await stream.head()
            count = 0
            async for piece in stream:
                got += piece
                count += bool(piece)
                if hang_up is not None and count >= hang_up:
                    stream.disconnect()
                    break
        return got.decode("utf-8", "replace")

    async def begin(self, tenant: str, path: str, body: dict[str, Any], **rest: Any) -> Answer:
        """Order a digest, research, or the embedding of a document."""
        return await self.send("POST", path, tenant, json=body, **rest)

    async def ends(self, tenant: str, *runs: str, patience: float = 120.0, to: int = 0) -> list[str]:
        """The statuses of runs, once none is running, or when that takes too long."""
        until, pause = self.sim.now + patience, 2.0
        while True:
            seen = [await self.send("GET", f"/runs/{run}", tenant, to=to) for run in runs]
            told = [str(each.body.get("status", "?")) for each in seen]
            if "running" not in told or self.sim.now >= until:
                return told
            await asyncio.sleep(pause)
            pause = min(1.3 * pause, 10.0)

    async def costs(self, tenant: str, month: str = "", **rest: Any) -> Answer:
        return await self.send("GET", "/costs" + (f"?month={month}" if month else ""), tenant, **rest)

    async def insist(self, tenant: str, text: str, *, tries: int = 40, **rest: Any) -> Answer:
        """Ask again while the answer is 429 or 503, after as long as it says."""
        for _ in range(tries):
            answer = await self.chat(tenant, text, **rest)
            if answer.status not in (429, 503):
                break
            await asyncio.sleep(min(max(answer.wait or 0.0, 1.0), 60.0))
        return answer

    # ----------------------------------------------------------------------------------------------- the truth

    def entry(self, line: Line) -> Entry:
        return next(entry for entry in self.provider.log if entry.id == line.call)

    def lines(self, word: str = "", *, since: float = 0.0, until: float = 1e12) -> list[tuple[Line, Fraction]]:
        """The lines of the invoice in whose calls `word` stands, and how much of each it is: of an embedding, its
        documents by tokens. By when the provider received the call."""
        entries = {entry.id: entry for entry in self.provider.log}
        found = []
        for line in self.provider.invoice:
            entry = entries[line.call]
            if word in entry.prompt and since <= line.arrived < until:
                part = Fraction(1)
                if entry.path == EMBED:
                    texts = entry.prompt.split("\n")
                    part = Fraction(sum(tokenizer.count(text) for text in texts if word in text), line.tokens_in)
                found.append((line, line.micro_dollars * part))
        return found

    def due(self, word: str = "", **span: float) -> Fraction:
        """What the calls with this word have cost, in micro-dollars."""
        return sum((amount for _, amount in self.lines(word, **span)), Fraction(0))

    def calls(self, word: str = "", *, since: float = 0.0, model: str = "") -> list[Entry]:
        """The calls that reached the provider, and were not repetitions."""
        return [
            entry for entry in self.provider.log
            if word in entry.prompt and entry.arrived >= since and not entry.replayed and model in ("", entry.model)
        ]  # fmt: skip

    def most_in(self, seconds: float, moments: Iterable[float]) -> int:
        """The most of these moments that any window of so many seconds has."""
        times = sorted(moments)
        first = most = 0
        for at, moment in enumerate(times):
            while times[first] <= moment - seconds + 0.01:
                first += 1
            most = max(most, at - first + 1)
        return most

    def story(self, word: str = "", *more: str, most: int = 24) -> list[tuple[float, str]]:
        """Requests and lines of the invoice, of a tenant or a word; and at the end what was found."""
        told = [(each.asked, f"{each.path} of {each.tenant}: {each.told}, after {each.ended - each.asked:.1f} s")
                for each in self.answers if each.path in ("/chat", "/digests", "/research", "/documents")
                and (not word or each.tenant == word)]  # fmt: skip
        told += [(line.at, f"→ the invoice: {line.model}, {line.micro_dollars} micro-dollars")
                 for line, _ in self.lines(word)]  # fmt: skip
        for kind, what in (("crash", "is killed"), ("start", "starts")):
            told += [(entry.at, f"{entry.source} {what}") for entry in self.sim.tape.of(kind) if entry.at]
        told.sort(key=lambda moment: moment[0])
        if len(told) > most:
            cut = f"… {len(told) - most} more …"
            told = [*told[: most // 2], (told[most // 2][0], cut), *told[-(most // 2) :]]
        return [*told, *((self.sim.now, line) for line in more)]

    # ----------------------------------------------------------------------------------------------- the neighbours

    async def _publish(self, call: Call) -> Reply:
        """The vocabularies of the models: 40 MB each, as far as time goes."""
        name = call.path.rpartition("/")[2]
        if name not in PRICES:
            return Reply.json({"error": f"no model {name}"}, 404)
        self.downloads.append(f"{call.source} {name}")
        await asyncio.sleep(2.0)
        return Reply.json({"model": name, "letters": 6, "digits": 3, "message": 4})

    async def _hear(self, call: Call) -> Reply:
        """The operators' alerts."""
        if self.deaf:
            self.deaf -= 1
            return Reply.json({"error": "try again later"}, 503)
        with suppress(ValueError, RecursionError):
            body = call.json()
            self.alerts.append(body if isinstance(body, dict) else {})
        return Reply.json({"heard": True})


def word(rng: random.Random) -> str:
    """A word that stands nowhere else."""
    return "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(5))


def question(rng: random.Random, tag: str = "") -> str:
    """A rule and a question about it, in which `tag` stands."""
    name, euros = tag or word(rng), rng.randrange(20, 999)
    what = rng.choice(("fee", "surcharge", "deposit", "voucher", "refund"))
    return f"The {what} for a {name} is {euros} euros at the desk.\nHow much is the {what} for a {name}?"


def table(rng: random.Random, tag: str, tokens: int) -> str:
    """A question with a table of figures, of about so many tokens, most of them one character long."""
    rows = "".join(f"|{rng.randrange(10)}" for _ in range(tokens // 2))
    return f"{rows}\n{question(rng, tag)}"


def document(rng: random.Random, tag: str, words: int) -> str:
    """A document in one line, in which `tag` stands."""
    return " ".join([tag, *(word(rng) for _ in range(words - 1))])


# ------------------------------------------------------------------------------------------------ learn trigger


def curve(moments: Iterable[tuple[float, float]], seconds: int) -> tuple[float, ...]:
    """The sum, second by second, of what came at each moment; the last one has all that came later, too."""
    sums = [0.0] * seconds
    for at, amount in moments:
        sums[min(int(at), seconds - 1)] += amount
    return tuple(itertools.accumulate(sums))


@dataclass(frozen=True)
class Bill:
    """A day and its bill. Times in virtual seconds."""

    title: ClassVar[str] = "A bill that nobody can explain"

    chats: float = 40.0
    lost: float = 0.15  # the share of the provider's replies that get lost, after they are billed
    raised: float = 60.0  # when the prices of the large model rise by a third
    horizon: float = 120.0

    def __post_init__(self) -> None:
        if not (6 <= self.chats <= 200 and 0 <= self.lost <= 0.9 and 60 <= self.horizon <= 600):
            raise ValueError("chats is from 6 to 200, lost from 0 to 0.9, and horizon from 60 to 600")
        if not 0 < self.raised < self.horizon:
            raise ValueError("raised lies between 0 and horizon")

    def text(self) -> str:
        return (
            f"Three tenants have {self.chats:g} chats, every third of them streamed, and every sixth traveller hangs "
            f"up. Two digests are made, and six documents embedded. Of the provider's replies, {100 * self.lost:g} % get "
            f"lost. At {self.raised:g} s the large model becomes dearer. Then the invoice comes."
        )

    def marks(self) -> tuple[tuple[float, str], ...]:
        return ((self.raised, "new prices"),)

    def play(self, scene: Scene) -> Act:
        dearer = {LARGE: Price(4_000, 20_000, 400)}
        lost = faults.reply_lost(0.0, self.horizon, "reset", share=self.lost)
        house = House(
            scene, changes=((self.raised, dearer),), median=1.0, sigma=0.3, fails=[lost], horizon=self.horizon + 900
        )
        rng = scene.rng("day")
        tenants = [word(rng) for _ in range(3)]
        texts = [question(rng) for _ in range(int(self.chats))]
        told: list[tuple[float, float]] = []

        async def one(number: int) -> None:
            await house.sim.until(2 + number * (self.horizon - 20) / self.chats)
            tenant = tenants[number % 3]
            if number % 3 == 2:
                await house.stream(tenant, texts[number], hang_up=2 if number % 6 == 5 else None)
            else:
                await house.chat(tenant, texts[number], f"{tenant}-1")

        async def rest() -> None:
            for at, tenant in enumerate(tenants):
                await house.sim.until(10.0 + 15 * at)
                for _ in range(2):
                    await house.begin(tenant, "/documents", {"text": document(rng, tenant, rng.randrange(20, 60))})
                if at:
                    sections = [document(rng, tenant, 40) for _ in range(4)]
                    await house.begin(tenant, "/digests", {"sections": sections})

        async def look() -> None:
            while house.sim.now < self.horizon - 5:
                await asyncio.sleep(5.0)
                known = sum([(await house.costs(tenant)).amount("micro_dollars") for tenant in tenants])
                told.append((house.sim.now, known / 1_000 - sum(more for _, more in told)))

        async def day() -> list[Answer]:
            await house.agree(*tenants)
            await asyncio.gather(rest(), look(), *(one(number) for number in range(len(texts))))
            await asyncio.sleep(SETTLED)
            return [await house.costs(tenant) for tenant in tenants]

        costs = house.run(day)
        known, billed = sum(each.amount("micro_dollars") for each in costs), house.provider.billed
        pairs = zip(costs, tenants, strict=True)
        off = sum(abs(each.amount("micro_dollars") - house.due(tenant)) for each, tenant in pairs)
        seconds = int(self.horizon)
        bill = curve(((line.at, line.micro_dollars / 1_000) for line in house.provider.invoice), seconds)
        return Act(
            series=(
                Series("the provider's invoice", "1,000 micro-dollars", bill),
                Series("what we know of", "1,000 micro-dollars", curve(told, seconds)),
            ),
            figures=(
                Figure("invoice − ledger, in micro-dollars", float(abs(billed - known)), "", 0.0, "at_most"),
                Figure("on the wrong bill, or on none", 100 * float(off) / max(1, billed), "%", 0.1, "at_most"),
                Figure("vocabularies downloaded", len(house.downloads), "", 3.0, "at_most"),
            ),
        )


@dataclass(frozen=True)
class Noisy:
    """One tenant asks for more than all others together. Times in virtual seconds."""

    title: ClassVar[str] = "One tenant, everybody's capacity"

    rate: float = 12.0  # questions a second of the noisy one
    slots: float = 8.0  # calls of our account that the provider executes at once; the others wait
    quota: float = 30.0  # calls that each tenant may have in any 60 s
    begins: float = 20.0
    lasts: float = 30.0
    horizon: float = 80.0

    def __post_init__(self) -> None:
        if not (1 <= self.rate <= 30 and 2 <= self.slots <= 100 and 1 <= self.quota <= 1000):
            raise ValueError("rate is from 1 to 30, slots from 2 to 100, and quota from 1 to 1000")
        if not 0 < self.begins < self.begins + self.lasts <= self.horizon - 20 <= 400:
            raise ValueError("begins and lasts are above 0, and end 20 s or more before horizon (420 at most)")

    def text(self) -> str:
        return (
            f"Three tenants have a chat every three seconds, on two replicas. From {self.begins:g} s on a fourth, "
            f"whose script has gone wrong, asks {self.rate:g} a second, and orders two digests of 40 sections. The provider "
            f"executes {self.slots:g} of our calls at once. The quota is {self.quota:g} calls in any 60 s."
        )

    def marks(self) -> tuple[tuple[float, str], ...]:
        return ((self.begins, "noise"), (self.begins + self.lasts, "silence"))

    def play(self, scene: Scene) -> Act:
        house = House(scene, replicas=2, median=1.2, slots=int(self.slots), horizon=self.horizon + 200)
        rng = scene.rng("noise")
        others, noisy = [word(rng) for _ in range(3)], word(rng)
        answers: list[Answer] = []

        async def chat(at: float, tenant: str, text: str, to: int) -> None:
            await house.sim.until(at)
            answers.append(await house.chat(tenant, text, to=to, timeout=20.0))

        async def digest(text: str, to: int) -> None:
            await house.sim.until(self.begins)
            await house.begin(noisy, "/digests", {"sections": [f"{text} {number}" for number in range(40)]}, to=to)

        async def day() -> None:
            await house.agree(*others, noisy, quota=int(self.quota))
            for tenant in others:  # the vocabularies are there
                await asyncio.gather(*(house.chat(tenant, question(rng), to=to) for to in range(2)))
            begun = house.sim.now
            rounds = range(int((self.horizon - begun - 15) / 3))
            plans = [chat(begun + 3.0 * number + at, tenant, question(rng), number + at)
                     for number in rounds for at, tenant in enumerate(others)]  # fmt: skip
            plans += [chat(self.begins + number / self.rate, noisy, question(rng), number)
                      for number in range(int(self.rate * self.lasts))]  # fmt: skip
            await asyncio.gather(*plans, *(digest(document(rng, noisy, 12), to) for to in range(2)))

        house.run(day)
        seconds = int(self.horizon)
        asked = [each for each in answers if each.tenant in others]
        good = [each for each in asked if each.status == 200 and each.ended - each.asked < 10]
        calls = [entry.arrived for entry in house.calls(noisy)]
        return Act(
            series=(
                Series("answers of the other three", "in all", curve(((each.ended, 1.0) for each in good), seconds)),
                Series("calls of the noisy one", "in all", curve(((at, 1.0) for at in calls), seconds)),
            ),
            figures=(
                Figure("others answered within 10 s", 100 * len(good) / len(asked), "%", 99.0, "at_least"),
                Figure("calls of the noisy one in any 60 s", house.most_in(60.0, calls), "", self.quota, "at_most"),
            ),
        )


@dataclass(frozen=True)
class Runaway:
    """An agent that nobody stops. Times in virtual seconds."""

    title: ClassVar[str] = "An alert, and no cap"

    steps: float = 300.0  # of each of three agents
    budget: float = 100_000.0  # micro-dollars in the month
    horizon: float = 500.0

    def __post_init__(self) -> None:
        if not (10 <= self.steps <= 1000 and 1_000 <= self.budget <= 1e7 and 60 <= self.horizon <= 3000):
            raise ValueError("steps is from 10 to 1000, budget from 1000 to 10000000, and horizon from 60 to 3000")

    def text(self) -> str:
        return (
            f"A tenant with a budget of {self.budget:,.0f} micro-dollars sends out an agent and two sub-agents, for "
            f"{self.steps:g} steps each. It was meant to be 3. Another tenant has a chat now and then."
        )

    def marks(self) -> tuple[tuple[float, str], ...]:
        return ()

    def play(self, scene: Scene) -> Act:
        house = House(scene, replicas=2, horizon=self.horizon + 600)
        rng = scene.rng("agents")
        tenant, other = word(rng), word(rng)
        questions = [question(rng) for _ in range(3)]

        async def day() -> list[Answer]:
            await house.agree(tenant, budget=int(self.budget))
            await house.agree(other)
            order = {"question": questions[0], "steps": int(self.steps), "also": questions[1:]}
            await house.begin(tenant, "/research", order)
            answers = []
            while house.sim.now < self.horizon - 40:
                answers.append(await house.chat(other, question(rng), to=1))
                answers.append(await house.chat(tenant, question(rng), to=1))
                await asyncio.sleep(30.0)
            return answers

        answers = house.run(day)
        spent = float(house.due(tenant))
        bill = [(line.at, float(part) / 1_000) for line, part in house.lines(tenant)]
        steps = sum(any(each in call.prompt for each in questions) for call in house.calls())
        most = 3 * self.steps
        good = [each.status == 200 for each in answers if each.tenant == other]
        seconds = int(self.horizon)
        return Act(
            series=(
                Series("spent", "1,000 micro-dollars", curve(bill, seconds)),
                Series("the budget", "1,000 micro-dollars", (self.budget / 1_000,) * seconds),
            ),
            figures=(
                Figure("spent, of the budget", 100 * spent / self.budget, "%", 100.0, "at_most"),
                Figure("of the budget could be used", min(100.0, 100 * spent / self.budget), "%", 90.0, "at_least"),
                Figure("alerts too many, or too few", abs(len(house.alerts) - 1), "", 0.0, "at_most"),
                Figure(f"steps of the agents, of {most:g} ordered", steps, "", most - 1, "at_most"),
                Figure("others answered", 100 * sum(good) / len(good), "%", 99.0, "at_least"),
            ),
        )


INCIDENTS: dict[int, type[Incident]] = {1: Bill, 3: Noisy, 4: Runaway}
"""By stage."""
