"""The incident of group 2, and the house it happens in: several replicas of Skylark's assistant on one disk, the platform's
configuration, and the LLM provider.

`House` is what the tests play in. INCIDENTS is what `learn trigger` shows: a morning on which everybody asks the same, one
on which replies get lost, and a process that is killed with work in its queue.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

from grader.outcome import Act, Figure, Series
from grader.sim import Call, ClientTimeout, ConnectionLost, Reply
from grader.world import faults
from grader.world.incident import Incident
from grader.world.ledger import Entry
from grader.world.provider import Provider
from grader.world.scene import Scene

LLM = "llm.skylark.test"
CONFIG = "config.skylark.test"
TENANT = "lark-air"

CHAT, EMBED = "/v1/chat/completions", "/v1/embeddings"
FEES = ("fee", "surcharge", "deposit", "discount", "voucher", "refund")
WHERE = ("cabin", "hold", "lounge", "counter", "gate", "office")


@dataclass(frozen=True)
class Answer:
    """What one request came to. Times in virtual seconds; status 0 and no body where nobody answered in time."""

    asked: float
    ended: float
    method: str
    path: str
    status: int
    headers: dict[str, str]
    raw: bytes
    key: str
    to: str  # the replica

    @property
    def body(self) -> Any:
        """The JSON in it; an empty object if there is none."""
        try:
            return json.loads(self.raw)
        except (ValueError, RecursionError):
            return {}

    @property
    def told(self) -> str:
        return str(self.status or "nothing")

    def text(self, field: str) -> str:
        """A field of the body, as text; empty if there is none, or null."""
        value = self.body.get(field) if isinstance(self.body, dict) else None
        return "" if value is None else str(value)

    def rows(self) -> list[dict[str, Any]]:
        """The objects of a list."""
        return [row for row in self.body if isinstance(row, dict)] if isinstance(self.body, list) else []


class House:
    """Everything around the replicas. The provider's latency law and faults are the caller's.

    `config` is what the platform tells the assistant, `config_calls` when it was asked, and `config_is_down` for how many
    more calls it answers 503.
    """

    def __init__(
        self,
        scene: Scene,
        *,
        replicas: int = 1,
        median: float = 0.3,
        sigma: float = 0.0,
        fails: Sequence[faults.Fault] = (),
        horizon: float = 400.0,
    ) -> None:
        self.sim = scene.simulation(horizon=horizon)
        self.provider = Provider(self.sim, median=median, sigma=sigma, slots=100, faults=fails)
        self.config: dict[str, Any] = {"llm_model": "lark-large", "embed_model": "lark-embed", "rules": 5}
        self.config_calls: list[float] = []
        self.config_is_down = 0
        self.sim.network.attach(LLM, self.provider)
        self.sim.network.attach(CONFIG, self._tell)
        self.replicas = [self.sim.host(f"assistant-{at}", scene.service, disk="shared") for at in range(1, replicas + 1)]
        self.answers: list[Answer] = []

    @property
    def killed(self) -> bool:
        return bool(self.sim.tape.of("crash"))

    def run(self, play: Callable[[], Awaitable[Any]]) -> Any:
        """Start the replicas, and play until `play` ends."""

        async def scenario() -> Any:
            await self.start()
            return await play()

        return self.sim.run(scenario())

    async def start(self) -> None:
        for replica in self.replicas:
            await replica.start()

    async def stop(self) -> None:
        for replica in self.replicas:
            await replica.stop()

    async def send(
        self,
        method: str,
        path: str,
        *,
        to: int = 0,
        tenant: str = TENANT,
        key: str | None = None,
        timeout: float = 60.0,
        **rest: Any,
    ) -> Answer:
        """One request to a replica. Raises nothing: what nobody answers has status 0."""
        if self.sim.counts_effects and self.killed:  # there is nothing left to count, and uncounted it is faster
            self.sim.counts_effects = False
            self.replicas[0].crash_at(None)
        asked = self.sim.now
        headers = {"x-tenant": tenant} | ({} if key is None else {"idempotency-key": key})
        reply = None
        replica = self.replicas[to % len(self.replicas)]
        with suppress(ClientTimeout, ConnectionLost):
            reply = await replica.request(method, path, headers=headers, timeout=timeout, **rest)
        given = (reply.status, reply.headers, reply.body) if reply else (0, {}, b"")
        answer = Answer(asked, self.sim.now, method, path.partition("?")[0], *given, key or "", replica.name)
        self.answers.append(answer)
        return answer

    async def put(self, name: str, parts: Iterable[str], **rest: Any) -> Answer:
        """Save a document of these paragraphs."""
        return await self.send("PUT", f"/documents/{name}", json={"text": "\n\n".join(parts)}, **rest)

    async def text(self, name: str, **rest: Any) -> str:
        return (await self.send("GET", f"/documents/{name}", **rest)).text("text")

    async def ask(self, question: str, **rest: Any) -> Answer:
        return await self.send("GET", f"/ask?q={quote(question)}", **rest)

    async def order(self, document: str, key: str | None, **rest: Any) -> Answer:
        """Order a summary."""
        return await self.send("POST", "/summaries", key=key, json={"document": document}, **rest)

    async def insist(self, send: Callable[[int], Awaitable[Answer]], *, tries: int = 30, pause: float = 2.0) -> Answer:
        """Send the same again, as group 1 has taught, while the answer may yet be another: nothing, 409, 429 or 5xx but 502.

        `send` is given the number of the try, from 0.
        """
        answer = await send(0)
        for number in range(1, tries):
            if answer.status not in (0, 409, 429, 500, 503, 504):
                break
            wait = answer.headers.get("retry-after", "")
            await asyncio.sleep(max(pause, min(float(wait[:9]), 60.0) if wait.isascii() and wait.isdigit() else 0.0))
            answer = await send(number)
        return answer

    async def made(self, **rest: Any) -> list[dict[str, Any]]:
        """The summaries that a tenant is told to have ordered."""
        return (await self.send("GET", "/summaries", **rest)).rows()

    def calls(self, text: str, *, path: str = "", since: float = 0.0, tenant: str = "") -> list[Entry]:
        """The calls to the provider in which `text` stands."""
        return [
            entry
            for entry in self.provider.log
            if text in entry.prompt
            and entry.path.startswith(path)
            and entry.arrived >= since
            and entry.tenant.startswith(tenant)
        ]

    def billed(self, text: str, **rest: Any) -> int:
        """How many of them are on the invoice."""
        paid = {line.call for line in self.provider.invoice}
        return sum(entry.id in paid for entry in self.calls(text, **rest))

    def story(self) -> list[tuple[float, str]]:
        """What came with which key, what it came to, and what the provider was asked and billed for it."""
        paid = {line.call for line in self.provider.invoice}
        told = []
        for answer in self.answers:
            if answer.method == "POST":
                row = f", row {answer.text('id')[:8]}" if answer.text("id") else ""
                end = f"{answer.told}{row}, after {answer.ended - answer.asked:.1f} s"
                told.append((answer.asked, f"{answer.method} {answer.path} with key {answer.key[-8:]} to {answer.to}: {end}"))
        shown = (CHAT, EMBED) if any(answer.path == "/edits" for answer in self.answers) else (CHAT,)
        for entry in self.provider.log:
            if entry.path in shown:
                end = "billed" if entry.id in paid else "repeated, not billed" if entry.replayed else "not billed"
                told.append((entry.arrived, f"→ the provider, with key {entry.idempotency_key[:8] or 'none'}: {end}"))
        for kind, what in (("crash", "is killed"), ("freeze", "stands still"), ("thaw", "goes on"), ("start", "starts")):
            for entry in self.sim.tape.of(kind):
                more = ""
                if entry.data.get("behind"):
                    more = " right behind " + " at ".join([entry.data["behind"], *entry.data["where"][:1]])
                told += [(entry.at, f"{entry.source} {what}{more}")] if entry.at else []
        return sorted(told, key=lambda moment: moment[0])

    async def _tell(self, call: Call) -> Reply:
        """The platform's configuration."""
        self.config_calls.append(self.sim.now)
        await asyncio.sleep(0.2)
        if self.config_is_down > 0:
            self.config_is_down -= 1
            return Reply.json({"error": "try again later"}, 503)
        return Reply.json(self.config)


