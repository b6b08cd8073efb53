"""Answers to travellers' questions: one function after the other, and one passage for the reader."""

from service.library import Library, dense, lexical
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

INSTRUCTION = "Use nothing but the passages. Answer only what one of them says, and cite it; else say that you do not know."
NOTHING = {"status": "abstained", "answer": None, "citations": []}
AT_MOST = 90  # tokens of a passage


class Assistant:
    def __init__(self, settings: Settings, llm: Llm, library: Library) -> None:
        self.settings, self.llm, self.library = settings, llm, library

    async def answer(self, tenant: str, question: str, region: str, as_of: str) -> tuple[dict, list[str]]:
        best = await self._best(tenant, question, region, as_of)
        documents = list(dict.fromkeys(piece["document"] for piece in best))
        screened = screen(tenant, best, self.settings.floor)
        kept = [piece for piece in best if piece["id"] in screened.kept][:1]
        if not kept or any(kept[0]["id"] in pair for pair in screened.conflicts):
            return NOTHING, documents
        left = room(self.settings.window, self.settings.reserve, [INSTRUCTION, question])

        async def retrieve(question: str) -> list[str]:
            parts = sentences(kept[0]["text"])
            some = compress(parts, [float("euros" in part) for part in parts], AT_MOST)
            return pack([f"[{kept[0]['id']}] {kept[0]['header'].rstrip(': ')}\n" + "\n".join(some)], left)

        async def generate(prompt: str) -> str:
            said = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": prompt}]
            return await self.llm.complete(tenant, said)

        said = await answer(question, retrieve, generate)
        found = verify(question, said or "", {piece["id"]: piece["whole"] for piece in kept})
        if found is None:
            return NOTHING, documents
        citations = [{"document": kept[0]["document"], "quote": found.text}]
        return {"status": "answered", "answer": found.text, "citations": citations}, documents

    async def _best(self, tenant: str, question: str, region: str, as_of: str) -> list[dict]:
        holds = admits(region, as_of)
        pieces = [piece for piece in self.library.pieces[tenant].values() if holds(piece["metadata"])]
        if not pieces:
            return []
        (vector,) = await self.llm.embed(tenant, [question])
        by_id = {piece["id"]: piece for piece in pieces}
        scored = {}

        async def refine(idents: list[str]) -> list[str]:
            async def call(question: str, texts: list[str]) -> list[dict]:
                return await self.llm.rerank(tenant, question, texts)

            for ident, score in await rerank(question, [(i, by_id[i]["whole"]) for i in idents], call):
                scored[ident] = {**by_id[ident], "score": score}
            return list(scored)

        ranked = fuse(dense(pieces, vector), lexical(pieces, question))
        return [scored[ident] for ident in await search(ranked, refine, 40, 8)]
