"""Answers to travellers' questions, from the tenant's documents."""

import re

from service.library import Library
from service.llm import Llm
from service.settings import Settings

INSTRUCTION = "You are the friendly assistant of an airline. Answer the traveller's question, and cite your source."

_CITED = re.compile(r"\[([\w.:/#-]+)\]")


class Assistant:
    def __init__(self, settings: Settings, llm: Llm, library: Library) -> None:
        self.settings = settings
        self.llm = llm
        self.library = library

    async def ask(self, tenant: str, question: str, region: str, as_of: str) -> dict:
        """{"status", "answer", "citations"}, as POST /ask has it."""
        (vector,) = await self.llm.embed(tenant, [question])
        found = self.library.search(tenant, vector, self.settings.documents)
        context = "\n\n".join(f"[{document['id']}] {document['text']}" for document in found)
        said = await self.llm.complete(
            tenant,
            [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": f"{context}\n\n{question}"}],
        )
        texts = {document["id"]: document["text"] for document in found}
        citations = [{"document": ident, "quote": texts.get(ident, "")} for ident in _CITED.findall(said)]
        return {"status": "answered", "answer": _CITED.sub("", said).strip(), "citations": citations}