def word(rng: random.Random) -> str:
    """A word that no other paragraph has."""
    return "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(5))


@dataclass(frozen=True)
class Rule:
    """A paragraph with a price in it, and the question that it answers."""

    paragraph: str
    question: str
    euros: str

    @classmethod
    def make(cls, rng: random.Random) -> Rule:
        one, other, euros = word(rng), word(rng), str(rng.randrange(20, 999))
        fee, where = rng.choice(FEES), rng.choice(WHERE)
        text = f"The {fee} for a {one} {other} in the {where} is {euros} euros for each flight."
        return cls(text, f"How much is the {fee} for a {one} {other} in the {where}?", euros)

    def at(self, euros: str) -> Rule:
        """The same rule with another price."""
        return Rule(self.paragraph.replace(f" {self.euros} ", f" {euros} "), self.question, euros)


def rules(rng: random.Random, count: int) -> list[Rule]:
    return [Rule.make(rng) for _ in range(count)]


def paragraphs(some: Iterable[Rule]) -> list[str]:
    return [rule.paragraph for rule in some]


# ------------------------------------------------------------------------------------------------ learn trigger


def curve(moments: Iterable[tuple[float, float]], seconds: int) -> tuple[float, ...]:
    """The sum, second by second, of what came at each moment; the last one has all that came later, too."""
    sums = [0.0] * seconds
    for at, amount in moments:
        sums[min(int(at), seconds - 1)] += amount
    return tuple(itertools.accumulate(sums))


