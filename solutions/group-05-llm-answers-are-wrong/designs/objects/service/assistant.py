"""Answers to travellers' questions: a case goes through steps, and each of them may give up."""

from dataclasses import dataclass, field

from service.library import Library, Piece
from service.llm import Llm
from service.patterns.budgeting import pack, room
from service.patterns.compression import compress
from service.patterns.grounding import verify
from service.patterns.guardrails import screen
from service.patterns.hybrid import fuse
from service.patterns.metadata import admits
from service.patterns.multi_stage import search
from service.patterns.naive import answer
from service.patterns.reranking import rerank
from service.settings import Settings
from service.text import sentences

INSTRUCTION = "Answer only with a sentence of the passages, and its source in brackets, or say: I do not know."


class Abstain(Exception):
    """There is nothing to be said, and why."""


@dataclass
class Case:
    tenant: str
    question: str
    region: str
    as_of: str
    found: dict[str, Piece] = field(default_factory=dict)  # best first
    scores: dict[str, float | None] = field(default_factory=dict)
    conflicts: list[tuple[str, str]] = field(default_factory=list)
    prompt: list[str] = field(default_factory=list)
    answer: dict = field(default_factory=dict)

    @property
    def documents(self) -> list[str]:
        return list(dict.fromkeys(piece.document for piece in self.found.values()))


class Find:
    """What holds, nearest in meaning and in letters, and then by whoever reads both."""

    def __init__(self, settings: Settings, llm: Llm, library: Library) -> None:
        self.settings, self.llm, self.library = settings, llm, library

    async def __call__(self, case: Case) -> None:
        shelf = self.library.shelf(case.tenant, admits(case.region, case.as_of))
        if shelf is None:
            raise Abstain("nothing holds")
        (vector,) = await self.llm.embed(case.tenant, [case.question])

        async def call(question: str, texts: list[str]) -> list[dict]:
            return await self.llm.rerank(case.tenant, question, texts)

        async def refine(idents: list[str]) -> list[str]:
            pairs = [(ident, shelf.pieces[ident].whole) for ident in idents]
            case.scores = dict(await rerank(case.question, pairs, call))
            return list(case.scores)

        ranked = fuse(shelf.dense(vector), shelf.lexical(case.question))
        best = await search(ranked, refine, self.settings.candidates)
        case.found = {ident: shelf.pieces[ident] for ident in best}


class Screen:
    """What may be read."""

    def __init__(self, settings: Settings) -> None:
        self.floor = settings.floor

    async def __call__(self, case: Case) -> None:
        rows = [
            {"id": ident, "tenant": piece.tenant, "header": piece.header, "text": piece.text, "score": case.scores[ident]}
            for ident, piece in case.found.items()
        ]
        screened = screen(case.tenant, rows, self.floor)
        case.conflicts = screened.conflicts
        case.found = {ident: case.found[ident] for ident in screened.kept}
        if not case.found:
            raise Abstain("nothing is about this")


class Pack:
    """The best two passages, without what the reranker finds beside the point."""

    def __init__(self, settings: Settings, llm: Llm) -> None:
        self.settings, self.llm = settings, llm

    async def __call__(self, case: Case) -> None:
        best = list(case.found.items())[:2]
        said = {ident: sentences(piece.text) for ident, piece in best}
        flat = [(f"{ident} {at}", f"{piece.header} {each}") for ident, piece in best for at, each in enumerate(said[ident])]

        async def call(question: str, texts: list[str]) -> list[dict]:
            return await self.llm.rerank(case.tenant, question, texts)

        scores = {key: score or 0.0 for key, score in await rerank(case.question, flat, call)}
        passages = []
        for ident, piece in best:
            weights = [scores[f"{ident} {at}"] + ("euros" in each) for at, each in enumerate(said[ident])]
            kept = compress(said[ident], weights, self.settings.sentences)
            passages.append("\n".join([f"[{ident}] {piece.header.rstrip(': ')}", *kept]))
        case.prompt = pack(passages, room(self.settings.window, self.settings.reserve, [INSTRUCTION, case.question]))


class Read:
    """One question to the reader, and a look at what it cites."""

    def __init__(self, llm: Llm) -> None:
        self.llm = llm

    async def __call__(self, case: Case) -> None:
        async def given(question: str) -> list[str]:
            return case.prompt

        async def read(prompt: str) -> str:
            messages = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": prompt}]
            return await self.llm.complete(case.tenant, messages)

        said = await answer(case.question, given, read)
        shown = {ident: piece.whole for ident, piece in case.found.items() if any(f"[{ident}]" in p for p in case.prompt)}
        grounded = verify(case.question, said, shown) if said else None
        if grounded is None:
            raise Abstain("nobody says it")
        if {ident for pair in case.conflicts for ident in pair} & set(grounded.citations):
            raise Abstain("it is said in two ways")
        citations = [{"document": case.found[ident].document, "quote": grounded.text} for ident in grounded.citations]
        case.answer = {"status": "answered", "answer": grounded.text, "citations": citations}


class Assistant:
    def __init__(self, settings: Settings, llm: Llm, library: Library) -> None:
        self.steps = [Find(settings, llm, library), Screen(settings), Pack(settings, llm), Read(llm)]

    async def answer(self, tenant: str, question: str, region: str, as_of: str) -> tuple[dict, list[str]]:
        case = Case(tenant, question, region, as_of)
        try:
            for step in self.steps:
                await step(case)
        except Abstain as why:
            case.answer = {"status": "abstained", "answer": None, "citations": [], "reason": str(why)}
        return case.answer, case.documents
