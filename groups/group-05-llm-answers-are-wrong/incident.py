"""The incident of group 5, and the house it happens in: Skylark's assistant for fare policies, and the LLM provider.

`House` is what the tests play in. INCIDENTS is what `learn trigger` shows: a morning of questions, by what makes them hard.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from grader.outcome import Act, Bars, Figure
from grader.sim import ClientTimeout, ConnectionLost
from grader.world import corpus, faults, reader
from grader.world.corpus import Corpus, Document, Question
from grader.world.incident import Incident
from grader.world.ledger import Entry
from grader.world.provider import Provider
from grader.world.scene import Scene

LLM = "llm.skylark.test"
TENANT = "lark-air"

ASK = "POST /ask"
CHAT, EMBED, RERANK = "/v1/chat/completions", "/v1/embeddings", "/v1/rerank"
ENDS = ("right", "wrong", "invented", "abstained")


@dataclass(frozen=True)
class Answer:
    """What one request came to. Times in virtual seconds; status 0 and no body where nobody answered in time."""

    asked: float
    ended: float
    status: int
    body: dict[str, Any]

    @property
    def told(self) -> str:
        return str(self.status or "nothing")

    @property
    def text(self) -> str:
        said = self.body.get("answer")
        return said if isinstance(said, str) else ""

    @property
    def abstained(self) -> bool:
        return self.status == 200 and self.body.get("status") == "abstained"

    @property
    def citations(self) -> list[dict[str, Any]]:
        found = self.body.get("citations")
        return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


@dataclass(frozen=True)
class Asked:
    """A question, what was answered, and what the reader was given for it."""

    question: Question
    answer: Answer
    prompt: str

    @property
    def end(self) -> str:
        """right, wrong, invented (there is no answer, and one was given) or abstained; "" for an error."""
        if self.answer.status != 200:
            return ""
        if self.answer.abstained:
            return "abstained"
        if self.question.amount is None:
            return "invented"
        return "right" if set(reader.amounts(self.answer.text)) == {self.question.amount} else "wrong"

    @property
    def is_given(self) -> bool:
        """Does the sentence that says it stand in what the reader was given?"""
        return bool(self.question.sentence) and self.question.sentence in self.prompt

    def line(self) -> str:
        """For a story, which has some ninety columns."""
        due = "nobody knows" if self.question.amount is None else f"it is {self.question.amount}"
        amounts = " and ".join(map(str, reader.amounts(self.answer.text)))
        said = f"told {amounts} euros" if amounts else f"told “{_short(self.answer.text)}”"
        if self.answer.status != 200:
            said = f"answered {self.answer.told}"
        elif not self.answer.text:
            said = "told nothing"
        where = f"{self.question.region}, {self.question.as_of or 'today'}"
        return f"{said}, {due} ({where}): {_short(self.question.text)}"


def _short(text: str, most: int = 42) -> str:
    """Its beginning and its end: that is where a code stands."""
    return text if len(text) <= most else f"{text[: most - 22].rstrip()} … {text[-18:].lstrip()}"


class House:
    """Everything around the assistant."""

    def __init__(self, scene: Scene, *, fails: Sequence[faults.Fault] = (), horizon: float = 2_000.0) -> None:
        self.sim = scene.simulation(horizon=horizon)
        self.provider = Provider(self.sim, median=0.1, sigma=0.0, slots=100, faults=fails)
        self.sim.network.attach(LLM, self.provider)
        self.host = self.sim.host("assistant", scene.service)

    def run(self, play: Callable[[], Awaitable[Any]]) -> Any:
        """Start the assistant, and play until `play` ends."""

        async def scenario() -> Any:
            await self.host.start()
            return await play()

        return self.sim.run(scenario())

    async def send(self, method: str, path: str, *, tenant: str = TENANT, timeout: float = 60.0, **rest: Any) -> Answer:
        """One request. Raises nothing: what nobody answers has status 0."""
        asked, status, body = self.sim.now, 0, {}
        with suppress(ClientTimeout, ConnectionLost):
            reply = await self.host.request(method, path, headers={"x-tenant": tenant}, timeout=timeout, **rest)
            status, body = reply.status, json_object(reply.body)
        return Answer(asked, self.sim.now, status, body)

    async def save(self, documents: Iterable[Document], *, tenant: str = TENANT) -> Answer:
        """Many documents at once."""
        uploads = [document.upload() for document in documents]
        return await self.send("POST", "/documents", tenant=tenant, json={"documents": uploads}, timeout=300.0)

    async def edit(self, document: Document, *, tenant: str = TENANT) -> Answer:
        body = {name: value for name, value in document.upload().items() if name != "id"}
        return await self.send("PUT", f"/documents/{document.id}", tenant=tenant, json=body)

    async def ask(self, question: Question, *, tenant: str = TENANT) -> Asked:
        before = len(self.provider.log)
        body = {"question": question.text, "region": question.region}
        body |= {"as_of": question.as_of} if question.as_of else {}
        answer = await self.send("POST", "/ask", tenant=tenant, json=body)
        calls = [entry for entry in self.provider.log[before:] if entry.tenant == tenant]  # others may ask at once
        prompts = [entry.prompt for entry in calls if entry.path == CHAT]
        return Asked(question, answer, "\n".join(prompts))

    async def ask_all(self, questions: Iterable[Question], *, tenant: str = TENANT) -> list[Asked]:
        return [await self.ask(question, tenant=tenant) for question in questions]

    def calls(self, *paths: str) -> list[Entry]:
        return [entry for entry in self.provider.log if entry.path in paths]

    def tokens(self, questions: int) -> float:
        """What the reader reads for one question, on average."""
        return sum(entry.tokens_in for entry in self.calls(CHAT)) / max(1, questions)


def json_object(data: bytes) -> dict[str, Any]:
    """The JSON object in a body; an empty one if there is none."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