def bill(house: House, intent: Callable[[Entry], Any], seconds: int) -> tuple[tuple[Series, Series], float]:
    """The invoice against the work: what was billed in all, what was billed first for each intent, and the ratio."""
    entries = {entry.id: entry for entry in house.provider.log}
    billed, needed, seen = [], [], set()
    for line in house.provider.invoice:
        billed.append((line.at, line.tokens_in + line.tokens_out))
        meant = intent(entries[line.call])
        if meant not in seen:
            seen.add(meant)
            needed.append(billed[-1])
    ratio = sum(tokens for _, tokens in billed) / max(1, sum(tokens for _, tokens in needed))
    series = (
        Series("tokens billed", "in all", curve(billed, seconds)),
        Series("tokens needed", "in all", curve(needed, seconds)),
    )
    return series, ratio


@dataclass(frozen=True)
class SameAgain:
    """A morning on which everybody says and asks the same. Times in virtual seconds."""

    title: ClassVar[str] = "The same work, twice"

    paragraphs: float = 30.0  # of the conditions that an office edits
    saves: float = 10.0  # how often its editor saves them, with one paragraph changed
    travellers: float = 15.0  # who ask the same at once
    horizon: float = 130.0

    def __post_init__(self) -> None:
        if not (2 <= self.paragraphs <= 60 and 1 <= self.saves <= 20 and 1 <= self.travellers <= 60):
            raise ValueError("paragraphs are 2 to 60, saves 1 to 20, and travellers 1 to 60")
        if self.horizon < 60:
            raise ValueError("horizon is 60 or more")

    def text(self) -> str:
        return (
            f"An office edits its conditions of {self.paragraphs:g} paragraphs. Its editor saves them {self.saves:g} times, "
            f"with one paragraph changed. Three times a loudspeaker calls out a delay, and {self.travellers:g} travellers "
            f"ask the same at once."
        )

    def marks(self) -> tuple[tuple[float, str], ...]:
        return tuple((self.horizon * at / 4, "loudspeaker") for at in (1, 2, 3))

    def play(self, scene: Scene) -> Act:
        house = House(scene, replicas=2, median=0.5, horizon=self.horizon + 300)
        rng = scene.rng("morning")
        written = rules(rng, int(self.paragraphs))
        changes = 0

        async def office() -> None:
            nonlocal changes
            for number in range(int(self.saves)):
                at = rng.randrange(len(written))
                written[at] = written[at].at(str(rng.randrange(1000, 9999)))
                changes += 1
                await house.put("conditions", paragraphs(written), to=number)
                await asyncio.sleep((self.horizon - 30) / self.saves)

        async def loudspeaker(moment: float) -> None:
            await house.sim.until(moment)
            question = rng.choice(written).question
            await asyncio.gather(*(house.ask(question) for _ in range(int(self.travellers))))

        async def morning() -> None:
            await house.put("conditions", paragraphs(written))
            await asyncio.gather(office(), *(loudspeaker(moment) for moment, _ in self.marks()))

        house.run(morning)
        ids = {entry.id: entry for entry in house.provider.log}

        def intent(entry: Entry) -> Any:
            burst = int(ids[entry.id].arrived // (self.horizon / 8)) if "?" in entry.prompt else 0
            return entry.path, entry.prompt, burst

        series, ratio = bill(house, intent, int(self.horizon))
        made = sum("?" not in entry.prompt for entry in house.provider.log if entry.path == EMBED)
        asks = sum(entry.path == CHAT for entry in house.provider.log)
        return Act(
            series=series,
            figures=(
                Figure("tokens billed ÷ tokens needed", ratio, "", 1.1, "at_most"),
                Figure("paragraphs embedded, for each new one", made / (self.paragraphs + changes), "", 1.1, "at_most"),
                Figure("model calls, for each announcement", asks / 3, "", 1.5, "at_most"),
                Figure("configuration loaded, by each replica", len(house.config_calls) / 2, "times", 1.0, "at_most"),
            ),
        )


@dataclass(frozen=True)
class LostReplies:
    """A morning on which orders are sent again and again. Times in virtual seconds."""

    title: ClassVar[str] = "One intent, many effects"

    orders: float = 20.0
    lost: float = 0.3  # the share of the provider's replies that get lost on their way, after they are billed
    clicks: float = 3.0  # an impatient office clicks so often, at once
    killed: float = 40.0  # when a replica is killed; it is back 2 s later
    horizon: float = 150.0

    def __post_init__(self) -> None:
        if not (1 <= self.orders <= 60 and 1 <= self.clicks <= 10 and 0 <= self.lost <= 0.9):
            raise ValueError("orders are 1 to 60, clicks 1 to 10, and lost is 0.0 to 0.9")
        if not 0 < self.killed <= self.horizon - 60:
            raise ValueError("killed is above 0, and 60 s or more before horizon")

    def text(self) -> str:
        return (
            f"Offices order {self.orders:g} summaries. Of the provider's replies, {100 * self.lost:g} % get lost on their way "
            f"back. Every other office clicks {self.clicks:g} times, and all send again, with one key, what is not answered "
            f"within 6 s. At {self.killed:g} s, a replica is killed."
        )

    def marks(self) -> tuple[tuple[float, str], ...]:
        return ((self.killed, "kill"),)

    def play(self, scene: Scene) -> Act:
        lost = faults.reply_lost(0.0, self.horizon, how="reset", share=self.lost, when=lambda call: call.path == CHAT)
        house = House(scene, replicas=2, median=1.0, sigma=0.4, fails=[lost], horizon=self.horizon + 300)
        rng = scene.rng("orders")
        written = rules(rng, int(self.orders))
        got: Counter[int] = Counter()

        async def office(number: int) -> None:
            await asyncio.sleep(number * (self.horizon - 70) / self.orders)
            key = f"{rng.getrandbits(64):x}"

            async def click(first: int) -> None:
                answer = await house.insist(
                    lambda at: house.order(f"rule-{number}", key, to=first + at, timeout=6.0), tries=20
                )
                got[number] += answer.status == 201

            await asyncio.gather(*(click(at) for at in range(int(self.clicks) if number % 2 else 1)))

        async def kill() -> None:
            await house.sim.until(self.killed)
            house.replicas[0].crash()
            await asyncio.sleep(2.0)
            await house.replicas[0].start()

        async def morning() -> list[dict[str, Any]]:
            for number, rule in enumerate(written):
                await house.put(f"rule-{number}", [rule.paragraph])
            await asyncio.gather(kill(), *(office(number) for number in range(len(written))))
            return await house.made()

        made = house.run(morning)
        series, ratio = bill(house, lambda entry: (entry.path, entry.prompt), int(self.horizon))
        served = sum(got[number] > 0 for number in range(len(written)))
        return Act(
            series=series,
            figures=(
                Figure("tokens billed ÷ tokens needed", ratio, "", 1.05, "at_most"),
                Figure("summaries on the bill, for each order", len(made) / len(written), "", 1.0, "at_most"),
                Figure("billed twice", sum(house.billed(rule.paragraph, path=CHAT) > 1 for rule in written), "orders", 0, "at_most"),
                Figure("lost", len(written) - served, "orders", 0, "at_most"),
            ),
        )  # fmt: skip


@dataclass(frozen=True)
class Killed:
    """A process is killed with work in its queue. Times in virtual seconds."""

    title: ClassVar[str] = "Work that waits"

    edits: float = 24.0
    killed: float = 15.0
    horizon: float = 90.0

    def __post_init__(self) -> None:
        if not (1 <= self.edits <= 100 and 0 < self.killed <= self.horizon - 60):
            raise ValueError("edits are 1 to 100, and killed is above 0, and 60 s or more before horizon")

    def text(self) -> str:
        return (
            f"An office sends {self.edits:g} edits of three documents, one every second; each needs a call to the provider, "
            f"and all are accepted. At {self.killed:g} s the process is killed, and started anew. Who got no answer sends again."
        )

    def marks(self) -> tuple[tuple[float, str], ...]:
        return ((self.killed, "kill"),)

    def play(self, scene: Scene) -> Act:
        house = House(scene, median=1.5, horizon=self.horizon + 200)
        rng = scene.rng("edits")
        added = paragraphs(rules(rng, int(self.edits)))
        accepted: list[float] = []
        made: list[tuple[float, float]] = []  # when somebody looked, and how many more were in the documents
        final = ""

        async def office() -> None:
            for number, paragraph in enumerate(added):
                await house.sim.until(2.0 + number)
                edit = {"document": f"tariff-{number % 3}", "kind": "append", "arguments": {"paragraph": paragraph}}
                key = f"{rng.getrandbits(64):x}"
                answer = await house.insist(lambda _, key=key, edit=edit: house.send("POST", "/edits", key=key, json=edit))
                accepted.extend([house.sim.now] if answer.status == 202 else [])

        async def kill() -> None:
            await house.sim.until(self.killed)
            house.replicas[0].crash()
            await asyncio.sleep(1.0)
            await house.replicas[0].start()

        async def look() -> None:
            nonlocal final
            while house.sim.now < self.horizon - 1:
                await asyncio.sleep(1.0)
                found = "\n\n".join([await house.text(f"tariff-{number}") for number in range(3)])
                if found.strip():  # else nobody is there to be asked
                    final = found
                    there = sum(part in found for part in added)
                    made.append((house.sim.now, there - sum(more for _, more in made)))

        async def evening() -> None:
            for number in range(3):
                await house.put(f"tariff-{number}", [f"Tariff {number} holds from today."])
            await asyncio.gather(office(), kill(), look())

        house.run(evening)
        seconds, parts = int(self.horizon), final.split("\n\n")
        return Act(
            series=(
                Series("edits accepted", "in all", curve(((at, 1.0) for at in accepted), seconds)),
                Series("edits that are in the documents", "in all", curve(made, seconds)),
            ),
            figures=(
                Figure("lost, of those accepted", sum(parts.count(part) == 0 for part in added), "edits", 0, "at_most"),
                Figure("made twice", sum(parts.count(part) > 1 for part in added), "edits", 0, "at_most"),
                Figure("in the documents at the end", sum(part in parts for part in added), f"of {self.edits:g}", self.edits, "at_least"),
            ),
        )  # fmt: skip


INCIDENTS: dict[int, type[Incident]] = {1: SameAgain, 2: LostReplies, 3: Killed}
