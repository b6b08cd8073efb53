"""Answers to travellers' questions, from the tenant's documents: found, chosen, packed, and checked."""

import re

from service.library import Library, Piece, words
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

INSTRUCTION = (
    "Answer the traveller's question only from the passages below, in the words of one of them, and cite it. "
    "If none of them says it, answer: I do not know."
)

_AMOUNT = re.compile(r"\d+ euros\b")


class Assistant:
    def __init__(self, settings: Settings, llm: Llm, library: Library) -> None:
        self.settings = settings
        self.llm = llm
        self.library = library

    async def answer(self, tenant: str, question: str, region: str, as_of: str) -> tuple[dict, list[str]]:
        """{"status", "answer", "citations", "reason"}, as POST /ask has it, and the documents that were retrieved."""
        found: list[tuple[Piece, float | None]] = []
        shown: dict[str, Piece] = {}
        conflicts: list[tuple[str, str]] = []

        async def retrieve(question: str) -> list[str]:
            left = room(self.settings.window, self.settings.reserve, [INSTRUCTION, question])
            if not left:
                return []
            found.extend(await self._find(tenant, question, region, as_of))
            passages = [
                {"id": piece.id, "tenant": piece.tenant, "header": piece.header, "text": piece.text, "score": score}
                for piece, score in found
            ]
            screened = screen(tenant, passages, self.settings.floor)
            conflicts.extend(screened.conflicts)
            pieces = {piece.id: piece for piece, _ in found}
            texts = {ident: self._compressed(question, pieces[ident]) for ident in screened.kept[: self.settings.passages]}
            packed = pack(list(texts.values()), left)
            shown.update({ident: pieces[ident] for ident, text in texts.items() if text in packed})
            return packed

        async def generate(prompt: str) -> str:
            messages = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": prompt}]
            return await self.llm.complete(tenant, messages)

        said = await answer(question, retrieve, generate)
        documents = list(dict.fromkeys(piece.document for piece, _ in found))
        if said is None:
            return _abstained("nothing that is in force says it"), documents
        grounded = verify(question, said, {ident: piece.whole for ident, piece in shown.items()})
        if grounded is None:
            return _abstained("no passage says it"), documents
        if any(ident in pair for ident in grounded.citations for pair in conflicts):
            return _abstained("the sources contradict each other"), documents
        citations = [{"document": shown[ident].document, "quote": grounded.text} for ident in grounded.citations]
        return {"status": "answered", "answer": grounded.text, "citations": citations, "reason": None}, documents

    async def _find(self, tenant: str, question: str, region: str, as_of: str) -> list[tuple[Piece, float | None]]:
        """The pieces that are about the question, best first, and their scores."""
        shelf = self.library.shelf(tenant)
        if shelf is None:
            return []
        holds = admits(region, as_of)
        admitted = {ident for ident, piece in shelf.pieces.items() if holds(piece.metadata)}
        if not admitted:
            return []
        (vector,) = await self.llm.embed(tenant, [question])
        dense, lexical = (
            {ident: score for ident, score in scores.items() if ident in admitted}
            for scores in (shelf.dense(vector), shelf.lexical(question))
        )
        scored: dict[str, float | None] = {}

        async def refine(idents: list[str]) -> list[str]:
            passages = [(ident, shelf.pieces[ident].whole) for ident in idents]
            scored.update(await rerank(question, passages, lambda asked, texts: self.llm.rerank(tenant, asked, texts)))
            return list(scored)

        best = await search(fuse(dense, lexical), refine, n=self.settings.candidates)
        return [(shelf.pieces[ident], scored[ident]) for ident in best]

    def _compressed(self, question: str, piece: Piece) -> str:
        """What matters of a passage: first of all the sentences with an amount, since amounts are asked for."""
        said, asked = sentences(piece.text), set(words(question))
        scores = [len(asked & set(words(each))) + 10 * bool(_AMOUNT.search(each)) for each in said]
        kept = compress(said, scores, self.settings.sentences)
        title = piece.header.rstrip(": ")  # the reader takes a first line with a colon for an instruction
        return f"[{piece.id}] {title}\n" + "\n".join(kept)


def _abstained(reason: str) -> dict:
    return {"status": "abstained", "answer": None, "citations": [], "reason": reason}