@dataclass(frozen=True)
class Ends:
    """How many questions ended how."""

    asked: tuple[Asked, ...]

    def of(self, end: str) -> list[Asked]:
        return [each for each in self.asked if each.end == end]

    @property
    def answerable(self) -> list[Asked]:
        return [each for each in self.asked if each.question.amount is not None]

    @property
    def unanswerable(self) -> list[Asked]:
        return [each for each in self.asked if each.question.amount is None]

    def percent(self, end: str) -> float:
        """Of the questions with an answer; for invented, of those without."""
        among = self.unanswerable if end == "invented" else self.answerable
        return 100 * sum(each.end == end for each in among) / max(1, len(among))

    @property
    def given(self) -> float:
        """Of the questions with an answer, for how many the reader had it before it, in percent."""
        return 100 * sum(each.is_given for each in self.answerable) / max(1, len(self.answerable))


def told(asked: Sequence[Asked]) -> dict[str, Any]:
    """For `expect`: the story of what was asked, answered, and true."""
    return {"about": ASK, "story": [(each.answer.asked, each.line()) for each in asked[:4]]}


def called(entries: Sequence[Entry]) -> dict[str, Any]:
    """For `expect`: the story of calls to the provider."""
    story = [
        (each.arrived, f"{each.path} is answered {each.status}, for {each.tokens_in:,} tokens") for each in entries[:4]
    ]
    return {"about": ASK, "story": story}


def today(house: House) -> str:
    """The day on which the assistant starts, in UTC."""
    return datetime.fromtimestamp(house.sim.epoch / 1e9, UTC).date().isoformat()


def corpus_of(scene: Scene, **rest: Any) -> Corpus:
    """The corpus of this run, and its questions."""
    return corpus.make(scene.rng("corpus"), **rest)


RUNG = {"plain": 5, "paraphrase": 6, "deep": 6, "dated": 7, "code": 8}
"""Of the morning's questions that have an answer, how many of each kind a rung asks."""


def some(scene: Scene, made: Corpus, **kinds: int) -> list[Question]:
    """So many of the morning's questions of each kind, mixed."""
    rng = scene.rng("questions")
    chosen = [question for kind, count in kinds.items() for question in rng.sample(made.of(kind), count)]
    return rng.sample(chosen, len(chosen))


def in_force(document: Document, question: Question) -> bool:
    """Does it hold where and when the question is about?"""
    begin, end = document.effective_from, document.effective_to
    if document.region not in ("all", question.region) or begin is None or question.as_of < begin:
        return False
    return end is None or question.as_of < end


def morning(
    scene: Scene,
    made: Corpus,
    questions: Sequence[Question] | None = None,
    documents: Sequence[Document] | None = None,
    *,
    fails: Sequence[faults.Fault] = (),
) -> tuple[House, Ends]:
    """All documents are saved, and all questions asked, one after the other; or these."""
    house = House(scene, fails=fails)
    some = made.documents if documents is None else documents

    async def play() -> list[Asked]:
        saved = await house.save(some)
        assert saved.status == 200, f"{len(some)} documents are saved, and that is answered {saved.told}"
        return await house.ask_all(made.questions if questions is None else questions)

    return house, Ends(tuple(house.run(play)))


# ------------------------------------------------------------------------------------------------ learn trigger

KINDS = {
    "plain": "in its words",
    "paraphrase": "in other words",
    "deep": "deep in a manual",
    "dated": "by day and region",
    "code": "by a code alone",
    "unanswerable": "without an answer",
}


@dataclass(frozen=True)
class Morning:
    """A morning of questions."""

    title: ClassVar[str] = "The assistant is sure of itself"

    fares: float = 16.0  # each with four documents, which differ in amounts alone
    slow: float = 1.0  # how many times as long the provider takes

    def __post_init__(self) -> None:
        if not 12 <= self.fares <= 40:
            raise ValueError("fares are 12 to 40")

    def text(self) -> str:
        return (
            f"A tenant saves its policies: house rules, manuals, and {self.fares:g} fares in two regions and two versions. On "
            f"one morning, travellers ask what things cost. Some questions need a code, a day, a region, or other words than "
            f"the document has; eight have no answer."
        )

    def marks(self) -> tuple[tuple[float, str], ...]:
        return ()

    def play(self, scene: Scene) -> Act:
        made = corpus_of(scene, fares=int(self.fares))
        fails = [faults.brown_out(0.0, 10_000.0, self.slow)] if self.slow != 1 else []
        house, ends = morning(scene, made, fails=fails)
        documents = {document.id: document for document in made.documents}
        rows = []
        for kind, label in KINDS.items():
            some = [each for each in ends.asked if each.question.kind == kind]
            rows.append((label, tuple(float(sum(each.end == end for each in some)) for end in ENDS)))
        return Act(
            series=(),
            figures=(
                Figure("right, of those with an answer", ends.percent("right"), "%", 80.0, "at_least"),
                Figure("wrong, of those with an answer", ends.percent("wrong"), "%", 0.0, "at_most"),
                Figure("wrong, and the source cited says so", len(superseded(ends, documents)), "", 0.0, "at_most"),
                Figure("made up, of those without an answer", ends.percent("invented"), "%", 0.0, "at_most"),
                Figure("read for a question", house.tokens(len(ends.asked)), "tokens", 250.0, "at_most"),
            ),
            bars=(Bars("What became of them", "questions", ENDS, tuple(rows)),),
        )


def superseded(ends: Ends, documents: dict[str, Document]) -> list[Asked]:
    """Wrong answers that stand in the document that they cite: it does not hold where, or when, the question is about."""
    found = []
    for each in ends.of("wrong") + ends.of("invented"):
        for citation in each.answer.citations:
            document = documents.get(str(citation.get("document")))
            if document and each.answer.text in document.text and not in_force(document, each.question):
                found.append(each)
                break
    return found


INCIDENTS: dict[int, type[Incident]] = {1: Morning}
"""By stage. One morning for all of them: each stage turns other bars."""
